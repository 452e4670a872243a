"""Faces with action units: BP4D, folders in its layout, and rendered faces."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TextIO

import numpy as np
import tf_keras

from pipeline.config import Experiment
from pipeline.data.au_noise import corrupt_aus
from pipeline.data.au_set import UNKNOWN, AuSet
from pipeline.data.augmentation import Augmentation, FaceAugmentation
from pipeline.data.bp4d import fold_split, load_aus
from pipeline.data.bp4d.layout import find_layout
from pipeline.data.bp4d.load import bp4d_root
from pipeline.data.splits import training_subset
from pipeline.errors import UserError
from pipeline.faces.crop import CropRecipe
from pipeline.models.applications import check_weights
from pipeline.models.au_network import au_network
from pipeline.multilabel import Multilabel, multilabel_task
from pipeline.run_files import write_npz
from pipeline.training_data import TrainingData, evenly_spaced
from pipeline.workloads.base import Unit

SPLIT_SEED = 1  # every seed of an experiment has the same validation subjects: only noise, order and weights differ


@dataclass(frozen=True)
class Parts:
    """Ascending indices of the training, validation and test examples, split by subject."""

    train: np.ndarray
    val: np.ndarray
    test: np.ndarray


@dataclass(frozen=True)
class Faces:
    """All faces of an experiment; the folds split them by subject."""

    experiment: Experiment
    faces: AuSet

    task_name = "multilabel"
    validation_metric = "val_f1"
    metric_name = "mean F1"

    @classmethod
    def load(cls, experiment: Experiment, terminal: TextIO) -> "Faces":
        """Render or read the faces, from the cache where it is whole; UserError if they are missing or damaged.

        Rendered faces start from the truth: their noise is the experiment's, not that of the annotators on disk.
        """
        data, model = experiment.data, experiment.model
        if data.name == "bp4d":  # who lacks the data needs no weights
            find_layout(bp4d_root(data))
        check_weights(model.encoder, model.weights, data.image_size, model.alpha)
        faces = load_aus(data, terminal)
        if data.name == "synthetic_faces":
            faces = replace(faces, labels=faces.clean_labels)
        return cls(experiment, faces)

    def units(self) -> list[Unit]:
        """One training a fold and seed."""
        return [Unit(seed, fold) for fold in self.experiment.data.folds for seed in self.experiment.seeds]

    def training_data(self, unit: Unit, folder: Path) -> TrainingData:
        """The unit's parts; every label passes through the noise, the test part is measured against both kinds."""
        faces, parts = self.faces, self._parts(unit)
        labels = self._noisy(unit.seed)
        truth = faces.clean_labels if faces.clean_labels is not None else faces.labels
        truth = truth if self._truth_is_known() else None
        corrupted = None if truth is None else (labels != truth) & (truth != UNKNOWN) & (labels != UNKNOWN)
        known_wrong = np.zeros(labels.shape, bool) if corrupted is None else corrupted
        write_npz(folder / "noise.npz", labels=labels, corrupted=known_wrong, train=parts.train, validation=parts.val)
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
        """Masked, weighted cross entropy of every action unit; UserError if none is ever present."""
        if not (data.train_labels == 1).any():
            names = ", ".join(self.faces.au_names)
            raise UserError(f"data.aus: no training face has any of {names}; name units that the labels hold")
        smoothers = tuple(method.smooth for method in self.experiment.methods)
        return multilabel_task(data, self.experiment.loss, smoothers)

    def augmentation(self) -> Augmentation | None:
        """Flip, rotation, zoom and shift of config section data.augment."""
        section = self.experiment.data.augment
        return FaceAugmentation(**section.model_dump()) if section else None

    def network(self, image_shape: tuple[int, ...], seed: int, momentum: float, **options) -> tf_keras.Model:
        """The encoder and heads of config section model."""
        section = self.experiment.model.model_dump(exclude={"name"})
        names = self.faces.au_names
        return au_network(image_shape, names, **section, seed=seed, batch_norm_momentum=momentum, **options)

    def facts(self) -> dict:
        """What was skipped, how faces were cut out, whether the truth is known, and who is in which part by fold."""
        units = [Unit(self.experiment.seeds[0], fold) for fold in self.experiment.data.folds]
        return {
            "skipped": self.faces.skipped,
            "crop": self.faces.crop,
            "truth_known": self._truth_is_known(),
            "subjects": {str(unit.fold): self._subjects(unit) for unit in units},
            "examples": {str(unit.fold): self._counts(unit) for unit in units},
        }

    def labels(self) -> tuple[str, ...]:
        """The names of the action units."""
        return self.faces.au_names

    def image_shape(self) -> tuple[int, ...]:
        """(H, W, C)."""
        return tuple(self.faces.images.shape[1:])

    def crop(self) -> dict:
        """The recipe by which faces were cut out."""
        return CropRecipe.from_dict(self.faces.crop).to_dict()

    def _split(self, unit: Unit) -> tuple[tuple[str, ...], ...]:
        data = self.experiment.data
        present = tuple(sorted(set(self.faces.subjects.tolist())))
        return fold_split(present, unit.fold, data.parts, data.val_fraction, SPLIT_SEED)

    def _truth_is_known(self) -> bool:
        return self.faces.clean_labels is not None or self.experiment.noise.kind != "none"

    def _parts(self, unit: Unit) -> Parts:
        data = self.experiment.data
        train, val, test = (np.flatnonzero(np.isin(self.faces.subjects, list(part))) for part in self._split(unit))
        for name, part in (("training", train), ("test", test)):
            if not len(part):
                raise UserError(f"data: fold {unit.fold} has no {name} example; give other data.parts or more data")
        if data.train_examples is not None:
            if data.train_examples > len(train):
                raise UserError(
                    f"data.train_examples: {data.train_examples} asked for, but the training part of fold {unit.fold} "
                    f"has {len(train)}; lower it or leave it out"
                )
            train = train[training_subset(len(train), data.train_examples)]
        val, test = (part[evenly_spaced(len(part), data.test_examples)] for part in (val, test))
        return Parts(train, val, test)

    def _noisy(self, seed: int) -> np.ndarray:
        faces = self.faces
        sequences = np.char.add(np.char.add(faces.subjects.astype(str), "_"), faces.tasks.astype(str))
        labels, _ = corrupt_aus(faces.labels, self.experiment.noise, faces.au_names, sequences, faces.frames, seed)
        return labels

    def _subjects(self, unit: Unit) -> dict[str, list[str]]:
        return dict(zip(("train", "validation", "test"), map(list, self._split(unit)), strict=True))

    def _counts(self, unit: Unit) -> dict[str, int]:
        parts = self._parts(unit)
        return {"train": len(parts.train), "validation": len(parts.val), "test": len(parts.test)}
