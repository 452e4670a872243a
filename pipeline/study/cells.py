"""The cells of a study: one arm at one condition, one seed, one fold; each an ordinary experiment with a run folder."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.config import config_hash, to_yaml
from pipeline.config_schema import Experiment, FaceData
from pipeline.run_files import write_text
from pipeline.run_folder import read_status, run_path
from pipeline.study.settings import shown

CELLS = "cells"
LONGEST_SLUG = 60
HASH_DIGITS = 8


@dataclass(frozen=True)
class Arm:
    """One row of a comparison: a variant at one of its settings, "" where it has none."""

    variant: str
    setting: str
    values: Mapping[str, object]

    @property
    def name(self) -> str:
        """Such as `dropout, rate 0.3`."""
        return f"{self.variant}, {self.setting}" if self.setting else self.variant


@dataclass(frozen=True)
class Cell:
    """One training of a study; `condition` is a point of the study's axes, {} where it has none."""

    arm: Arm
    condition: Mapping[str, object]
    seed: int
    fold: int | None
    experiment: Experiment

    @property
    def title(self) -> str:
        """Such as `weight decay, noise.rate 0.4, seed 1, fold 2`."""
        parts = [
            self.arm.name,
            *(f"{key} {shown(value)}" for key, value in self.condition.items()),
            f"seed {self.seed}",
        ]
        return ", ".join(parts + ([] if self.fold is None else [f"fold {self.fold}"]))

    def config_path(self, study: Path) -> Path:
        """Where its configuration lies in the folder of the study."""
        return study / CELLS / f"{self.experiment.name}.yaml"

    def log_path(self, study: Path) -> Path:
        """Where its process writes what a terminal would show."""
        return study / CELLS / f"{self.experiment.name}.log"

    def run_folder(self, study: Path) -> Path:
        """Its run folder."""
        return run_path(study, self.experiment.name, config_hash(self.experiment))


def slug(name: str) -> str:
    """`name` with '-' for what a folder's name should not hold; a long one ends in a digest."""
    plain = re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-.") or "study"
    if len(plain) <= LONGEST_SLUG:
        return plain
    return f"{plain[: LONGEST_SLUG - HASH_DIGITS - 1]}-{hashlib.sha256(name.encode()).hexdigest()[:HASH_DIGITS]}"


def cells_at(arm: Arm, condition: Mapping, experiment: Experiment, name: str) -> Iterable[Cell]:
    """One cell a seed and fold of `experiment`, in whose folders' names `name` comes first."""
    folds = experiment.data.folds if isinstance(experiment.data, FaceData) else [None]
    for seed in experiment.seeds:
        for fold in folds:
            suffix = f"-seed{seed}" + ("" if fold is None else f"-fold{fold}")
            data = experiment.data if fold is None else experiment.data.model_copy(update={"folds": [fold]})
            update = {"name": name + suffix, "seeds": [seed], "data": data, "baseline": False}
            yield Cell(arm, condition, seed, fold, experiment.model_copy(update=update))


def write_config(cell: Cell, study: Path) -> Path:
    """Write the configuration of a cell into the folder of the study; the file's path."""
    path = cell.config_path(study)
    write_text(path, to_yaml(cell.experiment))
    return path


def is_done(cell: Cell, study: Path) -> bool:
    """Whether the run of a cell is complete."""
    return (read_status(cell.run_folder(study)) or {}).get("state") == "done"
