"""What was seen, drawn into the picture: a frame around each face, and its action units as bars beside it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.detect import ink
from pipeline.detect.detector import Face
from pipeline.detect.names import FACS_NAMES

LEAST_SIDE = 640  # of what is drawn on: a smaller image is enlarged
FACE_COLOURS = ((64, 196, 255), (255, 171, 64), (105, 240, 174), (255, 128, 171), (179, 136, 255), (255, 241, 118))
BACKGROUND, TRACK, WHITE, GREY = (16, 20, 27), (62, 70, 82), (255, 255, 255), (150, 160, 173)
OPACITY = 0.72
WITH_NAMES, NARROW = 20, 10  # width of a panel in letters
FOLLOW = 0.25  # share of the way to its place that a panel goes in a frame

Box = tuple[float, float, float, float]  # x, y, width, height


@dataclass(frozen=True)
class Sizes:
    """Of letters and shapes in pixels, by the size of the picture."""

    letter: int

    @classmethod
    def of(cls, image: np.ndarray, units: int) -> "Sizes":
        """Letters with which a panel of `units` action units takes three fifths of the picture's height at most."""
        height, width = image.shape[:2]
        return cls(int(np.clip(min(0.6 * height / (1.7 * (units + 1)), width / 50), 8, 28)))

    def tag(self, box: Box) -> int:
        """Height of the letters on a label of a face."""
        return int(np.clip(0.13 * box[2], 8, 0.85 * self.letter))

    @property
    def row(self) -> int:
        """Height of a row of a panel."""
        return round(1.7 * self.letter)

    @property
    def line(self) -> int:
        """Thickness of lines."""
        return max(2, round(self.letter / 6))


