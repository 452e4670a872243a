"""The planar texture of a head: texels over base-mesh (x, y), and how to draw in it."""

import cv2
import numpy as np

TEXELS = 320
LEFT, TOP, WIDTH, HEIGHT = -1.15, 8.5, 2.3, 2.6  # decimetres
SHIFT = 4  # fractional bits of OpenCV's drawing


def texel(points: np.ndarray) -> np.ndarray:
    """Texture columns and rows float32 (..., 2) of base-mesh points (..., 2 or 3)."""
    column = (points[..., 0] - LEFT) / WIDTH * TEXELS
    row = (TOP - points[..., 1]) / HEIGHT * TEXELS
    return np.stack([column, row], -1).astype(np.float32)


def grid() -> tuple[np.ndarray, np.ndarray]:
    """Base-mesh x and y of each texel, float32 (TEXELS, TEXELS)."""
    centre = (np.arange(TEXELS, dtype=np.float32) + 0.5) / TEXELS
    return np.meshgrid(LEFT + WIDTH * centre, TOP - HEIGHT * centre)


def noise(rng: np.random.Generator, columns: int, rows: int | None = None) -> np.ndarray:
    """Smooth noise (TEXELS, TEXELS) of SD about 1 with that many bumps across and down."""
    coarse = rng.normal(size=(rows or columns, columns)).astype(np.float32)
    return cv2.resize(coarse, (TEXELS, TEXELS), interpolation=cv2.INTER_CUBIC)


def curve(points: np.ndarray, width: float, taper: bool = True) -> np.ndarray:
    """A soft line through base-mesh `points` (P, 2), `width` decimetres wide, as float32 (TEXELS, TEXELS) in 0..1."""
    fine = _spline(np.asarray(points, np.float64), 24)
    screen = texel(fine)
    drawn = np.zeros((TEXELS, TEXELS), np.uint8)
    strength = np.sin(np.linspace(0.15, np.pi - 0.15, len(fine) - 1)) ** 0.7 if taper else np.ones(len(fine) - 1)
    for first, second, level in zip(screen[:-1], screen[1:], strength, strict=True):
        ends = [tuple(int(value * 2**SHIFT) for value in end) for end in (first, second)]
        cv2.line(drawn, *ends, int(255 * level), 1, cv2.LINE_AA, SHIFT)
    sigma = max(0.6, width / WIDTH * TEXELS / 2)
    soft = cv2.GaussianBlur(drawn.astype(np.float32), (0, 0), sigma)
    return soft / np.float32(max(1e-6, soft.max()))


def mirrored(points: np.ndarray) -> np.ndarray:
    """The same points (P, 2) on the other side of the face."""
    return np.asarray(points) * [-1, 1]


def step(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """0 below `low`, 1 above `high` (or the other way round), smooth between."""
    t = np.clip((values - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def _spline(points: np.ndarray, count: int) -> np.ndarray:
    """`count` points of the polynomial through `points`, which are few."""
    t = np.linspace(0, 1, len(points))
    wanted = np.linspace(0, 1, count)
    return np.stack([np.polyval(np.polyfit(t, axis, len(points) - 1), wanted) for axis in points.T], 1)
