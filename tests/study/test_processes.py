"""The processes of a study one by one: what their exit codes mean, what the environment says, who may join."""

import signal
import socket
import sys
from io import StringIO
from pathlib import Path

import pytest

from pipeline.errors import RunFailed, UserError
from pipeline.runs.files import read_json, write_json
from pipeline.runs.folder import open_run, read_status
from pipeline.runs.stopping import StopFlag, Stopped
from pipeline.study import cell_run, machines
from pipeline.study.cell_run import CellFailed, run_cell
from pipeline.study.cells import Cell
from pipeline.study.config import load_study
from pipeline.study.machines import IP, PORT, TIMEOUT, TUNER, as_machine, place, worker_timeout
from pipeline.study.manifest import (
    check_joining,
    code_differences,
    current_identity,
    read_manifest,
    study_differences,
    write_manifest,
)
from pipeline.study.progress import Reports, StudyProgress
from pipeline.study.runner import Reporter
from pipeline.study.supervisor import MAX_DEATHS, Member, end_all
from tests.study.folder import GRID, finish, grid, write_study


@pytest.fixture
def cell(tmp_path: Path) -> Cell:
    return grid(tmp_path).cells[0]


def run_instead(monkeypatch: pytest.MonkeyPatch, folder: Path, *scripts: str) -> None:
    """Each start of a cell's process runs the next script."""
    waiting = list(scripts)
    monkeypatch.setattr(cell_run, "python_module", lambda *_: [sys.executable, "-c", waiting.pop(0)])


def done_script(cell: Cell, folder: Path) -> str:
    return (
        "import pathlib, json\n"
        f"run = pathlib.Path({str(cell.run_folder(folder))!r})\n"
        "run.mkdir(parents=True, exist_ok=True)\n"
        "(run / 'status.json').write_text(json.dumps({'state': 'done'}))\n"
    )


KILLED = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"


