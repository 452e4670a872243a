"""Another person in the place of a face gets another number; the same person in another light, or half covered, does not."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from pipeline.detect import Detector
from tests.detect.detect_samples import MODEL
from tests.faces.people import film

PAIRS = [("portrait", "a"), ("a", "portrait"), ("b", "c"), ("c", "portrait")]
RNG = np.random.default_rng(1)


def numbers(frames: list[np.ndarray], **options: float) -> list[list[int]]:
    detector = Detector(MODEL, **options)
    return [[face.id for face in detector.frame(frame, index / 25)] for index, frame in enumerate(frames)]


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_a_cut_to_another_person_gives_another_number_at_once(one: str, other: str):
    assert numbers(film(one, 8) + film(other, 8)) == [[0]] * 8 + [[1]] * 8


def test_after_a_cut_calibration_and_smoothing_start_anew():
    detector = Detector(MODEL, smooth=5, calibrate=10.0)
    frames = film("portrait", 8) + film("a", 6)
    before, after = np.split([list(_values(detector, image, n / 25)) for n, image in enumerate(frames)], [8])
    assert np.all(after[0] == 0) and before[1:].any()
    fresh = Detector(MODEL, smooth=5, calibrate=10.0)
    alone = [list(_values(fresh, image, n / 25)) for n, image in enumerate(frames[8:])]
    np.testing.assert_allclose(after, alone, atol=0.1)


def _values(detector: Detector, image: np.ndarray, time: float) -> list[float]:
    (face,) = detector.frame(image, time)
    return list(face.probabilities.values())


@pytest.mark.parametrize("away", [1, 8, 20])
def test_another_person_on_the_same_seat_is_another(away: int):
    empty = [np.full((300, 400, 3), 90, np.uint8)] * away
    assert numbers(film("portrait", 8) + empty + film("b", 12))[-1] == [1]
    assert numbers(film("portrait", 8) + empty + film("portrait", 3, 8 + away))[-1] == [0]


@pytest.mark.parametrize(("one", "other"), [("portrait", "c"), ("a", "c")])
def test_another_person_before_the_same_background_is_another_within_half_a_second(one: str, other: str):
    y, x = np.mgrid[:300, :400]
    face = np.clip(2 - ((x - 200) / 60) ** 4 - ((y - 140) / 85) ** 4, 0, 1)[..., None]
    room = cv2.resize(np.random.default_rng(3).integers(0, 256, (9, 12, 3), dtype=np.uint8), (400, 300))
    frames = [(face * image + (1 - face) * room).astype(np.uint8) for image in film(one, 10) + film(other, 14)]
    seen = numbers(frames)
    assert seen[:10] == [[0]] * 10 and seen[-1] == [1] and [0] not in seen[12:]


def lit(gain: float, offset: float = 0.0) -> Callable:
    return lambda image, _: np.clip(image * gain + offset, 0, 255).astype(np.uint8)


def lamp(image: np.ndarray, _: int) -> np.ndarray:
    return np.clip(image * np.linspace(2.0, 0.4, image.shape[1])[:, None], 0, 255).astype(np.uint8)


def noise(image: np.ndarray, _: int) -> np.ndarray:
    return np.clip(image + RNG.normal(0, 20, image.shape), 0, 255).astype(np.uint8)


def jpeg(image: np.ndarray, _: int) -> np.ndarray:
    return cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 8])[1], cv2.IMREAD_COLOR)


def hand(image: np.ndarray, frame: int) -> np.ndarray:
    """A hand that passes before the face within half a second."""
    centre = (int(100 + 220 * (frame % 14) / 14), 190)
    return cv2.ellipse(image.copy(), (centre, (60, 100), 0), (205, 160, 140), cv2.FILLED)


def pan(image: np.ndarray, frame: int) -> np.ndarray:
    return cv2.blur(np.roll(image, int(50 * np.sin(frame)), axis=1), (9, 1))


def zoom(image: np.ndarray, frame: int) -> np.ndarray:
    matrix = cv2.getRotationMatrix2D((200, 150), 10 * np.sin(frame), 1 + 0.15 * np.sin(frame))
    return cv2.warpAffine(image, matrix, (400, 300), borderMode=cv2.BORDER_REPLICATE)


FLASHES = {"flash": lit(2.0), "haze": lit(0.3, 170), "lights off": lit(0.15), "black": lit(0.0), "lamp": lamp}
LASTING = {"strobe": None, "noise": noise, "JPEG": jpeg, "hand": hand, "pan": pan, "zoom": zoom}


@pytest.mark.parametrize("name", FLASHES)
def test_a_flash_is_no_cut(name: str):
    frames = [FLASHES[name](image, n) if n % 8 in (5, 6) else image for n, image in enumerate(film("portrait", 24))]
    assert {number for seen in numbers(frames) for number in seen} == {0}


@pytest.mark.parametrize("name", LASTING)
@pytest.mark.parametrize("person", ["portrait", "c"])
def test_motion_light_and_noise_are_no_cuts(name: str, person: str):
    change = LASTING[name] or (lambda image, n: lit(1.7 if n % 2 else 0.4)(image, n))
    seen = numbers([change(image, n) for n, image in enumerate(film(person, 28))])
    assert {number for numbers_seen in seen for number in numbers_seen} == {0}
    assert sum(len(numbers_seen) for numbers_seen in seen) >= 18
