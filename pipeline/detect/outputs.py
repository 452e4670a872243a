"""What every output is told."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.detect.detector import Face
from pipeline.detect.inputs import Source


@dataclass(frozen=True)
class Observation:
    """One frame and the faces in it; `image` is RGB uint8 (H, W, 3), None where `error` says why there is none.

    `rate` is the source's frames a second, None for single images; `total` its frames, or all images, if known.
    """

    source: Source
    number: int
    timestamp: float | None
    image: np.ndarray | None
    faces: Sequence[Face]
    rate: float | None = None
    total: int | None = None
    error: str | None = None


class Output:
    """Where observations go; an output overrides what it needs."""

    def write(self, seen: Observation) -> None:
        """The next frame."""

    def end(self) -> None:
        """A video, or all images, are over."""

    def close(self) -> None:
        """All is over, or has failed: what was written becomes valid."""
