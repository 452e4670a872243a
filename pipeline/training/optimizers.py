"""The optimizer and the learning rate of every step."""

import math

import tf_keras

from pipeline.config.schema import Train
from pipeline.methods.weight_decay import kernels


def make_optimizer(settings: Train, model: tf_keras.Model) -> tf_keras.optimizers.Optimizer:
    """The optimizer of section train, with its variables; AdamW decays only kernels, no bias or batch norm."""
    match settings.optimizer:
        case "adam":
            optimizer = tf_keras.optimizers.Adam(settings.learning_rate)
        case "adamw":
            optimizer = _adamw(settings, model)
        case "sgd":
            optimizer = tf_keras.optimizers.SGD(settings.learning_rate, momentum=settings.momentum)
    optimizer.build(model.trainable_variables)
    return optimizer


def learning_rate(settings: Train, step: int, steps_per_epoch: int) -> float:
    """The learning rate of 0-based `step`: a pure function, so that resuming needs no state."""
    return settings.learning_rate * _share(settings, step, steps_per_epoch)


def _adamw(settings: Train, model: tf_keras.Model) -> tf_keras.optimizers.Optimizer:
    optimizer = tf_keras.optimizers.AdamW(settings.learning_rate, weight_decay=settings.weight_decay)
    decayed = {kernel.ref() for kernel in kernels(model)}
    rest = [variable for variable in model.trainable_variables if variable.ref() not in decayed]
    optimizer.exclude_from_weight_decay(var_list=rest)
    return optimizer


def _share(settings: Train, step: int, steps_per_epoch: int) -> float:
    schedule, epochs = settings.schedule, step / steps_per_epoch
    match schedule.kind:
        case "constant":
            return 1.0
        case "cosine":  # Loshchilov and Hutter 2017, "SGDR", eq. 5, without restarts
            return schedule.final + (1 - schedule.final) * (1 + math.cos(math.pi * epochs / settings.epochs)) / 2
        case "step":
            return schedule.factor ** (step // (steps_per_epoch * schedule.every))
        case "exponential":  # smooth: the factor is reached after a whole epoch
            return schedule.factor**epochs
    raise ValueError(f"unknown schedule {schedule.kind!r}")
