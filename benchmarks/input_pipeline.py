"""What a data set of BP4D's size costs: time to index it, memory of an epoch, and speed relative to JPEG decoding.

    python -m benchmarks.input_pipeline [--frames N] [--folder DIR] [--output FILE]

Writes a folder in BP4D's layout (41 subjects, 8 tasks, 144 x 108 images), indexes it, prepares crops of 64 x 64 pixels,
and iterates over an epoch of shuffled batches, each stage in its own process. The pipeline takes turns with plain
decoding of JPEGs of the same crops on the same number of threads. Writes a JSON file and prints
`index_seconds=S peak_gigabytes=G rate_over_decode=R`.
"""

import argparse
import itertools
import multiprocessing
import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

from pipeline.action_units.labels import AU_NUMBERS
from pipeline.data.batches import epoch_order, prefetched
from pipeline.data.bp4d import load
from pipeline.data.bp4d.folds import BP4D_PARTS
from pipeline.data.bp4d.index import index_frames
from pipeline.data.bp4d.layout import find_layout
from pipeline.data.faces import load_aus
from pipeline.data.settings import Bp4d
from pipeline.runs.environment import describe_environment
from pipeline.runs.files import write_json

RESULT = Path(__file__).resolve().parents[1] / "docs" / "results" / "input_pipeline.json"
COMMAND = "python -m benchmarks.input_pipeline --frames {frames} --batch-size {batch_size}"
TASKS, FIRST_FRAME = 8, 2440
HEIGHT, WIDTH, DISTINCT = 108, 144, 64
TURN = 64  # batches between two turns
EYES = (60.0, 45.0, 84.0, 47.0)


