"""The temporal median of a face's probabilities."""

from collections import deque

import numpy as np

from pipeline.errors import UserError

MOST_FRAMES = 9999


class TemporalMedian:
    """The median of the last `frames` probabilities of each face and action unit, this frame included."""

    def __init__(self, frames: int):
        if not 1 <= frames <= MOST_FRAMES or frames % 2 == 0:
            raise UserError(f"the temporal median takes an odd number of frames, 1 to {MOST_FRAMES}, not {frames}")
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
