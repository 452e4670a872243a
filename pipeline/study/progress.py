"""What a person sees of a study: one line that changes on a terminal, a line a finished cell elsewhere."""

import time
from typing import TextIO

from pipeline.progress import duration
from pipeline.study.cells import Cell

TICK_SECONDS = 1.0


class StudyProgress:
    """Counts cells and says how long the rest will take, from the cells that ended since the start."""

    def __init__(self, stream: TextIO, total: int, done: int, workers: int):
        self.stream, self.total, self.workers = stream, total, workers
        self.done, self.failed = done, 0
        self._begun: dict[str, float] = {}
        self._seconds: list[float] = []
        self._ticked = 0.0

    def started(self, cell: Cell) -> None:
        """A cell's process has been started."""
        self._begun[cell.title] = time.monotonic()

    def ended(self, cell: Cell, succeeded: bool, seconds: float) -> None:
        """A cell's process has ended."""
        del self._begun[cell.title]
        self.done, self.failed = self.done + succeeded, self.failed + (not succeeded)
        self._seconds.append(seconds)
        self._print(f"{cell.title}: {'done' if succeeded else 'FAILED'} in {duration(seconds)}  ({self.status()})")

    def stopping(self, running: int) -> None:
        """A signal has arrived."""
        self._print(f"stopping: {running} running cells write their checkpoints; Ctrl-C again ends them at once")

    def tick(self) -> None:
        """Refresh the line on a terminal."""
        if self.stream.isatty() and time.monotonic() - self._ticked >= TICK_SECONDS:
            self._ticked = time.monotonic()
            print(f"\r\033[K{self.status()}", end="", file=self.stream, flush=True)

    def status(self) -> str:
        """Such as `3 of 12 done, 2 running, 0 failed, 12 min 05 s left`."""
        counts = f"{self.done} of {self.total} done, {len(self._begun)} running, {self.failed} failed"
        left = self._left()
        return counts if left is None else f"{counts}, {duration(left)} left"

    def _left(self) -> float | None:
        """Seconds until the last cell ends, None before any has ended."""
        if not self._seconds:
            return None
        each = sum(self._seconds) / len(self._seconds)
        now = time.monotonic()
        spent = sum(min(now - begun, each) for begun in self._begun.values())
        return ((self.total - self.done - self.failed) * each - spent) / self.workers

    def _print(self, text: str) -> None:
        start = "\r\033[K" if self.stream.isatty() else ""
        print(start + text, file=self.stream, flush=True)
