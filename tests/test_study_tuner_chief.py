"""Chief and workers over real connections: silence, absence, a port in use, the end."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from pipeline.errors import RunFailed, UserError
from pipeline.stopping import StopFlag, Stopped
from pipeline.study import client as client_module
from pipeline.study.chief import StudyServicer, serve
from pipeline.study.client import Ended, StudyClient
from pipeline.study.config import Study
from pipeline.study.machines import place
from pipeline.study.oracles import make_oracle
from pipeline.study.state import Halt
from tests.study_folder import grid

SECONDS = 30


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return grid(tmp_path)


@pytest.fixture(autouse=True)
def address(monkeypatch: pytest.MonkeyPatch) -> str:
    where = place(1)
    for key, value in where.environment("w").items():
        monkeypatch.setenv(key, value)
    return f"{where.ip}:{where.port}"


def servicer_of(study: Study, folder: Path, timeout: float = 300.0, reloaded: bool = False) -> StudyServicer:
    oracle = make_oracle(study, folder / "tuner")
    if reloaded:
        oracle.reload()
    return StudyServicer(oracle, timeout, again=reloaded)


def client_of(study: Study, address: str, folder: Path, stop: StopFlag | None = None) -> StudyClient:
    return StudyClient(make_oracle(study, folder / "tuner"), address, stop or StopFlag())


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@contextmanager
def serving(servicer: StudyServicer, address: str, folder: Path) -> Iterator[threading.Thread]:
    """A chief in a thread; it is stopped at the end."""
    stop = StopFlag()

    def target() -> None:
        with suppress(Stopped):
            serve(servicer, address, stop, Halt(folder / "halt.json"))

    thread = threading.Thread(target=target)
    thread.start()
    try:
        yield thread
    finally:
        stop.signum = 15
        thread.join(SECONDS)
        assert not thread.is_alive()


def test_the_chief_ends_when_all_workers_know_that_nothing_is_left(study: Study, address: str, tmp_path: Path):
    servicer = servicer_of(study, tmp_path)
    with serving(servicer, address, tmp_path) as thread:
        client, seen = client_of(study, address, tmp_path), []
        assert client.create_trial("late").status == "RUNNING"
        while (trial := client.create_trial("w")).status == "RUNNING":
            assert client.get_trial(trial.trial_id).trial_id == trial.trial_id
            client.update_trial(trial.trial_id, {"score": 0.0})
            trial.status = "COMPLETED"
            client.end_trial(trial)
            seen.append(trial.trial_id)
        assert trial.status == "IDLE" and len(seen) == 19
        assert thread.is_alive()
        trial = client.create_trial("late")
        client.update_trial(trial.trial_id, {"score": 0.0})
        trial.status = "COMPLETED"
        client.end_trial(trial)
        assert client.create_trial("late").status == "STOPPED"
        assert client.create_trial("w").status == "STOPPED"
        thread.join(SECONDS)
        assert not thread.is_alive()


def test_a_silent_worker_loses_its_trial_and_one_that_is_heard_does_not(study: Study, address: str, tmp_path: Path):
    servicer = servicer_of(study, tmp_path, timeout=1.0)
    with serving(servicer, address, tmp_path):
        client = client_of(study, address, tmp_path)
        lost, kept = client.create_trial("silent"), client.create_trial("beating")

        def silent_is_forgotten() -> bool:
            client.get_trial(kept.trial_id)
            return "silent" not in servicer.oracle.tuner_ids

        wait_for(silent_is_forgotten)
        assert client.create_trial("next").trial_id == lost.trial_id
        assert client.create_trial("beating").trial_id == kept.trial_id


def test_a_worker_waits_for_a_chief_that_was_killed(study: Study, address: str, tmp_path: Path):
    client, found = client_of(study, address, tmp_path), []
    asking = threading.Thread(target=lambda: found.append(client.create_trial("w")))
    asking.start()  # before there is any chief
    with serving(servicer_of(study, tmp_path), address, tmp_path):
        asking.join(SECONDS)
    (first,) = found
    asking = threading.Thread(target=lambda: found.append(client.create_trial("w")))
    asking.start()  # after the first chief has gone
    with serving(servicer_of(study, tmp_path, reloaded=True), address, tmp_path):
        asking.join(SECONDS)
    assert found[1].trial_id == first.trial_id


def test_a_worker_that_waits_can_be_stopped(study: Study, address: str, tmp_path: Path):
    stop = StopFlag()
    client = client_of(study, address, tmp_path, stop)
    threading.Timer(0.5, lambda: setattr(stop, "signum", 15)).start()
    with pytest.raises(Ended) as ended:
        client.create_trial("w")
    assert isinstance(ended.value.reason, Stopped)


def test_a_worker_gives_up_on_a_chief_that_stays_away(
    study: Study, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(client_module, "PATIENCE_SECONDS", 0.5)
    monkeypatch.setattr(client_module, "CALL_SECONDS", 0.5)
    with pytest.raises(Ended, match=f"the chief at {address} has not answered") as ended:
        client_of(study, address, tmp_path).create_trial("w")
    assert isinstance(ended.value.reason, RunFailed)


def test_an_error_of_the_chief_ends_chief_and_worker(study: Study, address: str, tmp_path: Path):
    servicer, errors = servicer_of(study, tmp_path), []

    def target() -> None:
        try:
            serve(servicer, address, StopFlag(), Halt(tmp_path / "halt.json"))
        except KeyError as error:
            errors.append(error)

    thread = threading.Thread(target=target)
    thread.start()
    with pytest.raises(Ended, match=r"failed: .*no such trial"):
        client_of(study, address, tmp_path).get_trial("no such trial")
    thread.join(SECONDS)
    assert [str(error) for error in errors] == ["'no such trial'"]


def test_a_port_in_use_is_named(study: Study, address: str, tmp_path: Path):
    with serving(servicer_of(study, tmp_path), address, tmp_path):
        client_of(study, address, tmp_path).create_trial("w")  # now it listens
        with pytest.raises(UserError, match=f"{address}: the port is in use"):
            serve(servicer_of(study, tmp_path / "other"), address, StopFlag(), Halt(tmp_path / "halt.json"))


def test_a_chief_that_comes_back_waits_for_its_port(study: Study, address: str, tmp_path: Path):
    first = servicer_of(study, tmp_path)
    with serving(first, address, tmp_path):
        client_of(study, address, tmp_path).create_trial("w")
        with serving(servicer_of(study, tmp_path, reloaded=True), address, tmp_path) as thread:
            time.sleep(0.5)
            assert thread.is_alive()


def test_three_failures_at_the_start_halt_the_study(study: Study, address: str, tmp_path: Path):
    with serving(servicer_of(study, tmp_path), address, tmp_path):
        client = client_of(study, address, tmp_path)
        for _ in range(3):
            trial = client.create_trial("w")
            trial.status = "FAILED"
            client.end_trial(trial)
        wait_for((tmp_path / "halt.json").exists)
    assert Halt(tmp_path / "halt.json").read()[0] == 1
