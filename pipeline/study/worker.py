"""python -m pipeline.study.worker: takes trials from the chief and runs their cells; started by pipeline.study."""

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import fmean

import grpc

from pipeline.config.messages import ConfigError
from pipeline.errors import RunFailed, UserError
from pipeline.runs.stopping import StopFlag
from pipeline.study.cell_run import CellFailed, run_cell
from pipeline.study.cells import Cell
from pipeline.study.config import Study
from pipeline.study.light_tuner import BaseTuner, FailedTrialError, FatalError, OracleClient, Trial, keras_tuner, protos
from pipeline.study.machines import IP, PORT, member_log, tuner_folder, worker_timeout
from pipeline.study.manifest import write_trial
from pipeline.study.oracle import SCORE, VARIANT, cells_of, make_oracle
from pipeline.study.processes import run_member
from pipeline.study.progress import Reports
from pipeline.study.schema import GRID

HEARTBEAT_SECONDS = 30.0
IDLE_SECONDS = 0.05
PATIENCE_SECONDS = 600
# keras-tuner's client waits for a chief that is away; these options also repeat a question that a dying chief left open
# (every question may be asked twice) and bound the wait, which is an hour otherwise.
ASK_AGAIN = {"maxAttempts": 5, "initialBackoff": "0.2s", "maxBackoff": "2s", "backoffMultiplier": 2}
SERVICE = {
    "name": [{}],
    "timeout": f"{PATIENCE_SECONDS}s",
    "retryPolicy": {**ASK_AGAIN, "retryableStatusCodes": ["UNAVAILABLE"]},
}
OPTIONS = [
    ("grpc.service_config", json.dumps({"methodConfig": [SERVICE]})),
    ("grpc.enable_http_proxy", 0),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2000),
]


class Ended(FatalError):
    """The search must end: keras-tuner passes this on, and would call any other error an invalid trial."""

    def __init__(self, reason: Exception):
        super().__init__(str(reason))
        self.reason = reason


def connect(oracle: keras_tuner.Oracle, address: str) -> OracleClient:
    """keras-tuner's client of the chief at `address`, which waits for one that dies and comes back."""
    client = OracleClient(oracle)
    client.stub = protos.get_service_grpc().OracleStub(grpc.insecure_channel(address, OPTIONS))
    return client


class StudyTuner(BaseTuner):
    """Runs each trial as ordinary runs in processes of their own; its state is the chief's and the run folders'."""

    def __init__(self, study: Study, folder: Path, address: str):
        self.study, self.folder, self.tuner_folder = study, folder, tuner_folder(study, folder)
        self.reports = Reports(self.tuner_folder)
        oracle = make_oracle(study, self.tuner_folder)
        super().__init__(oracle, directory=self.tuner_folder.parent, project_name=self.tuner_folder.name)
        self.oracle = connect(oracle, address)

    def save(self) -> None:
        """Nothing: a tuner has no state of its own."""

    def pre_create_trial(self) -> None:
        """Wait a moment: keras-tuner asks again at once while there is no trial yet."""
        time.sleep(IDLE_SECONDS)

    def run_trial(self, trial: Trial) -> dict[str, float]:
        """The score of a trial; raises FailedTrialError if one of its cells failed, Ended if the search must end.

        A signal is passed to the run, which writes its checkpoint; outside of trials it ends the worker at once.
        """
        try:
            cells = self._cells(trial)
            if self.study.search.kind != GRID:
                write_trial(trial.trial_id, cells, self.folder)
            with StopFlag() as stop, self._heartbeat(trial):
                for cell in cells:
                    self._run(cell, stop)
                stop.check()
            return {SCORE: self._score(trial, cells)}
        except CellFailed as error:
            raise FailedTrialError(str(error)) from None
        except Exception as error:
            raise Ended(error) from error

    def _cells(self, trial: Trial) -> tuple[Cell, ...]:
        """The cells of a trial; a combination that is no valid experiment is a failed trial."""
        try:
            return cells_of(self.study, trial.hyperparameters.values)
        except ConfigError as error:
            self._trial_failed(trial, trial.hyperparameters.values[VARIANT], str(error))

    def _run(self, cell: Cell, stop: StopFlag) -> None:
        if cell.is_done(self.folder):
            self._report("reused", cell, score=self._shown_score(cell))
            return
        self._report("begun", cell)
        begun = time.monotonic()
        try:
            run_cell(cell, self.folder, stop)
        except CellFailed as error:
            self._report("failed", cell, message=str(error), log=str(cell.log_path(self.folder)))
            raise
        except UserError as error:
            self._report("refused", cell, message=str(error))
            raise
        self._report("done", cell, seconds=time.monotonic() - begun, score=self._shown_score(cell))

    def _shown_score(self, cell: Cell) -> float | None:
        """The score by which the best run so far is shown; None for a variant that does not compete."""
        return cell.score(self.folder, self.study.search.objective) if self.study.competes(cell.arm.variant) else None

    def _score(self, trial: Trial, cells: tuple[Cell, ...]) -> float:
        if self.study.search.kind == GRID:  # every combination is run: nothing depends on it
            return 0.0
        objective = self.study.search.objective
        found = [cell.score(self.folder, objective) for cell in cells]
        if None in found:
            message = f"{objective} is undefined for one of its runs: no score to search by"
            self._trial_failed(trial, cells[0].arm.name, message)
        return fmean(found)

    def _report(self, event: str, cell: Cell, **more: object) -> None:
        self.reports.append(self.tuner_id, event, cell.title, cell.run_folder(self.folder).name, **more)

    def _trial_failed(self, trial: Trial, name: str, message: str) -> None:
        """Report a trial that failed as a whole; raises CellFailed."""
        log = str(member_log(self.tuner_folder, self.tuner_id))
        self.reports.append(self.tuner_id, "failed", name, f"trial {trial.trial_id}", message=message, log=log)
        raise CellFailed(message)

    @contextmanager
    def _heartbeat(self, trial: Trial) -> Iterator[None]:
        """Let the chief hear of this worker while a trial runs."""
        ended = threading.Event()
        seconds = min(HEARTBEAT_SECONDS, worker_timeout() / 4)
        request = protos.get_service().GetTrialRequest(trial_id=trial.trial_id)

        def beat() -> None:
            while not ended.wait(seconds):
                with suppress(grpc.RpcError):  # the chief may be away; the next beat tries again
                    self.oracle.stub.GetTrial(request, timeout=seconds)

        threading.Thread(target=beat, daemon=True).start()
        try:
            yield
        finally:
            ended.set()


def _work(study: Study, folder: Path, _again: bool) -> None:
    address = f"{os.environ[IP]}:{os.environ[PORT]}"
    try:
        StudyTuner(study, folder, address).search()
    except Ended as ended:
        raise ended.reason from ended
    except grpc.RpcError as error:
        advice = "Start the study there and here again: it resumes"
        raise RunFailed(f"the chief at {address} failed or does not answer: {error.details()}. {advice}") from error


if __name__ == "__main__":
    run_member("pipeline.study.worker", _work)
