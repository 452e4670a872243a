"""What a person sees of rendering: a bar on a terminal, a line elsewhere, or nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

TITLE = "rendering synthetic faces"


class RenderProgress:
    """Progress over `total` images on `stream`; None: silent."""

    def __init__(self, stream: TextIO | None, total: int):
        self.stream, self.total = stream, total
        self._bar = None

    @contextmanager
    def running(self, done: int) -> Iterator[None]:
        """Show progress while the block runs; `done` images are there already."""
        if self.stream is None:
            yield
        elif self.stream.isatty():
            with self._rich_bar(done):
                yield
        else:
            print(f"{TITLE}: {self.total - done} of {self.total} images", file=self.stream, flush=True)
            yield

    def advance(self, images: int) -> None:
        """That many images more are done."""
        if self._bar is not None:
            self._bar.advance(self._task, images)

    @contextmanager
    def _rich_bar(self, done: int) -> Iterator[None]:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn("images"),
        )
        with Progress(
            *columns, TimeElapsedColumn(), TimeRemainingColumn(), console=Console(file=self.stream)
        ) as self._bar:
            self._task = self._bar.add_task(TITLE, total=self.total, completed=done)
            yield
