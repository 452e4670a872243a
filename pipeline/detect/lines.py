"""A text output that is whole lines at every moment, whatever happens to the disk or the reader."""

import os
import sys
from pathlib import Path

from pipeline.detect.disk import clear_errors
from pipeline.errors import UserError

STDOUT = "-"


class LineFile:
    """Lines to a file, which is replaced, or to stdout (`-`); each is written at once, whole or not at all.

    File names that are not UTF-8 keep their bytes.

    Raises UserError if the file cannot be written, RunFailed if the disk is full, BrokenPipeError if a pipe's reader is gone.
    """

    def __init__(self, name: str):
        self.name = name
        with clear_errors(name):
            self._descriptor = _stdout() if name == STDOUT else _created(Path(name))
        self._size = 0

    def write(self, line: str) -> None:
        """Write a line; without its end."""
        data = line.encode(errors="surrogateescape") + b"\n"
        with clear_errors(self.name):
            try:
                _write(self._descriptor, data)
            except OSError:
                self._drop_unfinished()
                raise
        self._size += len(data)

    def close(self) -> None:
        """Close the file; stdout stays open."""
        if self.name != STDOUT:
            os.close(self._descriptor)

    def _drop_unfinished(self) -> None:
        if Path(self.name).is_file():
            os.ftruncate(self._descriptor, self._size)


def _write(descriptor: int, data: bytes) -> None:
    written = 0
    while written < len(data):
        written += os.write(descriptor, data[written:])


def _created(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)


def _stdout() -> int:
    if sys.stdout is None:
        raise UserError("stdout is closed. Name a file for the rows")
    sys.stdout.flush()
    return sys.stdout.fileno()
