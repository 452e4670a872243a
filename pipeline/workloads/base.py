"""The contract between the stages of an experiment and its kind of data."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import tf_keras

from pipeline.data.augmentation import Augmentation
from pipeline.statistics import auto_momentum
from pipeline.tasks import Task
from pipeline.training_data import TrainingData


@dataclass(frozen=True)
class Unit:
    """One training of an experiment: a seed, and the part tested on where the data have folds."""

    seed: int
    fold: int | None = None

    @property
    def title(self) -> str:
        """`seed 1` or `seed 1, fold 2`."""
        return f"seed {self.seed}" if self.fold is None else f"seed {self.seed}, fold {self.fold}"

    @property
    def name(self) -> int | str:
        """As in status.json: 1, or `1-fold2`."""
        return self.seed if self.fold is None else f"{self.seed}-fold{self.fold}"


class Workload(Protocol):
    """Loaded data, and the task and the network that go with them."""

    task_name: str  # as in scores.json
    validation_metric: str  # the key of scores.json by which the shipped unit is chosen
    metric_name: str  # what `Task.metric` is called in sidecar and model card

    def units(self) -> list[Unit]:
        """The trainings of the experiment."""

    def training_data(self, unit: Unit, folder: Path) -> TrainingData:
        """The parts of one unit with noisy labels; what was drawn is kept in noise.npz in `folder`."""

    def task(self, data: TrainingData) -> Task:
        """What is learned from these data."""

    def augmentation(self) -> Augmentation | None:
        """The random changes of training images."""

    def network(self, image_shape: tuple[int, ...], seed: int, momentum: float, **options) -> tf_keras.Model:
        """The float network for images (H, W, C), before any method wraps it."""

    def facts(self) -> dict:
        """The content of data.json in the run folder: what was skipped, how faces were cut, who is where."""

    def labels(self) -> tuple[str, ...]:
        """The names of the K classes or A action units."""

    def image_shape(self) -> tuple[int, ...]:
        """(H, W, C)."""

    def crop(self) -> dict | None:
        """The recipe by which faces were cut out, for the sidecar."""


def method_options(methods: Sequence) -> dict:
    """What the methods ask of the network's builder."""
    return {key: value for method in methods for key, value in method.model_options().items()}


def batch_norm_momentum(settings, examples: int) -> float:
    """The momentum of config section train, `auto` resolved for this number of training images."""
    if settings.batch_norm_momentum == "auto":
        return auto_momentum(max(examples // settings.batch_size, 1))
    return settings.batch_norm_momentum
