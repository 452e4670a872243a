"""Random changes of training images, drawn for a whole epoch at once, so a resumed run sees the same ones."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from pipeline.runs.sampling import stream


class Augmentation(Protocol):
    """A random change of images that leaves their labels valid."""

    def draw(self, n: int, seed: int, epoch: int) -> np.ndarray:
        """The random numbers of `epoch` for its n examples in order, (N, ...); a pure function of the arguments."""

    def apply(self, images: np.ndarray, draws: np.ndarray) -> np.ndarray:
        """The changed images uint8 (B, H, W, C) of `images`, by their rows (B, ...) of `draw`."""


@dataclass(frozen=True)
class PadCrop:
    """Mirror half of the images, pad each by `padding` zeros on each side, crop it back to its size at a random place.

    He et al. 2016, "Deep Residual Learning", sec. 4.2, with 4 pixels.
    """

    padding: int = 4

    def draw(self, n: int, seed: int, epoch: int) -> np.ndarray:
        """int64 (N, 3): whether to mirror, and the corner y, x to cut at, from the corner of the padded image."""
        draws = stream("augmentation", seed, epoch)
        return np.c_[draws.random(n) < 0.5, draws.integers(0, 2 * self.padding + 1, size=(n, 2))]

    def apply(self, images: np.ndarray, draws: np.ndarray) -> np.ndarray:
        """The images (B, H, W, C) mirrored, padded and cut."""
        flips, rows, columns = draws.T
        height, width = images.shape[1:3]
        mirrored = np.where(flips[:, None, None, None], images[:, :, ::-1], images)
        padded = np.pad(mirrored, ((0, 0), *[(self.padding, self.padding)] * 2, (0, 0)))
        windows = sliding_window_view(padded, (height, width), axis=(1, 2))  # (B, rows, columns, C, H, W), no copy
        return np.ascontiguousarray(np.moveaxis(windows[np.arange(len(images)), rows, columns], 1, -1))


@dataclass(frozen=True)
class FaceAugmentation:
    """Mirror half of the faces, rotate each by up to `rotation` degrees, resize it by up to the share `zoom`, shift it.

    `shift` is the largest shift as a share of the side. Pixels from outside repeat the border. Mirroring
    changes no label: action units are coded for both sides of the face together.
    """

    flip: bool
    rotation: float
    zoom: float
    shift: float

    def draw(self, n: int, seed: int, epoch: int) -> np.ndarray:
        """float64 (N, 5): mirrored (1 or -1, as a factor on x), radians, size, shift right and down as shares."""
        uniform = stream("augmentation", seed, epoch).random((n, 5))
        signed = 2 * uniform[:, 1:] - 1
        mirror = np.where(self.flip & (uniform[:, 0] < 0.5), -1.0, 1.0)
        size = (1 + self.zoom) ** signed[:, 1]
        return np.c_[mirror, np.deg2rad(self.rotation) * signed[:, 0], size, self.shift * signed[:, 2:]]

    def apply(self, images: np.ndarray, draws: np.ndarray) -> np.ndarray:
        """The images (B, H, W, C), each warped once, bilinear."""
        import cv2

        height, width, channels = images.shape[1:]
        changed = np.empty_like(images, order="C")
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        for image, matrix, target in zip(images, _sources(draws, height, width), changed, strict=True):
            warped = cv2.warpAffine(image, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
            target[:] = warped.reshape(height, width, channels)
        return changed


def _sources(draws: np.ndarray, height: int, width: int) -> np.ndarray:
    """(B, 2, 3) the matrices from a pixel (x, y, 1) of the changed image to where it comes from, about the centre."""
    mirror, angle, size, right, down = draws.T
    cosine, sine = np.cos(angle) / size, np.sin(angle) / size
    turn = np.stack([mirror * cosine, mirror * sine, -sine, cosine], axis=1).reshape(-1, 2, 2)
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    moved = centre + np.stack([right * width, down * height], axis=1)
    return np.concatenate([turn, (centre - np.einsum("bij,bj->bi", turn, moved))[:, :, None]], axis=2)
