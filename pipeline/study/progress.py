"""What the workers of a study report through its folder, and what a person sees of it.

A terminal shows one line that changes, a file or pipe a line for each run that ends.
"""

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TextIO

from pipeline.runs.files import append_jsonl, read_jsonl
from pipeline.runs.progress import duration

REPORTS = "reports"
TICK_SECONDS = 1.0


class Reports:
    """reports/WORKER.jsonl in keras-tuner's folder of the study, each with one writer: what the workers have done.

    Events: begun, done (with seconds, score), reused (score), failed (message, log), refused (message: the study must end).
    """

    def __init__(self, tuner: Path):
        self.folder = tuner / REPORTS

    def append(self, worker: str, event: str, cell: str, run: str, **more: object) -> None:
        """Append an event of a worker: the title of a cell, the name of its run folder."""
        append_jsonl(self.folder / f"{worker}.jsonl", {"event": event, "cell": cell, "run": run, **more})

    def read(self) -> dict[str, list[dict]]:
        """All events so far by worker."""
        return {path.stem: read_jsonl(path) for path in sorted(self.folder.glob("*.jsonl"))}

    def clear(self) -> None:
        """Forget the events of an earlier start of the study."""
        for path in self.folder.glob("*.jsonl"):
            path.unlink()


@dataclass(frozen=True)
class Failure:
    """A cell that failed, the end of its log and where that is."""

    cell: str
    message: str
    log: str

    def __str__(self) -> str:
        tail = "\n".join(f"    {line}" for line in self.message.splitlines())
        return f"  {self.cell}, see {self.log}\n{tail}"


class StudyProgress:
    """Counts cells by the workers' reports, estimates the time left and remembers the best cell.

    `total`: runs of the study; `done`: folders' names of those that were complete before, `best`: (objective, title) of
    the best of them. `refused` is what a worker says for which the whole study must end.
    """

    def __init__(
        self,
        stream: TextIO,
        total: int,
        done: Sequence[str] = (),
        workers: int = 1,
        objective: str | None = None,
        best: tuple[float, str] | None = None,
    ):
        self.stream, self.total, self.workers, self.objective, self.best = stream, total, workers, objective, best
        self.failures: dict[str, Failure] = {}  # by run
        self.refused: str | None = None
        self._done = set(done)
        self._running: set[str] = set()  # workers
        self._seconds: list[float] = []
        self._read: dict[str, int] = {}
        self._ticked = 0.0

    def follow(self, reports: Mapping[str, Sequence[Mapping]]) -> int:
        """Take in what is new in the workers' reports and show it; how many cells have ended."""
        ended = 0
        for worker, events in reports.items():
            for event in events[self._read.get(worker, 0) :]:
                has_ended, news = self._see(worker, event)
                ended += has_ended
                if news:
                    self.say(f"{event['cell']}: {news}  ({self.status()})")
            self._read[worker] = len(events)
        self._tick()
        return ended

    def skip(self, reports: Mapping[str, Sequence[Mapping]]) -> None:
        """Leave out what happened before this machine joined; finished runs are in `done`."""
        self._read = {worker: len(events) for worker, events in reports.items()}

    def say(self, text: str) -> None:
        """Print a line of its own."""
        start = "\r\033[K" if self.stream.isatty() else ""
        print(start + text, file=self.stream, flush=True)

    def status(self) -> str:
        """Such as `3 of 12 done, 2 running, 0 failed, 12 min 05 s left, best val_accuracy 81.2 % (W4/A4, seed 1)`."""
        parts = [f"{len(self._done)} of {self.total} done", f"{len(self._running)} running"]
        parts.append(f"{len(self.failures)} failed")
        if (left := self._left()) is not None:
            parts.append(f"{duration(left)} left")
        if self.best:
            parts.append(f"best {self.objective} {100 * self.best[0]:.1f} % ({self.best[1]})")
        return ", ".join(parts)

    def _see(self, worker: str, event: Mapping) -> tuple[bool, str]:
        """Take in an event; whether a cell has ended by it, and what to say of it."""
        cell, run, kind = event["cell"], event["run"], event["event"]
        if kind == "begun":
            self._running.add(worker)
            return False, ""
        self._running.discard(worker)
        if kind == "refused":
            self.refused = event["message"]
            return False, ""
        if kind == "failed":
            self.failures[run] = Failure(cell, event["message"], event["log"])
            return True, "FAILED"
        fresh = run not in self._done
        self._done.add(run)
        self.failures.pop(run, None)
        if event["score"] is not None:
            self.best = max(filter(None, (self.best, (event["score"], cell))), key=lambda best: best[0])
        if kind == "reused":
            return fresh, ""
        self._seconds.append(event["seconds"])
        return fresh, f"done in {duration(event['seconds'])}"

    def _left(self) -> float | None:
        """Seconds until the last cell ends, None before any has ended."""
        waiting = self.total - len(self._done) - len(self.failures)
        return fmean(self._seconds) * waiting / max(self.workers, len(self._running)) if self._seconds else None

    def _tick(self) -> None:
        """Refresh the line on a terminal."""
        if self.stream.isatty() and time.monotonic() - self._ticked >= TICK_SECONDS:
            self._ticked = time.monotonic()
            width = shutil.get_terminal_size().columns - 1
            print(f"\r\033[K{self.status()[:width]}", end="", file=self.stream, flush=True)
