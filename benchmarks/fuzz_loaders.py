"""Fuzz every loader of pipeline.detect with damaged files: which are refused or read, and which crash or hang it.

    python -m benchmarks.fuzz_loaders [--files N] [--output FILE]

`model`: a damaged .tflite with its original sidecar. `sidecar`: a damaged model.json. `image`, `video`: damaged files of
every format that OpenCV writes. `odd`: damaged copies of the files in tests/detect/media, most of them under wrong names.
`unchecked`: damaged models with a matching sidecar, which LiteRT itself has to read;
these show what the sha256 prevents. Each file is read in a child process, which is killed after TIMEOUT seconds.
Writes a JSON file and prints `crashes=N hangs=N unexpected=N` without `unchecked`.
"""

import argparse
import hashlib
import json
import multiprocessing
import os
import resource
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path

import cv2
import numpy as np

from benchmarks.samples.damage import damaged
from pipeline.detect import Detector
from pipeline.detect.frames import image_of, open_pictures
from pipeline.detect.inputs import Source
from pipeline.detect.media import kind_of
from pipeline.detect.network import load_shipped
from pipeline.detect.videos import Unreadable
from pipeline.errors import UserError
from pipeline.faces.image_files import UnreadableImage, decode_image
from pipeline.runs.environment import describe_environment
from pipeline.runs.files import write_json

RESULT = Path(__file__).resolve().parents[1] / "docs" / "results" / "fuzz_loaders.json"
MODEL = Path(__file__).resolve().parents[1] / "tflite_out" / "synthetic_faces"
ODD = Path(__file__).resolve().parents[1] / "tests" / "detect" / "media"
MODEL_FILES = ("model_int8.tflite", "model_int4.tflite", "model_float32.tflite")
IMAGE_ENDINGS = (".jpg", ".png", ".bmp", ".webp", ".tiff", ".gif", ".ppm", ".pgm", ".jp2", ".avif")
VIDEO_CODECS = {".avi": "MJPG", ".mp4": "mp4v", ".webm": "VP80", ".mkv": "FFV1"}
TIMEOUT = 20.0
MEMORY_BYTES = 6 * 2**30


def try_model(folder: Path, seed: int) -> str:
    """A damaged .tflite with its original sidecar."""
    name = MODEL_FILES[seed % len(MODEL_FILES)]
    (folder / name).write_bytes(damaged((MODEL / name).read_bytes(), seed))
    shutil.copy(MODEL / "model.json", folder)
    return _load(folder / name)


def try_sidecar(folder: Path, seed: int) -> str:
    """A damaged model.json with an intact .tflite."""
    shutil.copy(MODEL / MODEL_FILES[0], folder)
    (folder / "model.json").write_bytes(damaged((MODEL / "model.json").read_bytes(), seed))
    return _load(folder / MODEL_FILES[0])


def try_unchecked(folder: Path, seed: int) -> str:
    """A damaged .tflite with a sidecar that matches it."""
    name = MODEL_FILES[seed % len(MODEL_FILES)]
    content = damaged((MODEL / name).read_bytes(), seed)
    (folder / name).write_bytes(content)
    values = json.loads((MODEL / "model.json").read_text())
    values["files"] = {name: {"sha256": hashlib.sha256(content).hexdigest()}}
    (folder / "model.json").write_text(json.dumps(values))
    return _load(folder / name)


def try_image(folder: Path, seed: int) -> str:
    """A damaged image file."""
    ending = IMAGE_ENDINGS[seed % len(IMAGE_ENDINGS)]
    try:
        image = decode_image(damaged(_encoded(folder, ending), seed))
    except UnreadableImage:
        return "refused"
    return (
        "read" if image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3 else f"unexpected {image.shape}"
    )


