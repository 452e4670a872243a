"""Where a study runs: on this machine alone, or on several through keras-tuner's environment variables and one folder."""

import errno
import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from pipeline.errors import UserError
from pipeline.runs.files import clear_disk_errors
from pipeline.study.config import Study

IP, PORT, TUNER = "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT", "KERASTUNER_TUNER_ID"
CHIEF = "chief"  # keras-tuner makes a process the chief if its id contains this
LEADER = "leader"  # the machine of the chief, whose workers must not be taken for it
TIMEOUT = "NIBBLE_WORKER_TIMEOUT"
TIMEOUT_SECONDS = 300.0
PORT_SECONDS = 5.0
DIGITS = 8


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
        """Threads of each of its runs."""
        return threads_each(self.count)

    def environment(self, tuner_id: str) -> dict[str, str]:
        """What keras-tuner reads in the process `tuner_id`."""
        return {IP: self.ip, PORT: str(self.port), TUNER: tuner_id}


def place(workers: int) -> Place:
    """The part of this machine, by the environment; raises UserError if the variables or the address are wrong."""
    worker_timeout()  # read here to tell at once if it is no number
    given = {key: os.environ[key] for key in (IP, PORT, TUNER) if key in os.environ}
    if not given:
        return Place("127.0.0.1", _bound("127.0.0.1", 0), True, "worker", workers)
    if missing := {IP, PORT, TUNER} - set(given):
        raise UserError(f"{', '.join(sorted(missing))}: not set. Several machines need {IP}, {PORT} and {TUNER}")
    ip, port, name = given[IP], given[PORT], given[TUNER]
    if not (port.isdecimal() and 1 <= int(port) <= 65535):
        raise UserError(f"{PORT}={port}: give a number from 1 to 65535")
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", name):
        raise UserError(f"{TUNER}={name}: give letters, digits, dots and dashes")
    if CHIEF in name:
        return Place(ip, _bound(ip, int(port)), True, LEADER, workers)
    return Place(ip, int(port), False, name, workers)


def threads_each(workers: int) -> int:
    """Threads for each of `workers` runs at a time: their share of the cores that this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // workers)


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


def tuner_folder(study: Study, folder: Path) -> Path:
    """tuner/DIGEST8 in the folder of a study: keras-tuner's state, locks, logs and reports, shared by all machines."""
    return folder / "tuner" / study.digest[:DIGITS]


def member_log(tuner: Path, name: str) -> Path:
    """The log of the chief or a worker."""
    return tuner / "logs" / f"{name}.log"


@contextmanager
def as_machine(tuner: Path, name: str) -> Iterator[None]:
    """Be the only machine of this name; raises UserError if there is one already."""
    try:
        lock = lock_of(tuner, name).acquire(blocking=False)
    except Timeout:
        raise UserError(f"{name}: a machine of this name works on the study already. Choose another") from None
    with lock:
        yield


def lock_of(tuner: Path, name: str) -> FileLock:
    """A lock that the system releases when its process ends, on NFS (version 4 or newer) as well."""
    path = tuner / "locks" / name
    with clear_disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(path)


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
