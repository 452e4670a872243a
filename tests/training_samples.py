"""A tiny network, data and settings that the training tests share."""

from types import SimpleNamespace

import numpy as np
import tf_keras

from pipeline.config_schema import Train
from pipeline.models.layers import SeededDropout
from pipeline.training_data import TrainingData

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
        "smooth": lambda targets: targets,
        "penalty": lambda model: None,
        "before_epoch": lambda model, epoch, epochs: False,
        "after_step": lambda model: None,
    }
    return SimpleNamespace(name=name, **{**identity, **hooks})
