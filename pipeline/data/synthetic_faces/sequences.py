"""What a rendered data set consists of: subjects, their sequences, every frame's action units. Nothing is rendered here."""

from dataclasses import asdict, dataclass
from itertools import chain, zip_longest

import numpy as np

from pipeline.data.bp4d.folds import BP4D_PARTS
from pipeline.data.synthetic_faces.dynamics import sequence_intensities, subject_offset

RENDERER_VERSION = 3  # part of the hash of the settings: raise it when the images or labels change
TASKS = tuple(f"T{number}" for number in range(1, 9))
SUBJECTS = tuple(filter(None, chain.from_iterable(zip_longest(*BP4D_PARTS))))  # by turns from each part
FRAME_SPACING = 30  # frames at 25 a second between two rendered ones
PERSON, OFFSET, SEQUENCE, IMAGES = range(4)  # what a seed is for


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
    """The sequences, always the same for the same settings."""
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