def test_a_cell_whose_process_is_killed_is_run_again(cell: Cell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    run_instead(monkeypatch, tmp_path, KILLED, KILLED, done_script(cell, tmp_path))
    run_cell(cell, tmp_path, StopFlag())


def test_a_cell_that_is_killed_every_time_has_failed(cell: Cell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    run_instead(monkeypatch, tmp_path, KILLED, KILLED, KILLED)
    with pytest.raises(CellFailed, match="ended by SIGKILL, 3 times"):
        run_cell(cell, tmp_path, StopFlag())
    assert read_status(cell.run_folder(tmp_path))["state"] == "failed"


def test_a_cell_that_fails_carries_its_traceback(cell: Cell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    run_instead(monkeypatch, tmp_path, "raise ValueError('out of range')")
    with pytest.raises(CellFailed, match=r"Traceback(.|\n)*ValueError: out of range"):
        run_cell(cell, tmp_path, StopFlag())


def test_a_wrong_configuration_is_the_users(cell: Cell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    run_instead(monkeypatch, tmp_path, "import sys; print('error: no such layer'); sys.exit(2)")
    with pytest.raises(UserError, match=r"^baseline, noise\.rate 0\.2, seed 1: no such layer$"):
        run_cell(cell, tmp_path, StopFlag())


def test_a_run_that_another_process_held_for_a_moment_is_tried_again(
    cell: Cell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    held = "import sys; print('error: runs/x: process 7 is writing to this run. Wait for it, or stop it'); sys.exit(2)"
    run_instead(monkeypatch, tmp_path, held, done_script(cell, tmp_path))
    run_cell(cell, tmp_path, StopFlag())


def test_a_finished_cell_costs_no_process(cell: Cell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    run_instead(monkeypatch, tmp_path)
    finish(cell, tmp_path)
    run_cell(cell, tmp_path, StopFlag())


def test_a_cell_that_another_process_runs_is_waited_for(cell: Cell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    run_instead(monkeypatch, tmp_path)
    with open_run(cell.run_folder(tmp_path)):
        slept = []

        def sleep(seconds: float) -> None:
            slept.append(seconds)
            if len(slept) == 3:
                finish(cell, tmp_path)

        monkeypatch.setattr(cell_run.time, "sleep", sleep)
        run_cell(cell, tmp_path, StopFlag())
    assert len(slept) == 3


def test_a_cell_is_passed_the_signal_and_left_to_finish(cell: Cell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    mark = tmp_path / "checkpoint"
    script = (
        "import pathlib, signal, sys, time\n"
        f"mark = pathlib.Path({str(mark)!r})\n"
        "def stop(*_): mark.write_text('written'); sys.exit(130)\n"
        "signal.signal(signal.SIGINT, stop); mark.touch()\n"
        "while True: time.sleep(0.05)\n"
    )
    run_instead(monkeypatch, tmp_path, script)
    stop, sleep = StopFlag(), cell_run.time.sleep

    def ask(seconds: float) -> None:
        stop.signum = signal.SIGINT if mark.exists() else None
        sleep(seconds)

    monkeypatch.setattr(cell_run.time, "sleep", ask)
    with pytest.raises(Stopped):
        run_cell(cell, tmp_path, stop)
    assert mark.read_text() == "written"


def member(folder: Path, script: str) -> Member:
    return Member("worker-1", [sys.executable, "-c", script], {}, folder / "worker-1.log")


def revived(it: Member) -> int:
    """How often a member can be revived until it cannot."""
    it.begin()
    for count in range(100):
        it.process.wait(timeout=30)
        if not it.revive():
            return count
    return 100


def test_a_worker_that_has_done_its_work_is_left_alone(tmp_path: Path):
    assert revived(member(tmp_path, "")) == 0


def test_a_worker_that_is_killed_comes_back_and_knows_it(tmp_path: Path):
    script = f"import sys\nif sys.argv[-1] != '--again':\n    {KILLED}"
    assert revived(member(tmp_path, script)) == 1


@pytest.mark.parametrize(
    ("script", "error", "message"),
    [
        ("import sys; print('noise\\nerror: other code\\nmore'); sys.exit(2)", UserError, "^other code\nmore$"),
        ("import sys; print('failed: disk full'); sys.exit(1)", RunFailed, "^disk full$"),
        (KILLED, RunFailed, f"worker-1 died {MAX_DEATHS} times in 60 s .exit -9"),
    ],
)
def test_a_worker_that_no_start_can_help_ends_the_study(tmp_path: Path, script: str, error: type, message: str):
    with pytest.raises(error, match=message):
        revived(member(tmp_path, script))


def test_what_is_asked_to_end_is_waited_for(tmp_path: Path):
    script = (
        "import signal, sys, time; signal.signal(15, lambda *_: sys.exit(143)); print(1, flush=True); time.sleep(60)"
    )
    it = member(tmp_path, script)
    it.begin()
    while not it.log.read_text():
        assert it.running
    end_all([it])
    assert it.process.returncode == 143


def several(monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    for key in (IP, PORT, TUNER):
        monkeypatch.delenv(key, raising=False)
    for key, value in variables.items():
        monkeypatch.setenv(f"KERASTUNER_{key}", value)


def test_one_machine_needs_no_variables(monkeypatch: pytest.MonkeyPatch):
    several(monkeypatch)
    where = place(2)
    assert (where.ip, where.leads, where.workers) == ("127.0.0.1", True, ("worker-1", "worker-2"))
    assert where.port > 0


def test_the_variables_say_who_leads_and_no_worker_is_named_chief(monkeypatch: pytest.MonkeyPatch):
    several(monkeypatch, ORACLE_IP="127.0.0.1", ORACLE_PORT=str(place(1).port), TUNER_ID="chief-of-host7")
    where = place(2)
    assert where.leads and not any("chief" in name for name in where.workers)
    monkeypatch.setenv(TUNER, "host8")
    assert (place(2).leads, place(2).workers) == (False, ("host8-1", "host8-2"))


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"ORACLE_IP": "127.0.0.1"}, f"{PORT}, {TUNER}: not set"),
        ({"ORACLE_IP": "127.0.0.1", "ORACLE_PORT": "http", "TUNER_ID": "a"}, f"{PORT}=http: give a number"),
        ({"ORACLE_IP": "127.0.0.1", "ORACLE_PORT": "80", "TUNER_ID": "a/b"}, f"{TUNER}=a/b: give letters"),
        ({"ORACLE_IP": "192.0.2.1", "ORACLE_PORT": "5000", "TUNER_ID": "chief"}, "192.0.2.1:5000: the chief cannot"),
    ],
)
def test_wrong_variables_are_named(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], message: str):
    several(monkeypatch, **variables)
    with pytest.raises(UserError, match=message):
        place(1)


def test_a_port_in_use_is_found_before_anything_starts(monkeypatch: pytest.MonkeyPatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(machines, "PORT_SECONDS", 0.0)
        several(monkeypatch, ORACLE_IP="127.0.0.1", ORACLE_PORT=str(port), TUNER_ID="chief")
        with pytest.raises(UserError, match=f"127.0.0.1:{port}: .* in use"):
            place(1)


def test_the_time_out_is_seconds(monkeypatch: pytest.MonkeyPatch):
    assert worker_timeout() == 300
    monkeypatch.setenv(TIMEOUT, "2.5")
    assert worker_timeout() == 2.5
    monkeypatch.setenv(TIMEOUT, "soon")
    with pytest.raises(UserError, match="NIBBLE_WORKER_TIMEOUT=soon: give seconds"):
        worker_timeout()


def test_another_study_or_other_code_is_refused_by_name(tmp_path: Path):
    study, folder = grid(tmp_path), tmp_path / "studies" / "tiny"
    with pytest.raises(UserError, match="no study has been started there"):
        check_joining(study, folder)
    write_manifest(study, folder, "command", 1)
    check_joining(study, folder)

    longer = load_study(write_study(tmp_path, GRID.replace("seeds: [1, 2]", "seeds: [1, 2, 3]")))
    with pytest.raises(UserError, match=r"not the study that runs in .*: changed: seeds"):
        check_joining(longer, folder)

    pretend(folder, files={**current_identity()["files"], "pipeline/losses.py": "0"})
    with pytest.raises(UserError, match=r"other code than this: pipeline/losses\.py\. Use the same"):
        check_joining(study, folder)


def pretend(folder: Path, **identity: dict) -> None:
    """Make study.json say that the study was run last by other code."""
    record = read_manifest(folder)
    write_json(folder / "study.json", {**record, "identity": [{**current_identity(), "code": "0", **identity}]})


def test_what_changed_in_a_study_is_named(tmp_path: Path):
    study = grid(tmp_path)
    record = {"format": 2, "parts": dict(study.parts)}
    assert study_differences(study, record) == ""
    changed = GRID.replace("  baseline: []", "  plain: []").replace("[0.1, 0.3]", "[0.1, 0.5]")
    other = load_study(write_study(tmp_path, changed))
    expected = "changed: variant dropout, references; new: variant plain; gone: variant baseline"
    assert study_differences(other, record) == expected
    assert study_differences(study, {"format": 1}) == "its format is 1, this version writes 2"


def test_the_code_is_recorded_once_for_as_long_as_it_stays(tmp_path: Path):
    study, folder = grid(tmp_path), tmp_path / "studies" / "tiny"
    assert code_differences(None) == ""
    for _ in range(2):
        write_manifest(study, folder, "command", 1)
        assert read_json(folder / "study.json")["identity"] == [current_identity()]
    pretend(folder, versions={**current_identity()["versions"], "numpy": "0.1"})
    assert code_differences(read_manifest(folder)) == "numpy"
    write_manifest(study, folder, "command", 1)
    assert [each["code"] for each in read_manifest(folder)["identity"]] == ["0", current_identity()["code"]]
    assert code_differences(read_manifest(folder)) == ""


def test_two_machines_of_one_name_are_refused(tmp_path: Path):
    refused = pytest.raises(UserError, match="host2: a machine of this name")
    with as_machine(tmp_path, "host2"), as_machine(tmp_path, "host3"), refused, as_machine(tmp_path, "host2"):
        pass
    with as_machine(tmp_path, "host2"):
        pass


def test_reports_grow(tmp_path: Path):
    reports = Reports(tmp_path)
    assert reports.read() == {}
    for number in range(2):
        reports.append("worker-1", "begun", str(number), "run")
        assert [event["cell"] for event in reports.read()["worker-1"]] == [str(each) for each in range(number + 1)]
    reports.clear()
    assert reports.read() == {}


def test_a_report_that_cannot_be_made_does_not_end_the_study_but_a_full_disk_does(capsys: pytest.CaptureFixture):
    def broken() -> None:
        raise ZeroDivisionError

    reporter = Reporter(broken)
    reporter.tick(0)
    assert capsys.readouterr().err == ""
    reporter.tick(1)
    assert "ZeroDivisionError" in capsys.readouterr().err

    def full() -> None:
        raise RunFailed("no space left")

    with pytest.raises(RunFailed, match="no space left"):
        Reporter(full).tick(1)


def test_progress_counts_names_and_estimates():
    stream = StringIO()
    progress = StudyProgress(stream, 4, ["a"], workers=1, objective="val_accuracy", best=(0.5, "A"))
    events = [
        {"event": "begun", "cell": "B", "run": "b"},
        {"event": "done", "cell": "B", "run": "b", "seconds": 60.0, "score": 0.75},
        {"event": "begun", "cell": "C", "run": "c"},
        {"event": "failed", "cell": "C", "run": "c", "message": "why", "log": "c.log"},
    ]
    assert progress.follow({"worker-1": events[:1]}) == 0
    assert progress.follow({"worker-1": events}) == 2
    assert progress.status() == "2 of 4 done, 0 running, 1 failed, 1 min 00 s left, best val_accuracy 75.0 % (B)"
    assert "B: done in 1 min 00 s" in stream.getvalue() and "C: FAILED" in stream.getvalue()
    assert [str(failure) for failure in progress.failures.values()] == ["  C, see c.log\n    why"]
    retried = [{"event": "done", "cell": "C", "run": "c", "seconds": 60.0, "score": None}]
    assert progress.follow({"worker-2": retried}) == 1
    assert not progress.failures


def test_progress_is_one_line_on_a_terminal(monkeypatch: pytest.MonkeyPatch):
    stream = StringIO()
    stream.isatty = lambda: True
    monkeypatch.setenv("COLUMNS", "30")
    StudyProgress(stream, 4, ["a"], workers=1).follow({})
    assert stream.getvalue() == "\r\033[K" + "1 of 4 done, 0 running, 0 failed"[:29]
