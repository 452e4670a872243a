"""What the user sees on stderr while frames are processed; plain text, because detection runs without rich."""

import time
from typing import TextIO

from pipeline.detect.outputs import Observation, Output

TERMINAL_SECONDS, LINE_SECONDS = 0.25, 10.0  # between two updates on a terminal, and elsewhere
ERASE = "\r\033[K"


class Progress(Output):
    """A line that is updated in place on a terminal, a line every ten seconds elsewhere, and a summary at the end."""

    def __init__(self, stream: TextIO):
        self._stream = stream
        self._erase = ERASE if stream.isatty() else ""
        self._pause = TERMINAL_SECONDS if stream.isatty() else LINE_SECONDS
        self._start = self._shown = time.monotonic()
        self._frames = self._with_face = 0
        self._recent: list[tuple[float, int]] = [(self._start, 0)]

    def write(self, seen: Observation) -> None:
        """Count the frame."""
        self._frames += 1
        self._with_face += bool(seen.faces)
        now = time.monotonic()
        if now - self._shown >= self._pause:
            self._shown = now
            self._print(self._status(seen, now), "" if self._erase else "\n")

    def warn(self, text: str) -> None:
        """Print a warning on a line of its own."""
        self._print(f"warning: {text}")

    def close(self) -> None:
        """Print how many frames were processed, and how fast."""
        seconds = time.monotonic() - self._start
        rate = self._frames / max(seconds, 1e-9)
        self._print(
            f"{counted(self._frames, 'frame')} in {seconds:.1f} s ({rate:.1f} fps), {self._with_face} with a face"
        )

    def _status(self, seen: Observation, now: float) -> str:
        self._recent = [*self._recent[-20:], (now, self._frames)]
        then, before = self._recent[0]
        rate = (self._frames - before) / max(now - then, 1e-9)
        number = f"{seen.number}/{seen.total}" if seen.total else f"{seen.number}"
        return f"{seen.source.name}: frame {number}  {rate:.1f} fps  {counted(len(seen.faces), 'face')}"

    def _print(self, text: str, end: str = "\n") -> None:
        self._stream.write(f"{self._erase}{text}{end}")
        self._stream.flush()


def counted(number: int, noun: str) -> str:
    """1 face, 2 faces."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
