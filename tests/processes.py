"""Interpreters that import this checkout, waiting for what a process or a thread does, and a full disk."""

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def python(*arguments: str | Path, folder: Path = ROOT) -> subprocess.CompletedProcess:
    """A new interpreter, started in `folder` and finished: its exit code and the text it printed."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)


def imported(importtime: str) -> set[str]:
    """The top-level packages in what `-X importtime` writes."""
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in importtime.splitlines() if "|" in line}


def wait_until(condition: Callable[[], object], process: subprocess.Popen | None = None, seconds: float = 120) -> None:
    """Return when the condition holds; fail when the process ends first or the time is over."""
    end = time.monotonic() + seconds
    while not condition():
        assert process is None or process.poll() is None, f"ended with {process.returncode}: {process.communicate()}"
        assert time.monotonic() < end, f"not there after {seconds} s"
        time.sleep(0.01)


@contextmanager
def full_disk(size: int) -> Iterator[None]:
    """No file that this process writes can grow beyond so many bytes."""
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
