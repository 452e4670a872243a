"""Reports of runs and studies: functions of a folder and nothing else; no stage knows that they exist."""

from pathlib import Path

__all__ = ["write_report", "write_study_report"]


def write_report(run_folder: Path) -> None:
    """Write report.html and report.md of a run; see `pipeline.reports.run_report` (pandas is imported only then)."""
    from pipeline.reports.run_report import write_report as write

    write(run_folder)


def write_study_report(study_folder: Path) -> None:
    """Write the report, tables and figures of a study; see `pipeline.reports.study_report`."""
    from pipeline.reports.study_report import write_study_report as write

    write(study_folder)
