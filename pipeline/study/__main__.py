"""python -m pipeline.study --config FILE: variants of one experiment over seeds and folds, in one table."""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from pipeline.command_line import exit_code, retry_command
from pipeline.errors import RunFailed, UserError
from pipeline.run_files import write_text
from pipeline.run_folder import open_run, write_status
from pipeline.stopping import StopFlag, Stopped
from pipeline.study.cells import Cell, is_done
from pipeline.study.config import Study, load_study
from pipeline.study.progress import StudyProgress
from pipeline.study.report import write_study_report
from pipeline.study.results import STUDY_TEXT, write_manifest
from pipeline.study.runner import Failure, run_cells


def run_study(study: Study, output_dir: Path, workers: int, stop: StopFlag, command: str) -> Path:
    """Run the cells of a study that are not done yet; its folder OUTPUT_DIR/studies/NAME with table and report.

    Raises UserError, RunFailed if a cell failed (the others are done nevertheless), Stopped.
    """
    folder = output_dir / "studies" / study.name
    with open_run(folder):
        write_text(folder / STUDY_TEXT, study.text)
        write_manifest(study, folder, command)
        write_status(folder, "running")
        waiting = [cell for cell in study.cells if not is_done(cell, folder)]
        progress = StudyProgress(sys.stderr, len(study.cells), len(study.cells) - len(waiting), workers)
        try:
            failures = run_cells(waiting, folder, workers, stop, progress, lambda: write_study_report(folder))
        except Stopped as stopped:
            write_status(folder, "stopped", message=str(stopped))
            raise
        finally:
            write_study_report(folder)
        write_status(folder, "failed" if failures else "done", message="; ".join(each.cell.title for each in failures))
    if failures:
        raise RunFailed(_in_words(failures, folder))
    return folder


def dry_run(study: Study, workers: int, stop: StopFlag) -> None:
    """One batch through every stage of each variant, nothing kept; raises RunFailed naming those that failed."""
    first = {cell.variant: cell for cell in reversed(study.cells)}
    cells: list[Cell] = [first[variant] for variant in study.variants]
    with tempfile.TemporaryDirectory(prefix="nibble-dry-run-") as folder:
        progress = StudyProgress(sys.stderr, len(cells), 0, workers)
        failures = run_cells(cells, Path(folder), workers, stop, progress, options=["--dry-run"])
        if failures:
            raise RunFailed(_in_words(failures))


def _in_words(failures: Sequence[Failure], folder: Path | None = None) -> str:
    parts = [f"{len(failures)} of the runs did not finish; the same command tries them again"]
    for failure in failures:
        log = f", see {failure.cell.log_path(folder)}" if folder else ""
        tail = "\n".join(f"    {line}" for line in failure.log_tail.splitlines())
        parts.append(f"  {failure.cell.title} (exit {failure.exit_code}{log})\n{tail}")
    if folder:
        parts.append(f"report without them: {folder / 'report.html'}")
    return "\n".join(parts)


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m pipeline.study", description=__doc__)
    parser.add_argument("--config", required=True, metavar="FILE", help="the study, see qat_configs/table1_*.yaml")
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="trainings at a time (default: 1)")
    parser.add_argument("--output-dir", default=".", metavar="DIR", help="holds studies/ (default: .)")
    parser.add_argument("--dry-run", action="store_true", help="one batch through every stage of each variant")
    return parser.parse_args(argv)


def _execute(arguments: argparse.Namespace, command: str, stop: StopFlag) -> None:
    if arguments.workers < 1:
        raise UserError(f"--workers {arguments.workers}: give 1 or more")
    study = load_study(arguments.config)
    if arguments.dry_run:
        dry_run(study, arguments.workers, stop)
        print(f"dry run: all stages passed for {len(study.variants)} variants; the study has {len(study.cells)} cells")
        return
    folder = run_study(study, Path(arguments.output_dir), arguments.workers, stop, command)
    print(f"results: {folder / 'results.csv'}")
    print(f"report: {folder / 'report.html'}")


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; the exit code (0 done, 1 a cell failed, 2 wrong input, 130 or 143 stopped and resumable)."""
    command = retry_command("pipeline.study", argv)
    arguments = _arguments(argv)
    return exit_code(lambda stop: _execute(arguments, command, stop), command)


if __name__ == "__main__":
    sys.exit(main())
