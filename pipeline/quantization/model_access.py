"""Access to a quantized Keras model: its recipe, plan, variables and quantizers by layer of the float network."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from weakref import WeakKeyDictionary

import numpy as np
import tensorflow as tf
import tf_keras

from pipeline.models.graph import UNIT_RANGE, Range
from pipeline.models.layers import Affine, ChannelScale, PadChannels, SeededDropout, Slice
from pipeline.quantization.layers import FoldedBatchNorm, QuantizeTensor, QuantizeWrapperV2
from pipeline.quantization.plan import Plan, plan
from pipeline.quantization.quantizers import (
    RANGE_NAME,
    ActivationQuantizer,
    CopyQuantizer,
    InputQuantizer,
    KernelQuantizer,
    LowBitQuantizeConfig,
    PoolQuantizer,
)
from pipeline.quantization.settings import QuantizationSettings
from pipeline.quantization.tfmot import QuantizeWrapper
from pipeline.quantization.tfmot import quantize_scope as tfmot_scope

CLASSES = (
    LowBitQuantizeConfig,
    KernelQuantizer,
    ActivationQuantizer,
    CopyQuantizer,
    InputQuantizer,
    PoolQuantizer,
    QuantizeTensor,
    FoldedBatchNorm,
    Affine,
    ChannelScale,
    Slice,
    PadChannels,
    SeededDropout,
)
EARLIER_NAMES = {"PixelQuantizer": InputQuantizer}  # in saved models whose inputs are all from 0 to 1
_PLANS: WeakKeyDictionary = WeakKeyDictionary()


@contextmanager
def quantize_scope() -> Iterator[None]:
    """The Keras scope in which `tf_keras.models.load_model`, `clone_model` and `from_config` know quantized models."""
    own = tf_keras.utils.custom_object_scope({QuantizeWrapperV2.__name__: QuantizeWrapperV2})
    with tfmot_scope({cls.__name__: cls for cls in CLASSES} | EARLIER_NAMES), own:
        yield


def recipe_for(network: tf_keras.Model, settings: QuantizationSettings, ranges: dict[str, Range]) -> dict[str, str]:
    """{"network": architecture of the float network, "settings": of quantization, "input_ranges": by input}, as JSON texts."""
    fields = set(QuantizationSettings.model_fields)
    return {
        "network": network.to_json(),
        "settings": settings.model_dump_json(include=fields),
        "input_ranges": json.dumps(ranges),
    }


def recipe_of(model: tf_keras.Model) -> dict[str, str] | None:
    """The recipe a quantized model carries; None for a float model."""
    return next((layer.recipe for layer in model.layers if isinstance(layer, QuantizeTensor) and layer.recipe), None)


def settings_of(model: tf_keras.Model) -> QuantizationSettings:
    """The settings a quantized model was made with; older models also recorded the method's name."""
    recorded = json.loads(recipe_of(model)["settings"])
    recorded.pop("name", None)
    return QuantizationSettings(**recorded)


def ranges_of(model: tf_keras.Model) -> dict[str, Range]:
    """{input: (low, high)} of a quantized model; older models did not record it and take 0 to 1."""
    recorded = json.loads(recipe_of(model).get("input_ranges", "{}"))
    return {name: tuple(recorded.get(name, UNIT_RANGE)) for name in model.input_names}


def plain_network(model: tf_keras.Model) -> tf_keras.Model:
    """A new float network of the architecture a quantized model was made from, with untrained weights."""
    with quantize_scope():
        return tf_keras.models.model_from_json(recipe_of(model)["network"])


def plan_of(model: tf_keras.Model) -> Plan:
    """The plan a quantized model was made from; computed once per model."""
    if model not in _PLANS:
        _PLANS[model] = plan(plain_network(model), settings_of(model), ranges_of(model))
    return _PLANS[model]


def remember_plan(model: tf_keras.Model, decided: Plan) -> None:
    """Keep the plan a quantized model has just been made from: rebuilding its network for `plan_of` takes seconds."""
    _PLANS[model] = decided


def float_network(model: tf_keras.Model) -> tf_keras.Model:
    """The plain float network with the trained weights of a quantized model."""
    network = plain_network(model)
    copy_weights(model, network)
    return network


