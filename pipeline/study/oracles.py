"""keras-tuner's oracles, made safe against a kill at any moment: their state is written whole and read with care."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import keras_tuner
from keras_tuner.engine.trial import Trial
from keras_tuner.src.engine.metrics_tracking import MetricsTracker

from pipeline.errors import RunFailed, UserError
from pipeline.run_files import read_json, write_text
from pipeline.study.config import Study
from pipeline.study.settings import GRID, VARIANT
from pipeline.study.space import hyperparameters

SCORE = "score"
RUNNING, COMPLETED, FAILED = "RUNNING", "COMPLETED", "FAILED"
NEVER = 10**9
SEVERAL, MANY = 3, 6  # trials that failed before anything succeeded


class DurableOracle(keras_tuner.Oracle):
    """Mixin: files appear whole, an end reported twice counts once, a reload trusts the trials' own files."""

    def save(self) -> None:
        """Write oracle.json as a whole; raises RunFailed if the disk is full."""
        write_text(Path(self._get_oracle_fname()), json.dumps(self.get_state()))

    def _save_trial(self, trial: Trial) -> None:
        write_text(Path(self._get_trial_dir(trial.trial_id)) / "trial.json", json.dumps(trial.get_state()))

    def end_trial(self, trial: Trial) -> None:
        """End a trial; one that has ended already stays as it is (its worker did not hear the answer)."""
        if trial.trial_id in self.end_order:
            return
        trial.hyperparameters = self.trials[trial.trial_id].hyperparameters  # not those that went over the wire
        super().end_trial(trial)

    def reload(self) -> None:
        """Read the state; trials that had begun keep their workers, who come back under the same names.

        Raises UserError if it is damaged.
        """
        state = _read(Path(self._get_oracle_fname()))
        self.trials = {each: Trial.load(self._trial_path(each)) for each in state["start_order"]}
        self.set_state(state)
        ended = [each for each in self.start_order if self.trials[each].status in (COMPLETED, FAILED)]
        self.end_order = [each for each in self.end_order if each in ended]
        self.end_order += [each for each in ended if each not in self.end_order]
        self.ongoing_trials = {
            tuner: trial for tuner, trial in self.ongoing_trials.items() if trial.trial_id not in ended
        }
        self.tuner_ids = set(self.ongoing_trials)
        self._queue_the_rest()

    def begin_again(self, is_complete: Callable[[Trial], bool]) -> None:
        """After `reload`, when all workers are new: what had begun, failed or lost its runs is run again."""
        self.ongoing_trials, self.tuner_ids = {}, set()
        for each in list(self.end_order):
            trial = self.trials[each]
            if trial.status == FAILED or not is_complete(trial):
                trial.status, trial.message, trial.score, trial.metrics = RUNNING, None, None, MetricsTracker()
                self._save_trial(trial)
                self.end_order.remove(each)
        self._queue_the_rest()
        self.save()

    def forget(self, tuner_id: str) -> None:
        """A worker is gone for good: its trial goes to the next one who asks."""
        self.tuner_ids.discard(tuner_id)
        self.ongoing_trials.pop(tuner_id, None)
        self._queue_the_rest()
        self.save()

    @property
    def all_failed(self) -> bool:
        """Whether all trials that have ended failed, three or more, and not of one variant alone if fewer than six."""
        ended = [self.trials[each] for each in self.end_order]
        variants = {trial.hyperparameters.values.get(VARIANT) for trial in ended}
        many = len(ended) >= MANY or (len(ended) >= SEVERAL and len(variants) > 1)
        return many and all(trial.status == FAILED for trial in ended)

    def _queue_the_rest(self) -> None:
        """What has begun and is with no worker waits in the queue, the earliest trial last: it is popped first."""
        ongoing = {trial.trial_id for trial in self.ongoing_trials.values()}
        waiting = [each for each in self.start_order if each not in ongoing and each not in set(self.end_order)]
        self._retry_queue = waiting[::-1]

    def _trial_path(self, trial_id: str) -> Path:
        return Path(self._get_trial_dir(trial_id)) / "trial.json"


class GridOracle(DurableOracle, keras_tuner.oracles.GridSearchOracle):
    """All combinations in order; a worker never waits for another one's trial to end before it gets the next."""

    def populate_space(self, trial_id: str) -> dict:
        """The combination after the one begun last."""
        self._populate_next = self.start_order[-1:]
        return super().populate_space(trial_id)

    def reload(self) -> None:
        """Read the state and rebuild the order of the trials, which keras-tuner does not save."""
        super().reload()
        previous = None
        for each in self.start_order:
            self._ordered_ids.insert(each, previous)
            previous = each


class ReferenceFirst(DurableOracle):
    """Mixin: the first trial is the study's reference, which all others are compared with."""

    def __init__(self, *, first: Mapping[str, object], **settings):
        super().__init__(**settings)
        self._first = dict(first)

    def populate_space(self, trial_id: str) -> dict:
        """The reference's values, then those of the search."""
        if self.start_order:
            return super().populate_space(trial_id)
        self._duplicate(self._first)  # notes that they have been tried
        return {"status": RUNNING, "values": dict(self._first)}


class RandomOracle(ReferenceFirst, keras_tuner.oracles.RandomSearchOracle):
    """Values drawn at random."""


class BayesianOracle(ReferenceFirst, keras_tuner.oracles.BayesianOptimizationOracle):
    """Values where a Gaussian process expects improvement."""


ORACLES = {GRID: GridOracle, "random": RandomOracle, "bayesian": BayesianOracle}


def make_oracle(study: Study, folder: Path) -> DurableOracle:
    """The oracle of a study, with its state in `folder`; nothing is read yet."""
    oracle = ORACLES[study.search.kind](
        objective=keras_tuner.Objective(SCORE, "max"),
        hyperparameters=hyperparameters(study.space),
        allow_new_entries=False,
        tune_new_entries=False,
        seed=study.search.seed + 1,  # 0 means any
        max_consecutive_failed_trials=NEVER,  # it would raise in the middle of an answer; see `all_failed`
        **_search_settings(study),
    )
    oracle.verbose = 0
    oracle._set_project_dir(str(folder.parent), folder.name)
    return oracle


def _search_settings(study: Study) -> dict[str, object]:
    kind, trials = study.search.kind, study.search.trials
    if kind == GRID:
        return {}
    settings = {"max_trials": trials, "first": study.first_values(study.reference)}
    if kind == "random":
        return settings
    return settings | {"num_initial_points": max(3, trials // 3)}  # else 3 for every hyperparameter


def _read(path: Path) -> dict:
    try:
        return read_json(path) or {}
    except RunFailed:
        raise UserError(f"{path}: damaged. Delete {path.parent}: finished runs are kept and not run again") from None
