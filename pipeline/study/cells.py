"""The cells of a study: one variant, one seed, one fold; each an ordinary experiment with a run folder of its own."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.config import config_hash, to_yaml
from pipeline.config_schema import Experiment, FaceData
from pipeline.run_files import write_text
from pipeline.run_folder import read_status, run_path

CELLS = "cells"
LONGEST_SLUG = 60


@dataclass(frozen=True)
class Cell:
    """One training of a study."""

    variant: str
    seed: int
    fold: int | None
    experiment: Experiment

    @property
    def title(self) -> str:
        """Such as `weight decay, seed 1, fold 2`."""
        return f"{self.variant}, seed {self.seed}" + ("" if self.fold is None else f", fold {self.fold}")

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
    """`name` with '-' for what a folder's name should not hold."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-.")[:LONGEST_SLUG] or "study"


def cells_of(experiments: Mapping[str, Experiment]) -> tuple[Cell, ...]:
    """All cells; the variants of one seed and fold follow one another, so that a part of them compares already."""
    cells = [cell for variant, experiment in experiments.items() for cell in _cells(variant, experiment)]
    return tuple(sorted(cells, key=lambda cell: (cell.seed, cell.fold or 0)))


def _cells(variant: str, experiment: Experiment) -> Iterable[Cell]:
    folds = experiment.data.folds if isinstance(experiment.data, FaceData) else [None]
    for seed in experiment.seeds:
        for fold in folds:
            suffix = f"-seed{seed}" + ("" if fold is None else f"-fold{fold}")
            data = experiment.data if fold is None else experiment.data.model_copy(update={"folds": [fold]})
            update = {"name": slug(variant) + suffix, "seeds": [seed], "data": data, "baseline": False}
            yield Cell(variant, seed, fold, experiment.model_copy(update=update))


def write_config(cell: Cell, study: Path) -> Path:
    """Write the configuration of a cell into the folder of the study; the file's path."""
    path = cell.config_path(study)
    write_text(path, to_yaml(cell.experiment))
    return path


def is_done(cell: Cell, study: Path) -> bool:
    """Whether the run of a cell is complete."""
    return (read_status(cell.run_folder(study)) or {}).get("state") == "done"
