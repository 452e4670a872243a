"""A study from its start to its report: on the machine that leads it, or as help for one that leads elsewhere."""

import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from pipeline.errors import RunFailed, UserError
from pipeline.reports.study_load import read_results
from pipeline.reports.study_report import write_study_report
from pipeline.runs.files import read_json, write_text
from pipeline.runs.folder import open_study, read_status, write_status
from pipeline.runs.names import REPORT, RUN_FORMAT, STUDY_TEXT
from pipeline.runs.stopping import StopFlag, Stopped
from pipeline.study.best import write_best
from pipeline.study.config import Study
from pipeline.study.machines import Place, tuner_folder
from pipeline.study.manifest import (
    TRIALS,
    check_joining,
    code_differences,
    read_manifest,
    read_trial_runs,
    study_differences,
    write_manifest,
)
from pipeline.study.progress import Failure, Reports, StudyProgress
from pipeline.study.supervisor import Supervisor

REPORT_SECONDS = 10.0
REPORT_SHARE = 10  # a report that takes a second is written every ten seconds at most


def lead(study: Study, folder: Path, where: Place, stop: StopFlag, command: str, extend: bool = False) -> None:
    """Run what is not done of a study, with chief and workers here; its folder then holds table and report.

    Raises UserError, RunFailed if a run failed (the others are done nevertheless), Stopped.
    """
    with open_study(folder):
        before = read_manifest(folder)
        _accept(study, folder, before, extend)
        is_complete = _is_complete(study, folder)
        threads = _threads(before, where.threads, is_complete)
        if changed := code_differences(before):
            _warn(f"the code differs from that of the runs so far: {changed}")
        write_manifest(study, folder, command, threads)
        write_text(folder / STUDY_TEXT, study.text)
        write_status(folder, "running")
        try:
            failures = [] if is_complete else _run(study, folder, where, stop, command)
        except BaseException as error:
            state = "stopped" if isinstance(error, Stopped | KeyboardInterrupt) else "failed"
            write_status(folder, state, message=str(error))
            _try_to_report(study, folder)
            raise
        try:
            _write_report(study, folder)
        except Exception as error:
            write_status(folder, "failed", message=f"no report: {error}")
            raise
        write_status(folder, "failed" if failures else "done", message="; ".join(each.cell for each in failures))
    if failures:
        head = f"{len(failures)} of the runs did not finish; the same command tries them again"
        last = f"report without them: {folder / REPORT}"
        raise RunFailed("\n".join([head, *map(str, failures), last]))


def join(study: Study, folder: Path, where: Place, stop: StopFlag) -> None:
    """Help a study that another machine leads over a shared folder, until it ends; raises as `lead`."""
    check_joining(study, folder)
    progress = _progress(study, folder, where.count)
    progress.skip(Reports(tuner_folder(study, folder)).read())
    progress.say(f"{folder}: {progress.status()}")
    Supervisor(study, folder, where, stop, progress).run(lambda finished: None, lambda: None)


def _accept(study: Study, folder: Path, before: dict | None, extend: bool) -> None:
    """Raise UserError if the folder holds another study, unless it is to be extended, or another version's runs."""
    changed = study_differences(study, before) if before else ""
    if changed and not extend:
        raise UserError(
            f"{folder}: holds a study {study.name!r} that differs from {study.path}: {changed}. "
            "Add --extend to continue with this one (finished runs that belong to it are kept), or give it another name"
        )
    if changed:
        for path in (folder / TRIALS).glob("*.json"):
            path.unlink()
    runs = sorted({cell.run_folder(folder) for cell in study.cells})
    others = [str(run) for run in runs if (read_status(run) or {"format": RUN_FORMAT}).get("format") != RUN_FORMAT]
    if others:
        raise UserError(
            f"{len(others)} runs were made by another version of the code (this one writes format {RUN_FORMAT}), "
            f"such as {others[0]}. Delete them or give another --output-dir"
        )


def _is_complete(study: Study, folder: Path) -> bool:
    if study.cells:
        return all(cell.is_done(folder) for cell in study.cells)
    tuner = tuner_folder(study, folder)
    trials = [read_json(path) or {} for path in tuner.glob("trial_*/trial.json")]
    was_done = (read_status(folder) or {}).get("state") == "done" and (tuner / "oracle.json").exists()
    failed = any(trial.get("status") == "FAILED" for trial in trials)
    return was_done and not failed and all(map(_is_done, read_trial_runs(folder)))


def _is_done(run: Path) -> bool:
    return (read_status(run) or {}).get("state") == "done"


def _threads(before: dict | None, now: int, is_complete: bool) -> int:
    """Threads of each run, for study.json; warns if the next runs have not as many as those before.

    With another number of threads sums are taken in another order.
    """
    used = (before or {}).get("threads", now)
    if is_complete or used == now:
        return used
    advice = "their last digits do not compare. Keep to one --workers"
    _warn(f"the runs so far had {used} threads each, the next ones have {now}: {advice}")
    return now


def _warn(text: str) -> None:
    print(f"warning: {text}", file=sys.stderr)


def _run(study: Study, folder: Path, where: Place, stop: StopFlag, command: str) -> Sequence[Failure]:
    Reports(tuner_folder(study, folder)).clear()
    progress = _progress(study, folder, where.count)
    progress.say(f"{folder}: {progress.status()}")
    reporter = Reporter(lambda: _write_report(study, folder))

    def note_new_code() -> None:
        if changed := code_differences(read_manifest(folder)):
            _warn(f"the code changed while the study runs: {changed}")
            write_manifest(study, folder, command, where.threads)

    Supervisor(study, folder, where, stop, progress).run(reporter.tick, note_new_code)
    return list(progress.failures.values())


def _progress(study: Study, folder: Path, workers: int) -> StudyProgress:
    done, objective = [cell for cell in study.cells if cell.is_done(folder)], study.search.objective
    names = {cell.run_folder(folder).name for cell in done} | {
        run.name for run in read_trial_runs(folder) if not study.cells and _is_done(run)
    }
    competing = [cell for cell in done if study.competes(cell.arm.variant)]
    scores = [(found, cell.title) for cell in competing if (found := cell.score(folder, objective)) is not None]
    return StudyProgress(sys.stderr, study.runs, names, workers, objective, max(scores, default=None))


class Reporter:
    """Writes the report after finished cells, but not so often that it takes much of the time."""

    def __init__(self, write: Callable[[], None]):
        self.write, self._next, self._wanted = write, 0.0, False

    def tick(self, finished: int) -> None:
        """Write it if cells have finished and the last one is old enough.

        A bug in the report is shown but ends the study only at its end: hours of training are worth more than a table.
        """
        self._wanted |= finished > 0
        begun = time.monotonic()
        if not self._wanted or begun < self._next:
            return
        try:
            self.write()
        except (UserError, RunFailed):
            raise
        except Exception:
            traceback.print_exc()
            self.write = lambda: None
        self._wanted = False
        self._next = time.monotonic() + max(REPORT_SECONDS, REPORT_SHARE * (time.monotonic() - begun))


def _write_report(study: Study, folder: Path) -> None:
    write_best(study, read_results(folder), folder)
    write_study_report(folder)


def _try_to_report(study: Study, folder: Path) -> None:
    """Write what there is after an error, which must not be hidden by one of the report."""
    try:
        _write_report(study, folder)
    except Exception:
        traceback.print_exc()
