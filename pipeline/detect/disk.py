"""Outputs on a disk that may be full or closed to us."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import RunFailed, UserError
from pipeline.run_files import FULL, TEMPORARY


@contextmanager
def clear_errors(name: str | Path) -> Iterator[None]:
    """Turn a full disk into RunFailed, and whatever else the system refuses into UserError; both name the file.

    BrokenPipeError stays what it is: nobody is left to write for, which is no error.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        if error.errno in FULL:
            raise RunFailed(f"{name}: {error.strerror}. What was written before is whole") from error
        raise UserError(f"{name}: {error.strerror}. Choose another place to write to") from error


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`, with its ending; it becomes `path` if the block ends without error."""
    temporary = path.with_name(f"{TEMPORARY}{os.getpid()}-{path.name}")
    with clear_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
