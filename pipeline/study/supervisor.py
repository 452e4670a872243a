"""Leads a study on this machine: starts chief and workers, keeps them alive, follows what they report, ends them."""

import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from pipeline.errors import RunFailed, UserError
from pipeline.run_folder import read_status
from pipeline.stopping import StopFlag
from pipeline.study.children import python_module, with_threads
from pipeline.study.config import Study
from pipeline.study.machines import Place
from pipeline.study.part import arguments_of
from pipeline.study.processes import Member, end_all, kill_all
from pipeline.study.progress import StudyProgress
from pipeline.study.state import State

POLL_SECONDS = 0.2
FAREWELL_SECONDS = 2.0
REPORT_SECONDS = 10.0
REPORT_SHARE = 10  # a report that takes a second is written every ten seconds at most


class Reporter:
    """Writes the report after finished cells, but not so often that it costs more than it is worth."""

    def __init__(self, write: Callable[[], None]):
        self.write, self._next, self._wanted = write, 0.0, False

    def tick(self, finished: int) -> None:
        """Write it if cells have finished and the last one is old enough."""
        self._wanted |= finished > 0
        begun = time.monotonic()
        if self._wanted and begun >= self._next:
            self._write()
            self._wanted = False
            self._next = time.monotonic() + max(REPORT_SECONDS, REPORT_SHARE * (time.monotonic() - begun))

    def _write(self) -> None:
        """Hours of training are worth more than a table: a bug in it is shown now and ends the study only at its end."""
        try:
            self.write()
        except (UserError, RunFailed):
            raise
        except Exception:
            traceback.print_exc()
            self.write = lambda: None


class Supervisor:
    """The chief, if it runs here, and the workers of this machine; `record_code` is called as cells end or members die."""

    def __init__(
        self,
        study: Study,
        folder: Path,
        where: Place,
        stop: StopFlag,
        progress: StudyProgress,
        record_code: Callable[[], None] = lambda: None,
    ):
        self.folder, self.stop, self.progress = folder, stop, progress
        self.state = State(folder, study.digest)
        self.reports = self.state.reports()
        self.machine, self.record_code = where.machine, record_code
        arguments = arguments_of(study.path, folder, study.digest)
        self.workers = [
            self._member("worker", name, arguments, {**where.environment(name), **with_threads(where.threads)})
            for name in where.workers
        ]
        self.chief = self._member("chief", "chief", arguments, where.environment("chief")) if where.leads else None

    def run(self, each_turn: Callable[[int], None]) -> None:
        """Until the last trial has ended; `each_turn` is called with the number of cells that have just finished.

        Raises Stopped after a signal, UserError or RunFailed if the study cannot go on; nothing runs afterwards.
        """
        with self.state.as_machine(self.machine):
            self._run(each_turn)

    def _run(self, each_turn: Callable[[int], None]) -> None:
        try:
            for member in self._members:
                member.begin()
            while not self._is_over():
                if self.stop.signum is not None:
                    self.progress.stopping()
                    end_all(self.workers, self.stop.signum)
                    self.stop.check()
                self._check_halt()
                self._revive()
                finished = self.progress.follow(self.reports.read())
                if finished:
                    self.record_code()
                each_turn(finished)
                time.sleep(POLL_SECONDS)
            self.progress.follow(self.reports.read())
        except (UserError, RunFailed):
            end_all(self.workers)
            raise
        finally:
            if self.chief:
                end_all([self.chief])
            kill_all(self._members)

    @property
    def _members(self) -> list[Member]:
        return [*([self.chief] if self.chief else []), *self.workers]

    def _member(self, module: str, name: str, arguments: Sequence[str], environment: dict[str, str]) -> Member:
        command = python_module(f"pipeline.study.{module}", *arguments)
        return Member(name, command, environment, self.state.log(name))

    def _check_halt(self) -> None:
        if halt := self.state.halt.read():
            code, message = halt
            if code == 2:
                raise UserError(message)
            self.progress.follow(self.reports.read())
            raise RunFailed("\n".join([message, *map(str, self.progress.failures.values())]))

    def _revive(self) -> None:
        if any(member.died for member in self._members):
            self.record_code()
        if self.chief and self.chief.revive():
            self.progress.say("the chief died and has been started again")
            for worker in self.workers:
                if worker.ended_well:  # the new chief waits to hear that it knows
                    worker.begin(again=True)
        for worker in self.workers:
            if worker.revive():
                self.progress.say(f"{worker.name} died and has been started again")

    def _is_over(self) -> bool:
        if self.chief is None:
            return all(worker.ended_well for worker in self.workers) or self._chief_has_ended()
        if not self.chief.ended_well:
            return False
        self._see_off()
        return True

    def _chief_has_ended(self) -> bool:
        """Whether the study has ended on the machine that leads it, so that nobody will answer the workers here."""
        state = (read_status(self.folder) or {}).get("state")
        if state == "running":
            return False
        self._see_off()
        if state != "done":
            raise RunFailed(f"the study was ended where its chief ran ({state}). Start it there, then here again")
        return True

    def _see_off(self) -> None:
        """The chief has gone: workers that have not heard of it yet have nothing left to do."""
        deadline = time.monotonic() + FAREWELL_SECONDS
        while time.monotonic() < deadline and any(worker.running for worker in self.workers):
            time.sleep(POLL_SECONDS)
        end_all(self.workers)
