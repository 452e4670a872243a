"""The N largest faces with stable numbers; small faces in large pictures."""

import cv2
import numpy as np
import pytest

from pipeline.detect import Detector, FaceSettings
from tests.detect.detect_samples import MODEL
from tests.faces.people import paste
from tests.faces.portrait import PORTRAIT

GREY = np.full((300, 640, 3), 90, np.uint8)


def largest(most: int) -> Detector:
    return Detector(MODEL, faces=FaceSettings(most=most))


def two(left: int, right: int) -> np.ndarray:
    """A picture with two people, whose pictures have these sides."""
    return paste(paste(GREY, "portrait", 10, 10, left), "a", 330, 10, right)


def test_a_larger_face_that_comes_later_takes_the_place_and_gives_it_back():
    detector = largest(1)
    alone, both = paste(GREY, "portrait", 10, 10, 150), two(150, 280)
    seen = [[face.id for face in detector.frame(image)] for image in [alone] * 12 + [both] * 24 + [alone] * 3]
    assert seen[:12] == [[0]] * 12 and seen[20:36] == [[1]] * 16 and seen[-1] == [0]


def test_two_faces_of_nearly_one_size_do_not_take_turns():
    detector = largest(1)
    for step in range(45):
        side = int(200 + 14 * np.sin(step / 3))
        assert [face.id for face in detector.frame(two(side, 400 - side))] == [0]


def test_growing_and_shrinking_faces_change_places_once():
    detector = largest(1)
    seen = [[face.id for face in detector.frame(two(260 - 3 * step, 140 + 3 * step))] for step in range(44)]
    numbers = [number for (number,) in seen]
    assert numbers[0] == 0 and numbers[-1] == 1 and numbers == sorted(numbers)


def test_the_two_largest_of_three():
    image = np.full((300, 900, 3), 90, np.uint8)
    image = paste(paste(paste(image, "a", 0, 0, 150), "portrait", 250, 0, 290), "c", 600, 0, 180)
    for faces in (largest(2).image(image), largest(2).frame(image)):
        assert [250 < face.box[0] < 540 for face in faces] == [True, False]
        assert [face.id for face in faces] == [0, 1] and faces[1].box[0] > 600


def gallery(side: int, height: int, width: int) -> np.ndarray:
    """Five by five portraits of `side` pixels in the middle of a picture."""
    image = np.full((height, width, 3), 90, np.uint8)
    top, left = (height - 5 * side) // 2, (width - 5 * side) // 2
    small = cv2.resize(PORTRAIT, (side, side), interpolation=cv2.INTER_AREA)
    image[top : top + 5 * side, left : left + 5 * side] = np.tile(small, (5, 5, 1))
    return image


@pytest.mark.parametrize(("side", "height", "width"), [(216, 1080, 1920), (200, 1000, 1000), (240, 1200, 3000)])
def test_every_face_of_a_gallery(side: int, height: int, width: int):
    image, detector = gallery(side, height, width), Detector(MODEL)
    assert len(detector.frame(image)) == len(detector.image(image)) == 25


@pytest.mark.parametrize(("height", "width"), [(1080, 1920), (1920, 1080), (2160, 3840)])
def test_a_face_of_102_pixels_in_a_large_video(height: int, width: int):
    for x, y in ((30, 40), (width - 300, height - 300), (width // 2 - 37, height // 2 + 50)):
        (face,) = Detector(MODEL).frame(paste(np.full((height, width, 3), 90, np.uint8), "portrait", x, y, 242))
        assert 90 < face.box[2] < 115 and x < face.box[0] < x + 242


def test_a_small_face_that_comes_later_is_found_within_four_searches():
    detector, empty = Detector(MODEL), np.full((1080, 1920, 3), 90, np.uint8)
    start = paste(empty, "a", 50, 100, 800)
    later = paste(start, "portrait", 1500, 700, 240)
    assert [len(detector.frame(image)) for image in [start] * 2 + [later] * 39][-1] == 2