class Picture:
    """Draws faces into the frames of one video, or into single images; remembers where panels were."""

    def __init__(self, thresholds: Mapping[str, float]):
        self._thresholds = dict(thresholds)
        self._places: dict[int, tuple[float, float]] = {}

    def draw(self, image: np.ndarray, faces: Sequence[Face]) -> np.ndarray:
        """A new picture uint8 (H, W, 3) of an RGB image and its faces, enlarged by a whole number if it is small."""
        scale = max(1, -(-LEAST_SIDE // max(image.shape[:2])))
        picture = (
            cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC) if scale > 1 else image.copy()
        )
        sizes = Sizes.of(picture, len(self._thresholds))
        boxes = {face.id: tuple(scale * value for value in face.box) for face in faces}
        for face in faces:
            self._frame(picture, face, boxes[face.id], scale, sizes)
        self._places = {number: place for number, place in self._places.items() if number in boxes}
        self._panels(picture, [face for face in faces if face.success], boxes, sizes)
        return picture

    def _frame(self, picture: np.ndarray, face: Face, box: Box, scale: int, sizes: Sizes) -> None:
        colour = FACE_COLOURS[face.id % len(FACE_COLOURS)] if face.success else GREY
        ink.corners(picture, box, colour, sizes.line)
        for eye in face.landmarks:
            ink.dot(picture, scale * eye[0], scale * eye[1], 1.2 * sizes.line, colour)
        words = f"face {face.id}   {face.confidence:.0%}" if face.success else "too small or cut off"
        size = sizes.tag(box)
        _tag(picture, words, box[0], box[1] - 1.7 * size - sizes.line, size, colour, BACKGROUND)

    def _panels(self, picture: np.ndarray, faces: Sequence[Face], boxes: Mapping[int, Box], sizes: Sizes) -> None:
        """Bars beside each face where there is room, what is present in words below it where there is none."""
        height = sizes.row * len(self._thresholds) + sizes.letter
        taken = list(boxes.values())
        for face in faces:
            wanted, width = self._room(boxes[face.id], sizes, height, picture.shape, taken, alone=len(faces) == 1)
            if wanted is None:
                self._places.pop(face.id, None)
                self._present(picture, face, boxes[face.id], sizes)
                continue
            before = self._places.get(face.id, wanted)
            place = tuple(old + FOLLOW * (new - old) for old, new in zip(before, wanted, strict=True))
            self._places[face.id] = place
            taken.append((*wanted, width, height))
            self._bars(picture, face, (round(place[0]), round(place[1]), width, height), sizes)

    def _room(
        self, box: Box, sizes: Sizes, height: int, shape: tuple[int, ...], taken: Sequence[Box], alone: bool
    ) -> tuple[tuple[float, float] | None, int]:
        """Where the panel of a face goes and its width: with names, else narrow; a lone face's may lie over its edge."""
        widths = [letters * sizes.letter for letters in (WITH_NAMES, NARROW)]
        places = [(_beside(box, width, height, shape, taken), width) for width in widths]
        fitting = [(place, width) for place, width in places if place is not None]
        if fitting or not alone:
            return fitting[0] if fitting else (None, 0)
        left = shape[1] - widths[1] if shape[1] - box[0] - box[2] >= box[0] else 0
        return (left, max(0.0, min(box[1], shape[0] - height))), widths[1]

    def _bars(self, picture: np.ndarray, face: Face, box: tuple[int, int, int, int], sizes: Sizes) -> None:
        ink.panel(picture, box, sizes.letter, BACKGROUND, OPACITY)
        letter, left, right = sizes.letter, box[0] + 0.7 * sizes.letter, box[0] + box[2] - 0.9 * sizes.letter
        named = box[2] >= WITH_NAMES * letter
        start, end = left + (13.2 if named else 3.7) * letter, right
        for row, (label, probability) in enumerate(face.probabilities.items()):
            middle = box[1] + letter / 2 + (row + 0.5) * sizes.row
            there = face.present[label]
            colour = FACE_COLOURS[face.id % len(FACE_COLOURS)] if there else GREY
            ink.text(
                picture, label, left, middle + 0.35 * letter, letter, WHITE if there else GREY, 700 if there else 500
            )
            name = FACS_NAMES.get(label, "") if named else ""
            ink.text(
                picture,
                name,
                left + 3.5 * letter,
                middle + 0.33 * letter,
                round(0.85 * letter),
                WHITE if there else GREY,
            )
            thickness = max(3, round(0.45 * letter))
            ink.bar(picture, start, end, middle, thickness, TRACK)
            ink.bar(picture, start, start + probability * (end - start), middle, thickness, colour)
            threshold = start + self._thresholds[label] * (end - start)
            ink.tick(picture, threshold, middle, 0.5 * letter, WHITE)

    def _present(self, picture: np.ndarray, face: Face, box: Box, sizes: Sizes) -> None:
        labels = [label.removeprefix("AU") for label, there in face.present.items() if there]
        words, size = " ".join(["AU", *labels]) if labels else "neutral", sizes.tag(box)
        left = box[0] + (box[2] - _tag_width(words, size)) / 2
        _tag(picture, words, left, box[1] + box[3] + sizes.line, size, BACKGROUND, WHITE)


def _tag(
    picture: np.ndarray, words: str, left: float, top: float, size: int, colour: ink.Colour, letters: ink.Colour
) -> None:
    """Words on a round label, moved so that all of it is in the picture."""
    width, height = _tag_width(words, size), round(1.6 * size)
    x = round(max(min(left, picture.shape[1] - width), 0))
    y = round(max(min(top, picture.shape[0] - height), 0))
    ink.panel(picture, (x, y, width, height), size, colour, 0.9)
    ink.text(picture, words, x + size / 2, y + 1.15 * size, size, letters, 600)


def _tag_width(words: str, size: int) -> int:
    return ink.text_width(words, size, 600) + size


def _beside(
    box: Box, width: int, height: int, shape: tuple[int, ...], taken: Sequence[Box]
) -> tuple[float, float] | None:
    """A free place for a panel right of a face's box, or left of it; None if there is none."""
    gap = 0.08 * box[2]
    y = min(max(box[1], gap / 2), shape[0] - height - gap / 2)
    for x in (box[0] + box[2] + gap, box[0] - gap - width):
        fits = x >= 0 and x + width <= shape[1] and y >= 0
        if fits and not any(_overlap((x, y, width, height), other) for other in taken):
            return x, y
    return None


def _overlap(one: Box, other: Box) -> bool:
    across = min(one[0] + one[2], other[0] + other[2]) > max(one[0], other[0])
    return across and min(one[1] + one[3], other[1] + other[3]) > max(one[1], other[1])
