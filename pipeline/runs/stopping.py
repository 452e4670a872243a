"""Graceful stopping: the first SIGINT or SIGTERM sets a flag, which the training loop checks at every step."""

import signal
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(Exception):
    """The run stopped after saving a checkpoint; `signum` is the signal, 128 + signum the exit code."""

    def __init__(self, signum: int):
        super().__init__(f"stopped by {signal.Signals(signum).name}")
        self.signum = signum


class StopFlag:
    """Records the first SIGINT or SIGTERM in its `with` block; a second one has its usual effect."""

    def __init__(self):
        self.signum: int | None = None
        self._previous: dict[int, object] = {}

    def __enter__(self) -> "StopFlag":
        self._previous = {signum: signal.signal(signum, self._remember) for signum in SIGNALS}
        return self

    def __exit__(self, *error) -> None:
        self._restore()

    def check(self) -> None:
        """Raise Stopped if a signal has arrived."""
        if self.signum is not None:
            raise Stopped(self.signum)

    def _remember(self, signum: int, frame: FrameType | None) -> None:
        self.signum = signum
        self._restore()

    def _restore(self) -> None:
        for signum, handler in self._previous.items():
            signal.signal(signum, handler)
        self._previous = {}
