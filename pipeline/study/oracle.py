"""A study as keras-tuner searches it: its hyperparameters, the cells of a trial, and oracles that survive a kill."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

from pipeline.errors import RunFailed, UserError
from pipeline.runs.files import read_json, write_text
from pipeline.study.cells import Arm, Cell, setting_name, settings_of
from pipeline.study.config import Study
from pipeline.study.light_tuner import Trial, keras_tuner
from pipeline.study.schema import GRID, Range, Variant

VARIANT, SEED, FOLD, SETTING = "variant", "seed", "fold", "setting"
SCORE = "score"
RUNNING, COMPLETED, FAILED = "RUNNING", "COMPLETED", "FAILED"
NEVER = 10**9
SEVERAL, MANY = 3, 6  # trials that failed before anything succeeded

Dimension = tuple[str, tuple | Range, str | None]  # hyperparameter, its values, the variant it belongs to


def dimensions(study: Study) -> Iterator[Dimension]:
    """The space of a study. In a grid seeds come first and settings last: the order in which the cells run."""
    grid = study.search.kind == GRID
    if grid:
        yield SEED, study.seeds, None
        if study.folds != (None,):
            yield FOLD, study.folds, None
        for key, values in study.file.axes.items():
            yield key, tuple(values), None
    yield VARIANT, study.variants, None
    for name, variant in study.file.variants.items():
        if variant.settings or (grid and variant.axes):
            yield f"{name}/{SETTING}", tuple(settings_of(variant)), name
        else:
            for key, axis in variant.axes.items():
                yield f"{name}/{key}", axis if isinstance(axis, Range) else tuple(axis), name


def hyperparameters(study: Study) -> keras_tuner.HyperParameters:
    """The space of a study, declared before the first trial; the first value of each hyperparameter is its default."""
    space = keras_tuner.HyperParameters()
    for name, values, variant in dimensions(study):
        with ExitStack() as scope:
            if variant is not None:
                scope.enter_context(space.conditional_scope(VARIANT, [variant]))
            if isinstance(values, Range):
                whole = isinstance(values.low, int) and isinstance(values.high, int)
                declare = space.Int if whole else space.Float
                declare(name, values.low, values.high, step=values.step, sampling=values.scale)
            else:
                space.Choice(name, list(encoded(values)))
    return space


def cells_of(study: Study, values: Mapping[str, object]) -> tuple[Cell, ...]:
    """The cells of a trial with these values: one in a grid, otherwise all of an arm. Raises ConfigError for a bad arm."""
    arm = _arm(values, study.file.variants)
    if study.search.kind != GRID:
        return tuple(study.builder.cells(arm))
    condition = {key: decoded(values[key], tuple(given)) for key, given in study.file.axes.items()}
    wanted = (arm.name, condition, values[SEED], values.get(FOLD))
    return tuple(cell for cell in study.cells if (cell.arm.name, cell.condition, cell.seed, cell.fold) == wanted)


def encoded(values: tuple) -> tuple:
    """`values` in one type, which keras-tuner wants: as they are, as floats, or as JSON texts."""
    kinds = {type(value) for value in values}
    if len(kinds) == 1:
        return values
    return tuple(map(float, values)) if kinds == {int, float} else tuple(map(json.dumps, values))


def decoded(value: object, values: tuple) -> object:
    """The one of `values` that `encoded` turned into `value`; True may have become 1 on its way over the wire."""
    return values[encoded(values).index(value)]


def first_values(study: Study) -> dict[str, object]:
    """The hyperparameters of a search's first trial: the study's reference at its first setting or lowest values."""
    space = hyperparameters(study)
    space.values = {VARIANT: study.reference}
    return {each.name: each.default for each in space.space if space.is_active(each)} | space.values


def _arm(values: Mapping[str, object], variants: Mapping[str, Variant]) -> Arm:
    name = values[VARIANT]
    if f"{name}/{SETTING}" in values:
        setting = values[f"{name}/{SETTING}"]
        return Arm(name, setting, settings_of(variants[name])[setting])
    point = {}
    for key, axis in variants[name].axes.items():
        value = values[f"{name}/{key}"]
        point[key] = value if isinstance(axis, Range) else decoded(value, tuple(axis))
    return Arm(name, setting_name(point), point)


class DurableOracle(keras_tuner.Oracle):
    """Mixin: files appear whole, an end reported twice counts once, a reload trusts the trials' own files."""

    def save(self) -> None:
        """Write oracle.json as a whole; raises RunFailed if the disk is full."""
        write_text(Path(self._get_oracle_fname()), json.dumps(self.get_state()))  # private: keras-tuner names the file

    def _save_trial(self, trial: Trial) -> None:
        """Overrides a private method: the only place where keras-tuner writes a trial, and it does not write it whole."""
        write_text(self._trial_path(trial.trial_id), json.dumps(trial.get_state()))

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
        path = Path(self._get_oracle_fname())
        try:
            state = read_json(path) or {}
        except RunFailed:
            advice = f"Delete {path.parent}: finished runs are kept and not run again"
            raise UserError(f"{path}: damaged. {advice}") from None
        self.trials = {each: Trial.load(self._trial_path(each)) for each in state["start_order"]}
        self.set_state(state)
        self.end_order = [each for each in self.start_order if self.trials[each].status in (COMPLETED, FAILED)]
        for tuner, trial in list(self.ongoing_trials.items()):
            if trial.trial_id in self.end_order:
                del self.ongoing_trials[tuner]
        self.tuner_ids = set(self.ongoing_trials)
        self._queue_the_rest()

    def begin_again(self, is_complete: Callable[[Trial], bool]) -> None:
        """After `reload`, when all workers are new: what had begun, failed or lost its runs is run again."""
        self.ongoing_trials, self.tuner_ids = {}, set()
        for each in list(self.end_order):
            trial = self.trials[each]
            if trial.status == FAILED or not is_complete(trial):
                self.trials[each] = Trial(trial.hyperparameters, each, RUNNING)
                self._save_trial(self.trials[each])
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
    def is_idle(self) -> bool:
        """Whether no trial is running or waiting, and no worker has anything left to hear."""
        return not (self.ongoing_trials or self.tuner_ids or self._retry_queue)

    @property
    def all_failed(self) -> bool:
        """Whether all trials that have ended failed, three or more, and not of one variant alone if fewer than six."""
        ended = [self.trials[each] for each in self.end_order]
        variants = {trial.hyperparameters.values.get(VARIANT) for trial in ended}
        many = len(ended) >= MANY or (len(ended) >= SEVERAL and len(variants) > 1)
        return many and all(trial.status == FAILED for trial in ended)

    def _queue_the_rest(self) -> None:
        """What has begun and is with no worker waits in keras-tuner's (private) queue, of which the last comes first."""
        ongoing = {trial.trial_id for trial in self.ongoing_trials.values()}
        self._retry_queue = [each for each in reversed(self.start_order) if each not in {*ongoing, *self.end_order}]

    def _trial_path(self, trial_id: str) -> Path:
        return Path(self._get_trial_dir(trial_id)) / "trial.json"  # private: keras-tuner names the folder


