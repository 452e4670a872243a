"""Benchmark pipeline.detect: frame rate, latency of the network, memory over a long video, start-up, and faces found.

    python -m benchmarks.detect [--frames N] [--minutes M] [--rendered DIR] [--output FILE]

A real portrait moves through a 640 x 480 video. `fps` is measured end to end (decoding, faces, action units, CSV) in a
separate process on one core, in wall-clock and in processor time, which does not depend on the load of the machine.
Memory is that of the whole process, after five seconds of video and at the end. The table of faces is for single images;
errors are those of the eyes, relative to their distance. Also compares two ways to track a face between searches.
Writes a JSON file and prints `fps=N net_ms=N growth_mb=N start_seconds=N`.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from benchmarks.samples.following import compare_followers
from benchmarks.samples.landmarks import blazeface_against_landmarks
from benchmarks.samples.moving_face import RATE, placed, write_moving
from pipeline.detect import Detector
from pipeline.detect.network import AuNetwork, load_shipped
from pipeline.runs.environment import describe_environment
from pipeline.runs.files import write_json

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "docs" / "results" / "detect.json"
MODEL = ROOT / "tflite_out" / "synthetic_faces"
COMMAND = "python -m benchmarks.detect --frames {frames} --minutes {minutes:g}"
WARM_FRAMES = 125  # before memory is measured


def detect_command(video: Path, *arguments: str) -> list[str]:
    """The command line for a video."""
    return [sys.executable, "-m", "pipeline.detect", "--model", str(MODEL), str(video), *arguments]


def end_to_end(video: Path, frames: int, *arguments: str) -> dict:
    """Frames per second of the whole command on one core, in wall-clock and processor time, without loading."""
    short = video.with_name("short.mp4")
    write_moving(short, 2)
    start = _timed(detect_command(short, "--csv", os.devnull))
    whole = _timed(detect_command(video, *arguments))
    wall, processor = (later - earlier for later, earlier in zip(whole, start, strict=True))
    return {"fps": frames / wall, "fps_by_processor_time": frames / processor}


def _timed(command: list[str]) -> tuple[float, float]:
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL, preexec_fn=_one_core)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.perf_counter() - start, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _one_core() -> None:
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def network_ms(runs: int = 500) -> dict:
    """Median and p90 milliseconds from a crop to probabilities, for each file; and of the crop itself."""
    image, _ = placed((480, 640), (320, 240), 150)
    (face,) = Detector(MODEL).image(image)
    times = {}
    for path in sorted(MODEL.glob("*.tflite")):
        network = AuNetwork(load_shipped(path))
        crop = network.model.sidecar.crop
        pixels = crop.cut(image, crop.from_eyes(*face.landmarks))
        times[path.stem.removeprefix("model_")] = _milliseconds(lambda: network.probabilities(pixels), runs)  # noqa: B023
    times["crop"] = _milliseconds(lambda: crop.cut(image, crop.from_eyes(*face.landmarks)), runs)
    return times


def _milliseconds(work, runs: int) -> dict:
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        times.append(1e3 * (time.perf_counter() - start))
    return {"median": float(np.median(times)), "p90": float(np.percentile(times, 90))}


def memory(video: Path, folder: Path) -> dict:
    """Megabytes of the process, early and at the end of the video, with all kinds of rows and a timeline."""
    command = detect_command(
        video, "--csv", "-", "--jsonl", str(folder / "o.jsonl"), "--timeline", str(folder / "o.svg")
    )
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    early = last = most = 0.0
    rows = 0
    for rows, _ in enumerate(running.stdout):
        if rows % 25 == 0:
            last = _resident(running.pid) or last
            early = early or (last if rows >= WARM_FRAMES else 0.0)
            most = max(most, last)
    running.wait()
    return {"frames": rows, "early_mb": early, "end_mb": last, "peak_mb": most, "growth_mb": most - early}


def _resident(process: int) -> float | None:
    """Megabytes; None if the process has ended."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024 / 1e6
    return None


