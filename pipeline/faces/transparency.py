"""Transparent pixels become white: the colours that they hide are arbitrary."""

import numpy as np

WHITE = 255


def without_alpha(pixels: np.ndarray) -> np.ndarray:
    """RGB uint8 (H, W, 3) of RGBA uint8 (H, W, 4)."""
    return on_white(pixels[..., :3], pixels[..., 3], 255)


def on_white(pixels: np.ndarray, alpha: np.ndarray, opaque: float) -> np.ndarray:
    """RGB uint8 (H, W, 3) before white, seen through an alpha (H, W) that is `opaque` where nothing shines through.

    An alpha that is the same everywhere hides nothing: some programs leave it 0.
    """
    if alpha.min() == alpha.max():
        return np.ascontiguousarray(pixels)
    hidden = alpha < opaque
    shares = np.clip(alpha[hidden] / opaque, 0, 1)[:, None]
    seen = pixels.copy()
    seen[hidden] = np.rint(pixels[hidden] * shares + WHITE * (1 - shares))
    return seen


def turned_like(image: np.ndarray, raw: np.ndarray) -> np.ndarray:
    """`raw` (H, W, 4) turned and mirrored so that its colours are those of `image` (H, W, 3), as EXIF told a decoder."""
    if np.array_equal(raw[..., :3], image):
        return raw
    turns = [np.rot90(flipped, count) for flipped in (raw, raw[:, ::-1]) for count in range(4)]
    turns = [turn for turn in turns if turn.shape[:2] == image.shape[:2]]
    return min(turns, key=lambda turn: np.abs(turn[..., :3].astype(np.float64) - image).mean())
