"""A study from its start to its report: on the machine that leads it, or as help for one that leads elsewhere."""

import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from pipeline.errors import RunFailed, UserError
from pipeline.run_files import read_json, write_text
from pipeline.run_folder import RUN_FORMAT, open_study, read_status, write_status
from pipeline.stopping import StopFlag, Stopped
from pipeline.study.best import write_best
from pipeline.study.cells import Cell, is_done
from pipeline.study.config import Study
from pipeline.study.identity import check_joining, identities, recorded, study_differences, with_current
from pipeline.study.machines import Place
from pipeline.study.manifest import TRIALS, write_manifest
from pipeline.study.progress import Failure, StudyProgress
from pipeline.study.report import write_study_report
from pipeline.study.results import STUDY_TEXT, read_results
from pipeline.study.scores import score
from pipeline.study.state import State
from pipeline.study.supervisor import Reporter, Supervisor

TUNER = "tuner"


def lead(study: Study, folder: Path, where: Place, stop: StopFlag, command: str, extend: bool = False) -> None:
    """Run what is not done of a study, with chief and workers here; its folder then holds table and report.

    Raises UserError, RunFailed if a run failed (the others are done nevertheless), Stopped.
    """
    with open_study(folder):
        before, was_done = recorded(folder), (read_status(folder) or {}).get("state") == "done"
        _accept(study, folder, before, extend)
        _check_formats(study.cells, folder)
        known, changed = with_current(identities(before))
        if changed:
            print(f"warning: the code differs from that of the runs so far: {changed}", file=sys.stderr)
        is_complete = _is_complete(study, folder, was_done)
        threads = (before or {}).get("threads", where.threads)
        if not is_complete and threads != where.threads:
            _warn_of_threads(threads, where.threads)
        write_text(folder / STUDY_TEXT, study.text)
        write_manifest(study, folder, command, known, threads if is_complete else where.threads)
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
        raise RunFailed(_in_words(failures, folder))


def _warn_of_threads(before: int, now: int) -> None:
    """With another number of threads sums come out in another order."""
    advice = f"the runs so far had {before} threads each, the next ones have {now}"
    print(f"warning: {advice}: their last digits do not compare. Keep to one --workers", file=sys.stderr)


def join(study: Study, folder: Path, where: Place, stop: StopFlag) -> None:
    """Help a study that another machine leads over a shared folder, until it ends; raises as `lead`."""
    check_joining(study, folder)
    progress = _progress(study, folder, len(where.workers))
    progress.follow(State(folder, study.digest).reports().read(), aloud=False)
    progress.say(f"{folder}: {progress.status()}")
    Supervisor(study, folder, where, stop, progress).run(lambda finished: None)


def _run(study: Study, folder: Path, where: Place, stop: StopFlag, command: str) -> list[Failure]:
    state = State(folder, study.digest)
    state.halt.clear()
    state.begin_reports()
    progress = _progress(study, folder, len(where.workers))
    progress.say(f"{folder}: {progress.status()}")
    reporter = Reporter(lambda: _write_report(study, folder))
    supervisor = Supervisor(study, folder, where, stop, progress, lambda: _record_code(study, folder, command, where))
    supervisor.run(reporter.tick)
    return list(progress.failures.values())


def _record_code(study: Study, folder: Path, command: str, where: Place) -> None:
    """Note in study.json that somebody changed the code while the study runs, and say so."""
    known, changed = with_current(identities(recorded(folder)))
    if changed:
        print(f"warning: the code changed while the study runs: {changed}", file=sys.stderr)
        write_manifest(study, folder, command, known, where.threads)


def _try_to_report(study: Study, folder: Path) -> None:
    """Write what there is after an error, which must not be hidden by one of the report."""
    try:
        _write_report(study, folder)
    except Exception:
        traceback.print_exc()


def _write_report(study: Study, folder: Path) -> None:
    write_best(study, read_results(folder), folder)
    write_study_report(folder)


def _accept(study: Study, folder: Path, before: dict | None, extend: bool) -> None:
    """Raise UserError if the folder holds another study, unless it is to be extended."""
    changed = study_differences(study, before) if before else ""
    if not changed:
        return
    if not extend:
        raise UserError(
            f"{folder}: holds a study {study.name!r} that differs from {study.path}: {changed}. "
            "Add --extend to go on with this one (finished runs that belong to it are kept), or give it another name"
        )
    for path in (folder / TRIALS).glob("*.json"):
        path.unlink()


def _check_formats(cells: Sequence[Cell], folder: Path) -> None:
    """Raise UserError if a run folder of the study is another version's."""
    others = []
    for run in {cell.run_folder(folder) for cell in cells}:
        status = read_status(run)
        if status is not None and status.get("format") != RUN_FORMAT:
            others.append(str(run))
    if others:
        raise UserError(
            f"{len(others)} runs were made by another version of the code (this one writes format {RUN_FORMAT}): "
            f"{', '.join(sorted(others)[:3])}{' ...' * (len(others) > 3)}. Delete them or give another --output-dir"
        )


def _is_complete(study: Study, folder: Path, was_done: bool) -> bool:
    if study.cells:
        return all(is_done(cell, folder) for cell in study.cells)
    state = State(folder, study.digest)
    trials = [read_json(path) or {} for path in state.tuner.glob("trial_*/trial.json")]
    failed = any(trial.get("status") == "FAILED" for trial in trials)
    return was_done and state.oracle.exists() and not failed and not _trial_runs(folder, done=False)


def _trial_runs(folder: Path, done: bool) -> list[str]:
    """The run folders of a search's trials so far that are (not) done."""
    trials = [read_json(path) for path in sorted((folder / TRIALS).glob("[!.]*.json"))]
    runs = dict.fromkeys(cell["run"] for trial in trials for cell in trial["cells"])
    return [run for run in runs if ((read_status(folder / run) or {}).get("state") == "done") == done]


def _progress(study: Study, folder: Path, workers: int) -> StudyProgress:
    done = [cell for cell in study.cells if is_done(cell, folder)]
    names = [cell.run_folder(folder).name for cell in done] or [
        Path(run).name for run in _trial_runs(folder, done=True)
    ]
    objective = study.search.objective
    rivals = [cell for cell in done if cell.arm.variant not in study.reference_only]
    scores = [(found, cell.title) for cell in rivals if (found := score(cell, folder, objective)) is not None]
    total = len({cell.run_folder(folder) for cell in study.cells})
    total = total or study.search.trials * len(study.conditions) * len(study.seeds) * len(study.folds)
    return StudyProgress(sys.stderr, total, names, workers, objective, max(scores, default=None))


def _in_words(failures: Sequence[Failure], folder: Path) -> str:
    head = f"{len(failures)} of the runs did not finish; the same command tries them again"
    return "\n".join([head, *map(str, failures), f"report without them: {folder / 'report.html'}"])
