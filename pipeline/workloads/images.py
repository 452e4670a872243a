"""Images with one of K classes each."""

from dataclasses import dataclass
from pathlib import Path

import tf_keras

from pipeline.config import Experiment
from pipeline.data.augmentation import Augmentation, PadCrop
from pipeline.data.image_set import ImageSet
from pipeline.data.images import load_images
from pipeline.data.label_noise import corrupt
from pipeline.data.splits import validation_split
from pipeline.models.resnet import resnet
from pipeline.run_files import write_npz
from pipeline.tasks import Multiclass, Task
from pipeline.training_data import TrainingData
from pipeline.workloads.base import Unit


@dataclass(frozen=True)
class Images:
    """The training and the test set of an experiment."""

    experiment: Experiment
    train: ImageSet
    test: ImageSet

    task_name = "multiclass"
    validation_metric = "val_accuracy"
    metric_name = "accuracy"

    @classmethod
    def load(cls, experiment: Experiment) -> "Images":
        """Read both sets; UserError if they are missing or damaged."""
        return cls(experiment, *load_images(experiment.data))

    def units(self) -> list[Unit]:
        """One training a seed."""
        return [Unit(seed) for seed in self.experiment.seeds]

    def training_data(self, unit: Unit, folder: Path) -> TrainingData:
        """Noisy labels, held-out part and test set; the corruption mask is kept in noise.npz, not trained with."""
        train, test, classes = self.train, self.test, len(self.labels())
        noisy = corrupt(train.labels, classes, self.experiment.noise, unit.seed)
        kept, held_out = validation_split(len(train.labels), self.experiment.data.val_fraction, unit.seed)
        write_npz(folder / "noise.npz", labels=noisy.labels, corrupted=noisy.corrupted, train=kept, validation=held_out)
        return TrainingData(
            train.images[kept],
            noisy.labels[kept],
            noisy.corrupted[kept] if noisy.corrupted.any() else None,
            train.images[held_out],
            noisy.labels[held_out],
            train.labels[held_out],
            test.images,
            test.labels,
            classes,
            label_names=self.labels(),
        )

    def task(self, data: TrainingData) -> Task:
        """Softmax cross entropy."""
        return Multiclass(data.classes, tuple(method.smooth for method in self.experiment.methods))

    def augmentation(self) -> Augmentation | None:
        """Flips and crops after padding, where the config asks for them."""
        return PadCrop() if self.experiment.data.augment else None

    def network(self, image_shape: tuple[int, ...], seed: int, momentum: float, **options) -> tf_keras.Model:
        """The residual network of config section model."""
        section = self.experiment.model
        arguments = (image_shape, len(self.labels()), section.depth, section.width, section.shortcut)
        return resnet(*arguments, seed=seed, batch_norm_momentum=momentum, **options)

    def facts(self) -> dict:
        """How many examples there are."""
        return {"truth_known": True, "examples": {"train and validation": len(self.train), "test": len(self.test)}}

    def labels(self) -> tuple[str, ...]:
        """The names of the classes."""
        return tuple(self.train.class_names)

    def image_shape(self) -> tuple[int, ...]:
        """(H, W, C)."""
        return self.train.images.shape[1:]

    def crop(self) -> None:
        """Images are taken whole."""
        return None
