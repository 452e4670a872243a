"""Chief and workers over real connections: silence, absence, a port in use, the end."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import grpc
import pytest

from pipeline.errors import RunFailed, UserError
from pipeline.runs.stopping import StopFlag, Stopped
from pipeline.study import worker
from pipeline.study.chief import StudyServicer, serve
from pipeline.study.config import Study
from pipeline.study.light_tuner import OracleClient
from pipeline.study.machines import place
from pipeline.study.oracle import make_oracle
from tests.study.folder import grid

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


def client_of(study: Study, address: str, folder: Path) -> OracleClient:
    return worker.connect(make_oracle(study, folder / "tuner"), address)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@contextmanager
def serving(servicer: StudyServicer, address: str) -> Iterator[threading.Thread]:
    """A chief in a thread; it is stopped at the end."""
    stop = StopFlag()

    def target() -> None:
        with suppress(Stopped):
            serve(servicer, address, stop)

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
    with serving(servicer, address) as thread:
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
    with serving(servicer, address):
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
    with serving(servicer_of(study, tmp_path), address):
        asking.join(SECONDS)
    (first,) = found
    asking = threading.Thread(target=lambda: found.append(client.create_trial("w")))
    asking.start()  # after the first chief has gone
    with serving(servicer_of(study, tmp_path, reloaded=True), address):
        asking.join(SECONDS)
    assert found[1].trial_id == first.trial_id


def test_a_worker_gives_up_on_a_chief_that_stays_away(
    study: Study, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    service = {**worker.SERVICE, "timeout": "0.5s"}
    options = [("grpc.service_config", json.dumps({"methodConfig": [service]})), *worker.OPTIONS[1:]]
    monkeypatch.setattr(worker, "OPTIONS", options)
    with pytest.raises(grpc.RpcError) as error:
        client_of(study, address, tmp_path).create_trial("w")
    assert error.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED


def test_a_worker_hears_of_an_error_of_the_chief(study: Study, address: str, tmp_path: Path):
    with serving(servicer_of(study, tmp_path), address), pytest.raises(grpc.RpcError, match="no such trial"):
        client_of(study, address, tmp_path).get_trial("no such trial")


def test_a_port_in_use_is_named(study: Study, address: str, tmp_path: Path):
    with serving(servicer_of(study, tmp_path), address):
        client_of(study, address, tmp_path).create_trial("w")  # now it listens
        with pytest.raises(UserError, match=f"{address}: the port is in use"):
            serve(servicer_of(study, tmp_path / "other"), address, StopFlag())


def test_three_failures_at_the_start_end_the_study(study: Study, address: str, tmp_path: Path):
    ended = []

    def target() -> None:
        with pytest.raises(RunFailed, match="the first trials all failed"):
            serve(servicer_of(study, tmp_path), address, StopFlag())
        ended.append(True)

    thread = threading.Thread(target=target)
    thread.start()
    client = client_of(study, address, tmp_path)
    for _ in range(3):
        trial = client.create_trial("w")
        trial.status = "FAILED"
        client.end_trial(trial)
    thread.join(SECONDS)
    assert ended
