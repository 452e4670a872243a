"""Faces are found at every size and rotation."""

import math

import cv2
import numpy as np
import pytest

from pipeline.faces.blazeface import Detection, FaceDetector, around
from pipeline.faces.crop import Square
from pipeline.faces.search import common_share, distinct, find_faces, look, some_of, squares, tilt
from tests.faces.portrait import LEFT_EYE, PORTRAIT, RIGHT_EYE

FACES = FaceDetector()


def turned(degrees: float, scale: float = 1.0, side: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """The portrait turned in the middle of a grey square, and where its eyes are now (2, 2)."""
    matrix = cv2.getRotationMatrix2D((120, 120), degrees, scale)
    matrix[:, 2] += side / 2 - 120
    image = cv2.warpAffine(PORTRAIT, matrix, (side, side), flags=cv2.INTER_AREA, borderValue=(90, 90, 90))
    return image, np.stack([RIGHT_EYE, LEFT_EYE]) @ matrix[:, :2].T + matrix[:, 2]


@pytest.mark.parametrize("degrees", range(-180, 180, 45))
def test_faces_at_any_turn(degrees: float):
    image, eyes = turned(degrees)
    (face,) = find_faces(FACES, image, 40, 0.75)
    np.testing.assert_allclose([face.right_eye, face.left_eye], eyes, atol=5)
    assert math.cos(tilt(face) + math.radians(degrees)) > 0.98
    x, y, width, height = face.box
    middle = eyes.mean(axis=0)
    assert 70 < width < 120 and 70 < height < 120 and x < middle[0] < x + width and y < middle[1] < y + height


def test_a_turned_look_gives_the_same_face_as_a_turned_image():
    image, eyes = turned(-60)
    (upright,) = FACES.look(PORTRAIT, Square(120, 110, 200))
    (face,) = FACES.look(image, around(Detection((150, 140, 100, 100), (0, 0), (0, 0), 1), math.radians(60)))
    assert face.score == pytest.approx(upright.score, abs=0.1)
    np.testing.assert_allclose([face.right_eye, face.left_eye], eyes, atol=4)
    assert face.box[2:] == pytest.approx(upright.box[2:], rel=0.1)


@pytest.mark.parametrize("side", [95, 160, 300, 470])
def test_faces_of_any_size(side: int):
    image = np.full((480, 640, 3), 90, np.uint8)
    image[5 : 5 + side, 100 : 100 + side] = cv2.resize(PORTRAIT, (side, side), interpolation=cv2.INTER_AREA)
    (face,) = find_faces(FACES, image, 30, 0.75)
    scale = side / 240
    np.testing.assert_allclose(face.right_eye, RIGHT_EYE * scale + (100, 5), atol=max(2, 5 * scale))


@pytest.mark.parametrize("degrees", [0, 25])
def test_a_large_square_is_shrunk_without_moving_the_face(degrees: float):
    large = cv2.resize(PORTRAIT, None, fx=4.3, fy=4.3, interpolation=cv2.INTER_CUBIC)
    square = Square(500, 450, 800, math.radians(degrees))
    (shrunk,), (exact,) = look(FACES, large, square), FACES.look(large, square)
    np.testing.assert_allclose(shrunk.box, exact.box, atol=0.01 * square.side)
    np.testing.assert_allclose(
        [shrunk.right_eye, shrunk.left_eye], [exact.right_eye, exact.left_eye], atol=0.01 * square.side
    )


def test_squares_leave_no_face_out():
    """Any face at least as wide as asked lies whole in a square that is not much wider."""
    height, width, smallest = 300, 500, 20.0
    found = [Square(width / 2, height / 2, max(width, height)), *squares(height, width, smallest)]
    rng = np.random.default_rng(1)
    for face in rng.uniform(smallest, height / 2, 300):
        x, y = rng.uniform(face / 2, width - face / 2), rng.uniform(face / 2, height - face / 2)
        holding = [s.side for s in found if max(abs(x - s.x), abs(y - s.y)) + face / 2 <= s.side / 2 + 1e-9]
        assert min(holding) <= max(4.01 * face, 8 * smallest)


def test_four_turns_look_into_every_square():
    found = squares(1080, 1920, 60)
    turns = [some_of(found, turn) for turn in range(4)]
    assert set().union(*turns) == set(found) and all(len(turn) == len(set(turn)) < len(found) / 2 for turn in turns)
    place = (1500.0, 700.0)
    added = set(some_of(found, 0, [place])) - set(turns[0])
    assert added and all(max(abs(s.x - place[0]), abs(s.y - place[1])) <= s.side / 4 for s in added)
    assert some_of(squares(480, 640, 40), 3) == squares(480, 640, 40)
    assert some_of([], 1) == []


def test_of_two_boxes_on_one_face_the_more_probable_stays():
    boxes = [((0, 0, 10, 10), 0.8), ((1, 1, 10, 10), 0.9), ((3, 3, 4, 4), 0.95), ((50, 0, 10, 10), 0.7)]
    kept = distinct([Detection(box, (0, 0), (0, 0), score) for box, score in boxes])
    assert [face.score for face in kept] == [0.95, 0.7]
    assert common_share((0, 0, 10, 10), (5, 5, 10, 10)) == 0.25
    assert common_share((0, 0, 10, 10), (20, 0, 10, 10)) == 0
