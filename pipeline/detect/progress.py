"""What a person sees on stderr while frames go by."""

import time
from typing import TextIO

from pipeline.detect.outputs import Observation, Output

TERMINAL_SECONDS, LINE_SECONDS = 0.25, 10.0
ERASE = "\r\033[K"


class Progress(Output):
    """A line that changes on a terminal, a line every ten seconds elsewhere, a summary at the end."""

    def __init__(self, stream: TextIO):
        self._stream, self._terminal = stream, stream.isatty()
        self._pause = TERMINAL_SECONDS if self._terminal else LINE_SECONDS
        self._start = self._shown = time.monotonic()
        self._frames = self._with_face = 0
        self._since: list[tuple[float, int]] = [(self._start, 0)]

    def write(self, seen: Observation) -> None:
        """Count the frame."""
        self._frames += 1
        self._with_face += bool(seen.faces)
        now = time.monotonic()
        if now - self._shown >= self._pause:
            self._shown = now
            self._show(f"{seen.source.name}: {self._words(seen, now)}")

    def warn(self, text: str) -> None:
        """A line of its own."""
        self._stream.write(f"{ERASE if self._terminal else ''}warning: {text}\n")
        self._stream.flush()

    def close(self) -> None:
        """What was seen, and how fast."""
        seconds = time.monotonic() - self._start
        rate = self._frames / max(seconds, 1e-9)
        text = f"{self._frames} frames in {seconds:.1f} s ({rate:.1f} fps), {self._with_face} with a face"
        self._stream.write(f"{ERASE if self._terminal else ''}{text}\n")
        self._stream.flush()

    def _words(self, seen: Observation, now: float) -> str:
        self._since = [*self._since[-20:], (now, self._frames)]
        (then, before) = self._since[0]
        rate = (self._frames - before) / max(now - then, 1e-9)
        of = f"/{seen.total}" if seen.total else ""
        faces = f"{len(seen.faces)} face{'s' * (len(seen.faces) != 1)}"
        return f"frame {seen.number}{of}  {rate:.1f} fps  {faces}"

    def _show(self, text: str) -> None:
        self._stream.write(f"{ERASE}{text}" if self._terminal else f"{text}\n")
        self._stream.flush()
