"""Leads a study on this machine: starts chief and workers, keeps them alive, follows what they report, ends them."""

import subprocess
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.errors import RunFailed, UserError
from pipeline.runs.folder import read_status
from pipeline.runs.stopping import StopFlag
from pipeline.study.config import Study
from pipeline.study.machines import Place, as_machine, member_log, tuner_folder
from pipeline.study.processes import AGAIN, kill, member_command, message_after, start, tail, with_threads
from pipeline.study.progress import Reports, StudyProgress

POLL_SECONDS = 0.2
FAREWELL_SECONDS = 2.0
MAX_DEATHS, WITHIN_SECONDS = 5, 60.0


@dataclass
class Member:
    """The chief or a worker: one name, whatever its process id."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    process: subprocess.Popen | None = None
    deaths: deque[float] = field(default_factory=lambda: deque(maxlen=MAX_DEATHS))

    def begin(self, again: bool = False) -> None:
        """Start it; `again` tells it that it replaces one that died."""
        command = [*self.command, AGAIN] if again else self.command
        self.process = start(command, self.log, self.environment, append=again)

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.process is not None and self.process.poll() is None

    @property
    def ended_well(self) -> bool:
        """Whether it has done all it had to do."""
        return self.process.poll() == 0

    def revive(self) -> bool:
        """Start it again if it died; whether it had.

        Raises UserError or RunFailed with its message, if another start would be no use or it dies all the time.
        """
        code = self.process.poll()
        if not code:
            return False
        if code == 2:
            raise UserError(message_after(self.log, "error: "))
        if code == 1:
            raise RunFailed(message_after(self.log, "failed: "))
        self.deaths.append(time.monotonic())
        if len(self.deaths) == MAX_DEATHS and self.deaths[-1] - self.deaths[0] <= WITHIN_SECONDS:
            times = f"{MAX_DEATHS} times in {WITHIN_SECONDS:.0f} s (exit {code})"
            raise RunFailed(f"{self.name} died {times}; {self.log} ends with\n{tail(self.log)}")
        self.begin(again=True)
        return True


def end_all(members: Sequence[Member]) -> None:
    """Ask all to stop and wait until they have, however long their checkpoints take."""
    running = [member for member in members if member.running]
    for member in running:
        member.process.terminate()
    for member in running:
        member.process.wait()


class Supervisor:
    """The chief, if it runs here, and the workers of this machine."""

    def __init__(self, study: Study, folder: Path, where: Place, stop: StopFlag, progress: StudyProgress):
        self.folder, self.where, self.stop, self.progress = folder, where, stop, progress
        self.tuner = tuner_folder(study, folder)
        self.reports = Reports(self.tuner)
        command, threads = member_command("pipeline.study.worker", study, folder), with_threads(where.threads)
        self.workers = [
            Member(name, command, {**where.environment(name), **threads}, member_log(self.tuner, name))
            for name in where.workers
        ]
        self.chief = None
        if where.leads:
            command = member_command("pipeline.study.chief", study, folder)
            self.chief = Member("chief", command, where.environment("chief"), member_log(self.tuner, "chief"))

    def run(self, after_turn: Callable[[int], None], after_change: Callable[[], None]) -> None:
        """Until the last trial has ended; nothing runs afterwards.

        Calls `after_turn` some times a second with the number of cells that have just finished, `after_change` when there
        are such cells or a member has died. Raises Stopped after a signal, UserError or RunFailed if the study cannot go on.
        """
        members = [*self.workers, *([self.chief] if self.chief else [])]
        with as_machine(self.tuner, self.where.machine):
            try:
                for member in reversed(members):  # the chief first
                    member.begin()
                while not self._is_over():
                    self._check_signal()
                    finished = self._follow()
                    if finished or any(member.process.poll() for member in members):
                        after_change()
                    self._revive()
                    after_turn(finished)
                    time.sleep(POLL_SECONDS)
                self._follow()
            except (UserError, RunFailed):
                end_all(self.workers)
                raise
            finally:
                end_all([self.chief] if self.chief else [])
                for member in members:
                    if member.running:
                        kill(member.process)

    def _check_signal(self) -> None:
        if self.stop.signum is not None:
            self.progress.say("stopping: the runs write their checkpoints; Ctrl-C again ends them at once")
            end_all(self.workers)
            self.stop.check()

    def _follow(self) -> int:
        finished = self.progress.follow(self.reports.read())
        if self.progress.refused:
            raise UserError(self.progress.refused)
        return finished

    def _revive(self) -> None:
        try:
            if self.chief and self.chief.revive():
                self.progress.say("the chief died and has been started again")
                for worker in self.workers:
                    if worker.ended_well:  # the new chief waits until it has told every worker that nothing is left
                        worker.begin(again=True)
            for worker in self.workers:
                if worker.revive():
                    self.progress.say(f"{worker.name} died and has been started again")
        except RunFailed as error:
            self._follow()
            raise RunFailed("\n".join([str(error), *map(str, self.progress.failures.values())])) from None

    def _is_over(self) -> bool:
        if self.chief is None:
            return all(worker.ended_well for worker in self.workers) or self._chief_has_ended()
        if not self.chief.ended_well:
            return False
        self._see_off()
        return True

    def _chief_has_ended(self) -> bool:
        """Whether the study has ended on the machine that leads it, so that nobody will answer the workers here."""
        status = read_status(self.folder) or {}
        if status.get("state") == "running":
            return False
        self._see_off()
        if status.get("state") != "done":
            state = ": ".join(filter(None, (status.get("state"), status.get("message"))))
            raise RunFailed(
                f"the study has ended on the machine of its chief ({state}). Start it there, then here again"
            )
        return True

    def _see_off(self) -> None:
        """The chief has gone: workers that have not heard of it yet have nothing left to do."""
        deadline = time.monotonic() + FAREWELL_SECONDS
        while time.monotonic() < deadline and any(worker.running for worker in self.workers):
            time.sleep(POLL_SECONDS)
        end_all(self.workers)
