"""python -m pipeline.study --config FILE: methods compared over conditions, settings, seeds and folds."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from pipeline.cli import command_name, exit_code, retry_command
from pipeline.errors import UserError
from pipeline.runs.names import REPORT
from pipeline.runs.stopping import StopFlag
from pipeline.study.cell_run import dry_run
from pipeline.study.config import load_study
from pipeline.study.machines import place
from pipeline.study.runner import join, lead


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=command_name("pipeline.study"), description=__doc__)
    parser.add_argument("--config", required=True, metavar="FILE", help="the study, see qat_configs/study_*.yaml")
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="runs at a time here (default: 1)")
    parser.add_argument("--output-dir", default=".", metavar="DIR", help="holds studies/ (default: .)")
    parser.add_argument("--dry-run", action="store_true", help="one batch through every stage at each setting")
    parser.add_argument("--extend", action="store_true", help="continue with a changed study in the same folder")
    return parser.parse_args(argv)


def _execute(arguments: argparse.Namespace, command: str, stop: StopFlag) -> None:
    if arguments.workers < 1:
        raise UserError(f"--workers {arguments.workers}: give 1 or more")
    if arguments.config.startswith(("/dev/", "/proc/")):
        raise UserError(f"{arguments.config}: several processes read a study. Give a file, not a pipe")
    study = load_study(arguments.config)
    if arguments.dry_run:
        count = dry_run(study, arguments.workers, stop)
        print(f"dry run: all stages passed for {count} runs, one for each variant, setting, fold and choice of data")
        return
    folder, where = Path(arguments.output_dir) / "studies" / study.name, place(arguments.workers)
    if not where.leads:
        join(study, folder, where, stop)
        print(f"the study has ended: {folder}")
        return
    lead(study, folder, where, stop, command, arguments.extend)
    print(f"results: {folder / 'results.csv'}")
    print(f"report: {folder / REPORT}")


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; the exit code (0 done, 1 a run failed, 2 wrong input, 130 or 143 stopped and resumable)."""
    command = retry_command("pipeline.study", argv)
    arguments = _arguments(argv)
    return exit_code(lambda stop: _execute(arguments, command, stop), command)


if __name__ == "__main__":
    sys.exit(main())