class GridOracle(DurableOracle, keras_tuner.oracles.GridSearchOracle):
    """All combinations in order; a worker never waits for another one's trial to end before it gets the next."""

    def populate_space(self, trial_id: str) -> dict:
        """The combination after the one begun last, which `_populate_next` names."""
        self._populate_next = self.start_order[-1:]
        return super().populate_space(trial_id)

    def reload(self) -> None:
        """Read the state and rebuild the order of the trials, `_ordered_ids`, which keras-tuner does not save."""
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
        self._duplicate(self._first)  # private: notes that they have been tried
        return {"status": RUNNING, "values": dict(self._first)}


class RandomOracle(ReferenceFirst, keras_tuner.oracles.RandomSearchOracle):
    """Values sampled at random."""


class BayesianOracle(ReferenceFirst, keras_tuner.oracles.BayesianOptimizationOracle):
    """Values where a Gaussian process expects improvement."""


ORACLES = {GRID: GridOracle, "random": RandomOracle, "bayesian": BayesianOracle}


def make_oracle(study: Study, folder: Path) -> DurableOracle:
    """The oracle of a study, with its state in `folder`; nothing is read yet."""
    kind, trials = study.search.kind, study.search.trials
    settings = {} if kind == GRID else {"max_trials": trials, "first": first_values(study)}
    if kind == "bayesian":
        settings["num_initial_points"] = max(3, trials // 3)  # otherwise 3 for every hyperparameter
    oracle = ORACLES[kind](
        objective=keras_tuner.Objective(SCORE, "max"),
        hyperparameters=hyperparameters(study),
        allow_new_entries=False,
        tune_new_entries=False,
        seed=study.search.seed + 1,  # 0 means any
        max_consecutive_failed_trials=NEVER,  # it would raise in the middle of an answer; see `all_failed`
        **settings,
    )
    oracle.verbose = 0
    oracle._set_project_dir(str(folder.parent), folder.name)  # private: there is no other way to say where state lies
    return oracle
