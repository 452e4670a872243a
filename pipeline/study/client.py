"""The worker's line to the chief: it outlasts a chief that dies and comes back, and lets go when asked to stop."""

import time
from functools import partial

import grpc
from keras_tuner import Oracle
from keras_tuner.engine.trial import Trial
from keras_tuner.errors import FatalError
from keras_tuner.src import protos
from keras_tuner.src.distribute.oracle_client import OracleClient

from pipeline.errors import RunFailed
from pipeline.stopping import StopFlag, Stopped

PATIENCE_SECONDS = 600.0
CALL_SECONDS = 60.0
POLL_SECONDS = 0.3
AWAY = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED}
OPTIONS = [
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


class StudyClient(OracleClient):
    """keras-tuner's client with patience; its errors are all `Ended`."""

    def __init__(self, oracle: Oracle, address: str, stop: StopFlag):
        super().__init__(oracle)
        self.address, self.stop = address, stop
        self.line = protos.get_service_grpc().OracleStub(grpc.insecure_channel(address, OPTIONS))
        self.stub = self

    def create_trial(self, tuner_id: str) -> Trial:
        """The next trial; waits a moment if there is none yet, since keras-tuner asks again at once."""
        trial = super().create_trial(tuner_id)
        if trial.status == "IDLE":
            time.sleep(POLL_SECONDS)
        return trial

    def __getattr__(self, name: str):
        if hasattr(protos.get_service_grpc().OracleServicer, name):
            return partial(self._call, name)
        return super().__getattr__(name)

    def _call(self, name: str, request, **_):
        """The chief's answer, however often it takes to ask: every question may be asked twice."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return self._answer(getattr(self.line, name).future(request, timeout=CALL_SECONDS, wait_for_ready=True))
            except grpc.RpcError as error:
                if error.code() not in AWAY:
                    raise Ended(RunFailed(f"the chief at {self.address} failed: {error.details()}")) from error
                if time.monotonic() > deadline:
                    message = f"the chief at {self.address} has not answered for {PATIENCE_SECONDS / 60:.0f} min"
                    raise Ended(RunFailed(f"{message}. Start the study there and here again: it resumes")) from None
                time.sleep(POLL_SECONDS)

    def _answer(self, future: grpc.Future):
        while True:
            if self.stop.signum is not None:
                future.cancel()
                raise Ended(Stopped(self.stop.signum))
            try:
                return future.result(timeout=POLL_SECONDS)
            except grpc.FutureTimeoutError:
                continue
