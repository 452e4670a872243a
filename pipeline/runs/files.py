"""Crash-safe files: written completely under a temporary name and renamed, or appended line by line."""

import errno
import io
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from pipeline.errors import RunFailed, UserError

TEMPORARY = ".tmp-"
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
REFUSED = {
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENOENT),
    *(errno.ENAMETOOLONG, errno.ENOLCK, errno.EOPNOTSUPP),
}


@contextmanager
def clear_disk_errors(path: Path) -> Iterator[None]:
    """Turn a full disk into RunFailed and a path that cannot be used into UserError, both naming `path`."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            message = f"{path}: {error.strerror}. Free some space and run the same command again to resume"
            raise RunFailed(message) from error
        if error.errno in REFUSED:
            raise UserError(f"{path}: {error.strerror}. Choose another place to write to") from error
        raise


def check_writable(folder: Path) -> None:
    """Raise UserError if nothing could be written into `folder`, which need not exist; nothing is created."""
    path = folder.absolute()
    there = next(each for each in (path, *path.parents) if os.path.lexists(each))
    if not there.is_dir():
        raise UserError(f"{folder}: {there} is not a folder. Choose another place to write to")
    if not os.access(there, os.W_OK | os.X_OK):
        raise UserError(f"{folder}: {there} cannot be written. Choose another place to write to")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`, with the same suffix; renamed to `path` if the block succeeds.

    Raises RunFailed if the disk is full, UserError if `path` cannot be written; `path` is unchanged then.
    """
    temporary = path.with_name(f"{TEMPORARY}{os.getpid()}-{path.name}")
    with clear_disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            _sync(temporary)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` atomically; raises like `replacing`."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically; raises like `replacing`."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: object) -> None:
    """Write indented JSON (see `plain`) atomically; raises like `replacing`."""
    write_text(path, json.dumps(plain(value), indent=2, allow_nan=False) + "\n")


def write_npz(path: Path, **arrays: np.ndarray) -> None:
    """Write arrays as an uncompressed .npz atomically; raises like `replacing`."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    write_bytes(path, buffer.getvalue())


def write_jsonl(path: Path, records: Sequence[Mapping]) -> None:
    """Write one JSON object per line atomically; raises like `replacing`."""
    write_bytes(path, b"".join(map(_line, records)))


def append_jsonl(path: Path, record: Mapping) -> None:
    """Append one JSON object as a line, after dropping a line left incomplete by a kill.

    Raises like `replacing`; a line that does not fit on the disk is removed again.
    """
    with clear_disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            _append(descriptor, _end_of_last_line(descriptor), _line(record))
        finally:
            os.close(descriptor)


def read_jsonl(path: Path) -> list[dict]:
    """The objects in a file of JSON lines, without a last line left incomplete by a kill; [] if there is no file.

    Raises RunFailed if a complete line cannot be read.
    """
    if not path.exists():
        return []
    *lines, _unfinished = path.read_bytes().split(b"\n")
    return [_object(path, number, line) for number, line in enumerate(lines, start=1)]


def read_json(path: Path) -> dict | None:
    """The object in a JSON file, None if there is no file; raises RunFailed if it is damaged."""
    return _object(path, 1, path.read_bytes()) if path.exists() else None


def plain(value: object) -> object:
    """`value` with NumPy numbers and arrays, tuples and paths converted for JSON; nan and infinities become None."""
    match value:
        case Mapping():
            return {str(key): plain(entry) for key, entry in value.items()}
        case list() | tuple():
            return [plain(entry) for entry in value]
        case np.ndarray() | np.generic():
            return plain(value.tolist())
        case float():
            return value if math.isfinite(value) else None
        case Path():
            return str(value)
    return value


def _line(record: Mapping) -> bytes:
    return json.dumps(plain(record), allow_nan=False).encode() + b"\n"


def _object(path: Path, number: int, text: bytes) -> dict:
    try:
        value = json.loads(text)
    except ValueError:  # also UnicodeDecodeError
        value = None
    if not isinstance(value, dict):
        raise RunFailed(
            f"{path}:{number}: damaged, not a JSON object. Delete the run folder, or start again with --fresh"
        )
    return value


def _end_of_last_line(descriptor: int) -> int:
    """The size of the file up to its last newline."""
    end = os.lseek(descriptor, 0, os.SEEK_END)
    while end:
        start = max(0, end - 65536)
        newline = os.pread(descriptor, end - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0


def _append(descriptor: int, end: int, data: bytes) -> None:
    os.ftruncate(descriptor, end)
    try:
        written = 0
        while written < len(data):
            written += os.pwrite(descriptor, data[written:], end + written)
        os.fsync(descriptor)
    except OSError:
        os.ftruncate(descriptor, end)
        raise


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
