"""How a face is cropped from an image: the recipe that training and the device share.

Coordinates are continuous: pixel (column i, row j) covers [i, i + 1) x [j, j + 1), its centre is (i + 0.5, j + 0.5).
Landmarks use the same coordinates.

The crop is a square with a centre, a side and an angle. Row v and column u of a crop of S pixels show the image at

    centre + R(angle) @ ((u + 0.5) / S - 0.5, (v + 0.5) / S - 0.5) * side,   R(a) = [[cos a, -sin a], [sin a, cos a]].

If one crop pixel covers more than one image pixel, every crop pixel is the mean of k x k samples, k = ceil(side / S): the
square is sampled at k * S points a side and averaged in blocks. Samples are bilinear between the centres of the four
nearest pixels; outside the image, its nearest edge pixel counts. Samples and means are rounded to 8 bits. Grey is
0.299 R + 0.587 G + 0.114 B of the finished crop. `docs/bp4d.md` describes the same in words.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields

import cv2
import numpy as np

# Of a detected face box: the eyes' distance as a share of its width, the height of the eyes as a share from its top.
BOX_EYE_DISTANCE, BOX_EYE_LINE = 0.45, 0.28

Point = Sequence[float]  # x and y in pixels


@dataclass(frozen=True)
class Square:
    """A square in an image: its centre and side in pixels, and its clockwise rotation in radians."""

    x: float
    y: float
    side: float
    angle: float = 0.0


@dataclass(frozen=True)
class CropRecipe:
    """Crops of size x size pixels, `side` eye distances wide, the eyes level at `eye_line` of the height from the top."""

    size: int
    side: float = 3.2
    eye_line: float = 0.38
    grey: bool = False

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of a crop."""
        return self.size, self.size, 1 if self.grey else 3

    def to_dict(self) -> dict:
        """The recipe as stored in a model's sidecar."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping) -> "CropRecipe":
        """The recipe that `to_dict` wrote; other keys are ignored."""
        return cls(**{field.name: values[field.name] for field in fields(cls)})

    def from_eyes(self, right: Point, left: Point) -> Square:
        """The square around a face by its eyes' centres; the subject's right eye is on the left of the image."""
        across = (left[0] - right[0], left[1] - right[1])
        side, angle = self.side * math.hypot(*across), math.atan2(across[1], across[0])
        below = (0.5 - self.eye_line) * side  # from the eyes to the centre, along the face
        x = (right[0] + left[0]) / 2 - math.sin(angle) * below
        y = (right[1] + left[1]) / 2 + math.cos(angle) * below
        return Square(x, y, side, angle)

    def from_box(self, box: Sequence[float]) -> Square:
        """The upright square around a face by its box (x, y, width, height), assuming the usual position of the eyes."""
        x, y, width, height = box
        eyes_x, eyes_y = x + width / 2, y + BOX_EYE_LINE * height
        half = BOX_EYE_DISTANCE * width / 2
        return self.from_eyes((eyes_x - half, eyes_y), (eyes_x + half, eyes_y))

    def centre(self, height: int, width: int) -> Square:
        """The largest upright square in the middle of an image."""
        return Square(width / 2, height / 2, min(height, width))

    def cut(self, image: np.ndarray, square: Square) -> np.ndarray:
        """The crop uint8 (size, size, C) of an RGB image uint8 (H, W, 3); C is 1 if the recipe is grey, else 3."""
        crop = sample(image, square, self.size)
        return cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)[..., None] if self.grey else crop


def sample(image: np.ndarray, square: Square, size: int, border: int = cv2.BORDER_REPLICATE) -> np.ndarray:
    """The square as uint8 (size, size, C) of an image uint8 (H, W, C), averaged where it shrinks."""
    samples = max(1, math.ceil(square.side / size))
    large = cv2.warpAffine(
        image,
        _to_image(square, samples * size),
        (samples * size, samples * size),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=border,
    )
    return cv2.resize(large, (size, size), interpolation=cv2.INTER_AREA) if samples > 1 else large


def sample_coarsely(image: np.ndarray, square: Square, size: int) -> np.ndarray:
    """As `sample`, from at most 3 x 3 points of the image a pixel: cheap where an exact crop is not needed."""
    fine = size * min(3, max(1, math.ceil(square.side / size)))
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    large = cv2.warpAffine(image, _to_image(square, fine), (fine, fine), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return cv2.resize(large, (size, size), interpolation=cv2.INTER_AREA)


def _to_image(square: Square, size: int) -> np.ndarray:
    """The affine map (2, 3) from pixel indices of the square at `size` pixels a side to those of the image."""
    step = square.side / size
    along, across = math.cos(square.angle) * step, math.sin(square.angle) * step
    middle = (size - 1) / 2
    return np.array(
        [
            [along, -across, square.x - 0.5 - (along - across) * middle],
            [across, along, square.y - 0.5 - (across + along) * middle],
        ]
    )
