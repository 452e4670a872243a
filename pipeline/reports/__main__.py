"""python -m pipeline.reports FOLDER: make the report of a run or of a study again from what its folder holds."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from pipeline.cli import exit_code, leave, retry_command
from pipeline.errors import UserError
from pipeline.reports.load import is_run, is_study
from pipeline.runs.names import REPORT


def make_report(folder: Path) -> Path:
    """Write the report of a run's or a study's folder; its report.html. Raises UserError if `folder` is neither."""
    if not folder.is_dir():
        raise UserError(f"{folder}: there is no such folder; give that of a run (runs/NAME-HASH8) or of a study")
    if is_study(folder):
        from pipeline.reports.study_report import write_study_report

        write_study_report(folder)
    elif is_run(folder):
        from pipeline.reports.run_report import write_report

        write_report(folder)
    else:
        raise UserError(f"{folder}: neither a run (runs/NAME-HASH8) nor a study (studies/NAME)")
    return folder / REPORT


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; the exit code (0 done, 2 no such folder, 1 anything else)."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.reports", description=__doc__)
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="of a run (runs/NAME-HASH8) or a study")
    folder = parser.parse_args(argv).folder
    return exit_code(lambda _: print(f"report: {make_report(folder)}"), retry_command("pipeline.reports", argv))


if __name__ == "__main__":
    leave(main())
