"""One cell in a process of its own: python -m pipeline.run, again after a violent death, stopped when asked; dry runs."""

import signal
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pipeline.errors import RunFailed, UserError
from pipeline.runs.folder import IS_WRITING, open_run, write_status
from pipeline.runs.stopping import StopFlag
from pipeline.study.cells import Cell, first_arm
from pipeline.study.config import Study
from pipeline.study.machines import threads_each
from pipeline.study.processes import kill, message_after, python_module, start, tail, with_threads

POLL_SECONDS = 0.1
MAX_DEATHS = 3
BY_SIGNAL = {128 + signal.SIGINT, 128 + signal.SIGTERM}  # pipeline.run was asked to stop and left a checkpoint


class CellFailed(Exception):
    """A cell did not finish; the message is the end of its log."""


def run_cell(cell: Cell, folder: Path, stop: StopFlag) -> None:
    """Bring a cell to its end in the folder of the study; returns at once if it is done.

    Waits while another process writes to its run folder. Raises CellFailed, UserError if its configuration is wrong,
    Stopped after a signal, when the run has left its checkpoint.
    """
    deaths, log = 0, cell.log_path(folder)
    while not cell.is_done(folder):
        if _is_writing(cell.run_folder(folder)):
            stop.check()
            time.sleep(POLL_SECONDS)
            continue
        code = _run(cell, folder, stop, append=deaths > 0)
        stop.check()
        if code == 0:
            return
        if code == 2 and IS_WRITING in (message := message_after(log, "error: ")):
            continue
        if code == 2:
            raise UserError(f"{cell.title}: {message}")
        if code > 0 and code not in BY_SIGNAL:
            raise CellFailed(tail(log) or f"exited with {code} and no output")
        deaths += 1
        if deaths == MAX_DEATHS:
            name = signal.Signals(-code if code < 0 else code - 128).name
            message = f"its process was ended by {name}, {MAX_DEATHS} times: out of memory? See dmesg"
            with open_run(cell.run_folder(folder)) as run:
                write_status(run, "failed", message=message)
            raise CellFailed(message)


def dry_run(study: Study, workers: int, stop: StopFlag) -> int:
    """One batch through every stage of the cells of `rehearsed`, nothing kept; their number.

    Raises RunFailed naming those that failed, Stopped after a signal.
    """
    cells = rehearsed(study)
    environment = with_threads(threads_each(workers))
    with tempfile.TemporaryDirectory(prefix="nibble-dry-run-") as name:
        folder = Path(name)

        def failure(cell: Cell) -> str:
            code = _run(cell, folder, stop, environment, ["--dry-run"]) if stop.signum is None else 0
            if stop.signum is not None:
                return ""
            print(f"{cell.title}: {'FAILED' if code else 'passed'}", file=sys.stderr, flush=True)
            log = "\n".join(f"    {line}" for line in tail(cell.log_path(folder)).splitlines())
            return f"  {cell.title} (exit {code})\n{log}" if code else ""

        with ThreadPoolExecutor(workers) as pool:
            failures = list(filter(None, pool.map(failure, cells)))
    stop.check()
    if failures:
        raise RunFailed("\n".join([f"{len(failures)} of {len(cells)} dry runs failed", *failures]))
    return len(cells)


def rehearsed(study: Study) -> list[Cell]:
    """The first cell of each arm (of a search: of each variant), and of each other data section, such as a fold's."""
    arms = [first_arm(name, variant) for name, variant in study.file.variants.items()]
    cells = study.cells or [cell for arm in arms for cell in study.builder.cells(arm)]
    first: dict[str, Cell] = {}
    data: dict[str, Cell] = {}
    for cell in cells:
        first.setdefault(cell.arm.name, cell)
        data.setdefault(cell.experiment.data.model_dump_json(), cell)
    return list({cell.title: cell for cell in (*first.values(), *data.values())}.values())


def _run(
    cell: Cell,
    folder: Path,
    stop: StopFlag,
    environment: Mapping[str, str] | None = None,
    options: Sequence[str] = (),
    append: bool = False,
) -> int:
    """The exit code of a cell's process, which is passed a signal and then left to write its checkpoint."""
    config = cell.write_config(folder)
    command = python_module("pipeline.run", "--config", config, "--output-dir", folder, "--ship-anyway", *options)
    process, told = start(command, cell.log_path(folder), environment or {}, append), False
    try:
        while (code := process.poll()) is None:
            if stop.signum is not None and not told:
                process.send_signal(stop.signum)
                told = True
            time.sleep(POLL_SECONDS)
        return code
    finally:
        kill(process)


def _is_writing(run: Path) -> bool:
    """Whether another process writes to a run folder."""
    try:
        with open_run(run):
            return False
    except UserError as error:
        if IS_WRITING not in str(error):
            raise
        return True
