"""Action units through the real training loop: learning, resuming, early stopping."""

import json
from pathlib import Path

import numpy as np
import pytest

from pipeline.data.augmentation import FaceAugmentation
from pipeline.methods import EarlyStopping, LabelSmoothing
from pipeline.runs.stopping import Stopped
from pipeline.training.data import TrainingData
from pipeline.training.multilabel import Multilabel, class_weights
from pipeline.training.selection import TrainResult, scores
from tests.training import training_samples as samples

AU_NAMES = ("AU1", "AU2", "AU4")
FACES = FaceAugmentation(flip=True, rotation=5.0, zoom=0.05, shift=0.02)


def faces(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Images (N, 8, 8, 1) with stripes, a grain and a bright middle, each a unit of its own."""
    labels = np.random.default_rng(seed).integers(0, 2, (n, 3)).astype(np.uint8)
    images = np.random.default_rng(seed + 1).integers(40, 80, (n, 8, 8, 1))
    images[:, ::2] += 90 * labels[:, 0, None, None, None]
    images[:, :, ::2] += 60 * labels[:, 1, None, None, None]
    images[:, 2:6, 2:6] += 40 * labels[:, 2, None, None, None]
    return images.astype(np.uint8), labels


def data() -> TrainingData:
    """256 training, 48 validation and 64 test images; a tenth of the training labels wrong, a tenth unknown."""
    (train, truth), (val, val_truth), (test, test_truth) = (faces(n, n) for n in (256, 48, 64))
    draws = np.random.default_rng(0).random(truth.shape)
    corrupted = draws < 0.1
    labels = np.where(corrupted, 1 - truth, np.where(draws > 0.9, 9, truth)).astype(np.uint8)
    subjects = np.array([f"F{k // 16:03d}" for k in range(64)])
    return TrainingData(
        train, labels, corrupted, val, val_truth, val_truth, test, test_truth, 3,
        test_subjects=subjects, label_names=AU_NAMES,
    )  # fmt: skip


def run(folder: Path, methods=(), **changes) -> tuple[TrainResult, Multilabel]:
    parts = data()
    smoothers = tuple(method.smooth for method in methods)
    task = Multilabel(AU_NAMES, class_weights(parts.train_labels, "inverse_frequency"), 0.5, smoothers)
    given = {"section": samples.settings(epochs=12, learning_rate=0.03), "augmentation": FACES} | changes
    _, result = samples.run(folder, methods=methods, data=parts, task=task, **given)
    return result, task


def test_units_are_learned_from_labels_with_gaps(tmp_path: Path):
    result, task = run(tmp_path)
    first, last = result.history[0], result.history[-1]
    assert last["train_loss"] < 0.8 * first["train_loss"]
    assert last["test_f1"] > 0.75 and last["train_clean_fit"] > 0.7 > 0.5 > last["train_noisy_fit"]
    written = json.loads(json.dumps(scores(result, task, 1, 2), allow_nan=False))
    assert written["task"] == "multilabel" and written["fold"] == 2
    assert written["metrics"]["f1_mean"] == pytest.approx(last["test_f1"])
    assert set(written["metrics"]["auc"]) == set(AU_NAMES) and set(written["subject_counts"]) > {"F000"}
    assert written["val_f1"] == last["val_f1"] and "train_noisy_fit_per_au" in written


def test_a_stopped_run_ends_with_the_same_numbers(tmp_path: Path):
    methods = (LabelSmoothing(alpha=0.1),)
    section = samples.settings(epochs=2)
    run(tmp_path / "whole", methods, section=section)
    with pytest.raises(Stopped):
        run(tmp_path / "killed", methods, section=section, stop=samples.StopAfter(45))
    run(tmp_path / "killed", methods, section=section)
    assert samples.metrics(tmp_path / "killed") == samples.metrics(tmp_path / "whole")


def test_early_stopping_watches_f1_on_validation_subjects(tmp_path: Path):
    method = EarlyStopping(monitor="val_f1", patience=1)
    result, _ = run(tmp_path, (method,), section=samples.settings(epochs=8, learning_rate=0.1))
    values = [line["val_f1"] for line in result.history]
    assert result.epoch_selected == 1 + int(np.argmax(values))
    assert len(values) == 8 or len(values) == result.epoch_selected + 1
