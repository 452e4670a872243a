"""Lock files for one process at a time; the operating system releases a lock however its process ends."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


class Held(Exception):
    """Another process holds the lock; `owner` is its process id, "(unknown)" if not written yet."""

    def __init__(self, owner: str):
        super().__init__(f"held by process {owner}")
        self.owner = owner


@contextmanager
def locked(path: Path, wait: bool) -> Iterator[None]:
    """Hold the lock file `path`, created with its folder, during the block; it contains this process's id.

    Raises Held if another process (or block) holds it and `wait` is False, OSError if it cannot be created.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path, timeout=-1 if wait else 0, fallback_to_soft=False)
    try:
        lock.acquire()
    except Timeout:
        raise Held(path.read_text().strip() or "(unknown)") from None
    try:
        path.write_text(f"{os.getpid()}\n")
        yield
    finally:
        lock.release()
