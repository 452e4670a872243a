"""How far a long preparation is: a bar on a terminal, a line every ten seconds elsewhere, silence without a stream."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TextIO, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

Item = TypeVar("Item")
Counted = Callable[[Iterable[Item], int, str], Iterator[Item]]  # items, how many, what they are
SECONDS = 10  # between two lines


def no_progress(items: Iterable[Item], total: int, what: str) -> Iterator[Item]:
    """The items, in silence."""
    yield from items


def counted(stream: TextIO | None) -> Counted:
    """What passes items on and shows on `stream` how many have passed."""
    if stream is None:
        return no_progress
    return _with_bar(stream) if stream.isatty() else _with_lines(stream)


def _with_lines(stream: TextIO) -> Counted:
    def passed_on(items: Iterable[Item], total: int, what: str) -> Iterator[Item]:
        last = time.monotonic()
        for done, item in enumerate(items, start=1):
            yield item
            if time.monotonic() - last >= SECONDS or done == total:
                last = time.monotonic()
                print(f"{what}: {done}/{total}", file=stream, flush=True)

    return passed_on


def _with_bar(stream: TextIO) -> Counted:
    def passed_on(items: Iterable[Item], total: int, what: str) -> Iterator[Item]:
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
        with Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=Console(file=stream)) as bar:
            yield from bar.track(items, total=total, description=what)

    return passed_on
