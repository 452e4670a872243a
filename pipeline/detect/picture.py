"""Detected faces drawn into the picture: a frame around each, and its action units as bars beside it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.action_units.labels import FACS_NAMES
from pipeline.detect.detector import Face

MIN_SIDE = 640  # of the picture: a smaller image is enlarged
FACE_COLOURS = ((64, 196, 255), (255, 171, 64), (105, 240, 174), (255, 128, 171), (179, 136, 255), (255, 241, 118))
BACKGROUND, TRACK, WHITE, GREY = (16, 20, 27), (62, 70, 82), (255, 255, 255), (150, 160, 173)
PANEL_OPACITY, TAG_OPACITY = 184 / 255, 230 / 255
WITH_NAMES, NARROW = 20, 10  # width of a panel in letters
FOLLOW = 0.25  # share of the way to its place that a panel moves in a frame
FONT = cv2.FontFace("sans")
SHIFT = 4  # of OpenCV's fixed-point coordinates: sixteenths of a pixel

Box = tuple[float, float, float, float]  # x, y, width, height
Colour = tuple[int, int, int]  # red, green, blue


@dataclass(frozen=True)
class Sizes:
    """Sizes of letters and shapes in pixels, all derived from the height of a letter."""

    letter: int

    @classmethod
    def of(cls, image: np.ndarray, action_units: int) -> "Sizes":
        """Letters with which a panel of `action_units` rows takes at most three fifths of the picture's height."""
        height, width = image.shape[:2]
        return cls(int(np.clip(min(0.6 * height / (1.7 * (action_units + 1)), width / 50), 8, 28)))

    def tag(self, box: Box) -> int:
        """Height of the letters on a face's label."""
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
    """Draws faces into the frames of one video, or into a single image; remembers where panels were."""

    def __init__(self, thresholds: Mapping[str, float]):
        self._thresholds = dict(thresholds)
        self._places: dict[int, tuple[float, float]] = {}

    def draw(self, image: np.ndarray, faces: Sequence[Face]) -> np.ndarray:
        """A new picture uint8 (H, W, 3) of an RGB image and its faces, enlarged by an integer factor if it is small."""
        scale = max(1, -(-MIN_SIDE // max(image.shape[:2])))
        picture = image.copy()
        if scale > 1:
            picture = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
        sizes = Sizes.of(picture, len(self._thresholds))
        boxes = {face.id: tuple(scale * value for value in face.box) for face in faces}
        for face in faces:
            self._frame(picture, face, boxes[face.id], scale, sizes)
        self._places = {number: place for number, place in self._places.items() if number in boxes}
        self._panels(picture, [face for face in faces if face.success], boxes, sizes)
        return picture

    def _frame(self, picture: np.ndarray, face: Face, box: Box, scale: int, sizes: Sizes) -> None:
        colour = face_colour(face) if face.success else GREY
        draw_corners(picture, box, colour, sizes.line)
        for eye in face.landmarks:
            draw_dot(picture, scale * eye[0], scale * eye[1], 1.2 * sizes.line, colour)
        words = f"face {face.id}   {face.confidence:.0%}" if face.success else "too small or cut off"
        size = sizes.tag(box)
        _tag(picture, words, box[0], box[1] - 1.7 * size - sizes.line, size, colour, BACKGROUND)

    def _panels(self, picture: np.ndarray, faces: Sequence[Face], boxes: Mapping[int, Box], sizes: Sizes) -> None:
        """Bars beside each face where there is room; elsewhere the names of what is present, below the face."""
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
        """Where a face's panel goes and its width: with names, else narrow; that of a lone face may cover its edge."""
        widths = [letters * sizes.letter for letters in (WITH_NAMES, NARROW)]
        places = [(_beside(box, width, height, shape, taken), width) for width in widths]
        fitting = [(place, width) for place, width in places if place is not None]
        if fitting or not alone:
            return fitting[0] if fitting else (None, 0)
        left = shape[1] - widths[1] if shape[1] - box[0] - box[2] >= box[0] else 0
        return (left, max(0.0, min(box[1], shape[0] - height))), widths[1]

    def _bars(self, picture: np.ndarray, face: Face, box: tuple[int, int, int, int], sizes: Sizes) -> None:
        draw_panel(picture, box, sizes.letter, BACKGROUND, PANEL_OPACITY)
        letter, left, end = sizes.letter, box[0] + 0.7 * sizes.letter, box[0] + box[2] - 0.9 * sizes.letter
        named = box[2] >= WITH_NAMES * letter
        start = left + (13.2 if named else 3.7) * letter
        thickness = max(3, round(0.45 * letter))
        for row, (label, probability) in enumerate(face.probabilities.items()):
            middle = box[1] + letter / 2 + (row + 0.5) * sizes.row
            present = face.present[label]
            ink = WHITE if present else GREY
            draw_text(picture, label, left, middle + 0.35 * letter, letter, ink, 700 if present else 500)
            if named:
                name = FACS_NAMES.get(label, "")
                draw_text(picture, name, left + 3.5 * letter, middle + 0.33 * letter, round(0.85 * letter), ink)
            draw_bar(picture, start, end, middle, thickness, TRACK)
            reach = start + probability * (end - start)
            draw_bar(picture, start, reach, middle, thickness, face_colour(face) if present else GREY)
            threshold = start + self._thresholds[label] * (end - start)
            draw_line(picture, (threshold, middle - 0.5 * letter), (threshold, middle + 0.5 * letter), WHITE, 1)

    def _present(self, picture: np.ndarray, face: Face, box: Box, sizes: Sizes) -> None:
        labels = [label.removeprefix("AU") for label, present in face.present.items() if present]
        words, size = " ".join(["AU", *labels]) if labels else "neutral", sizes.tag(box)
        left = box[0] + (box[2] - _tag_width(words, size)) / 2
        _tag(picture, words, left, box[1] + box[3] + sizes.line, size, BACKGROUND, WHITE)


def face_colour(face: Face) -> Colour:
    """The colour of a face's frame and bars."""
    return FACE_COLOURS[face.id % len(FACE_COLOURS)]


def _beside(
    box: Box, width: int, height: int, shape: tuple[int, ...], taken: Sequence[Box]
) -> tuple[float, float] | None:
    """A free place for a panel to the right of a face's box, or to the left of it; None if there is none."""
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


def _tag(picture: np.ndarray, words: str, left: float, top: float, size: int, colour: Colour, letters: Colour) -> None:
    """Words on a round label, moved so that all of it is inside the picture."""
    width, height = _tag_width(words, size), round(1.6 * size)
    x = round(max(min(left, picture.shape[1] - width), 0))
    y = round(max(min(top, picture.shape[0] - height), 0))
    draw_panel(picture, (x, y, width, height), size, colour, TAG_OPACITY)
    draw_text(picture, words, x + size / 2, y + 1.15 * size, size, letters, 600)


def _tag_width(words: str, size: int) -> int:
    box = cv2.getTextSize((0, 0), words, (0, 0), FONT, size, 600)
    return box[2] - 1 + size


def draw_text(
    image: np.ndarray, words: str, left: float, baseline: float, size: int, colour: Colour, weight: int = 400
) -> None:
    """Words on an RGB image uint8 (H, W, 3), `size` pixels high."""
    cv2.putText(image, words, (round(left), round(baseline)), colour, FONT, size, weight)


def draw_panel(image: np.ndarray, box: tuple[int, int, int, int], radius: int, colour: Colour, opacity: float) -> None:
    """A filled box (x, y, width, height) with round corners through which the image shows."""
    x, y, width, height = box
    left, top = max(x, 0), max(y, 0)
    under = image[top : max(0, y + height), left : max(0, x + width)]
    if not under.size:
        return
    over, corner = under.copy(), min(radius, width // 2, height // 2)
    x, y = x - left, y - top
    right, bottom = x + width - 1, y + height - 1
    cv2.rectangle(over, (x + corner, y), (right - corner, bottom), colour, -1)
    cv2.rectangle(over, (x, y + corner), (right, bottom - corner), colour, -1)
    for across in (x + corner, right - corner):
        for down in (y + corner, bottom - corner):
            cv2.circle(over, (across, down), corner, colour, -1, cv2.LINE_AA)
    under[:] = cv2.addWeighted(over, opacity, under, 1 - opacity, 0)


def draw_bar(image: np.ndarray, left: float, right: float, y: float, thickness: int, colour: Colour) -> None:
    """A horizontal stroke with round ends."""
    draw_line(image, (left, y), (max(left, right), y), colour, thickness)


def draw_line(
    image: np.ndarray, start: tuple[float, float], end: tuple[float, float], colour: Colour, thickness: int
) -> None:
    """A straight line between two points (x, y)."""
    cv2.line(image, _fixed(*start), _fixed(*end), colour, thickness, cv2.LINE_AA, SHIFT)


def draw_corners(image: np.ndarray, box: Box, colour: Colour, thickness: int) -> None:
    """The four round corners of a box (x, y, width, height)."""
    x, y, width, height = box
    radius, arm = 0.12 * min(width, height), 0.22 * min(width, height)
    for across, down, angle in ((0, 0, 180), (1, 0, 270), (1, 1, 0), (0, 1, 90)):
        sign_x, sign_y = 1 - 2 * across, 1 - 2 * down
        corner_x, corner_y = x + across * width, y + down * height
        centre = (corner_x + sign_x * radius, corner_y + sign_y * radius)
        axes, arc = _fixed(radius, radius), (angle, angle + 90)
        cv2.ellipse(image, _fixed(*centre), axes, 0, *arc, colour, thickness, cv2.LINE_AA, SHIFT)
        draw_line(image, (centre[0], corner_y), (corner_x + sign_x * arm, corner_y), colour, thickness)
        draw_line(image, (corner_x, centre[1]), (corner_x, corner_y + sign_y * arm), colour, thickness)


def draw_dot(image: np.ndarray, x: float, y: float, radius: float, colour: Colour) -> None:
    """A filled circle."""
    cv2.circle(image, _fixed(x, y), round(radius * 2**SHIFT), colour, -1, cv2.LINE_AA, SHIFT)


def _fixed(x: float, y: float) -> tuple[int, int]:
    return round(x * 2**SHIFT), round(y * 2**SHIFT)
