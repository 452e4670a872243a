"""The settings of a variant, its arms (a variant at one setting), and the cells of a study: one run of one arm each."""

import hashlib
import itertools
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.config import config_hash, to_yaml
from pipeline.config.schema import Experiment
from pipeline.runs.files import read_json, write_text
from pipeline.runs.folder import read_status, run_path, seed_path
from pipeline.runs.names import SCORES
from pipeline.study.schema import Range, Settings, Variant

CELLS = "cells"
MAX_SLUG = 60
HASH_DIGITS = 8


@dataclass(frozen=True)
class Arm:
    """A variant at one of its settings, "" where it has none."""

    variant: str
    setting: str
    values: Mapping[str, object]

    @property
    def name(self) -> str:
        """Such as `dropout, rate 0.3`."""
        return f"{self.variant}, {self.setting}" if self.setting else self.variant


@dataclass(frozen=True)
class Cell:
    """One run of a study: an arm at a condition (a point of the study's axes, {} without any), one seed, one fold."""

    arm: Arm
    condition: Mapping[str, object]
    seed: int
    fold: int | None
    experiment: Experiment

    @property
    def title(self) -> str:
        """Such as `weight decay, noise.rate 0.4, seed 1, fold 2`."""
        parts = [self.arm.name, *(f"{key} {shown(value)}" for key, value in self.condition.items())]
        return ", ".join([*parts, f"seed {self.seed}"] + ([] if self.fold is None else [f"fold {self.fold}"]))

    def log_path(self, study: Path) -> Path:
        """The log of its process, in the folder of the study."""
        return study / CELLS / f"{self.experiment.name}.log"

    def run_folder(self, study: Path) -> Path:
        """Its run folder, in the folder of the study."""
        return run_path(study, self.experiment.name, config_hash(self.experiment))

    def write_config(self, study: Path) -> Path:
        """Write its configuration into the folder of the study; the file's path."""
        path = study / CELLS / f"{self.experiment.name}.yaml"
        write_text(path, to_yaml(self.experiment))
        return path

    def is_done(self, study: Path) -> bool:
        """Whether its run is complete."""
        return (read_status(self.run_folder(study)) or {}).get("state") == "done"

    def score(self, study: Path, objective: str | None) -> float | None:
        """The `objective` of its complete run, None if that is undefined or there is none."""
        scores = read_json(seed_path(self.run_folder(study), self.seed, self.fold) / SCORES) or {}
        return scores.get(objective)


def cells_at(arm: Arm, condition: Mapping, experiment: Experiment, name: str) -> Iterator[Cell]:
    """One cell for each seed and fold of `experiment`, whose run folders' names begin with `name`."""
    folds = folds_of(experiment)
    for seed, fold in itertools.product(experiment.seeds, folds):
        suffix = f"-seed{seed}" + ("" if fold is None else f"-fold{fold}")
        data = experiment.data if fold is None else experiment.data.model_copy(update={"folds": [fold]})
        update = {"name": name + suffix, "seeds": [seed], "data": data, "baseline": False}
        yield Cell(arm, condition, seed, fold, experiment.model_copy(update=update))


def folds_of(experiment: Experiment) -> tuple[int | None, ...]:
    """The folds of an experiment, (None,) where the data have none."""
    return tuple(experiment.data.folds) if experiment.data.task == "multilabel" else (None,)


def settings_of(variant: Variant) -> dict[str, Settings]:
    """Name to values of every setting, {"": {}} for a variant without; ranges are left out."""
    if variant.settings:
        return variant.settings
    return dict(named_points({key: values for key, values in variant.axes.items() if isinstance(values, list)}))


def named_points(axes: Mapping[str, list]) -> Iterator[tuple[str, Settings]]:
    """Every combination of the values of some axes, with its name."""
    for point in itertools.product(*axes.values()):
        values = dict(zip(axes, point, strict=True))
        yield setting_name(values), values


def setting_name(values: Settings) -> str:
    """Such as `rate 0.3, position head`; keys in full where their last parts are the same."""
    last = [key.rpartition(".")[2] for key in values]
    names = [name if last.count(name) == 1 else key for key, name in zip(values, last, strict=True)]
    return ", ".join(f"{name} {shown(value)}" for name, value in zip(names, values.values(), strict=True))


def reference_setting(variant: Variant) -> str:
    """The setting the others of `variant` are compared with, "" if it has none."""
    settings = settings_of(variant)
    if isinstance(variant.reference, Mapping):
        return next((name for name, values in settings.items() if values == variant.reference), "")
    return variant.reference or next(iter(settings), "")


def first_arm(name: str, variant: Variant) -> Arm:
    """A variant at its first setting; of a search, at the first or lowest value of each axis."""
    if variant.settings:
        return Arm(name, *next(iter(variant.settings.items())))
    values = {key: axis.low if isinstance(axis, Range) else axis[0] for key, axis in variant.axes.items()}
    return Arm(name, setting_name(values), values)


def target(key: str, variant: Variant) -> str:
    """The dotted key of the experiment that `key` of a variant stands for: dropout.rate is a field of a method."""
    first, _, rest = key.partition(".")
    for index, method in enumerate(variant.methods):
        if rest and isinstance(method, Mapping) and method.get("name") == first:
            return f"methods.{index}.{rest}"
    return key


def shown(value: object) -> str:
    """A value as it stands in names: short numbers, plain text."""
    return f"{value:.6g}" if isinstance(value, float) else value if isinstance(value, str) else json.dumps(value)


def slug(name: str) -> str:
    """`name` as part of a folder's name, with '-' for special characters; a long one ends in a digest."""
    plain = re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-.") or "study"
    if len(plain) <= MAX_SLUG:
        return plain
    return f"{plain[: MAX_SLUG - HASH_DIGITS - 1]}-{hashlib.sha256(name.encode()).hexdigest()[:HASH_DIGITS]}"
