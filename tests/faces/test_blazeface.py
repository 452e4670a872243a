"""The detector finds a real face where it is, and its arithmetic is what the paper says."""

import cv2
import numpy as np
import pytest

from pipeline.faces.blazeface import Detection, FaceDetector, anchors, decode, merge
from tests.faces.portrait import LEFT_EYE, PORTRAIT, RIGHT_EYE


@pytest.fixture(scope="module")
def detector() -> FaceDetector:
    return FaceDetector()


def assert_eyes(face: Detection, right: np.ndarray, left: np.ndarray, tolerance: float) -> None:
    np.testing.assert_allclose([face.right_eye, face.left_eye], [right, left], atol=tolerance)


def test_one_face_with_its_eyes(detector: FaceDetector):
    (face,) = detector.detect(PORTRAIT)
    assert face.score > 0.8
    assert_eyes(face, RIGHT_EYE, LEFT_EYE, tolerance=3)
    x, y, width, height = face.box
    assert x < RIGHT_EYE[0] < LEFT_EYE[0] < x + width and y < RIGHT_EYE[1] < y + height / 2


@pytest.mark.parametrize(("scale", "padding"), [
    (1, (0, 300, 100, 0)), (1, (200, 0, 0, 200)), (3, (0, 0, 0, 0)), (0.5, (0, 0, 0, 0)),
])  # fmt: skip
def test_coordinates_are_those_of_the_image(detector: FaceDetector, scale: float, padding: tuple[int, ...]):
    scaled = cv2.resize(PORTRAIT, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    image = cv2.copyMakeBorder(scaled, *padding, cv2.BORDER_CONSTANT)  # top, bottom, left, right
    corner = np.array([padding[2], padding[0]])
    (face,) = detector.detect(image)
    assert_eyes(face, RIGHT_EYE * scale + corner, LEFT_EYE * scale + corner, tolerance=4 * scale)


def test_a_face_that_fills_the_image(detector: FaceDetector):
    image = PORTRAIT[55:155, 70:170]
    (face,) = detector.detect(image)
    assert_eyes(face, RIGHT_EYE - (70, 55), LEFT_EYE - (70, 55), tolerance=4)


def test_two_faces(detector: FaceDetector):
    found = detector.detect(np.concatenate([PORTRAIT, PORTRAIT], axis=1))
    assert sorted(round(face.right_eye[0] / 240 - 0.41) for face in found) == [0, 1]


@pytest.mark.parametrize("shape", [(240, 240), (10, 500), (1, 1)])
def test_no_face(detector: FaceDetector, shape: tuple[int, int]):
    assert detector.detect(np.full((*shape, 3), 90, dtype=np.uint8)) == []


def test_anchors_are_two_a_cell_of_16_and_six_a_cell_of_8():
    expected = [((x + 0.5) * 8, (y + 0.5) * 8) for y in range(16) for x in range(16) for _ in range(2)]
    expected += [((x + 0.5) * 16, (y + 0.5) * 16) for y in range(8) for x in range(8) for _ in range(6)]
    np.testing.assert_array_equal(anchors(), expected)


def test_decode_adds_the_anchor_to_every_point_but_not_to_the_size():
    output = np.zeros((896, 16), dtype=np.float32)
    output[33] = [1, 2, 20, 10, *range(12)]
    x, y = anchors()[33]
    expected = [x + 1 - 10, y + 2 - 5, x + 1 + 10, y + 2 + 5]
    expected += [x + number if number % 2 == 0 else y + number for number in range(12)]
    np.testing.assert_allclose(decode(output)[33], expected)


def test_merge_averages_what_overlaps_and_keeps_what_does_not():
    def face(left: float, top: float) -> np.ndarray:
        return np.array([left, top, left + 10, top + 10, *[left] * 12])

    faces, scores = np.stack([face(50, 50), face(0, 0), face(2, 0), face(90, 90)]), np.array([0.7, 0.6, 0.9, 0.4])
    merged = merge(faces, scores, threshold=0.5, overlap=0.3)
    assert [score for _, score in merged] == [0.9, 0.7]
    np.testing.assert_allclose(merged[0][0], (face(0, 0) * 0.6 + face(2, 0) * 0.9) / 1.5)
    np.testing.assert_allclose(merged[1][0], face(50, 50))
    assert merge(faces, scores, threshold=0.95, overlap=0.3) == []
