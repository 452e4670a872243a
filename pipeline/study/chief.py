"""python -m pipeline.study.chief: hands the trials of a study to its workers; started by python -m pipeline.study."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc

from pipeline.errors import RunFailed, UserError
from pipeline.runs.stopping import StopFlag
from pipeline.study.config import Study
from pipeline.study.light_tuner import OracleServicer, Trial, protos
from pipeline.study.machines import CHIEF, IP, PORT, lock_of, tuner_folder, worker_timeout
from pipeline.study.oracle import DurableOracle, cells_of, make_oracle
from pipeline.study.processes import run_member

POLL_SECONDS = 0.2
GRACE_SECONDS = 1.0


class StudyServicer(OracleServicer):
    """keras-tuner's servicer, which also knows when it last heard of each worker; all its methods run in one thread.

    `again`: it replaces a chief that died, whose last answers some workers may not have heard; they ask again in some seconds.
    """

    def __init__(self, oracle: DurableOracle, timeout: float, again: bool):
        super().__init__(oracle)
        self.timeout, now = timeout, time.monotonic()
        self._heard = dict.fromkeys(oracle.tuner_ids, now)
        self._quiet_until = now + (5 * GRACE_SECONDS if again else 0.0)

    def CreateTrial(self, request, context):  # noqa: N802
        self._heard[request.tuner_id] = time.monotonic()
        return super().CreateTrial(request, context)

    def GetTrial(self, request, context):  # noqa: N802
        for tuner, trial in self.oracle.ongoing_trials.items():
            if trial.trial_id == request.trial_id:
                self._heard[tuner] = time.monotonic()
        return super().GetTrial(request, context)

    def is_over(self) -> bool:
        """Whether every trial has ended and every worker knows; workers that were silent too long are forgotten."""
        now = time.monotonic()
        for tuner in [tuner for tuner, heard in self._heard.items() if now - heard > self.timeout]:
            print(f"{tuner} has been silent for {self.timeout:.0f} s: its trial goes to another worker", flush=True)
            del self._heard[tuner]
            self.oracle.forget(tuner)
        return self.stop_triggered and self.oracle.is_idle and now >= self._quiet_until


def serve(servicer: StudyServicer, address: str, stop: StopFlag) -> None:
    """Answer at `address` until the study is over.

    Raises UserError if the port is in use, RunFailed if all of the first trials failed, Stopped.
    """
    thread = ThreadPoolExecutor(max_workers=1)  # keras-tuner's oracle is not safe with more
    server = grpc.server(thread, options=[("grpc.so_reuseport", 0)])
    protos.get_service_grpc().add_OracleServicer_to_server(servicer, server)
    try:
        server.add_insecure_port(address)
    except RuntimeError:
        raise UserError(f"{address}: the port is in use, or the address is not this machine's") from None
    server.start()
    try:
        while not thread.submit(servicer.is_over).result():
            stop.check()
            if servicer.oracle.all_failed:
                raise RunFailed("the first trials all failed, so the study was stopped; the same command retries them")
            time.sleep(POLL_SECONDS)
    finally:
        server.stop(GRACE_SECONDS).wait()


def _lead(study: Study, folder: Path, again: bool) -> None:
    tuner = tuner_folder(study, folder)

    def is_complete(trial: Trial) -> bool:
        return all(cell.is_done(folder) for cell in cells_of(study, trial.hyperparameters.values))

    with lock_of(tuner, CHIEF), StopFlag() as stop:  # after the chief before has gone
        oracle = make_oracle(study, tuner)
        if (tuner / "oracle.json").exists():
            oracle.reload()
            if not again:
                oracle.begin_again(is_complete)
        serve(StudyServicer(oracle, worker_timeout(), again), f"{os.environ[IP]}:{os.environ[PORT]}", stop)


if __name__ == "__main__":
    run_member("pipeline.study.chief", _lead)
