"""What a person sees of a study: one line that changes on a terminal, a line a finished cell elsewhere."""

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TextIO

from pipeline.progress import duration

TICK_SECONDS = 1.0


@dataclass(frozen=True)
class Failure:
    """A cell that failed, the end of what its process said and where the rest is."""

    cell: str
    message: str
    log: str

    def __str__(self) -> str:
        tail = "\n".join(f"    {line}" for line in self.message.splitlines())
        return f"  {self.cell}, see {self.log}\n{tail}"


class StudyProgress:
    """Follows the workers' reports: counts cells, says how long the rest will take and which cell is best so far.

    `total`: runs of the study; `done`: folders' names of those that were complete before, `best`: (objective, title) of
    the best of them.
    """

    def __init__(
        self,
        stream: TextIO,
        total: int,
        done: Sequence[str] = (),
        workers: int = 1,
        objective: str = "",
        best: tuple[float, str] | None = None,
    ):
        self.stream, self.total, self.workers, self.objective, self.best = stream, total, workers, objective, best
        self.failures: dict[str, Failure] = {}  # by run
        self._done = set(done)
        self._begun: dict[str, tuple[str, float]] = {}  # worker: cell and when
        self._seconds: list[float] = []
        self._read: dict[str, int] = {}
        self._ticked = 0.0

    def follow(self, reports: Mapping[str, Sequence[Mapping]], aloud: bool = True) -> int:
        """Take in what is new in the workers' reports and show it (`aloud`); how many cells have ended."""
        ended = 0
        for worker, events in reports.items():
            for event in events[self._read.get(worker, 0) :]:
                ended += self._see(worker, event, aloud)
            self._read[worker] = len(events)
        self._tick()
        return ended

    def say(self, text: str) -> None:
        """Print a line of its own."""
        start = "\r\033[K" if self.stream.isatty() else ""
        print(start + text, file=self.stream, flush=True)

    def stopping(self) -> None:
        """A signal has arrived."""
        self.say(f"stopping: {len(self._begun)} running cells write their checkpoints; Ctrl-C again ends them at once")

    def status(self) -> str:
        """Such as `3 of 12 done, 2 running, 0 failed, 12 min 05 s left, best val_accuracy 81.2 % (W4/A4, seed 1)`."""
        parts = [f"{len(self._done)} of {self.total} done", f"{len(self._begun)} running"]
        parts.append(f"{len(self.failures)} failed")
        if (left := self._left()) is not None:
            parts.append(f"{duration(left)} left")
        if self.best:
            parts.append(f"best {self.objective} {100 * self.best[0]:.1f} % ({self.best[1]})")
        return ", ".join(parts)

    def _see(self, worker: str, event: Mapping, aloud: bool) -> int:
        cell, run, kind = event["cell"], event["run"], event["event"]
        if kind == "begun":
            self._begun[worker] = cell, time.monotonic()
            return 0
        self._begun.pop(worker, None)
        if kind == "failed":
            self.failures[run] = Failure(cell, event["message"], event["log"])
            if aloud:
                self.say(f"{cell}: FAILED  ({self.status()})")
            return 1
        fresh = run not in self._done
        self._done.add(run)
        self.failures.pop(run, None)
        if event["score"] is not None:
            self.best = max(filter(None, (self.best, (event["score"], cell))), key=lambda best: best[0])
        if kind == "done":
            self._seconds.append(event["seconds"])
        if kind == "done" and aloud:
            self.say(f"{cell}: done in {duration(event['seconds'])}  ({self.status()})")
        return int(fresh)

    def _left(self) -> float | None:
        """Seconds until the last cell ends, None before any has ended."""
        if not self._seconds:
            return None
        each = sum(self._seconds) / len(self._seconds)
        now = time.monotonic()
        spent = sum(min(now - begun, each) for _, begun in self._begun.values())
        waiting = self.total - len(self._done) - len(self.failures)
        return max(0.0, waiting * each - spent) / max(self.workers, len(self._begun))

    def _tick(self) -> None:
        """Refresh the line on a terminal."""
        if self.stream.isatty() and time.monotonic() - self._ticked >= TICK_SECONDS:
            self._ticked = time.monotonic()
            width = shutil.get_terminal_size().columns - 1
            print(f"\r\033[K{self.status()[:width]}", end="", file=self.stream, flush=True)
