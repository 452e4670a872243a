"""A study's dry run: one batch through every stage of each arm, some at a time, nothing kept."""

import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from pipeline.errors import RunFailed
from pipeline.stopping import StopFlag
from pipeline.study.cell_run import POLL_SECONDS, start_cell
from pipeline.study.cells import Cell
from pipeline.study.children import kill, tail, threads_each, with_threads
from pipeline.study.config import Study


def dry_run(study: Study, workers: int, stop: StopFlag) -> int:
    """One batch through every stage of each arm (of a search: of each variant); their number.

    Raises RunFailed naming those that failed, Stopped after a signal.
    """
    waiting, running, failures = deque(_one_each(study)), [], []
    count = len(waiting)
    with tempfile.TemporaryDirectory(prefix="nibble-dry-run-") as name:
        folder = Path(name)
        try:
            while waiting or running:
                while waiting and len(running) < workers:
                    cell = waiting.popleft()
                    running.append((cell, start_cell(cell, folder, with_threads(threads_each(workers)), ["--dry-run"])))
                stop.check()
                for cell, process in [each for each in running if each[1].poll() is not None]:
                    running.remove((cell, process))
                    print(f"{cell.title}: {'FAILED' if process.returncode else 'passed'}", file=sys.stderr, flush=True)
                    if process.returncode:
                        failures.append(f"  {cell.title} (exit {process.returncode})\n{_indented(cell, folder)}")
                time.sleep(POLL_SECONDS)
        finally:
            for _, process in running:
                kill(process)
    if failures:
        raise RunFailed("\n".join([f"{len(failures)} of {count} arms cannot be run", *failures]))
    return count


def _one_each(study: Study) -> Iterator[Cell]:
    if study.cells:
        yield from {cell.arm.name: cell for cell in reversed(study.cells)}.values()
        return
    for name in study.variants:
        yield study.cells_of(study.first_values(name))[0]


def _indented(cell: Cell, folder: Path) -> str:
    return "\n".join(f"    {line}" for line in tail(cell.log_path(folder)).splitlines())
