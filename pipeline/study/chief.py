"""python -m pipeline.study.chief: hands the trials of a study to its workers; started by python -m pipeline.study."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
from keras_tuner.engine.trial import Trial
from keras_tuner.src import protos
from keras_tuner.src.distribute.oracle_chief import OracleServicer

from pipeline.errors import UserError
from pipeline.stopping import StopFlag
from pipeline.study.cells import is_done
from pipeline.study.config import Study
from pipeline.study.machines import worker_timeout
from pipeline.study.oracles import DurableOracle, make_oracle
from pipeline.study.part import Part, run_part
from pipeline.study.space import values_of
from pipeline.study.state import Halt

POLL_SECONDS = 0.2
GRACE_SECONDS = 1.0
REBIND_SECONDS = 10.0
ALL_FAILED = "all of the first trials failed, so the study was stopped; the same command tries them again"


class StudyServicer(OracleServicer):
    """Answers the workers and knows when each was last heard; all methods run in one thread."""

    def __init__(self, oracle: DurableOracle, timeout: float, again: bool):
        super().__init__(oracle)
        self.timeout, self.again = timeout, again
        self.error: Exception | None = None
        self._heard = dict.fromkeys(oracle.tuner_ids, time.monotonic())
        self._quiet_until = time.monotonic() + (5 * GRACE_SECONDS if again else 0.0)

    def CreateTrial(self, request, context):  # noqa: N802
        self._hear(request.tuner_id)
        return self._answer(super().CreateTrial, request, context)

    def GetTrial(self, request, context):  # noqa: N802
        self._hear(self._tuner_of(request.trial_id))
        return self._answer(super().GetTrial, request, context)

    def UpdateTrial(self, request, context):  # noqa: N802
        self._hear(self._tuner_of(request.trial_id))
        return self._answer(super().UpdateTrial, request, context)

    def EndTrial(self, request, context):  # noqa: N802
        self._hear(self._tuner_of(request.trial.trial_id))
        return self._answer(super().EndTrial, request, context)

    def is_over(self) -> bool:
        """Whether every trial has ended and every worker knows; workers that were silent too long are forgotten."""
        now = time.monotonic()
        for tuner in [tuner for tuner, heard in self._heard.items() if now - heard > self.timeout]:
            print(f"{tuner} has been silent for {self.timeout:.0f} s: its trial goes to another worker", flush=True)
            del self._heard[tuner]
            self.oracle.forget(tuner)
        idle = not self.oracle.ongoing_trials and not self.oracle.tuner_ids and not self.oracle._retry_queue
        return self.stop_triggered and idle and now >= self._quiet_until

    def _answer(self, method, request, context):
        try:
            return method(request, context)
        except Exception as error:
            self.error = self.error or error
            raise

    def _hear(self, tuner: str | None) -> None:
        if tuner is not None:
            self._heard[tuner] = time.monotonic()

    def _tuner_of(self, trial_id: str) -> str | None:
        return next((tuner for tuner, trial in self.oracle.ongoing_trials.items() if trial.trial_id == trial_id), None)


def serve(servicer: StudyServicer, address: str, stop: StopFlag, halt: Halt) -> None:
    """Answer at `address` until the study is over; raises UserError if the port is in use, Stopped, what went wrong."""
    thread = ThreadPoolExecutor(max_workers=1)  # keras-tuner's oracle is not safe with more
    server = grpc.server(thread, options=[("grpc.so_reuseport", 0)])
    protos.get_service_grpc().add_OracleServicer_to_server(servicer, server)
    _bind(server, address, time.monotonic() + (REBIND_SECONDS if servicer.again else 0.0), stop)
    server.start()
    try:
        while not thread.submit(servicer.is_over).result():
            stop.check()
            if servicer.error:
                raise servicer.error
            if servicer.oracle.all_failed:
                halt.write(1, ALL_FAILED)
            time.sleep(POLL_SECONDS)
    finally:
        server.stop(GRACE_SECONDS).wait()


def _bind(server: grpc.Server, address: str, until: float, stop: StopFlag) -> None:
    """Take the address; what the chief before left of it may take some seconds to go."""
    while True:
        try:
            server.add_insecure_port(address)
            return
        except RuntimeError:
            if time.monotonic() >= until:
                raise UserError(f"{address}: the port is in use, or the address is not this machine's") from None
        stop.check()
        time.sleep(POLL_SECONDS)


def _execute(part: Part, stop: StopFlag) -> None:
    with part.state.as_chief():
        _lead(part, stop)


def _lead(part: Part, stop: StopFlag) -> None:
    oracle = make_oracle(part.study, part.state.tuner)
    if part.state.oracle.exists():
        oracle.reload()
        if not part.again:
            oracle.begin_again(lambda trial: _is_complete(trial, part.study, part.folder))
    address = f"{os.environ['KERASTUNER_ORACLE_IP']}:{os.environ['KERASTUNER_ORACLE_PORT']}"
    serve(StudyServicer(oracle, worker_timeout(), part.again), address, stop, part.state.halt)


def _is_complete(trial: Trial, study: Study, folder: Path) -> bool:
    cells = study.cells_of(values_of(trial.hyperparameters.values, study.space))
    return all(is_done(cell, folder) for cell in cells)


if __name__ == "__main__":
    run_part("pipeline.study.chief", _execute)
