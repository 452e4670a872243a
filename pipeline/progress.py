"""What a person sees of a training run: a bar on a terminal, a line an epoch elsewhere."""

from typing import TextIO

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


class TrainingProgress:
    """What the training loop tells, and nobody hears; the library prints nothing itself."""

    def start(self, epochs: int, steps_per_epoch: int, done: int) -> None:
        """Training begins; `done` steps of all are done already."""

    def steps(self, done: int, loss: float) -> None:
        """`done` steps of all are done; `loss` is the epoch's mean objective so far."""

    def epoch(self, line: dict) -> None:
        """An epoch is complete: its line of metrics.jsonl."""

    def warning(self, text: str) -> None:
        """Something is wrong but the run goes on."""

    def finish(self) -> None:
        """Training is over, or has failed."""


class LineProgress(TrainingProgress):
    """One plain line an epoch, for files and pipes."""

    def __init__(self, stream: TextIO, title: str):
        self.stream, self.title = stream, title
        self.epochs = 0
        self._seconds: list[float] = []

    def start(self, epochs: int, steps_per_epoch: int, done: int) -> None:
        """Say where a resumed run goes on."""
        self.epochs = epochs
        if done:
            self._print(f"{self.title}: going on after step {done} of {epochs * steps_per_epoch}")

    def epoch(self, line: dict) -> None:
        """Print the epoch's metrics and the time left."""
        self._seconds.append(line["seconds"])
        left = sum(self._seconds) / len(self._seconds) * (self.epochs - line["epoch"])
        times = f"{duration(line['seconds'])}, {duration(left)} left"
        self._print(f"{self.title}: epoch {line['epoch']}/{self.epochs}  {_with_loss(line)}  ({times})")

    def warning(self, text: str) -> None:
        """Print it."""
        self._print(f"warning: {text}")

    def _print(self, text: str) -> None:
        print(text, file=self.stream, flush=True)


class BarProgress(TrainingProgress):
    """A rich progress bar with the time left and the last metrics."""

    def __init__(self, console: Console, title: str):
        self.title = title
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn("steps"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[metrics]}"),
            console=console,
        )
        self._epochs, self._metrics = 0, ""

    def start(self, epochs: int, steps_per_epoch: int, done: int) -> None:
        """Show the bar."""
        self._epochs = epochs
        self._task = self._bar.add_task(self.title, total=epochs * steps_per_epoch, completed=done, metrics="")
        self._bar.start()

    def steps(self, done: int, loss: float) -> None:
        """Move the bar."""
        self._bar.update(self._task, completed=done, metrics=f"loss {loss:.4f}  {self._metrics}")

    def epoch(self, line: dict) -> None:
        """Show the epoch's metrics behind the bar."""
        self._metrics = summary(line)
        description = f"{self.title}: epoch {line['epoch']}/{self._epochs}"
        self._bar.update(self._task, description=description, metrics=_with_loss(line))

    def warning(self, text: str) -> None:
        """Print it above the bar."""
        self._bar.console.print(f"warning: {text}", markup=False, highlight=False)

    def finish(self) -> None:
        """Leave the bar as it is."""
        self._bar.stop()


def make_progress(title: str, stream: TextIO) -> TrainingProgress:
    """A bar if `stream` is a terminal, lines otherwise; `title` says what is trained."""
    if stream.isatty():
        return BarProgress(Console(file=stream), title)
    return LineProgress(stream, title)


def summary(line: dict) -> str:
    """The shares in a line of metrics.jsonl that a person watches, in %, unknown ones left out."""
    return "  ".join(f"{label} {line[key]:.1%}" for key, label in SHOWN.items() if line.get(key) is not None)


def _with_loss(line: dict) -> str:
    return f"loss {line['train_loss']:.4f}  {summary(line)}"


def duration(seconds: float) -> str:
    """Seconds in words: 45 s, 12 min 05 s, 3 h 07 min."""
    minutes, rest = divmod(round(seconds), 60)
    hours, of_hour = divmod(minutes, 60)
    if hours:
        return f"{hours} h {of_hour:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