def try_odd(folder: Path, seed: int) -> str:
    """A damaged copy of one of the odd files of the tests, read as what its content says, by a name that may be wrong."""
    files = sorted(path for path in ODD.iterdir() if path.suffix != ".sh")
    odd, name = files[seed % len(files)], files[seed // len(files) % len(files)].suffix
    path = folder / f"odd{name}"
    path.write_bytes(damaged(odd.read_bytes(), seed))
    if kind_of(path) != "image":
        return _read_video(path)
    try:
        image_of(Source("image", str(path), path.name))
    except Unreadable:
        return "refused"
    return "read"


def try_video(folder: Path, seed: int) -> str:
    """A damaged video, read to the end."""
    ending = tuple(VIDEO_CODECS)[seed % len(VIDEO_CODECS)]
    path = folder / f"damaged{ending}"
    path.write_bytes(damaged(_written(folder, ending), seed))
    return _read_video(path)


ATTEMPTS: dict[str, Callable[[Path, int], str]] = {
    "model": try_model,
    "sidecar": try_sidecar,
    "image": try_image,
    "video": try_video,
    "odd": try_odd,
    "unchecked": try_unchecked,
}


def attempt(kind: str, folder: Path, seed: int) -> str:
    """The outcome: refused, read, read in part, or `unexpected ...`."""
    try:
        return ATTEMPTS[kind](folder, seed)
    except Exception as error:  # any other error is a finding
        return f"unexpected {type(error).__name__}: {error}"


def fuzz(kind: str, count: int) -> Counter:
    """The number of each outcome for seeds 0 .. count - 1; after a crash or hang a new process starts at the next seed."""
    outcomes: Counter = Counter()
    context = multiprocessing.get_context("spawn")
    seed = 0
    while seed < count:
        here, there = context.Pipe()
        child = context.Process(target=_work, args=(kind, seed, count, there), daemon=True)
        child.start()
        there.close()
        seed += _listen(here, child, outcomes)
    return outcomes


def _listen(results: Connection, child: multiprocessing.Process, outcomes: Counter) -> int:
    """Count what the child reports until it ends; returns the number of files it has processed."""
    used, waited = 0, 3 * TIMEOUT  # the first wait includes loading the libraries
    while True:
        if not results.poll(waited):
            child.kill()
            child.join()
            outcomes["hang"] += 1
            return used + 1
        try:
            outcome = results.recv()
        except EOFError:
            child.join()
            if child.exitcode:
                outcomes[f"crash (signal {-child.exitcode})"] += 1
            return used + bool(child.exitcode)
        waited = TIMEOUT
        if outcome is not None:
            outcomes[outcome] += 1
            used += 1


def _work(kind: str, start: int, stop: int, results: Connection) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    results.send(None)
    with tempfile.TemporaryDirectory(prefix="nibble-fuzz-") as name:
        for seed in range(start, stop):
            results.send(attempt(kind, Path(name), seed))


def _read_video(path: Path) -> str:
    frames = 0
    try:
        for _ in open_pictures(Source("video", str(path), path.name)):
            frames += 1
    except Unreadable:
        return "read in part" if frames else "refused"
    return "read"


def _load(path: Path) -> str:
    try:
        load_shipped(path)
        Detector(path).image(np.zeros((64, 64, 3), np.uint8))
    except UserError:
        return "refused"
    return "read"


def _picture() -> np.ndarray:
    smooth = np.random.default_rng(1).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return cv2.resize(smooth, (96, 72), interpolation=cv2.INTER_CUBIC)


def _encoded(folder: Path, ending: str) -> bytes:
    """An image file, made once per process."""
    path = folder / f"whole{ending}"
    if not path.exists():
        image = _picture() if ending != ".pgm" else _picture()[..., 0]
        path.write_bytes(cv2.imencode(ending, image)[1].tobytes())
    return path.read_bytes()


def _written(folder: Path, ending: str) -> bytes:
    """A video file, made once per process."""
    path = folder / f"whole{ending}"
    if not path.exists():
        codec = cv2.VideoWriter_fourcc(*VIDEO_CODECS[ending])
        writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, codec, 25, (96, 72))
        for step in range(20):
            writer.write(np.roll(_picture(), 3 * step, axis=1))
        writer.release()
    return path.read_bytes()


def main(argv: Sequence[str] | None = None) -> None:
    """Try all kinds, write the JSON file, print the summary line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--files", type=int, default=1000, help="damaged files of each kind; half as many unchecked ones"
    )
    parser.add_argument("--output", type=Path, default=RESULT, help="the JSON file")
    arguments = parser.parse_args(argv)
    found = {}
    for kind in ATTEMPTS:
        found[kind] = dict(fuzz(kind, arguments.files // 2 if kind == "unchecked" else arguments.files))
        print(f"{kind:10}", found[kind], flush=True)
    machine = {**describe_environment(), "command": f"python -m benchmarks.fuzz_loaders --files {arguments.files}"}
    write_json(arguments.output, {"machine": machine, "outcomes": found})
    counted = Counter()
    for kind in set(ATTEMPTS) - {"unchecked"}:
        for outcome, number in found[kind].items():
            counted[outcome.split()[0]] += number
    print(f"crashes={counted['crash']} hangs={counted['hang']} unexpected={counted['unexpected']}")


if __name__ == "__main__":
    main()
