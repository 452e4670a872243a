"""The chief and the workers of a study on this machine: started, started again when they die, ended together."""

import signal
import subprocess
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.errors import RunFailed, UserError
from pipeline.study.children import kill, said, start, tail

DEATHS, WITHIN_SECONDS = 5, 60.0
AGAIN = "--again"


@dataclass
class Member:
    """One process of a study under one name, whatever its process id."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    process: subprocess.Popen | None = None
    deaths: deque[float] = field(default_factory=deque)

    def begin(self, again: bool = False) -> None:
        """Start it; `again` tells it that it replaces one that died."""
        command = [*self.command, AGAIN] if again else self.command
        self.process = start(command, self.log, self.environment, append=again)

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.process.poll() is None

    @property
    def ended_well(self) -> bool:
        """Whether it has done all it had to do."""
        return self.process.poll() == 0

    @property
    def died(self) -> bool:
        """Whether it ended before it had done all it had to do."""
        return self.process.poll() not in (None, 0)

    def revive(self) -> bool:
        """Start it again if it died; whether it had.

        Raises UserError or RunFailed with what it said, if another start would be no use or it dies all the time.
        """
        if not self.died:
            return False
        code = self.process.returncode
        if code == 2:
            raise UserError(said(self.log, "error: "))
        if code == 1:
            raise RunFailed(said(self.log, "failed: "))
        now = time.monotonic()
        self.deaths.append(now)
        while now - self.deaths[0] > WITHIN_SECONDS:
            self.deaths.popleft()
        if len(self.deaths) >= DEATHS:
            kind = f"{DEATHS} times in {WITHIN_SECONDS:.0f} s (exit {code})"
            raise RunFailed(f"{self.name} died {kind}; {self.log} ends with\n{tail(self.log)}")
        self.begin(again=True)
        return True


def end_all(members: Sequence[Member], signum: int = signal.SIGTERM) -> None:
    """Ask all to stop and wait until they have, however long their checkpoints take."""
    running = [member for member in members if member.process and member.running]
    for member in running:
        member.process.send_signal(signum)
    for member in running:
        member.process.wait()


def kill_all(members: Sequence[Member]) -> None:
    """End what is still running at once."""
    for member in members:
        if member.process:
            kill(member.process)
