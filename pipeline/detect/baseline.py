"""A neutral face as zero: people differ in how they look at rest."""

import math

import numpy as np

from pipeline.errors import UserError

LEAST_RANGE = 0.5  # of probability above neutral that is stretched to 1
MOST_SAMPLES = 1000  # of a face, however long the calibration


class NeutralBaseline:
    """Subtracts from each face's probabilities what it showed in its first `seconds`, and stretches the rest back to 1.

    p' = max(0, p - n) / max(1 - n, 1/2), n the median of p over the frames so far within those seconds: neutral is 0, 1
    stays 1 unless n is above a half, where stretching would turn noise into action. OpenFace subtracts a person's rest
    in the same spirit (Baltrusaitis et al. 2015, "Cross-dataset learning and person-specific normalisation").
    """

    def __init__(self, seconds: float):
        if not 0 <= seconds < math.inf:
            raise UserError(f"calibration takes a number of seconds, 0 or more, not {seconds}")
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
        if not samples or (timestamp < start + self._seconds and len(samples) < MOST_SAMPLES):
            samples.append(probabilities)
            self._neutral[face] = np.median(samples, axis=0)
        neutral = self._neutral[face]
        return np.maximum(probabilities - neutral, 0) / np.maximum(1 - neutral, LEAST_RANGE)

    def keep(self, faces: set[int]) -> None:
        """Forget all faces but these."""
        for face in self._starts.keys() - faces:
            del self._starts[face], self._samples[face], self._neutral[face]
