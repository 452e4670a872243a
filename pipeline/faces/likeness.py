"""Whether a face is the one that was seen before: how it looks, whatever the light, and whether the film was cut.

After a hard cut another person may be where one was. From frame to frame at least some part of a face keeps its look, even if
a hand covers the rest; between two people hardly any part is alike. What is compared are gradients scaled by their strength,
which change little with the light. docs/detect.md says how the limits were chosen.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.faces.blazeface import Detection
from pipeline.faces.crop import CropRecipe, sample_coarsely

FACE = CropRecipe(24, side=2.4)
BLOCK, PART = 4, 2  # pixels of a face a block, blocks a part
SAME = 0.85  # correlation of the best part of a face from which it is the same one
SAME_AFTER_CUT = 0.9  # the same in another shot
PICTURE = (24, 32)  # rows and columns in which whole frames are compared
SHIFT = 6  # how many of these the camera may move from one frame to the next
FLAT = 3.0  # standard deviation of a picture in which there is nothing to compare, such as a black one
SAME_SHOT = 0.75  # correlation of two successive frames of a shot


@dataclass(frozen=True)
class View:
    """How a face looks: gradients float32 (2, 24, 24), their energy in each part (5, 5); and the number of the shot."""

    gradients: np.ndarray
    energy: np.ndarray
    shot: int

    def is_same(self, other: "View") -> bool:
        """Whether both may be of one person."""
        return best_part(self, other) >= (SAME if self.shot == other.shot else SAME_AFTER_CUT)


class Shots:
    """Counts the shots of a video: a frame unlike the last one that shows something, wherever the camera moved, begins another."""

    def __init__(self):
        self._last: np.ndarray | None = None
        self.number = 0

    def next(self, image: np.ndarray) -> int:
        """The number of the shot that the next frame belongs to, RGB uint8 (H, W, 3)."""
        picture = shrunk(image)
        if picture.std() < FLAT:
            return self.number
        self.number += self._last is not None and picture_likeness(self._last, picture) < SAME_SHOT
        self._last = picture
        return self.number


def view(image: np.ndarray, face: Detection, shot: int) -> View:
    """The view of a face in an RGB image uint8 (H, W, 3)."""
    pixels = sample_coarsely(image, FACE.from_eyes(face.right_eye, face.left_eye), FACE.size)
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    across, down = (cv2.Sobel(grey, cv2.CV_32F, *order) for order in ((1, 0), (0, 1)))
    strength = across * across + down * down
    gradients = np.stack([across, down]) / np.sqrt(strength + strength.mean() + 1)
    return View(gradients, _parts(gradients * gradients), shot)


def best_part(one: View, other: View) -> float:
    """The highest correlation of a third by a third of two faces' gradients, -1 to 1."""
    common = _parts(one.gradients * other.gradients)
    return float((common / np.sqrt(one.energy * other.energy + 1e-6)).max())


def shrunk(image: np.ndarray) -> np.ndarray:
    """The image (H, W, 3) in grey, uint8 (24, 32)."""
    (height, width), (rows, columns) = image.shape[:2], PICTURE
    step = max(1, min(height // (2 * rows), width // (2 * columns)))
    small = cv2.resize(image[::step, ::step], (columns, rows), interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)


def picture_likeness(one: np.ndarray, other: np.ndarray) -> float:
    """The correlation of two pictures (24, 32), -1 to 1, after the move by which they match best."""
    middle = one[SHIFT:-SHIFT, SHIFT:-SHIFT]
    return float(cv2.matchTemplate(other, middle, cv2.TM_CCOEFF_NORMED).max())


def _parts(values: np.ndarray) -> np.ndarray:
    """Sums over all squares of PART x PART blocks of (2, H, W)."""
    blocks = values.sum(axis=0).reshape(FACE.size // BLOCK, BLOCK, -1, BLOCK).sum(axis=(1, 3))
    across = sum(blocks[:, start : start + len(blocks) - PART + 1] for start in range(PART))
    return sum(across[start : start + len(blocks) - PART + 1] for start in range(PART))