def write_tree(root: Path, frames: int) -> None:
    """At least `frames` frames with images, label files and eyes, in equal sequences."""
    sequences = [(subject, f"T{task}") for part in BP4D_PARTS for subject in part for task in range(1, TASKS + 1)]
    numbers = range(FIRST_FRAME, FIRST_FRAME - (-frames // len(sequences)))
    contents = itertools.cycle(_jpegs())
    draws = np.random.default_rng(1)
    for subject, task in sequences:
        folder = root / "Sequences(2D+3D)" / subject / task
        folder.mkdir(parents=True)
        for number in numbers:
            (folder / f"{number}.jpg").write_bytes(next(contents))
        labels = draws.integers(0, 2, (len(numbers), len(AU_NUMBERS)))
        _write_csv(root / "AUCoding" / "AU_OCC" / f"{subject}_{task}.csv", (0, *AU_NUMBERS), numbers, labels)
        header = ("frame", "right_eye_x", "right_eye_y", "left_eye_x", "left_eye_y")
        _write_csv(root / "Landmarks" / f"{subject}_{task}.csv", header, numbers, np.tile(EYES, (len(numbers), 1)))


def _jpegs() -> list[bytes]:
    """Smooth random images with a little noise, like photographs."""
    draws = np.random.default_rng(2)
    smooth = (cv2.resize(draws.integers(0, 256, (9, 12, 3), dtype=np.uint8), (WIDTH, HEIGHT)) for _ in range(DISTINCT))
    noisy = (np.clip(image + draws.normal(0, 4, image.shape), 0, 255).astype(np.uint8) for image in smooth)
    return [cv2.imencode(".jpg", image)[1].tobytes() for image in noisy]


def _write_csv(path: Path, header: Sequence, numbers: Sequence[int], values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [",".join(map(str, row)) for row in (header, *((n, *row) for n, row in zip(numbers, values.tolist())))]  # noqa: B905
    path.write_text("\n".join(rows) + "\n")


def index_stage(root: Path) -> dict:
    """Seconds to find and index all frames."""
    start = time.perf_counter()
    frames = len(index_frames(find_layout(root), AU_NUMBERS))
    return {"frames": frames, "seconds": time.perf_counter() - start}


def prepare_stage(root: Path) -> dict:
    """Seconds from the folder to prepared crops."""
    start = time.perf_counter()
    load_aus(_section(root))
    return {"seconds": time.perf_counter() - start}


def epoch_stage(root: Path, batch_size: int) -> dict:
    """Images per second of an epoch of shuffled batches, and of only decoding JPEGs of 256 of its crops, in turns."""
    load.MAX_IN_MEMORY_BYTES = 0  # read from disk, however few
    aus = load_aus(_section(root))
    order = epoch_order(len(aus), seed=1, epoch=1)
    starts = range(0, len(aus) - batch_size + 1, batch_size)
    batches = prefetched(aus.images[order[start : start + batch_size]] for start in starts)
    jpegs = _jpegs_of(aus.images[:256])
    turns = []
    for first in range(0, len(starts), TURN):
        count = min(TURN, len(starts) - first)
        seconds = _seconds(lambda count=count: _consume(batches, count))
        bare = _seconds(lambda count=count: decode(jpegs, count * batch_size))
        turns.append((count * batch_size, seconds, bare))
    images, seconds, bare = np.array(turns).T
    return {
        "images": int(images.sum()),
        "pipeline_images_per_second": float(images.sum() / seconds.sum()),
        "decode_images_per_second": float(images.sum() / bare.sum()),
        "rate_over_decode": float(np.median(bare / seconds)),
    }


def decode(jpegs: Sequence[bytes], count: int) -> None:
    """Decode `count` images from memory, in as many threads as there are processors, and drop them."""
    threads = os.cpu_count() or 1
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda share: _decode(jpegs, share), [count // threads] * threads))


def _decode(jpegs: Sequence[bytes], count: int) -> None:
    for jpeg in itertools.islice(itertools.cycle(jpegs), count):
        cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)


def _jpegs_of(crops: np.ndarray) -> list[bytes]:
    """JPEGs as the reader stores them: quality 95, colours at full resolution."""
    options = (
        *(cv2.IMWRITE_JPEG_QUALITY, 95),
        *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444),
    )
    return [cv2.imencode(".jpg", crop, options)[1].tobytes() for crop in crops]


def _consume(batches: Iterator, count: int) -> None:
    for _ in itertools.islice(batches, count):
        pass


def _seconds(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _section(root: Path) -> Bp4d:
    return Bp4d(root=str(root))


def _measured(stage: Callable[..., dict], *arguments) -> dict:
    """What a stage returns, and the peak memory of its own process."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_with_peak, stage, *arguments).result()


def _with_peak(stage: Callable[..., dict], *arguments) -> dict:
    found = stage(*arguments)
    return {**found, "peak_gigabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9}


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, write the JSON file, print the summary line."""
    arguments = _arguments(argv)
    with tempfile.TemporaryDirectory(prefix="nibble-benchmark-", dir=arguments.folder) as folder:
        root = Path(folder) / "data"
        os.environ["TFDS_DATA_DIR"] = str(Path(folder) / "tfds")
        write_tree(root, arguments.frames)
        results = {
            "index": _measured(index_stage, root),
            "prepare": _measured(prepare_stage, root),
            "epoch": _measured(epoch_stage, root, arguments.batch_size),
        }
        machine = {**describe_environment(), "command": COMMAND.format(**vars(arguments))}
        write_json(arguments.output, {"machine": machine, **results})
    peak = max(results[stage]["peak_gigabytes"] for stage in ("prepare", "epoch"))
    print(
        f"index_seconds={results['index']['seconds']:.3f} peak_gigabytes={peak:.3f} "
        f"rate_over_decode={results['epoch']['rate_over_decode']:.3f}"
    )


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=140_000, help="number of frames in the folder")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument(
        "--folder", type=Path, help="where to write the folder (default: the system's temporary folder)"
    )
    parser.add_argument("--output", type=Path, default=RESULT, help="the JSON file")
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
