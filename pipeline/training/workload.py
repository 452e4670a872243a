"""What the stages of an experiment need from its data, which are images with classes or faces with action units."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, TextIO

import tf_keras

from pipeline.config import Experiment
from pipeline.config.schema import Train
from pipeline.data.augmentation import Augmentation
from pipeline.methods.base import Method
from pipeline.runs.folder import Training
from pipeline.training.data import TrainingData
from pipeline.training.statistics import auto_momentum
from pipeline.training.tasks import Task


class Workload(Protocol):
    """Loaded data with the task and the network for them."""

    task_name: str  # as in scores.json
    validation_metric: str  # the key of scores.json that selects the shipped training
    metric_name: str  # the name of `Task.metric` in sidecar and model card

    def trainings(self) -> list[Training]:
        """The trainings of the experiment."""

    def training_data(self, training: Training, folder: Path | None = None) -> TrainingData:
        """The parts of one training with noisy labels, recorded in noise.npz in `folder` unless that is None."""

    def task(self, data: TrainingData) -> Task:
        """The task of learning these data."""

    def augmentation(self) -> Augmentation | None:
        """The random changes of training images."""

    def network(self, image_shape: tuple[int, ...], seed: int, momentum: float, **options) -> tf_keras.Model:
        """The float network for images (H, W, C), before any method wraps it."""

    def facts(self) -> dict:
        """The content of data.json in the run folder: what was skipped, the crop of faces, the subjects of each part."""

    def labels(self) -> tuple[str, ...]:
        """The names of the K classes or A action units."""

    def image_shape(self) -> tuple[int, ...]:
        """(H, W, C)."""

    def crop(self) -> dict | None:
        """How faces were cropped, for the sidecar."""


def method_options(methods: Sequence[Method]) -> dict:
    """The options of all methods for the network builder."""
    return {key: value for method in methods for key, value in method.model_options().items()}


def batch_norm_momentum(settings: Train, examples: int) -> float:
    """The batch-norm momentum; `auto` depends on the number of training images."""
    if settings.batch_norm_momentum == "auto":
        return auto_momentum(max(examples // settings.batch_size, 1))
    return settings.batch_norm_momentum


def load_workload(experiment: Experiment, terminal: TextIO) -> Workload:
    """Load the data of an experiment; progress of long preparations goes to `terminal`.

    Raises UserError if they are missing or damaged.
    """
    if experiment.data.task == "multilabel":
        from pipeline.training.faces import Faces

        return Faces.load(experiment, terminal)
    from pipeline.training.images import Images

    return Images.load(experiment)
