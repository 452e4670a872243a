"""The network of a finished seed, with its data, from its run folder."""

import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import tf_keras

from pipeline.config import Experiment, load_config
from pipeline.errors import UserError
from pipeline.experiment import build_model
from pipeline.tasks import Task
from pipeline.training import BEST_WEIGHTS
from pipeline.training_data import TrainingData
from pipeline.workloads import load_workload
from pipeline.workloads.base import Unit, Workload


@dataclass(frozen=True)
class Trained:
    """A network with the weights that were selected, and what it was trained and tested with."""

    experiment: Experiment
    workload: Workload
    unit: Unit
    data: TrainingData
    task: Task
    model: tf_keras.Model


def load_trained(seed_folder: Path, terminal: TextIO = sys.stderr) -> Trained:
    """The network of runs/NAME-HASH8/seedS[-foldF]; UserError if that is no such folder or has no weights yet."""
    match = re.fullmatch(r"seed(\d+)(?:-fold(\d+))?", seed_folder.resolve().name)
    if not match or not (seed_folder / BEST_WEIGHTS).is_file():
        raise UserError(f"{seed_folder}: no finished training; give a folder such as runs/NAME-HASH8/seed1")
    unit = Unit(int(match[1]), int(match[2]) if match[2] else None)
    experiment = load_config(seed_folder / ".." / "resolved.yaml")
    workload = load_workload(experiment, terminal)
    data = workload.training_data(unit, seed_folder)
    model = build_model(experiment, workload, data, unit.seed)
    model.load_weights(seed_folder / BEST_WEIGHTS)
    return Trained(experiment, workload, unit, data, workload.task(data), model)
