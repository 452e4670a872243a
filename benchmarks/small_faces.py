"""Benchmark of small faces in large pictures: how many are found, by width, and what the search costs per frame.

    python -m benchmarks.small_faces [--places N] [--output FILE]

`found` is the share of faces found in single 1920 x 1080 frames, one face each, at N random places, by the width of the face
and the minimum width in pixels: 1/16 of the longer side, or the default. `gallery` counts faces found of 25. `ms` is the
processor time per frame of a video with one face as wide as a fifth of the picture, without decoding, on one core; the
settings are measured in turns, and the median of the turns counts. Writes a JSON file and prints it.
"""

import argparse
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from benchmarks.samples.moving_face import placed
from pipeline.detect import Detector, FaceSettings
from pipeline.runs.environment import describe_environment
from pipeline.runs.files import write_json

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "docs" / "results" / "small_faces.json"
MODEL = ROOT / "tflite_out" / "synthetic_faces"
WIDTHS = (40, 50, 60, 70, 80, 102, 120, 150)
SIZES = ((480, 640), (720, 1280), (1080, 1920), (2160, 3840))
FRAMES, REPEATS = 40, 5
NOISE = 3.0


def detector(size: tuple[int, int], small: bool) -> Detector:
    """With the default minimum width if `small`, else with 1/16 of the longer side."""
    return Detector(MODEL, faces=FaceSettings(smallest=None if small else max(size) / 16))


def share_found(width: int, small: bool, places: int) -> float:
    """The share of faces of that width found in 1920 x 1080 frames."""
    size, rng, found = (1080, 1920), np.random.default_rng(width), 0
    for _ in range(places):
        centre = (rng.uniform(1.5 * width, 1920 - 1.5 * width), rng.uniform(1.5 * width, 1080 - 1.5 * width))
        image, eyes = placed(size, centre, width, rng.uniform(-15, 15))
        image = np.clip(image + rng.normal(0, NOISE, image.shape), 0, 255).astype(np.uint8)
        errors = [np.abs(np.array(face.landmarks) - eyes).max() for face in detector(size, small).frame(image)]
        found += bool(errors) and min(errors) < width / 5
    return found / places


def gallery(small: bool) -> int:
    """Faces found of five by five, 91 pixels wide, in a 1920 x 1080 frame."""
    tile, _ = placed((216, 216), (108, 100), 91)
    image = np.full((1080, 1920, 3), 90, np.uint8)
    image[:, 420:1500] = np.tile(tile, (5, 5, 1))
    return len(detector(image.shape[:2], small).frame(image))


def milliseconds(size: tuple[int, int]) -> dict:
    """Processor time per frame with both settings, after the first frame."""
    height, width = size
    rng = np.random.default_rng(1)
    places = [(width / 2 + 0.1 * width * np.sin(step / 20), height / 2) for step in range(FRAMES + 1)]
    grain = rng.normal(0, NOISE, (height, width, 1)).astype(np.float32)
    images = [placed(size, place, width / 5)[0] for place in places]
    images = [np.clip(image + grain, 0, 255).astype(np.uint8) for image in images]
    times: dict[bool, list[float]] = {False: [], True: []}
    for small in [False, True] * REPEATS:
        tested = detector(size, small)
        tested.frame(images[0])
        start = time.process_time()
        for image in images[1:]:
            tested.frame(image)
        times[small].append(1e3 * (time.process_time() - start) / FRAMES)
    return {"sixteenth": float(np.median(times[False])), "default": float(np.median(times[True]))}


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, write the JSON file, print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--places", type=int, default=40, help="faces of each width")
    parser.add_argument("--output", type=Path, default=RESULT, help="the JSON file")
    arguments = parser.parse_args(argv)
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    cv2.setNumThreads(1)
    results = {
        name: {
            "found": {width: share_found(width, small, arguments.places) for width in WIDTHS},
            "gallery": gallery(small),
        }
        for name, small in (("sixteenth", False), ("default", True))
    }
    results["ms"] = {f"{width}x{height}": milliseconds((height, width)) for height, width in SIZES}
    command = f"python -m benchmarks.small_faces --places {arguments.places}"
    machine = {**describe_environment(), "load_average": os.getloadavg(), "command": command}
    write_json(arguments.output, {"machine": machine, **results})
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
