"""Activation ranges from data, without training: post-training quantization."""

from typing import Literal

import numpy as np
import tensorflow as tf
import tf_keras
from pydantic import Field

from pipeline.errors import UserError
from pipeline.models.inference import check_network
from pipeline.models.inputs import Batching, Examples, Intake
from pipeline.quantization.model_access import observing, range_variables, ranges_of, recipe_of
from pipeline.settings import checked_settings
from pipeline.training.statistics import Statistics, unchanged


class Calibration(Batching):
    """How a model is calibrated."""

    batch_norm: Literal["keep", "reestimate"] = Field("keep", description="Mean and variance of batch norms.")


def calibrate(model: tf_keras.Model, data: Examples | tf.data.Dataset, **fields: object) -> None:
    """Set the activation ranges of a model that `quantize` returned, so that it can be converted without training.

    data: what `model.fit` takes, an array (N, ...) or a tf.data set of batches, with or without labels; for several inputs
    a tuple of arrays, or a dict by input name. Up to `batches` batches are read (32), of arrays `batch_size` random
    examples each (128); a range is the mean of the batches' largest magnitudes, as in training. Everything else stays as it
    is; `batch_norm="reestimate"` also sets the statistics of batch norms to those that rounded weights give, which matters
    below 6 bits. Raises UserError for a float model, and for data that the network does not take.
    """
    settings = checked_settings(Calibration, None, fields, "calibrate")
    check_network(model, "calibrate")
    if recipe_of(model) is None:
        raise UserError("calibrate: this is a float model; pass what quantize returned")
    batches = Intake(model, "calibrate", ranges_of(model)).batches(data, settings)
    if settings.batch_norm == "reestimate":
        Statistics(model, prepare=unchanged).reestimate(batches)
        return
    variables = list(range_variables(model).values())
    with observing(model):
        measure = tf.function(lambda batch: _measured(model, variables, batch), autograph=False, reduce_retracing=True)
        seen = [[value.numpy().astype(np.float64) for value in measure(batch)] for batch in batches]
    for variable, mean in zip(variables, np.mean(seen, axis=0), strict=True):
        variable.assign(mean)


def _measured(model: tf_keras.Model, variables: list[tf.Variable], batch: tf.Tensor) -> list[tf.Tensor]:
    """The ranges of one batch in inference mode."""
    model(batch, training=False)
    return [variable.read_value() for variable in variables]
