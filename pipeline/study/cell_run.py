"""One cell in a process of its own: python -m pipeline.run, again after a violent death, stopped when asked."""

import fcntl
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline.errors import UserError
from pipeline.run_folder import IS_WRITING, LOCK, open_run, write_status
from pipeline.stopping import StopFlag
from pipeline.study.cells import Cell, is_done, write_config
from pipeline.study.children import kill, python_module, said, start, tail

POLL_SECONDS = 0.1
DEATHS = 3
BY_SIGNAL = {128 + signal.SIGINT, 128 + signal.SIGTERM}  # pipeline.run was asked to stop and left a checkpoint


class CellFailed(Exception):
    """A cell did not finish; the message is the end of what its process said."""


def run_cell(cell: Cell, folder: Path, stop: StopFlag) -> None:
    """Bring a cell to its end in the folder of the study; returns at once if it is done.

    Waits while another process writes to its run folder. Raises CellFailed, UserError if its configuration is wrong,
    Stopped after a signal, when the run has left its checkpoint.
    """
    deaths = 0
    while not is_done(cell, folder):
        if _is_locked(cell.run_folder(folder)):
            stop.check()
            time.sleep(POLL_SECONDS)
            continue
        code = _run(cell, folder, stop, append=deaths > 0)
        stop.check()
        if code == 0:
            return
        if code == 2 and IS_WRITING not in (message := said(cell.log_path(folder), "error: ")):
            raise UserError(f"{cell.title}: {message}")
        by_signal = code < 0 or code in BY_SIGNAL
        deaths += by_signal
        if deaths == DEATHS:
            raise CellFailed(_killed(cell, folder, code))
        if code != 2 and not by_signal:
            raise CellFailed(tail(cell.log_path(folder)) or f"exit {code}, and not a word")


def start_cell(
    cell: Cell,
    folder: Path,
    environment: Mapping[str, str] | None = None,
    options: Sequence[str] = (),
    append: bool = False,
) -> subprocess.Popen:
    """The process of a cell, its log in cells/."""
    config = write_config(cell, folder)
    command = python_module("pipeline.run", "--config", config, "--output-dir", folder, *options)
    return start(command, cell.log_path(folder), environment or {}, append)


def _run(cell: Cell, folder: Path, stop: StopFlag, append: bool) -> int:
    """The exit code of a cell's process, which is passed a signal and then left to write its checkpoint."""
    process, told = start_cell(cell, folder, append=append), False
    try:
        while (code := process.poll()) is None:
            if stop.signum is not None and not told:
                process.send_signal(stop.signum)
                told = True
            time.sleep(POLL_SECONDS)
        return code
    finally:
        kill(process)


def _killed(cell: Cell, folder: Path, code: int) -> str:
    """What to say of a cell whose process was ended every time; its run folder says it too."""
    name = signal.Signals(-code if code < 0 else code - 128).name
    message = f"its process was ended by {name}, {DEATHS} times: out of memory? See dmesg"
    with open_run(cell.run_folder(folder)) as run:
        write_status(run, "failed", message=message)
    return message


def _is_locked(run: Path) -> bool:
    """Whether another process writes to a run folder (see run_folder.open_run)."""
    try:
        with (run / LOCK).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
