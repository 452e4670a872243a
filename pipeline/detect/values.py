"""A face's probabilities over time: their temporal median, and their distance from the neutral face."""

from collections import deque

import numpy as np

MIN_RANGE = 0.5  # of probability above neutral that is stretched to 1
MAX_SAMPLES = 1000  # of a face, however long the calibration


class TemporalMedian:
    """The median of the last `frames` probabilities of each face and action unit, including this frame."""

    def __init__(self, frames: int):
        self._frames = frames
        self._last: dict[int, deque[np.ndarray]] = {}

    def __call__(self, face: int, probabilities: np.ndarray) -> np.ndarray:
        """The smoothed probabilities (A,) of a face."""
        if self._frames == 1:
            return probabilities
        last = self._last.setdefault(face, deque(maxlen=self._frames))
        last.append(probabilities)
        return np.median(last, axis=0)

    def keep(self, faces: set[int]) -> None:
        """Forget all faces but these."""
        for face in self._last.keys() - faces:
            del self._last[face]


class NeutralBaseline:
    """Subtracts from each face's probabilities those of its first `seconds`, and stretches the rest back to 1.

    p' = max(0, p - n) / max(1 - n, 1/2), where n is the median of p over the frames so far within those seconds: neutral
    is 0, and 1 stays 1 unless n is above 1/2, where stretching would turn noise into action. OpenFace subtracts a
    person's neutral expression similarly (Baltrusaitis et al. 2015, "Cross-dataset learning and person-specific
    normalisation").
    """

    def __init__(self, seconds: float):
        self._seconds = seconds
        self._starts: dict[int, float] = {}
        self._samples: dict[int, list[np.ndarray]] = {}
        self._neutral: dict[int, np.ndarray] = {}

    def __call__(self, face: int, probabilities: np.ndarray, timestamp: float | None) -> np.ndarray:
        """The rescaled probabilities (A,) of a face at a time in seconds."""
        if not self._seconds:
            return probabilities
        start = self._starts.setdefault(face, timestamp)
        samples = self._samples.setdefault(face, [])
        if not samples or (timestamp < start + self._seconds and len(samples) < MAX_SAMPLES):
            samples.append(probabilities)
            self._neutral[face] = np.median(samples, axis=0)
        neutral = self._neutral[face]
        return np.maximum(probabilities - neutral, 0) / np.maximum(1 - neutral, MIN_RANGE)

    def keep(self, faces: set[int]) -> None:
        """Forget all faces but these."""
        for face in self._starts.keys() - faces:
            del self._starts[face], self._samples[face], self._neutral[face]
