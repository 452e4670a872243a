"""What faces did over time, in a fixed amount of memory however long it takes."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

BINS = 1024  # of a face's history; when they are used up, neighbours are merged
MOST_FACES = 24  # whose histories are kept: those seen longest
FIRST_WIDTH = 0.02  # seconds of a bin at first


@dataclass
class FaceHistory:
    """Sums by bin of time: frames (BINS,), probabilities and presences (BINS, A); `width` seconds of a bin."""

    units: int
    width: float = FIRST_WIDTH
    frames: np.ndarray = field(init=False)
    probabilities: np.ndarray = field(init=False)
    presences: np.ndarray = field(init=False)

    def __post_init__(self):
        self.frames = np.zeros(BINS, np.int64)
        self.probabilities, self.presences = np.zeros((BINS, self.units)), np.zeros((BINS, self.units), np.int64)

    def add(self, seconds: float, probabilities: Sequence[float], present: Sequence[bool]) -> None:
        """A frame of the face at a time in seconds."""
        while seconds >= BINS * self.width:
            self._merge()
        place = int(seconds / self.width)
        self.frames[place] += 1
        self.probabilities[place] += probabilities
        self.presences[place] += present

    def present_share(self) -> np.ndarray:
        """The share of the face's frames in which each action unit was present (A,)."""
        return self.presences.sum(axis=0) / max(1, self.frames.sum())

    def _merge(self) -> None:
        for name in ("frames", "probabilities", "presences"):
            old = getattr(self, name)
            new = np.zeros_like(old)
            new[: BINS // 2] = old[::2] + old[1::2]
            setattr(self, name, new)
        self.width *= 2


class Histories:
    """The histories of the faces of one video, at most MOST_FACES after a while: those seen longest."""

    def __init__(self, units: int):
        self._units = units
        self.faces: dict[int, FaceHistory] = {}
        self.seconds = 0.0

    def add(self, face: int, seconds: float, probabilities: Sequence[float], present: Sequence[bool]) -> None:
        """A frame of a face."""
        if face not in self.faces and len(self.faces) >= 2 * MOST_FACES:
            keep_longest([self])
        self.faces.setdefault(face, FaceHistory(self._units)).add(seconds, probabilities, present)


def keep_longest(videos: Sequence[Histories]) -> None:
    """Forget all faces but the MOST_FACES seen longest in all of the videos."""
    lengths = [
        (history.frames.sum(), place, face)
        for place, video in enumerate(videos)
        for face, history in video.faces.items()
    ]
    for _, place, face in sorted(lengths, reverse=True)[MOST_FACES:]:
        del videos[place].faces[face]