def copy_weights(source: tf_keras.Model, target: tf_keras.Model) -> None:
    """Copy every variable between two models, float or quantized, of the same float network, by layer name."""
    values = variables_by_layer(source)
    for name, variables in variables_by_layer(target).items():
        for key, variable in variables.items():
            variable.assign(values[name][key])


def variables_by_layer(model: tf_keras.Model) -> dict[str, dict[str, tf.Variable]]:
    """{layer name of the plain network: {"kernel", "bias", "gamma", "beta", "moving_mean", ...: variable}}."""
    found = {}
    for layer in model.layers:
        inner = layer.layer if isinstance(layer, QuantizeWrapper) else layer
        if isinstance(inner, QuantizeTensor):
            continue
        parts = [inner.linear, inner.batch_norm] if isinstance(inner, FoldedBatchNorm) else [inner]
        kernels = {_short_name(weight): weight for weight, _, _ in getattr(layer, "_weight_vars", [])}
        for part in parts:
            variables = {_short_name(variable): variable for variable in part.weights}
            if part is inner:
                variables.update(kernels)
            if variables:
                found[part.name] = variables
    return found


def values_by_layer(model: tf_keras.Model) -> dict[str, dict[str, np.ndarray]]:
    """`variables_by_layer` as float64 arrays."""
    return {
        name: {key: variable.numpy().astype(np.float64) for key, variable in variables.items()}
        for name, variables in variables_by_layer(model).items()
    }


def _short_name(variable) -> str:
    return variable.name.rpartition("/")[2].partition(":")[0]


def range_variables(model: tf_keras.Model) -> dict[str, tf.Variable]:
    """{layer of the plain network, or copy: scalar variable with the largest magnitude of its output}."""
    found = {}
    for layer in model.layers:
        variables = getattr(layer, "quantizer_vars", None) or getattr(layer, "_output_quantizer_vars", None) or {}
        if RANGE_NAME in variables:
            name = layer.layer.name if isinstance(layer, QuantizeWrapper) else layer.name
            found[name] = variables[RANGE_NAME]
    return found


def kernel_quantizers(model: tf_keras.Model) -> dict[str, KernelQuantizer]:
    """{linear layer of the plain network: its kernel's quantizer}."""
    found = {}
    for layer in model.layers:
        inner = layer.layer if isinstance(layer, QuantizeWrapper) else layer
        if isinstance(inner, FoldedBatchNorm):
            found[inner.linear.name] = inner.quantizer
        elif getattr(layer, "_weight_vars", None):
            found[inner.name] = layer.quantize_config.kernel
    return found


def set_enabled(model: tf_keras.Model, enabled: bool) -> bool:
    """Switch all rounding on or off (float warm-up); True if that changes the graph, which must then be retraced."""
    quantizers = list(_quantizers(model))
    changed = any(quantizer.enabled != enabled for quantizer in quantizers)
    for quantizer in quantizers:
        quantizer.enabled = enabled
    return changed


def is_enabled(model: tf_keras.Model) -> bool:
    """Whether a quantized model rounds (it does not during float warm-up)."""
    return all(quantizer.enabled for quantizer in _quantizers(model))


@contextmanager
def observing(model: tf_keras.Model) -> Iterator[None]:
    """A block in which graphs are traced whose inference sets every activation range to that of its batch."""
    quantizers = [each for each in _quantizers(model) if isinstance(each, ActivationQuantizer)]
    try:
        for quantizer in quantizers:
            quantizer.observing = True
        yield
    finally:
        for quantizer in quantizers:
            quantizer.observing = False


def _quantizers(model) -> Iterator[KernelQuantizer | ActivationQuantizer]:
    """All quantizers of a quantized model that can be switched off."""
    yield from kernel_quantizers(model).values()
    for layer in model.layers:
        if isinstance(layer, QuantizeWrapper) and layer.quantize_config.output:
            yield layer.quantize_config.output
        if isinstance(layer, QuantizeTensor) and isinstance(layer.quantizer, ActivationQuantizer):
            yield layer.quantizer
