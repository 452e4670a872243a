"""Smooth text and shapes on an image, in OpenCV's own font; what repeats is drawn once and kept."""

from functools import lru_cache

import cv2
import numpy as np

Colour = tuple[int, int, int]  # red, green, blue
FONT = cv2.FontFace("sans")
SHIFT = 4  # of OpenCV's fixed-point coordinates: sixteenths of a pixel


def text(
    image: np.ndarray, words: str, left: float, baseline: float, size: int, colour: Colour, weight: int = 400
) -> None:
    """Words on an RGB image uint8 (H, W, 3), `size` pixels high."""
    mask, ascent = _letters(words, size, weight)
    blend(image, mask, round(left), round(baseline) - ascent, colour)


def text_width(words: str, size: int, weight: int = 400) -> int:
    """In pixels."""
    return _letters(words, size, weight)[0].shape[1]


def panel(image: np.ndarray, box: tuple[int, int, int, int], radius: int, colour: Colour, opacity: float) -> None:
    """A filled box (x, y, width, height) with round corners that lets the image shine through."""
    x, y, width, height = box
    blend(image, _rounded(width, height, radius, round(opacity * 255)), x, y, colour)


def bar(image: np.ndarray, left: float, right: float, y: float, thickness: int, colour: Colour) -> None:
    """A horizontal stroke with round ends."""
    start, end = (_fixed(place, y) for place in (left, max(left, right)))
    cv2.line(image, start, end, colour, thickness, cv2.LINE_AA, SHIFT)


def tick(image: np.ndarray, x: float, y: float, half: float, colour: Colour) -> None:
    """A thin vertical line, `half` up and down from its middle."""
    cv2.line(image, _fixed(x, y - half), _fixed(x, y + half), colour, 1, cv2.LINE_AA, SHIFT)


def corners(image: np.ndarray, box: tuple[float, ...], colour: Colour, thickness: int) -> None:
    """The four round corners of a box (x, y, width, height)."""
    x, y, width, height = box
    radius, arm = 0.12 * min(width, height), 0.22 * min(width, height)
    for across, down, angle in ((0, 0, 180), (1, 0, 270), (1, 1, 0), (0, 1, 90)):
        sign_x, sign_y = 1 - 2 * across, 1 - 2 * down
        corner_x, corner_y = x + across * width, y + down * height
        centre = (corner_x + sign_x * radius, corner_y + sign_y * radius)
        cv2.ellipse(
            image, _fixed(*centre), _fixed_size(radius), 0, angle, angle + 90, colour, thickness, cv2.LINE_AA, SHIFT
        )
        for start, end in (
            ((centre[0], corner_y), (corner_x + sign_x * arm, corner_y)),
            ((corner_x, centre[1]), (corner_x, corner_y + sign_y * arm)),
        ):
            cv2.line(image, _fixed(*start), _fixed(*end), colour, thickness, cv2.LINE_AA, SHIFT)


def dot(image: np.ndarray, x: float, y: float, radius: float, colour: Colour) -> None:
    """A filled circle."""
    cv2.circle(image, _fixed(x, y), round(radius * 2**SHIFT), colour, -1, cv2.LINE_AA, SHIFT)


def blend(image: np.ndarray, mask: np.ndarray, left: int, top: int, colour: Colour) -> None:
    """Colour where the mask uint8 (h, w) says how much; what lies outside the image is cut off."""
    start_x, start_y = max(left, 0), max(top, 0)
    end_x, end_y = min(left + mask.shape[1], image.shape[1]), min(top + mask.shape[0], image.shape[0])
    if start_x >= end_x or start_y >= end_y:
        return
    share = mask[start_y - top : end_y - top, start_x - left : end_x - left, None].astype(np.uint16)
    under = image[start_y:end_y, start_x:end_x]
    under[:] = (under * (255 - share) + np.array(colour, np.uint16) * share + 127) // 255


@lru_cache(maxsize=4096)
def _letters(words: str, size: int, weight: int) -> tuple[np.ndarray, int]:
    """A mask uint8 (h, w) of the words, and how far their baseline lies below its top."""
    box = cv2.getTextSize((0, 0), words, (0, 0), FONT, size, weight)
    canvas = np.zeros((2 * size, box[2] + 2 * size, 3), np.uint8)
    end, _ = cv2.putText(canvas, words, (0, round(1.4 * size)), (255, 255, 255), FONT, size, weight)
    return np.ascontiguousarray(canvas[:, : max(1, end[0]), 0]), round(1.4 * size)


@lru_cache(maxsize=256)
def _rounded(width: int, height: int, radius: int, value: int) -> np.ndarray:
    mask = np.zeros((4 * height, 4 * width), np.uint8)
    corner = 4 * min(radius, width // 2, height // 2)
    cv2.rectangle(mask, (corner, 0), (4 * width - corner - 1, 4 * height - 1), value, -1)
    cv2.rectangle(mask, (0, corner), (4 * width - 1, 4 * height - corner - 1), value, -1)
    for x in (corner, 4 * width - corner - 1):
        for y in (corner, 4 * height - corner - 1):
            cv2.circle(mask, (x, y), corner, value, -1)
    return cv2.resize(mask, (width, height), interpolation=cv2.INTER_AREA)


def _fixed(x: float, y: float) -> tuple[int, int]:
    return round(x * 2**SHIFT), round(y * 2**SHIFT)


def _fixed_size(radius: float) -> tuple[int, int]:
    return _fixed(radius, radius)
