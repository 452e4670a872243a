"""The planar texture of a head, and what is painted on it: skin, brows, hair, beard."""

from dataclasses import dataclass

import cv2
import numpy as np

TEXELS = 320
LEFT, TOP, WIDTH, HEIGHT = -1.15, 8.5, 2.3, 2.6  # decimetres
SHIFT = 4  # fractional bits of OpenCV's drawing
SKIN_TONES = np.array(
    [[0.93, 0.74, 0.64], [0.87, 0.66, 0.53], [0.76, 0.55, 0.42], [0.58, 0.39, 0.28], [0.4, 0.26, 0.19]]
)  # RGB
HAIR_COLOURS = np.array(
    [[0.06, 0.05, 0.05], [0.2, 0.13, 0.09], [0.38, 0.25, 0.15], [0.66, 0.52, 0.32], [0.5, 0.22, 0.1], [0.62, 0.61, 0.6]]
)


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


@dataclass(frozen=True)
class Look:
    """Colours float32 (3,) RGB 0..1, and the style a person keeps; lengths in decimetres."""

    skin: np.ndarray
    lips: np.ndarray
    hair: np.ndarray
    iris: np.ndarray
    hairline: float
    fringe: float
    beard: float
    moustache: float
    gloss: float


def sample_look(rng: np.random.Generator, male: bool, age: float) -> Look:
    """The look of a random person; `age` 0..1."""
    tone = rng.uniform(0, len(SKIN_TONES) - 1)
    skin = _between(SKIN_TONES, tone) * rng.uniform(0.93, 1.07, 3)
    choice = rng.choice(len(HAIR_COLOURS) - 1, p=_hair_odds(tone))
    hair = HAIR_COLOURS[-1] if rng.random() < max(0, age - 0.5) else HAIR_COLOURS[choice]
    red = rng.uniform(0.02, 0.2 if male else 0.4)
    lips = skin * (1 - red) * [1, 0.72, 0.72] + red * np.array([0.62, 0.2, 0.2])
    iris = np.array([[0.2, 0.12, 0.07], [0.33, 0.22, 0.11], [0.32, 0.4, 0.3], [0.3, 0.42, 0.55]])[
        rng.choice(4, p=[0.5, 0.2, 0.12, 0.18])
    ]
    bearded = male and rng.random() < 0.5
    return Look(
        skin=skin.astype(np.float32),
        lips=lips.astype(np.float32),
        hair=(hair * rng.uniform(0.8, 1.25)).astype(np.float32),
        iris=(iris * rng.uniform(0.8, 1.2)).astype(np.float32),
        hairline=rng.uniform(7.92, 8.12) + (0.12 * age if male else 0),
        fringe=rng.uniform(0.1, 0.38) if rng.random() < (0.15 if male else 0.35) else 0.0,
        beard=rng.uniform(0.1, 0.75) if bearded else 0.0,
        moustache=rng.uniform(0.1, 0.8) if bearded and rng.random() < 0.7 else 0.0,
        gloss=rng.uniform(0.02, 0.14),
    )


def paint(look: Look, rng: np.random.Generator, male: bool) -> tuple[np.ndarray, np.ndarray]:
    """The albedo float32 (TEXELS, TEXELS, 3) and the share of hair on the skull (TEXELS, TEXELS)."""
    x, y = grid()
    albedo = _skin(look, rng, x, y)
    albedo = _mix(albedo, _beard(look, rng, x, y), look.hair * np.float32(0.8))
    albedo = _mix(albedo, _brows(rng, male), look.hair * np.float32(0.75))
    hair = _scalp(look, rng, x, y)
    strands = (1 + 0.22 * noise(rng, 110, 14) + 0.1 * noise(rng, 12))[..., None]
    return _mix(albedo, hair, look.hair * np.clip(strands, 0.3, 2)).astype(np.float32), hair.astype(np.float32)


