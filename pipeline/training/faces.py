"""Faces with action units: BP4D, folders in its layout, and rendered faces."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TextIO

import numpy as np
import tf_keras

from pipeline.action_units.labels import UNKNOWN, AuSet
from pipeline.action_units.noise import corrupt_aus
from pipeline.config import Experiment
from pipeline.data.augmentation import Augmentation, FaceAugmentation
from pipeline.data.bp4d.folds import fold_split
from pipeline.data.bp4d.layout import find_layout
from pipeline.data.faces import bp4d_root, list_aus, load_aus
from pipeline.data.settings import FaceData
from pipeline.data.splits import training_subset
from pipeline.errors import UserError
from pipeline.faces.crop import CropRecipe
from pipeline.models.au_network import au_network
from pipeline.models.encoders import COLOURS, check_weights
from pipeline.models.settings import KerasNetwork
from pipeline.runs.files import write_npz
from pipeline.runs.folder import Training, trainings_of
from pipeline.runs.names import NOISE
from pipeline.training.data import TrainingData, evenly_spaced
from pipeline.training.multilabel import Multilabel, multilabel_task
from pipeline.training.own_network import Needs, check_own_network, own_network

SPLIT_SEED = 1  # all seeds of an experiment have the same validation subjects


@dataclass(frozen=True)
class Parts:
    """Ascending indices of the training, validation and test examples, split by subject."""

    train: np.ndarray
    val: np.ndarray
    test: np.ndarray


@dataclass(frozen=True)
class Faces:
    """All faces of an experiment, split by subject into folds."""

    experiment: Experiment
    faces: AuSet

    task_name = FaceData.task
    validation_metric = FaceData.validation_metric
    metric_name = "mean F1"

    @classmethod
    def load(cls, experiment: Experiment, terminal: TextIO) -> "Faces":
        """Render or read the faces, from the cache if it is complete; UserError if they are missing or damaged.

        Rendered faces start from the true labels: their noise is that of the experiment, not of the annotators on disk.
        """
        data, model = experiment.data, experiment.model
        if not data.rendered:  # missing data is reported first
            find_layout(bp4d_root(data))
        if isinstance(model, KerasNetwork):
            channels = 1 if data.grey else COLOURS
            shape = (data.image_size, data.image_size, channels)
            check_own_network(model, Needs(shape, data.au_names, cls.task_name))
        else:
            check_weights(model.encoder, model.weights, data.image_size, model.alpha)
        faces = load_aus(data, terminal)
        if data.rendered:
            faces = replace(faces, labels=faces.clean_labels)
        return cls(experiment, faces)

    @classmethod
    def listed(cls, experiment: Experiment) -> "Faces":
        """The same without images, which are neither rendered nor read; UserError as `load`."""
        return cls(experiment, list_aus(experiment.data))

    def trainings(self) -> list[Training]:
        """One training per fold and seed."""
        return trainings_of(self.experiment.seeds, self.experiment.data.folds)

    def training_data(self, training: Training, folder: Path | None = None) -> TrainingData:
        """The parts of a training; all labels get noise, and the test part keeps the noisy and the true labels."""
        faces, parts = self.faces, self._parts(training)
        labels = self._noisy(training.seed)
        truth = faces.clean_labels if faces.clean_labels is not None else faces.labels
        truth = truth if self._truth_is_known() else None
        corrupted = None if truth is None else (labels != truth) & (truth != UNKNOWN) & (labels != UNKNOWN)
        known_wrong = np.zeros(labels.shape, bool) if corrupted is None else corrupted
        if folder:
            write_npz(folder / NOISE, labels=labels, corrupted=known_wrong, train=parts.train, validation=parts.val)
        train, val, test = (faces.take(part) for part in (parts.train, parts.val, parts.test))
        measured = labels if truth is None else truth
        return TrainingData(
            train.images,
            labels[parts.train],
            None if corrupted is None or not corrupted[parts.train].any() else corrupted[parts.train],
            val.images,
            labels[parts.val],
            None if truth is None else truth[parts.val],
            test.images,
            measured[parts.test],
            len(faces.au_names),
            test_noisy_labels=labels[parts.test] if corrupted is not None and corrupted.any() else None,
            val_subjects=val.subjects,
            test_subjects=test.subjects,
            label_names=faces.au_names,
        )

    def task(self, data: TrainingData) -> Multilabel:
        """Masked, weighted cross entropy per action unit; UserError if none is ever present."""
        if not (data.train_labels == 1).any():
            names = ", ".join(self.faces.au_names)
            raise UserError(
                f"data.aus: no training face has any of {names}; choose action units that occur in the labels"
            )
        smoothers = tuple(method.smooth for method in self.experiment.methods)
        return multilabel_task(data, self.experiment.loss, smoothers)

    def augmentation(self) -> Augmentation | None:
        """Flip, rotation, zoom and shift of config section data.augment."""
        section = self.experiment.data.augment
        return FaceAugmentation(**section.model_dump()) if section else None

    def network(self, image_shape: tuple[int, ...], seed: int, momentum: float, **options) -> tf_keras.Model:
        """The network of config section model."""
        if isinstance(self.experiment.model, KerasNetwork):
            needs = Needs(image_shape, self.labels(), self.task_name)
            return own_network(self.experiment.model, needs, seed, momentum, **options)
        section = self.experiment.model.model_dump(exclude={"name"})
        names = self.faces.au_names
        return au_network(image_shape, names, **section, seed=seed, batch_norm_momentum=momentum, **options)

    def facts(self) -> dict:
        """What was skipped, the crop, whether the true labels are known, and the subjects of each part by fold."""
        trainings = trainings_of(self.experiment.seeds[:1], self.experiment.data.folds)
        return {
            "skipped": self.faces.skipped,
            "crop": self.faces.crop,
            "truth_known": self._truth_is_known(),
            "subjects": {str(each.fold): self._subjects(each) for each in trainings},
            "examples": {str(each.fold): self._counts(each) for each in trainings},
        }

    def labels(self) -> tuple[str, ...]:
        """The names of the action units."""
        return self.faces.au_names

    def image_shape(self) -> tuple[int, ...]:
        """(H, W, C)."""
        return tuple(self.faces.images.shape[1:])

    def crop(self) -> dict:
        """How faces were cropped."""
        return CropRecipe.from_dict(self.faces.crop).to_dict()

    def _split(self, training: Training) -> tuple[tuple[str, ...], ...]:
        data = self.experiment.data
        present = tuple(sorted(set(self.faces.subjects.tolist())))
        return fold_split(present, training.fold, data.parts, data.val_fraction, SPLIT_SEED)

    def _truth_is_known(self) -> bool:
        return self.faces.clean_labels is not None or self.experiment.noise.kind != "none"

    def _parts(self, training: Training) -> Parts:
        data = self.experiment.data
        train, val, test = (np.flatnonzero(np.isin(self.faces.subjects, list(part))) for part in self._split(training))
        for name, part in (("training", train), ("test", test)):
            if not len(part):
                raise UserError(f"data: fold {training.fold} has no {name} example; change data.parts or add data")
        if data.train_examples is not None:
            if data.train_examples > len(train):
                raise UserError(
                    f"data.train_examples: {data.train_examples} is more than the {len(train)} in the training part of fold "
                    f"{training.fold}; lower it or leave it out"
                )
            train = train[training_subset(len(train), data.train_examples)]
        val, test = (part[evenly_spaced(len(part), data.test_examples)] for part in (val, test))
        return Parts(train, val, test)

    def _noisy(self, seed: int) -> np.ndarray:
        faces = self.faces
        sequences = np.char.add(np.char.add(faces.subjects.astype(str), "_"), faces.tasks.astype(str))
        labels, _ = corrupt_aus(faces.labels, self.experiment.noise, faces.au_names, sequences, faces.frames, seed)
        return labels

    def _subjects(self, training: Training) -> dict[str, list[str]]:
        return dict(zip(("train", "validation", "test"), map(list, self._split(training)), strict=True))

    def _counts(self, training: Training) -> dict[str, int]:
        parts = self._parts(training)
        return {"train": len(parts.train), "validation": len(parts.val), "test": len(parts.test)}
