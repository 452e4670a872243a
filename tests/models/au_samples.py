"""Small AU networks with random weights and statistics, for the tests of network, quantization and pruning."""

import numpy as np
import tf_keras

from pipeline.models.au_network import au_network
from pipeline.quantization.integer_model import IntegerModel
from pipeline.quantization.scheme import quantize
from tests.quantization.quantization_samples import exact, images, options, settle, shake

AUS = ("AU1", "AU6", "AU12")
SIDES = {"small_resnet": 16, "mobilenet_v2": 32, "inception_v3": 75}


def small_network(encoder: str = "small_resnet", channels: int = 3, **fields) -> tf_keras.Model:
    """An AU network about as small as `encoder` allows."""
    side = SIDES[encoder]
    small = {"head_units": 12, "width": 4, "alpha": 0.35, "batch_norm_momentum": 0.5}
    return au_network((side, side, channels), AUS, encoder, **{**small, **fields})


def shaken_network(encoder: str = "small_resnet", **fields) -> tf_keras.Model:
    """A small float network with random biases and batch norms."""
    model = small_network(encoder, **fields)
    shake(model)
    return model


def quantized_network(encoder: str = "small_resnet", quantization: dict | None = None, **fields) -> tf_keras.Model:
    """A small quantized network with random weights and fitting statistics."""
    model = quantize(shaken_network(encoder, **fields), options(**(quantization or {})))
    return settle(model, shape=model.input_shape[1:])


def exact_model(model: tf_keras.Model, count: int = 12) -> IntegerModel:
    """The integer model of a quantized one, after no code of any layer of the file or of the device network differed."""
    integer_model, logits = exact(model, images(count, seed=7, shape=model.input_shape[1:]))
    assert np.ptp(logits, axis=0).max() > 5 * integer_model.tensors[integer_model.outputs[0]].scale, "nothing is tested"
    return integer_model
