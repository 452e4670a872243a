"""What a rendered data set consists of: subjects, their sequences, and every frame's action units over time."""

from dataclasses import asdict, dataclass
from functools import cache
from itertools import chain, zip_longest

import numpy as np

from pipeline.action_units.labels import AU_NUMBERS
from pipeline.data.bp4d.folds import BP4D_PARTS

RENDERER_VERSION = 3  # part of the hash of the settings: raise it when the images or labels change
TASKS = tuple(f"T{number}" for number in range(1, 9))
SUBJECTS = tuple(filter(None, chain.from_iterable(zip_longest(*BP4D_PARTS))))  # alternating between the parts
FRAME_SPACING = 30  # frames at 25 a second between two rendered ones
PERSON, OFFSET, SEQUENCE, IMAGES = range(4)  # what a seed is for

PRESENT = 0.55  # intensity from which an action unit counts as present
BASE_RATES = np.array([21.1, 17.0, 20.3, 46.1, 54.9, 59.4, 56.2, 46.6, 16.9, 34.4, 16.5, 15.2]) / 100
MEAN_BOUTS = np.array([65, 66, 73, 125, 142, 147, 184, 120, 38, 42, 30, 49])  # frames at 25 a second
PHI = {  # correlation of presence
    (6, 12): 0.54, (6, 7): 0.54, (10, 12): 0.53, (6, 10): 0.50, (1, 2): 0.46, (17, 24): 0.42, (7, 10): 0.39, (7, 12): 0.35,
    (15, 17): 0.29, (17, 23): 0.27, (4, 12): -0.27, (10, 24): -0.10,
}  # fmt: skip
SUBJECT_SHARE, TASK_SHARE = 0.08, 0.1  # of the variance, constant over a subject or a sequence
GROWTH, FADE = 0.3, 0.07  # how fast intensity grows above, and falls below, the threshold of presence


@dataclass(frozen=True)
class RenderSettings:
    """What the images and labels depend on, but for the renderer itself."""

    subjects: int
    frames: int
    render_size: int
    render_seed: int

    def facts(self) -> dict[str, int]:
        """The settings and what else is hashed."""
        return {**asdict(self), "spacing": FRAME_SPACING, "renderer": RENDERER_VERSION}


@dataclass(frozen=True)
class Sequence:
    """One sequence: image numbers int64 (N,) and intensities (N, A)."""

    subject: str
    task: str
    frames: np.ndarray
    intensities: np.ndarray

    @property
    def name(self) -> str:
        """Such as F001_T1."""
        return f"{self.subject}_{self.task}"


def all_sequences(settings: RenderSettings) -> list[Sequence]:
    """The sequences, the same for the same settings."""
    return [_sequence(settings, subject, task) for subject in sorted(SUBJECTS[: settings.subjects]) for task in TASKS]


def seed(settings: RenderSettings, purpose: int, subject: str, task: str = "") -> tuple[int, ...]:
    """The seed of one random choice; it does not depend on how many subjects there are."""
    return settings.render_seed, purpose, SUBJECTS.index(subject), TASKS.index(task) + 1 if task else 0


def _sequence(settings: RenderSettings, subject: str, task: str) -> Sequence:
    offset = subject_offset(np.random.default_rng(seed(settings, OFFSET, subject)))
    rng = np.random.default_rng(seed(settings, SEQUENCE, subject, task))
    first = int(rng.integers(1, 1500))
    count = (settings.frames - 1) * FRAME_SPACING + 1
    intensities = sequence_intensities(rng, offset, count)[::FRAME_SPACING]
    return Sequence(subject, task, first + FRAME_SPACING * np.arange(settings.frames), intensities)


def subject_offset(rng: np.random.Generator) -> np.ndarray:
    """One subject's inclinations (A,)."""
    return np.sqrt(SUBJECT_SHARE) * (_mixing() @ rng.normal(size=len(AU_NUMBERS)))


def sequence_intensities(rng: np.random.Generator, subject: np.ndarray, frames: int) -> np.ndarray:
    """Intensities (frames, A) in 0..1 at 25 frames a second of one sequence of a subject with that offset."""
    from scipy.special import ndtri

    task = np.sqrt(TASK_SHARE) * (_mixing() @ rng.normal(size=len(AU_NUMBERS)))
    thresholds = ndtri(1 - BASE_RATES)
    moving = 1 - SUBJECT_SHARE - TASK_SHARE
    widths = MEAN_BOUTS * np.sqrt(moving) / (BASE_RATES * 2 * np.pi * np.sqrt(2) * np.exp(thresholds**2 / 2))
    excess = np.sqrt(moving) * _smooth_noise(rng, frames, widths) + subject + task - thresholds
    return intensity(excess)


def intensity(excess: np.ndarray) -> np.ndarray:
    """The intensity in 0..1 of a latent value that lies `excess` above the threshold of presence."""
    above = PRESENT + (1 - PRESENT) * (1 - np.exp(-np.maximum(excess, 0) / GROWTH))
    return np.where(excess >= 0, above, PRESENT * np.exp(np.minimum(excess, 0) / FADE))


def presence(intensities: np.ndarray) -> np.ndarray:
    """The true labels uint8 of intensities."""
    return (intensities >= PRESENT).astype(np.uint8)


def _smooth_noise(rng: np.random.Generator, frames: int, widths: np.ndarray) -> np.ndarray:
    """Gaussian processes (frames, A) of variance 1, correlated as _mixing says; `widths` (A,) of their kernels in frames."""
    from scipy.ndimage import gaussian_filter1d

    margin = int(4 * widths.max()) + 1
    white = rng.normal(size=(frames + 2 * margin, len(widths))) @ _mixing().T
    smooth = [
        gaussian_filter1d(column, width) * np.sqrt(2 * np.sqrt(np.pi) * width)
        for column, width in zip(white.T, widths, strict=True)
    ]
    return np.stack(smooth, 1)[margin : margin + frames]


@cache
def _mixing() -> np.ndarray:
    """(A, A): turns independent normal numbers into ones correlated so that presence has about the correlations PHI."""
    correlation = np.eye(len(AU_NUMBERS))
    for (first, second), phi in PHI.items():
        i, j = AU_NUMBERS.index(first), AU_NUMBERS.index(second)
        correlation[i, j] = correlation[j, i] = _latent_correlation(phi, BASE_RATES[i], BASE_RATES[j])
    values, vectors = np.linalg.eigh(correlation)
    root = vectors * np.sqrt(np.clip(values, 0.02, None))
    return root / np.linalg.norm(root, axis=1, keepdims=True)


def _latent_correlation(phi: float, first: float, second: float) -> float:
    """The tetrachoric correlation that gives `phi` at two base rates, by bisection."""
    from scipy.special import ndtri

    both = first * second + phi * np.sqrt(first * (1 - first) * second * (1 - second))
    limits = ndtri(first), ndtri(second)
    low, high = -0.99, 0.99
    for _ in range(24):
        middle = (low + high) / 2
        if _both_below(*limits, middle) < both:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _both_below(first: float, second: float, correlation: float) -> float:
    """The probability that two normal numbers lie below their limits (Drezner and Wesolowsky 1990, equation 3)."""
    from scipy.special import ndtr

    nodes, weights = np.polynomial.legendre.leggauss(64)
    half = np.arcsin(correlation) / 2
    angles = half * (nodes + 1)
    exponents = -(first**2 + second**2 - 2 * first * second * np.sin(angles)) / (2 * np.cos(angles) ** 2)
    return ndtr(first) * ndtr(second) + half * weights @ np.exp(exponents) / (2 * np.pi)
