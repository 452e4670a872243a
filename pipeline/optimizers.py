"""The optimizer and the learning rate of every step."""

import math

import tf_keras

from pipeline.methods.weight_decay import kernels


def make_optimizer(settings, model: tf_keras.Model) -> tf_keras.optimizers.Optimizer:
    """The optimizer of the `train` section, with its variables; AdamW decays kernels only, no bias or batch norm."""
    makers = {"adam": _adam, "adamw": _adamw, "sgd": _sgd}
    optimizer = makers[settings.optimizer](settings, model)
    optimizer.build(model.trainable_variables)
    return optimizer


def _adam(settings, model: tf_keras.Model) -> tf_keras.optimizers.Optimizer:
    return tf_keras.optimizers.Adam(settings.learning_rate)


def _adamw(settings, model: tf_keras.Model) -> tf_keras.optimizers.Optimizer:
    optimizer = tf_keras.optimizers.AdamW(settings.learning_rate, weight_decay=settings.weight_decay)
    decayed = {kernel.ref() for kernel in kernels(model)}
    rest = [variable for variable in model.trainable_variables if variable.ref() not in decayed]
    optimizer.exclude_from_weight_decay(var_list=rest)
    return optimizer


def _sgd(settings, model: tf_keras.Model) -> tf_keras.optimizers.Optimizer:
    return tf_keras.optimizers.SGD(settings.learning_rate, momentum=settings.momentum)


def learning_rate(settings, step: int, steps_per_epoch: int) -> float:
    """The learning rate of 0-based `step`: a pure function, so that a resumed run needs to remember nothing."""
    return settings.learning_rate * _share(settings, step, steps_per_epoch)


def _share(settings, step: int, steps_per_epoch: int) -> float:
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
