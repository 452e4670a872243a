"""python -m pipeline.study.worker: takes trials from the chief and runs their cells; started by pipeline.study."""

import os
import threading
import time
from contextlib import contextmanager, suppress

import grpc
from keras_tuner.engine.base_tuner import BaseTuner
from keras_tuner.engine.trial import Trial
from keras_tuner.errors import FailedTrialError
from keras_tuner.src import protos

from pipeline.config_problems import ConfigError
from pipeline.errors import UserError
from pipeline.stopping import StopFlag
from pipeline.study.cell_run import CellFailed, run_cell
from pipeline.study.cells import Cell, is_done
from pipeline.study.client import Ended, StudyClient
from pipeline.study.machines import IP, PORT, worker_timeout
from pipeline.study.manifest import write_trial
from pipeline.study.oracles import SCORE, make_oracle
from pipeline.study.part import Part, run_part
from pipeline.study.scores import mean_score, score
from pipeline.study.settings import GRID, VARIANT
from pipeline.study.space import values_of

HEARTBEAT_SECONDS = 30.0


class StudyTuner(BaseTuner):
    """Runs each trial as ordinary runs in processes of their own; its state is the chief's and the run folders'."""

    def __init__(self, part: Part, stop: StopFlag):
        oracle = make_oracle(part.study, part.state.tuner)
        super().__init__(oracle, directory=part.state.tuner.parent, project_name=part.state.tuner.name)
        self.oracle = StudyClient(oracle, f"{os.environ[IP]}:{os.environ[PORT]}", stop)
        self.part, self.stop = part, stop

    def save(self) -> None:
        """Nothing: a tuner has no state of its own."""

    def run_trial(self, trial: Trial) -> dict[str, float]:
        """The score of a trial; raises FailedTrialError if one of its cells failed, Ended if the search must end."""
        study = self.part.study
        try:
            cells = self._cells(trial)
            if study.search.kind != GRID:
                write_trial(trial.trial_id, cells, self.part.folder)
            with self._heartbeat(trial):
                for cell in cells:
                    self._run(cell)
            return {SCORE: self._score(trial, cells)}
        except CellFailed as error:
            raise FailedTrialError(str(error)) from None
        except UserError as error:
            self.part.state.halt.write(2, str(error))
            raise Ended(error) from error
        except Exception as error:
            raise Ended(error) from error

    def _cells(self, trial: Trial) -> tuple[Cell, ...]:
        """The cells of a trial; a combination that is no valid experiment is a failed trial."""
        study, values = self.part.study, trial.hyperparameters.values
        try:
            return study.cells_of(values_of(values, study.space))
        except ConfigError as error:
            log = str(self.part.state.log(self.tuner_id))
            self._tell("failed", str(values[VARIANT]), f"trial {trial.trial_id}", message=str(error), log=log)
            raise CellFailed(str(error)) from None

    def _run(self, cell: Cell) -> None:
        folder = self.part.folder
        if is_done(cell, folder):
            self._report("reused", cell, score=self._shown_score(cell))
            return
        self._report("begun", cell)
        begun = time.monotonic()
        try:
            run_cell(cell, folder, self.stop)
        except CellFailed as error:
            self._report("failed", cell, message=str(error), log=str(cell.log_path(folder)))
            raise
        seconds = time.monotonic() - begun
        self._report("done", cell, seconds=seconds, score=self._shown_score(cell))

    def _shown_score(self, cell: Cell) -> float | None:
        """What "best so far" goes by; None for what is no rival."""
        study = self.part.study
        is_rival = cell.arm.variant not in study.reference_only
        return score(cell, self.part.folder, study.search.objective) if is_rival else None

    def _score(self, trial: Trial, cells: tuple[Cell, ...]) -> float:
        search = self.part.study.search
        if search.kind == GRID:  # every combination is run: nothing depends on it
            return 0.0
        found = mean_score(cells, self.part.folder, search.objective)
        if found is None:
            name, log = cells[0].arm.name, str(self.part.state.log(self.tuner_id))
            message = f"{search.objective} is undefined for one of its runs: no score to search by"
            self._tell("failed", name, f"trial {trial.trial_id}", message=message, log=log)
            raise CellFailed(message)
        return found

    def _report(self, kind: str, cell: Cell, **more: object) -> None:
        self._tell(kind, cell.title, cell.run_folder(self.part.folder).name, **more)

    def _tell(self, kind: str, cell: str, run: str, **more: object) -> None:
        self.part.state.report(self.tuner_id, event=kind, cell=cell, run=run, **more)

    @contextmanager
    def _heartbeat(self, trial: Trial):
        """Let the chief hear of this worker while a trial runs."""
        ended = threading.Event()
        seconds = min(HEARTBEAT_SECONDS, worker_timeout() / 4)
        request = protos.get_service().GetTrialRequest(trial_id=trial.trial_id)

        def beat() -> None:
            while not ended.wait(seconds):
                with suppress(grpc.RpcError):  # the chief may be away; the next beat tries again
                    self.oracle.line.GetTrial(request, timeout=seconds)

        threading.Thread(target=beat, daemon=True).start()
        try:
            yield
        finally:
            ended.set()


def _execute(part: Part, stop: StopFlag) -> None:
    try:
        StudyTuner(part, stop).search()
    except Ended as ended:
        raise ended.reason from ended


if __name__ == "__main__":
    run_part("pipeline.study.worker", _execute)
