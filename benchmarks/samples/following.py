"""Two ways to track a face between searches: the tracker with BlazeFace, or optical flow of its eyes."""

import time
from collections.abc import Callable, Iterable

import cv2
import numpy as np

from benchmarks.samples.moving_face import moving, placed
from pipeline.faces.blazeface import Detection, FaceDetector
from pipeline.faces.tracking import FaceTracker, Finding

FRAMES = 250
NO_SEARCH = Finding(search_every=10 * FRAMES, smallest=20, most=1, least=0.75, least_followed=0.65)
NOISE = 3.0

Follow = Callable[[np.ndarray], np.ndarray]  # the next frame (H, W, 3) to the eyes in it (2, 2)


def compare_followers() -> dict:
    """By method: ms of processor time per frame, mean error on a moving face and jitter on one at rest.

    Errors and jitter are relative to the distance of the eyes.
    """
    cv2.setNumThreads(1)
    still, eyes = placed((480, 640), (320, 240), 130)
    rng = np.random.default_rng(2)
    grain = (np.clip(still + rng.normal(0, NOISE, still.shape), 0, 255).astype(np.uint8) for _ in range(FRAMES))
    rest = [(image, eyes) for image in grain]
    found = {}
    for name, make in FOLLOWERS.items():
        milliseconds, errors, _ = _run(make, moving(FRAMES, noise=NOISE))
        _, _, places = _run(make, rest)
        distance = np.hypot(*(eyes[1] - eyes[0]))
        found[name] = {
            "ms": milliseconds,
            "mean_error": float(np.mean(errors)),
            "last_error": float(np.mean(errors[-25:])),
            "jitter": float(np.diff(places, axis=0).std() / np.sqrt(2) / distance),
        }
    return found


def _run(
    make: Callable[[np.ndarray], Follow], frames: Iterable[tuple[np.ndarray, np.ndarray]]
) -> tuple[float, list, np.ndarray]:
    """Median milliseconds, errors of the eyes relative to their distance, and their positions (N, 2, 2)."""
    follow, times, errors, places = None, [], [], []
    for image, eyes in frames:
        if follow is None:
            follow = make(image)
            continue
        start = time.thread_time()
        found = follow(image)
        times.append(1e3 * (time.thread_time() - start))
        errors.append(float(np.abs(found - eyes).max() / np.hypot(*(eyes[1] - eyes[0]))))
        places.append(found)
    return float(np.median(times)), errors, np.array(places)


def _by_blazeface(first: np.ndarray) -> Follow:
    tracker = FaceTracker(FaceDetector(), NO_SEARCH)
    tracker.update(first)
    return lambda image: _eyes(tracker.update(image)[0].face)


def _by_flow(first: np.ndarray) -> Follow:
    points = _eyes(FaceDetector().detect(first)[0]).astype(np.float32)[:, None]
    before = cv2.cvtColor(first, cv2.COLOR_RGB2GRAY)

    def follow(image: np.ndarray) -> np.ndarray:
        nonlocal points, before
        now = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        points, _, _ = cv2.calcOpticalFlowPyrLK(before, now, points, None, winSize=(25, 25), maxLevel=3)
        before = now
        return points[:, 0].astype(np.float64)

    return follow


def _eyes(face: Detection) -> np.ndarray:
    return np.array([face.right_eye, face.left_eye])


FOLLOWERS = {"blazeface": _by_blazeface, "optical_flow": _by_flow}
