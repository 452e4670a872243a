"""Faces keep their numbers in a video, and have action units where they can be measured."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.detect import Detector, FaceSettings
from pipeline.detect.detector import visible_share
from pipeline.faces.crop import Square
from tests.detect.detect_samples import MODEL, scene, write_model
from tests.faces.portrait import LEFT_EYE, PORTRAIT, RIGHT_EYE


@pytest.fixture
def detector() -> Detector:
    return Detector(MODEL)


def test_an_image_gives_the_smile_it_shows(detector: Detector):
    (face,) = detector.image(PORTRAIT)
    assert face.id == 0 and face.success and face.confidence > 0.8
    assert list(face.probabilities) == list(detector.sidecar.labels) == list(face.present)
    assert face.present["AU12"] and face.present["AU6"]
    assert all(face.present[name] == (face.probabilities[name] >= detector.thresholds[name]) for name in face.present)
    np.testing.assert_allclose(face.landmarks, [RIGHT_EYE, LEFT_EYE], atol=3)


def test_grey_as_three_channels_and_other_memory_layouts(detector: Detector):
    grey = np.repeat(cv2.cvtColor(PORTRAIT, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    assert len(detector.image(grey)) == 1
    flipped = detector.image(PORTRAIT[:, ::-1])
    assert flipped[0].probabilities == detector.image(np.ascontiguousarray(PORTRAIT[:, ::-1]))[0].probabilities


def test_a_still_picture_gives_still_numbers(detector: Detector):
    first, *rest = [[(face.landmarks, face.probabilities) for face in detector.frame(PORTRAIT)] for _ in range(25)][2:]
    assert len(first) == 1 and all(faces == first for faces in rest)


def test_numbers_stay_while_faces_move(detector: Detector):
    for step in range(25):
        faces = detector.frame(scene((4 * step, 20), (360 - 3 * step, 20 + step), width=620), step / 25)
        assert [face.id for face in faces] == [0, 1]
    left, right = sorted(face.box[0] for face in faces)
    assert left == pytest.approx(4 * 24 + 70, abs=8) and right == pytest.approx(360 - 72 + 70, abs=8)


def test_numbers_stay_while_one_face_passes_before_another(detector: Detector):
    """The face in front is number 0 or 1: whichever it is, both have their numbers afterwards."""
    close = PORTRAIT[45:195, 55:185]
    for size in (1.0, 1.25):
        detector.reset()
        behind, before = close, cv2.resize(close, None, fx=size, fy=size, interpolation=cv2.INTER_AREA)
        places = {}
        for step in range(60):
            image = np.full((260, 640, 3), 90, np.uint8)
            for x, picture in ((20 + 7 * step, behind), (460 - 7 * step, before)):
                height, width = picture.shape[:2]
                image[20 : 20 + height, x : x + width] = picture
            for face in detector.frame(image, step / 25):
                places.setdefault(face.id, []).append(face.box[0])
        assert sorted(places) == [0, 1]
        first, second = sorted(places.values(), key=lambda xs: xs[0])
        assert first[-1] > 380 and second[-1] < 120
        assert min(len(first), len(second)) > 30


def test_a_face_that_was_away_gets_its_number_back(detector: Detector):
    there, away = scene((80, 30)), scene()
    numbers = [[face.id for face in detector.frame(image)] for image in [there] * 3 + [away] * 12 + [there] * 3]
    assert numbers == [[0]] * 3 + [[]] * 12 + [[0]] * 3


def test_a_face_that_was_away_for_long_or_elsewhere_is_new(detector: Detector):
    there, away = scene((80, 30)), scene()
    for image in [there] * 2 + [away] * 40:
        detector.frame(image)
    assert [face.id for face in detector.frame(there)] == [1]
    detector.reset()
    assert [face.id for face in detector.frame(there)] == [0]


def test_a_new_face_is_found_at_the_next_search():
    detector = Detector(MODEL, faces=FaceSettings(search_every=4))
    one, two = scene((0, 30), width=520), scene((0, 30), width=520)
    two[60:180, 330:450] = cv2.resize(PORTRAIT, (120, 120), interpolation=cv2.INTER_AREA)
    counts = [len(detector.frame(image)) for image in [one] * 2 + [two] * 3]
    assert counts == [1, 1, 1, 1, 2]


def test_the_largest_face_is_the_first_and_the_last_to_be_left_out():
    image = scene((0, 30), width=600)
    image[:, 250:550] = cv2.resize(PORTRAIT, (300, 300))
    assert [face.box[0] > 240 for face in Detector(MODEL).image(image)] == [True, False]
    detector = Detector(MODEL, faces=FaceSettings(most=1))
    for faces in [detector.frame(image) for _ in range(12)] + [detector.image(image)]:
        assert [face.id for face in faces] == [0] and faces[0].box[0] > 240


def test_forty_faces():
    detector = Detector(MODEL, faces=FaceSettings(smallest=40))
    small = cv2.resize(PORTRAIT, (120, 120), interpolation=cv2.INTER_AREA)
    crowd = np.tile(small, (5, 8, 1))
    for faces in (detector.image(crowd), detector.frame(crowd)):
        assert sorted(face.id for face in faces) == list(range(40))
        assert all(face.success for face in faces)


@pytest.mark.parametrize("place", [(-95, 30), (80, -80), (80, 170), (-200, 0)])
def test_faces_half_outside_are_found_while_their_eyes_are_inside(detector: Detector, place: tuple[int, int]):
    eyes = np.stack([RIGHT_EYE, LEFT_EYE]) + place
    faces = detector.image(scene(place))
    assert len(faces) == (min(eyes[:, 0]) > 0)
    for face in faces:
        np.testing.assert_allclose(face.landmarks, eyes, atol=8)


@pytest.mark.parametrize("shape", [(480, 640), (1, 1), (3, 700), (700, 3), (1, 100_000), (20_000, 2)])
def test_no_face(detector: Detector, shape: tuple[int, int]):
    image = np.random.default_rng(1).integers(0, 256, (*shape, 3), dtype=np.uint8)
    assert detector.image(image) == [] and detector.frame(image) == []


def test_a_face_whose_crop_is_mostly_outside_is_no_success(tmp_path: Path):
    crop = {"size": 64, "side": 8.0, "eye_line": 0.38, "grey": False}
    (face,) = Detector(write_model(tmp_path, (MODEL / "model_int8.tflite").read_bytes(), crop=crop)).image(PORTRAIT)
    assert face.confidence > 0.8 and not face.success and face.probabilities == {} == face.present


def test_a_face_too_small_for_its_crop_is_no_success():
    tiny = np.full((240, 320, 3), 90, np.uint8)
    tiny[50:92, 50:92] = cv2.resize(PORTRAIT, (42, 42), interpolation=cv2.INTER_AREA)
    (face,) = Detector(MODEL, faces=FaceSettings(threshold=0.5, smallest=12)).image(tiny)
    assert not face.success and face.probabilities == {}


def test_the_visible_share_of_a_square():
    assert visible_share(Square(50, 50, 20), 100, 100) == 1
    assert visible_share(Square(0, 50, 20), 100, 100) == 0.5
    assert visible_share(Square(0, 0, 20, 0.8), 100, 100) == pytest.approx(0.25, abs=0.03)
