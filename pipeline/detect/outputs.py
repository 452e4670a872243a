"""Outputs that are valid at every moment: files replaced as a whole, and rows as CSV or JSON lines (docs/detect.md)."""

import csv
import errno
import json
import os
import re
import secrets
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.detect.detector import Face
from pipeline.detect.inputs import Source
from pipeline.errors import RunFailed, UserError
from pipeline.runs.files import FULL, TEMPORARY

try:
    from fcntl import LOCK_EX, LOCK_NB, flock
except ImportError:  # not on Windows
    flock = None

STDOUT = "-"
COLUMNS = ("frame", "face_id", "timestamp", "confidence", "success", "x", "y", "w", "h")
NO_FACE = -1
NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}  # of file systems without locks


@dataclass(frozen=True)
class Observation:
    """A frame and the faces in it; `image` is RGB uint8 (H, W, 3), None where `error` says why there is none.

    `rate` is the source's frames per second, None for single images; `total` its frames, or all images, if known.
    """

    source: Source
    number: int
    timestamp: float | None
    image: np.ndarray | None
    faces: Sequence[Face]
    rate: float | None = None
    total: int | None = None
    error: str | None = None


class Output:
    """Receives observations; an output overrides what it needs."""

    def write(self, seen: Observation) -> None:
        """Take the next frame."""

    def end(self) -> None:
        """Finish a video, or all images."""

    def close(self) -> None:
        """Make what was written valid, at the end or after a failure."""


class CsvRows(Output):
    """A row for every face, and for every frame without one, in OpenFace's format.

    `names` are the columns that name the source, if any; `labels` the action units.
    """

    def __init__(self, name: str, names: Sequence[str], labels: Sequence[str]):
        self._file, self._names, self._labels = LineFile(name), names, tuple(labels)
        self._rows = csv.writer(self._file, lineterminator="")
        action_units = [f"{column_name(label)}_{kind}" for kind in "pc" for label in labels]
        self._rows.writerow([*names, *COLUMNS, *action_units])

    def write(self, seen: Observation) -> None:
        """Write the rows of a frame."""
        sources = [seen.source.name if seen.source.kind == kind else "" for kind in self._names]
        time = "" if seen.timestamp is None else f"{seen.timestamp:.3f}"
        for face in seen.faces:
            box = [f"{value:.1f}" for value in face.box]
            cells = [face.id, time, f"{face.confidence:.3f}", int(face.success), *box, *self._au_cells(face)]
            self._rows.writerow([*sources, seen.number, *cells])
        if not seen.faces:
            empty = [""] * (4 + 2 * len(self._labels))
            self._rows.writerow([*sources, seen.number, NO_FACE, time, 0, 0, *empty])

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _au_cells(self, face: Face) -> list[str | int]:
        if not face.success:
            return [""] * 2 * len(self._labels)
        probabilities = [f"{face.probabilities[label]:.4f}" for label in self._labels]
        return probabilities + [int(face.present[label]) for label in self._labels]


def column_name(label: str) -> str:
    """AU1 as OpenFace writes it: AU01."""
    return re.sub(r"^AU(\d)$", r"AU0\1", label)


class JsonRows(Output):
    """A line for every frame, with all its faces."""

    def __init__(self, name: str):
        self._file = LineFile(name)

    def write(self, seen: Observation) -> None:
        """Write the line of a frame."""
        timestamp = None if seen.timestamp is None else round(seen.timestamp, 3)
        line = {seen.source.kind: seen.source.name, "frame": seen.number, "timestamp": timestamp}
        if seen.error:
            line["error"] = seen.error
        self._file.write(json.dumps(line | {"faces": [_face_object(face) for face in seen.faces]}))

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _face_object(face: Face) -> dict:
    return {
        "face_id": face.id,
        "confidence": round(face.confidence, 3),
        "success": int(face.success),
        "box": [round(value, 1) for value in face.box],
        "eyes": [[round(value, 2) for value in eye] for eye in face.landmarks],
        "probabilities": {label: round(value, 4) for label, value in face.probabilities.items()},
        "present": [label for label, present in face.present.items() if present],
    }


class LineFile:
    """Writes lines to a file, which is replaced, or to stdout (`-`); each at once, and either whole or not at all.

    File names that are not UTF-8 keep their bytes. Raises UserError if the file cannot be written or another process is
    writing to it, RunFailed if the disk is full, BrokenPipeError if the reader of a pipe has closed it.
    """

    def __init__(self, name: str):
        self.name = name
        with clear_errors(name):
            self._descriptor = _stdout() if name == STDOUT else _created(Path(name))
        self._size = 0

    def write(self, line: str) -> None:
        """Write a line, given without its newline."""
        data = line.encode(errors="surrogateescape") + b"\n"
        with clear_errors(self.name):
            try:
                _write(self._descriptor, data)
            except OSError:
                if Path(self.name).is_file():  # drop the unfinished line
                    os.ftruncate(self._descriptor, self._size)
                raise
        self._size += len(data)

    def close(self) -> None:
        """Close the file; stdout stays open."""
        if self.name != STDOUT:
            os.close(self._descriptor)


def _write(descriptor: int, data: bytes) -> None:
    written = 0
    while written < len(data):
        written += os.write(descriptor, data[written:])


def _created(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
    try:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            _lock(descriptor, path)
            os.ftruncate(descriptor, 0)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _lock(descriptor: int, path: Path) -> None:
    """Become the only writer of a file until it is closed, however the process ends; raises UserError if there is one."""
    if flock is None:
        return
    try:
        flock(descriptor, LOCK_EX | LOCK_NB)
    except BlockingIOError:
        raise UserError(f"{path}: another process is writing to it. Wait for it to end, or name another file") from None
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise


def _stdout() -> int:
    if sys.stdout is None:
        raise UserError("stdout is closed. Name a file for the rows")
    sys.stdout.flush()
    return sys.stdout.fileno()


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`, with its ending; it becomes `path` if the block ends without an error."""
    temporary = path.with_name(f"{TEMPORARY}{os.getpid()}-{secrets.token_hex(4)}-{path.name}")
    with clear_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def clear_errors(name: str | Path) -> Iterator[None]:
    """Turn a full disk into RunFailed, and any other error of the system into UserError; both name the file.

    BrokenPipeError passes: that nobody reads any more is no error.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        if error.errno in FULL:
            raise RunFailed(f"{name}: {error.strerror}. What was written before is valid") from error
        raise UserError(f"{name}: {error.strerror}. Choose another place to write to") from error
