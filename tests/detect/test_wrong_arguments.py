"""Every wrong argument of the public API is a UserError that names it, and leaves the detector as it was."""

import math
from fractions import Fraction

import numpy as np
import pytest

from pipeline.detect import Detector, FaceSettings
from pipeline.errors import UserError
from tests.detect.detect_samples import MODEL, scene
from tests.faces.portrait import PORTRAIT

NO_NUMBERS = (None, "5", b"5", True, [5], {}, 1j, np.complex64(1), np.array([3.0, 4.0]), math.nan, math.inf, -math.inf)
NO_INTEGERS = (*NO_NUMBERS, 3.0, np.float32(3), Fraction(3))


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector(MODEL)


@pytest.mark.parametrize(("name", "wrong"), [
    ("threads", (*NO_INTEGERS, 0, -1, 65, 10**30)),
    ("smooth", (*NO_INTEGERS, 0, -1, 2, np.int64(4), 10001, 10**30)),
    ("calibrate", (*NO_NUMBERS, -1.0, np.float32(-1), 10**400)),
    ("faces", ({}, {"threshold": 0.5}, 0.75, "", FaceSettings, (0.75, 10))),
    ("model", (None, 5, b"folder", [], MODEL / "MODEL_CARD.md", MODEL / "none.tflite", "", "\0", "x" * 5000, "\ud800")),
], ids=lambda value: value if isinstance(value, str) else "")  # fmt: skip
def test_detector(name: str, wrong: tuple):
    for value in wrong:
        with pytest.raises(UserError, match=name):
            Detector(**({"model": MODEL} | {name: value}))


@pytest.mark.parametrize(("name", "wrong"), [
    ("threshold", (*NO_NUMBERS, 0.0, 1.0, 0, 1, -0.5, 10**400)),
    ("search_every", (*NO_INTEGERS, 0, -1)),
    ("most", (*NO_INTEGERS[1:], 0, -1)),
    ("smallest", (*NO_NUMBERS[1:], 0.0, 0.5, -1, 10**400)),
])  # fmt: skip
def test_face_settings(name: str, wrong: tuple):
    for value in wrong:
        with pytest.raises(UserError, match="must be"):
            FaceSettings(**{name: value})


@pytest.mark.parametrize("image", [
    None, "image.jpg", 5, PORTRAIT.tolist(), PORTRAIT.astype(np.float32) / 255, np.full((9, 9, 3), np.nan),
    PORTRAIT.astype(np.uint16), PORTRAIT.astype(np.int8), PORTRAIT.astype(bool), PORTRAIT.astype(object), PORTRAIT[..., 0],
    PORTRAIT[..., :2], PORTRAIT[None], PORTRAIT[:0], PORTRAIT[:, :0], np.zeros((9, 9, 4), np.uint8), np.uint8(5),
])  # fmt: skip
def test_images(detector: Detector, image: object):
    for method in (detector.frame, detector.image):
        with pytest.raises(UserError, match="uint8"):
            method(image)


@pytest.mark.parametrize("timestamp", [*NO_NUMBERS[1:], 10**400, 1.9, -3])
def test_timestamps(timestamp: object):
    detector = Detector(MODEL)
    detector.frame(scene((80, 30)), 2.0)
    with pytest.raises(UserError, match="timestamp"):
        detector.frame(scene((80, 30)), timestamp)
    (face,) = detector.frame(scene((80, 30)), 2.0)
    assert face.id == 0


def test_calibration_needs_timestamps():
    with pytest.raises(UserError, match="timestamps"):
        Detector(MODEL, calibrate=1.0).frame(scene())


def test_numbers_of_numpy_and_other_types_are_taken():
    settings = FaceSettings(np.float32(0.5), np.int64(4), np.int32(1), Fraction(41, 2))
    detector = Detector(str(MODEL), faces=settings, threads=np.int64(2), smooth=np.int64(3), calibrate=Fraction(1, 2))
    for timestamp in (0, np.float32(0.25), Fraction(1, 2), np.int64(1)):
        (face,) = detector.frame(PORTRAIT, timestamp)
        assert face.success
