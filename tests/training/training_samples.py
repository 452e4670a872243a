"""A tiny network, data, settings and runs that the training tests share."""

import json
import signal
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import tf_keras

from pipeline.config.schema import Train
from pipeline.models.layers import SeededDropout
from pipeline.runs.progress import TrainingProgress
from pipeline.runs.stopping import StopFlag
from pipeline.training.data import TrainingData
from pipeline.training.loop import Recipe, train
from pipeline.training.selection import TrainResult
from pipeline.training.tasks import Multiclass

CLASSES = 3
SIDE = 8  # pixels


def tiny_network(seed: int = 1, dropout: float = 0.0) -> tf_keras.Model:
    """Conv, batch norm, ReLU, pooling, dropout, dense: images (B, 8, 8, 1) to logits (B, 3)."""
    initial = tf_keras.initializers.GlorotUniform
    image = tf_keras.Input((SIDE, SIDE, 1), name="image")
    x = tf_keras.layers.Conv2D(4, 3, use_bias=False, kernel_initializer=initial(seed), name="conv0")(image)
    x = tf_keras.layers.BatchNormalization(momentum=0.9, name="bn0")(x)
    x = tf_keras.layers.ReLU(name="relu0")(x)
    x = tf_keras.layers.GlobalAveragePooling2D(name="pool")(x)
    if dropout:
        x = SeededDropout(dropout, seed, name="dropout")(x)
    return tf_keras.Model(image, tf_keras.layers.Dense(CLASSES, kernel_initializer=initial(seed + 1), name="logits")(x))


def tiny_data(train: int = 64, val: int = 20, test: int = 30) -> TrainingData:
    """Images whose brightness tells the class, a quarter of the training labels wrong."""
    rng = np.random.default_rng(0)
    parts = [_images(rng, count) for count in (train, val, test)]
    (train_images, train_truth), (val_images, val_truth), (test_images, test_truth) = parts
    corrupted = np.arange(train) % 4 == 0
    train_labels = np.where(corrupted, (train_truth + 1) % CLASSES, train_truth)
    val_labels = np.where(np.arange(val) % 4 == 0, (val_truth + 1) % CLASSES, val_truth)
    return TrainingData(
        train_images, train_labels, corrupted, val_images, val_labels, val_truth, test_images, test_truth, CLASSES
    )


def _images(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    labels = rng.integers(0, CLASSES, count)
    noise = rng.integers(0, 60, (count, SIDE, SIDE, 1))
    return (labels[:, None, None, None] * 90 + noise).astype(np.uint8), labels


def settings(**changes) -> Train:
    """The train section of the config, small."""
    return Train(**{"epochs": 3, "batch_size": 8, "learning_rate": 0.01, "statistics_batches": 4, **changes})


def method(name: str = "fake", **hooks) -> SimpleNamespace:
    """A method with some hooks of its own; the others do nothing."""
    identity = {
        "wrap": lambda model: model,
        "smooth": lambda targets, classes: targets,
        "penalty": lambda model: None,
        "before_epoch": lambda model, epoch, epochs: False,
        "after_step": lambda model: None,
        "settled_from": lambda epochs: 0,
        "decoupled_rate": lambda: 0.0,
        "stopping_rule": lambda: None,
    }
    return SimpleNamespace(name=name, **{**identity, **hooks})


class StopAfter(StopFlag):
    """As if a signal arrived at the n-th look."""

    def __init__(self, looks: int):
        super().__init__()
        self.looks = looks

    def check(self) -> None:
        self.looks -= 1
        if self.looks < 0:
            self.signum = signal.SIGTERM
        super().check()


class Recorder(TrainingProgress):
    """Remembers what it was told."""

    def __init__(self):
        self.warnings, self.done, self.finished = [], [], False

    def start(self, epochs, steps_per_epoch, done):
        self.done.append(done)

    def steps(self, done, loss):
        self.done.append(done)

    def warning(self, text):
        self.warnings.append(text)

    def finish(self):
        self.finished = True


def run(
    folder: Path, section=None, methods=(), model=None, data=None, stop=None, progress=None, augmentation=None, **more
) -> tuple[tf_keras.Model, TrainResult]:
    """Train a network wrapped by `methods` in `folder`, or go on there."""
    folder.mkdir(exist_ok=True)
    model = model or wrapped(methods)
    data = data or tiny_data()
    task = more.pop("task", None) or Multiclass(data.classes, tuple(method.smooth for method in methods))
    recipe = Recipe(section or settings(), methods, 1, augmentation)
    return model, train(model, data, task, recipe, folder, stop or StopFlag(), progress or TrainingProgress(), **more)


def wrapped(methods) -> tf_keras.Model:
    """The tiny network as the methods want it."""
    model = tiny_network(dropout=0.3 if any(method.name == "dropout" for method in methods) else 0.0)
    for method in methods:
        model = method.wrap(model)
    return model


def metrics(folder: Path) -> list[dict]:
    """The lines of metrics.jsonl without the only thing that may differ."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


def values(model: tf_keras.Model) -> list[np.ndarray]:
    """All variables of a model."""
    return [variable.numpy() for variable in model.variables]


def assert_same(first: list[np.ndarray], second: list[np.ndarray]) -> None:
    """Equal to the last bit."""
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)
