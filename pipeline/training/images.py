"""Images of K classes."""

from dataclasses import dataclass
from pathlib import Path

import tf_keras

from pipeline.config import Experiment
from pipeline.data.augmentation import Augmentation, PadCrop
from pipeline.data.image_set import ImageSet
from pipeline.data.images import load_images
from pipeline.data.label_noise import corrupt
from pipeline.data.settings import ImageData
from pipeline.data.splits import validation_split
from pipeline.models.resnet import resnet
from pipeline.models.settings import KerasNetwork
from pipeline.runs.files import write_npz
from pipeline.runs.folder import Training, trainings_of
from pipeline.runs.names import NOISE
from pipeline.training.data import TrainingData
from pipeline.training.own_network import Needs, own_network
from pipeline.training.tasks import Multiclass, Task


@dataclass(frozen=True)
class Images:
    """The training and the test set of an experiment."""

    experiment: Experiment
    train: ImageSet
    test: ImageSet

    task_name = ImageData.task
    validation_metric = ImageData.validation_metric
    metric_name = "accuracy"

    @classmethod
    def load(cls, experiment: Experiment) -> "Images":
        """Read both sets; UserError if they are missing or damaged."""
        return cls(experiment, *load_images(experiment.data))

    def trainings(self) -> list[Training]:
        """One training per seed."""
        return trainings_of(self.experiment.seeds)

    def training_data(self, training: Training, folder: Path | None = None) -> TrainingData:
        """Noisy labels, held-out part and test set; the corruption mask goes to noise.npz and is not used in training."""
        train, test, classes = self.train, self.test, len(self.labels())
        noisy = corrupt(train.labels, classes, self.experiment.noise, training.seed)
        kept, held_out = validation_split(len(train.labels), self.experiment.data.val_fraction, training.seed)
        if folder:
            write_npz(folder / NOISE, labels=noisy.labels, corrupted=noisy.corrupted, train=kept, validation=held_out)
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
        """Flips and crops after padding, if the configuration asks for them."""
        return PadCrop() if self.experiment.data.augment else None

    def network(self, image_shape: tuple[int, ...], seed: int, momentum: float, **options) -> tf_keras.Model:
        """The network of config section model."""
        section = self.experiment.model
        if isinstance(section, KerasNetwork):
            return own_network(section, Needs(image_shape, self.labels(), self.task_name), seed, momentum, **options)
        arguments = (image_shape, len(self.labels()), section.depth, section.width, section.shortcut)
        return resnet(*arguments, seed=seed, batch_norm_momentum=momentum, **options)

    def facts(self) -> dict:
        """The number of examples."""
        return {
            "truth_known": self.experiment.data.truth_known,
            "examples": {"train and validation": len(self.train), "test": len(self.test)},
        }

    def labels(self) -> tuple[str, ...]:
        """The names of the classes."""
        return tuple(self.train.class_names)

    def image_shape(self) -> tuple[int, ...]:
        """(H, W, C)."""
        return self.train.images.shape[1:]

    def crop(self) -> None:
        """None: images are not cropped."""
        return None
