"""Progress of long jobs: a rich bar on a terminal, plain lines in files and pipes."""

import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TextIO, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

SHOWN = {
    "train_accuracy": "noisy train",
    "val_accuracy": "noisy val",
    "test_accuracy": "clean test",
    "train_f1": "train F1",
    "val_f1": "val F1",
    "test_f1": "test F1",
    "test_noisy_f1": "noisy test F1",
    "train_noisy_fit": "noise memorised",
}
SECONDS_BETWEEN_LINES = 10

Item = TypeVar("Item")
Counted = Callable[[Iterable[Item], int, str], Iterator[Item]]  # items, their number, what they are


class TrainingProgress:
    """What the training loop reports; this class shows nothing."""

    def start(self, epochs: int, steps_per_epoch: int, done: int) -> None:
        """Training begins after `done` steps of an earlier process."""

    def steps(self, done: int, loss: float) -> None:
        """`done` steps of the whole training are done; `loss` is the mean objective of this epoch so far."""

    def epoch(self, line: dict) -> None:
        """An epoch is complete: its line of metrics.jsonl."""

    def warning(self, text: str) -> None:
        """Something is wrong, but training continues."""

    def finish(self) -> None:
        """Training has ended or failed."""


class LineProgress(TrainingProgress):
    """One plain line per epoch."""

    def __init__(self, stream: TextIO, title: str):
        self.stream, self.title = stream, title
        self.epochs = 0
        self._seconds: list[float] = []

    def start(self, epochs: int, steps_per_epoch: int, done: int) -> None:
        """Print where a resumed training continues."""
        self.epochs = epochs
        if done:
            self._print(f"{self.title}: resuming after step {done} of {epochs * steps_per_epoch}")

    def epoch(self, line: dict) -> None:
        """Print the metrics of the epoch and the time left."""
        self._seconds.append(line["seconds"])
        left = sum(self._seconds) / len(self._seconds) * (self.epochs - line["epoch"])
        times = f"{duration(line['seconds'])}, {duration(left)} left"
        self._print(f"{self.title}: epoch {line['epoch']}/{self.epochs}  {_with_loss(line)}  ({times})")

    def warning(self, text: str) -> None:
        """Print the warning."""
        self._print(f"warning: {text}")

    def _print(self, text: str) -> None:
        print(text, file=self.stream, flush=True)


class BarProgress(TrainingProgress):
    """A bar of steps with the time left and the latest metrics."""

    def __init__(self, console: Console, title: str):
        self.title = title
        self._bar = _bar(console, "steps", TextColumn("{task.fields[metrics]}"))
        self._epochs, self._metrics = 0, ""

    def start(self, epochs: int, steps_per_epoch: int, done: int) -> None:
        """Show the bar."""
        self._epochs = epochs
        self._task = self._bar.add_task(self.title, total=epochs * steps_per_epoch, completed=done, metrics="")
        self._bar.start()

    def steps(self, done: int, loss: float) -> None:
        """Advance the bar."""
        self._bar.update(self._task, completed=done, metrics=f"loss {loss:.4f}  {self._metrics}")

    def epoch(self, line: dict) -> None:
        """Show the metrics of the epoch after the bar."""
        self._metrics = summary(line)
        description = f"{self.title}: epoch {line['epoch']}/{self._epochs}"
        self._bar.update(self._task, description=description, metrics=_with_loss(line))

    def warning(self, text: str) -> None:
        """Print the warning above the bar."""
        self._bar.console.print(f"warning: {text}", markup=False, highlight=False)

    def finish(self) -> None:
        """Leave the bar as it is."""
        self._bar.stop()


def make_progress(title: str, stream: TextIO) -> TrainingProgress:
    """The progress of the training `title`: a bar if `stream` is a terminal, lines otherwise."""
    return BarProgress(Console(file=stream), title) if stream.isatty() else LineProgress(stream, title)


def warn(text: str, log: Path, terminal: TextIO) -> None:
    """Show a warning on the terminal and append it to a run's log."""
    print(f"warning: {text}", file=terminal, flush=True)
    with log.open("a", encoding="utf-8") as file:
        file.write(f"warning: {text}\n")


def counted(stream: TextIO | None) -> Counted:
    """A function that passes items on and shows on `stream` how many have passed."""
    if stream is None:
        return no_progress
    return partial(_with_bar if stream.isatty() else _with_lines, stream)


def no_progress(items: Iterable[Item], total: int, what: str) -> Iterator[Item]:
    """The items; nothing is shown."""
    yield from items


def summary(line: dict) -> str:
    """The most important metrics in a line of metrics.jsonl, in %, without undefined ones."""
    return "  ".join(f"{label} {line[key]:.1%}" for key, label in SHOWN.items() if line.get(key) is not None)


def duration(seconds: float) -> str:
    """Seconds as text: 45 s, 12 min 05 s, 3 h 07 min."""
    minutes, rest = divmod(round(seconds), 60)
    hours, of_hour = divmod(minutes, 60)
    if hours:
        return f"{hours} h {of_hour:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def _with_loss(line: dict) -> str:
    return f"loss {line['train_loss']:.4f}  {summary(line)}"


def _bar(console: Console, unit: str, *columns: TextColumn) -> Progress:
    counts = TextColumn("{task.description}"), BarColumn(bar_width=20), MofNCompleteColumn(), TextColumn(unit)
    return Progress(*counts, TimeElapsedColumn(), TimeRemainingColumn(), *columns, console=console)


def _with_bar(stream: TextIO, items: Iterable[Item], total: int, what: str) -> Iterator[Item]:
    with _bar(Console(file=stream), "") as bar:
        yield from bar.track(items, total=total, description=what)


def _with_lines(stream: TextIO, items: Iterable[Item], total: int, what: str) -> Iterator[Item]:
    last = time.monotonic()
    for done, item in enumerate(items, start=1):
        yield item
        if time.monotonic() - last >= SECONDS_BETWEEN_LINES or done == total:
            last = time.monotonic()
            print(f"{what}: {done}/{total}", file=stream, flush=True)
