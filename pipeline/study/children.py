"""Child processes: each with a log and a process group of its own, none outlives its parent."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from pipeline.run_files import clear_disk_errors

TAIL_LINES = 12
TAIL_BYTES = 65536
TETHER = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 15)  # PR_SET_PDEATHSIG, SIGTERM: sent when the parent's thread ends, however it ends
if os.getppid() != int(sys.argv[1]):
    sys.exit(143)
os.execv(sys.argv[2], sys.argv[2:])
"""
THREADS = ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS")


def python_module(module: str, *arguments: object) -> list[str]:
    """The command that runs a module in this interpreter."""
    return [sys.executable, "-m", module, *map(str, arguments)]


def start(command: Sequence[str], log: Path, environment: Mapping[str, str], append: bool = False) -> subprocess.Popen:
    """Start `command` with all it says in `log`; on Linux it gets SIGTERM when the calling thread ends, however it ends.

    Raises RunFailed if the disk is full.
    """
    with clear_disk_errors(log):
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab" if append else "wb") as file:
            return subprocess.Popen(
                _tethered(command),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environment},
                process_group=0,  # the terminal's Ctrl-C reaches the study alone, which passes it on once
            )


def _tethered(command: Sequence[str]) -> list[str]:
    """`command` so that no process goes on unseen when the study is killed; no code runs in a fork of many threads."""
    if sys.platform != "linux":
        return list(command)
    return [sys.executable, "-I", "-S", "-c", TETHER, str(os.getpid()), *command]


def kill(process: subprocess.Popen) -> None:
    """End a child and what is left of its group at once."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def tail(log: Path, lines: int = TAIL_LINES) -> str:
    """The last lines of a log that are not empty."""
    if not log.exists():
        return ""
    with log.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
        text = file.read().decode("utf-8", errors="replace")
    return "\n".join([line for line in text.splitlines() if line.strip()][-lines:])


def said(log: Path, prefix: str) -> str:
    """What a child said after the last `prefix` at the start of a line, such as `error: `; else the end of its log."""
    text = tail(log, lines=1000)
    found = f"\n{text}".rpartition(f"\n{prefix}")
    return found[2] if found[1] else tail(log)


def threads_each(workers: int) -> int:
    """Threads for each of `workers` processes on the cores this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // workers)


def with_threads(count: int) -> dict[str, str]:
    """Environment of a process that computes with `count` threads."""
    return dict.fromkeys(THREADS, str(count))