def _skin(look: Look, rng: np.random.Generator, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    rough = 0.022 * noise(rng, 6) + 0.018 * noise(rng, 30) + 0.015 * noise(rng, 120)
    albedo = look.skin * (1 + rough[..., None])
    blush = rng.uniform(0, 0.16) * np.exp(-(((np.abs(x) - 0.42) / 0.2) ** 2) - ((y - 6.95) / 0.2) ** 2)
    blush += rng.uniform(0, 0.12) * np.exp(-((x / 0.14) ** 2) - ((y - 6.97) / 0.12) ** 2)
    albedo = albedo * (1 - blush[..., None] * np.array([0.05, 0.7, 0.6]))
    around_eyes = rng.uniform(0, 0.22) * np.exp(-(((np.abs(x) - 0.3) / 0.17) ** 2) - ((y - 7.24) / 0.13) ** 2)
    return albedo * (1 - around_eyes[..., None] * np.array([0.8, 1, 0.9])) * (1 - _spots(rng))


def _spots(rng: np.random.Generator) -> np.ndarray:
    """Freckles and moles: darkening (TEXELS, TEXELS, 1)."""
    drawn = np.zeros((TEXELS, TEXELS), np.float32)
    for column, row in rng.uniform([90, 110], [230, 290], (int(rng.exponential(14)), 2)):
        cv2.circle(drawn, (int(column), int(row)), int(rng.integers(1, 3)), rng.uniform(0.1, 0.4), -1, cv2.LINE_AA)
    return cv2.GaussianBlur(drawn, (0, 0), 0.8)[..., None]


def _brows(rng: np.random.Generator, male: bool) -> np.ndarray:
    inner, outer, y = rng.uniform(0.09, 0.16), rng.uniform(0.52, 0.62), rng.uniform(7.43, 7.48)
    arch, drop = rng.uniform(0.01, 0.06), rng.uniform(-0.01, 0.05)
    points = np.array([[inner, y], [inner + 0.62 * (outer - inner), y + arch], [outer, y - drop]])
    width = rng.uniform(0.05, 0.085) if male else rng.uniform(0.035, 0.065)
    brow = np.maximum(curve(points, width), curve(mirrored(points), width))
    hairs = 1 + 0.35 * noise(rng, 90, 60)
    return np.clip(brow * hairs * rng.uniform(0.9, 1.5), 0, 1) * rng.uniform(0.65, 0.95)


def _beard(look: Look, rng: np.random.Generator, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Coverage by beard and moustache; a weak one is stubble."""
    edge = 6.62 + 0.5 * step(np.abs(x), 0.35, 0.75) + 0.02 * noise(rng, 20)
    cheek = step(edge - y, 0, 0.12) * step(y, 5.98, 6.1) * step(np.hypot(x / 0.3, (y - 6.6) / 0.13), 0.9, 1.15)
    upper_lip = step(np.abs(x), 0.32, 0.24) * step(y, 6.69, 6.73) * step(y, 6.86, 6.8)
    grain = np.clip(0.75 + 0.35 * noise(rng, 150), 0, 1.2)
    return np.clip(np.maximum(look.beard * cheek, look.moustache * upper_lip) * grain, 0, 0.95)


def _scalp(look: Look, rng: np.random.Generator, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    ragged = 0.025 * noise(rng, 26, 3) + 0.012 * noise(rng, 80, 3)
    peak = rng.uniform(-0.05, 0.08)
    line = look.hairline - 0.25 * step(np.abs(x), 0.35, 0.72) + peak * np.exp(-((x / 0.15) ** 2)) * -1
    part = rng.uniform(-0.5, 0.5)
    line = line - look.fringe * (0.75 + 0.35 * np.abs(x - part)) * step(np.abs(x), 0.85, 0.6)
    sides = step(np.abs(x) + ragged, 0.76, 0.8) * step(y, 7.25, 7.4)
    return np.maximum(step(y + ragged, line - 0.02, line + 0.03), sides)


def _mix(under: np.ndarray, share: np.ndarray, over: np.ndarray) -> np.ndarray:
    return under * (1 - share[..., None]) + over * share[..., None]


def _between(colours: np.ndarray, place: float) -> np.ndarray:
    low = min(int(place), len(colours) - 2)
    return colours[low] + (place - low) * (colours[low + 1] - colours[low])


def _hair_odds(tone: float) -> np.ndarray:
    """Darker skin, darker hair."""
    odds = np.array([0.25 + tone, 0.35, 0.25, 0.2, 0.08]) * np.array(
        [1, 1, 1, max(0.02, 1 - tone / 1.5), max(0.02, 1 - tone)]
    )
    return odds / odds.sum()
