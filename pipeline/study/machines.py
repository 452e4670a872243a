"""Where a study runs: on this machine alone, or on several through keras-tuner's environment variables."""

import errno
import os
import re
import socket
import time
from dataclasses import dataclass

from pipeline.errors import UserError
from pipeline.study.children import threads_each

IP, PORT, TUNER = "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT", "KERASTUNER_TUNER_ID"
CHIEF = "chief"  # keras-tuner makes a process the chief if its id contains this
LEADER = "leader"  # the machine of the chief, whose workers must not be taken for it
TIMEOUT = "NIBBLE_WORKER_TIMEOUT"
TIMEOUT_SECONDS = 300.0
PORT_SECONDS = 5.0


@dataclass(frozen=True)
class Place:
    """The part of this machine in a study: the chief's address, whether the chief runs here, its name, its workers."""

    ip: str
    port: int
    leads: bool
    machine: str
    count: int

    @property
    def workers(self) -> tuple[str, ...]:
        """The names of its workers."""
        return tuple(f"{self.machine}-{number}" for number in range(1, self.count + 1))

    @property
    def threads(self) -> int:
        """How many each of its trainings has."""
        return threads_each(self.count)

    def environment(self, tuner_id: str) -> dict[str, str]:
        """What keras-tuner wants to know in the process `tuner_id`."""
        return {IP: self.ip, PORT: str(self.port), TUNER: tuner_id}


def place(workers: int) -> Place:
    """The part of this machine, by the environment; raises UserError if the variables or the address are wrong."""
    worker_timeout()  # read here to tell at once if it is no number
    given = {key: os.environ[key] for key in (IP, PORT, TUNER) if key in os.environ}
    if not given:
        return Place("127.0.0.1", _bound("127.0.0.1", 0), True, "worker", workers)
    if missing := {IP, PORT, TUNER} - set(given):
        raise UserError(f"{', '.join(sorted(missing))}: not set. Several machines need {IP}, {PORT} and {TUNER}")
    port = _port(given[PORT])
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", given[TUNER]):
        raise UserError(f"{TUNER}={given[TUNER]}: give letters, digits, dots and dashes")
    if CHIEF in given[TUNER]:
        return Place(given[IP], _bound(given[IP], port), True, LEADER, workers)
    return Place(given[IP], port, False, given[TUNER], workers)


def worker_timeout() -> float:
    """Seconds of silence after which a worker is given up; raises UserError if the variable is no such number."""
    text = os.environ.get(TIMEOUT, str(TIMEOUT_SECONDS))
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 1 <= seconds < float("inf"):
        raise UserError(f"{TIMEOUT}={text}: give seconds, 1 or more")
    return seconds


def _port(text: str) -> int:
    if not (text.isdecimal() and 1 <= int(text) <= 65535):
        raise UserError(f"{PORT}={text}: give a number from 1 to 65535")
    return int(text)


def _bound(ip: str, port: int) -> int:
    """A port that can be listened to at `ip`: `port`, or any that is free if it is 0.

    Tries for a while if the port is in use: the chief of a study that was just killed takes a moment to end.
    """
    deadline = time.monotonic() + PORT_SECONDS
    while True:
        try:
            with socket.create_server((ip, port)) as server:
                return server.getsockname()[1]
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() > deadline:
                advice = f"Give another {PORT}, or end what uses it" if port else "Check the network of this machine"
                raise UserError(f"{ip}:{port}: the chief cannot listen there: {error.strerror}. {advice}") from None
        time.sleep(0.2)
