"""Runs the cells of a study, some at a time, each in a process of its own; any of them may fail or be stopped."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pipeline.run_files import clear_disk_errors
from pipeline.stopping import StopFlag
from pipeline.study.cells import Cell, write_config
from pipeline.study.progress import StudyProgress

POLL_SECONDS = 0.2
TAIL_LINES = 12
PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)
THREADS = ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS")


@dataclass(frozen=True)
class Failure:
    """A cell that did not finish, and the end of what its process said."""

    cell: Cell
    exit_code: int
    log_tail: str


@dataclass(frozen=True)
class Child:
    """The process of one cell."""

    cell: Cell
    process: subprocess.Popen
    started: float

    @property
    def seconds(self) -> float:
        """How long it has been running."""
        return time.monotonic() - self.started


def run_cells(
    cells: Sequence[Cell],
    study: Path,
    workers: int,
    stop: StopFlag,
    progress: StudyProgress,
    after_each: Callable[[], None] = lambda: None,
    options: Sequence[str] = (),
) -> list[Failure]:
    """Run `cells` in the folder `study`, at most `workers` at a time, with `options` for pipeline.run; those that failed.

    Raises Stopped after a signal, when every running cell has left its checkpoint. No process outlives the call.
    """
    waiting, running, failures = deque(cells), [], []
    environment = {**os.environ, **dict.fromkeys(THREADS, str(threads_each(workers)))}
    try:
        while waiting or running:
            while waiting and len(running) < workers and stop.signum is None:
                running.append(_start(waiting.popleft(), study, environment, options))
                progress.started(running[-1].cell)
            if stop.signum is not None:
                _stop(running, stop, progress)
            for child in [child for child in running if child.process.poll() is not None]:
                running.remove(child)
                if child.process.returncode:
                    failures.append(_failure(child, study))
                progress.ended(child.cell, child.process.returncode == 0, child.seconds)
                after_each()
            progress.tick()
            time.sleep(POLL_SECONDS)
    finally:
        for child in running:
            _kill(child)
    return failures


def threads_each(workers: int) -> int:
    """Threads of each of `workers` processes on the cores this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // workers)


def _start(cell: Cell, study: Path, environment: dict[str, str], options: Sequence[str]) -> Child:
    config = write_config(cell, study)
    command = [sys.executable, "-m", "pipeline.run", "--config", str(config), "--output-dir", str(study), *options]
    with clear_disk_errors(cell.log_path(study)), cell.log_path(study).open("wb") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            process_group=0,  # the terminal's Ctrl-C reaches the study alone, which passes it on once
            preexec_fn=_end_with_parent if sys.platform == "linux" else None,
        )
    return Child(cell, process, time.monotonic())


def _end_with_parent() -> None:
    """In the child: be sent SIGTERM when the study is killed, so that no cell goes on unseen."""
    ctypes.CDLL(None).prctl(PARENT_DEATH_SIGNAL, signal.SIGTERM)


def _stop(running: Sequence[Child], stop: StopFlag, progress: StudyProgress) -> None:
    """Ask every child to stop and wait for it, then raise Stopped; a second signal interrupts the wait."""
    progress.stopping(len(running))
    for child in running:
        child.process.send_signal(stop.signum)
    for child in running:
        child.process.wait()
    stop.check()


def _kill(child: Child) -> None:
    """End a child and what it started."""
    with suppress(ProcessLookupError):
        os.killpg(child.process.pid, signal.SIGKILL)
    child.process.wait()


def _failure(child: Child, study: Path) -> Failure:
    text = child.cell.log_path(study).read_text(encoding="utf-8", errors="replace")
    lines = [line for line in text.splitlines() if line.strip()]
    return Failure(child.cell, child.process.returncode, "\n".join(lines[-TAIL_LINES:]))