def start_seconds(video: Path, runs: int = 5) -> list[float]:
    """Seconds from the start of the process to the first row, sorted."""
    found = []
    for _ in range(runs):
        start = time.perf_counter()
        running = subprocess.Popen(
            detect_command(video, "--csv", "-"), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        running.stdout.readline(), running.stdout.readline()
        found.append(time.perf_counter() - start)
        running.kill()
        running.communicate()
    return sorted(found)


def faces_found() -> list[dict]:
    """The faces found in 640 x 480 images of the portrait: small, large, turned, partly outside, grey, absent."""
    middle, rows = (320.0, 240.0), []
    cases = {f"{width} px wide": (middle, width, 0) for width in (20, 30, 40, 60, 100, 200, 300, 400, 470)}
    cases |= {
        f"turned by {degrees} degrees": (middle, 150, degrees) for degrees in (15, 30, 45, 90, 135, 180, -60, -120)
    }
    cases |= {"an eye at the left edge": ((40, 240), 150, 0), "left half outside": ((0, 240), 150, 0)}
    cases |= {"mouth below the edge": ((320, 430), 150, 0), "brows above the edge": ((320, 45), 150, 0)}
    detector = Detector(MODEL)
    for case, (centre, width, degrees) in cases.items():
        image, eyes = placed((480, 640), centre, width, degrees)
        rows.append(_found(detector, case, image, eyes))
    image, eyes = placed((480, 640), middle, 150)
    grey = np.repeat(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    dark, bright = (image * 0.2).astype(np.uint8), np.minimum(image * 1.8 + 40.0, 255).astype(np.uint8)
    for case, picture in {
        "grey": grey,
        "dark": dark,
        "overexposed": bright,
        "blurred": cv2.blur(image, (9, 9)),
    }.items():
        rows.append(_found(detector, case, picture, eyes))
    nothing = np.random.default_rng(1).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    return [
        *rows,
        _found(detector, "no face: noise", nothing, eyes),
        _found(detector, "no face: black", 0 * nothing, eyes),
    ]


def _found(detector: Detector, case: str, image: np.ndarray, eyes: np.ndarray) -> dict:
    distance = np.hypot(*(eyes[1] - eyes[0]))
    faces = detector.image(image)
    errors = [float(np.abs(np.array(face.landmarks) - eyes).max() / distance) for face in faces]
    best = int(np.argmin(errors)) if faces else None
    return {
        "case": case,
        "faces": len(faces),
        "success": sum(face.success for face in faces),
        "confidence": faces[best].confidence if faces else None,
        "box": [round(value) for value in faces[best].box] if faces else None,
        "eye_error": errors[best] if faces else None,
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, write the JSON file, print the closing line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=750, help="length of the video for the frame rate")
    parser.add_argument("--minutes", type=float, default=10.0, help="length of the video for memory")
    parser.add_argument(
        "--rendered", type=Path, help="rendered faces in BP4D's layout, to measure BlazeFace's eyes too"
    )
    parser.add_argument("--output", type=Path, default=RESULT, help="the JSON file")
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="nibble-benchmark-") as name:
        folder = Path(name)
        video = write_moving(folder / "clip.mp4", arguments.frames)
        repeats = round(arguments.minutes * 60 * RATE / 250)
        results = {
            "end_to_end": end_to_end(video, arguments.frames, "--csv", os.devnull),
            "with_overlay": end_to_end(
                video, arguments.frames, "--csv", os.devnull, "--overlay", str(folder / "o.mp4")
            ),
            "network_ms": network_ms(),
            "memory": memory(write_moving(folder / "long.mp4", 250, repeats), folder),
            "start_seconds": start_seconds(video),
            "followers": compare_followers(),
            "faces": faces_found(),
            "rendered": arguments.rendered and blazeface_against_landmarks(arguments.rendered),
        }
    command = COMMAND.format(**vars(arguments)) + (" --rendered DIR" if arguments.rendered else "")
    machine = {**describe_environment(), "load_average": os.getloadavg(), "command": command}
    write_json(arguments.output, {"machine": machine, **results})
    for row in results["faces"]:
        error = "-" if row["eye_error"] is None else f"{row['eye_error']:.1%}"
        print(f"{row['case']:26} {row['faces']} found, {row['success']} measured  {row['box']}  eye error {error}")
    print(
        f"fps={results['end_to_end']['fps_by_processor_time']:.1f} net_ms={results['network_ms']['int8']['median']:.3f} "
        f"growth_mb={results['memory']['growth_mb']:.1f} start_seconds={results['start_seconds'][2]:.2f}"
    )


if __name__ == "__main__":
    main()
