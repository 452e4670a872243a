"""Faces of every size and rotation in an image: BlazeFace in ever smaller squares, then again close up."""

import math
from collections.abc import Sequence

import cv2
import numpy as np

from pipeline.faces.blazeface import Detection, FaceDetector, around, wholes
from pipeline.faces.crop import Square

MIN_WIDTH = 1 / 8  # of a face that BlazeFace finds, side of the square = 1
SQUARE_PIXELS = 256  # a square with a larger side is shrunk to at most this before BlazeFace looks into it
SAME_FACE = 0.6  # common area of two boxes of one face, smaller box = 1
SURE = 0.8  # a face seen with a lower probability is also looked at upside down
CLOSE_LOOKS = 2
SMALL_SQUARES = 8  # looked into by one search of a video; the next one looks into others


def find_faces(detector: FaceDetector, image: np.ndarray, smallest: float, least: float) -> list[Detection]:
    """All faces at least `smallest` pixels wide in an RGB image uint8 (H, W, 3), the largest first.

    `least` is the minimum probability of a face seen close up.
    """
    return find_in(detector, image, squares(*image.shape[:2], smallest), least)


def find_in(
    detector: FaceDetector, image: np.ndarray, parts: list[Square], least: float, known: Sequence[Detection] = ()
) -> list[Detection]:
    """The faces in the whole image and in `parts` of it, the largest first, without the `known` ones."""
    coarse = next((found for whole in wholes(*image.shape[:2]) if (found := look(detector, image, whole))), [])
    for square in parts:
        coarse = coarse + look(detector, image, square)
    new = [face for face in distinct(coarse) if all(common_share(face.box, old.box) < SAME_FACE for old in known)]
    settled = [seen for face in new if (seen := settle(detector, image, face))]
    return sorted(distinct([face for face in settled if face.score >= least]), key=lambda face: -face.box[2])


def squares(height: int, width: int, smallest: float) -> list[Square]:
    """Squares of half, a quarter, ... of the longer side, overlapping by half, small enough for a face `smallest` wide."""
    found: list[Square] = []
    side = max(height, width)
    while side > smallest / MIN_WIDTH:
        side /= 2
        found += [Square(x, y, side) for y in _centres(height, side) for x in _centres(width, side)]
    return found


def some_of(found: list[Square], turn: int, places: Sequence[tuple[float, float]] = ()) -> list[Square]:
    """The largest of the squares, SMALL_SQUARES of the others in turn, and those around some places."""
    small = [square for square in found if square.side < found[0].side]
    turns = max(1, math.ceil(len(small) / SMALL_SQUARES))
    around_places = [
        square
        for square in small
        if any(max(abs(square.x - x), abs(square.y - y)) <= square.side / 4 for x, y in places)
    ]
    return found[: len(found) - len(small)] + list(dict.fromkeys(small[turn % turns :: turns] + around_places))


def look(detector: FaceDetector, image: np.ndarray, square: Square) -> list[Detection]:
    """As `detector.look`, but a large square is shrunk first, by an integer: as good for BlazeFace, and much faster."""
    if square.side < 1:
        return []
    factor = math.ceil(square.side / SQUARE_PIXELS)
    if factor == 1:
        return detector.look(image, square)
    reach = square.side / 2 * (abs(math.cos(square.angle)) + abs(math.sin(square.angle))) + factor
    left, top = max(0, math.floor(square.x - reach)), max(0, math.floor(square.y - reach))
    part = image[top : max(0, math.ceil(square.y + reach)), left : max(0, math.ceil(square.x + reach))]
    height, width = part.shape[0] // factor, part.shape[1] // factor
    if not height or not width:
        return []
    small = cv2.resize(part[: height * factor, : width * factor], (width, height), interpolation=cv2.INTER_AREA)
    inside = Square((square.x - left) / factor, (square.y - top) / factor, square.side / factor, square.angle)
    return [_enlarged(face, factor, left, top) for face in detector.look(small, inside)]


def settle(detector: FaceDetector, image: np.ndarray, face: Detection) -> Detection | None:
    """The face as seen close up in a square rotated with it; None if nothing is seen there.

    BlazeFace takes an upside-down face for an upright one with a low probability: the better of both looks counts.
    """
    for _ in range(CLOSE_LOOKS):
        angles = [tilt(face)] if face.score >= SURE else [tilt(face), tilt(face) + math.pi]
        seen = [found[0] for angle in angles if (found := look(detector, image, around(face, angle)))]
        if not seen:
            return None
        face = max(seen, key=lambda found: found.score)
    return face


def tilt(face: Detection) -> float:
    """The clockwise rotation of the face in radians, by its eyes."""
    return math.atan2(face.left_eye[1] - face.right_eye[1], face.left_eye[0] - face.right_eye[0])


def distinct(faces: list[Detection]) -> list[Detection]:
    """The faces, most probable first, without those that mostly lie inside a more probable one."""
    kept: list[Detection] = []
    for face in sorted(faces, key=lambda face: -face.score):
        if all(common_share(face.box, other.box) < SAME_FACE for other in kept):
            kept.append(face)
    return kept


def common_share(one: tuple, other: tuple) -> float:
    """The common area of two boxes (x, y, width, height), smaller box = 1."""
    width = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    height = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    smaller = min(one[2] * one[3], other[2] * other[3])
    return max(width, 0) * max(height, 0) / max(smaller, 1e-9)


def _centres(length: int, side: float) -> list[float]:
    """Centres of intervals of length `side` that cover [0, length], at most half a side apart."""
    if side >= length:
        return [length / 2]
    steps = math.ceil(2 * (length - side) / side)
    return [side / 2 + (length - side) * step / steps for step in range(steps + 1)]


def _enlarged(face: Detection, scale: float, left: float, top: float) -> Detection:
    """The face of an enlarged image, moved."""
    x, y, width, height = (value * scale for value in face.box)
    right, other = ((scale * eye[0] + left, scale * eye[1] + top) for eye in (face.right_eye, face.left_eye))
    return Detection((x + left, y + top, width, height), right, other, face.score)
