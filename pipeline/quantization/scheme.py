"""`LowBitQuantizeScheme`: TF-MOT's quantize_apply with the paper's per-channel low-bit quantizers."""

from pathlib import Path

import tf_keras
from tensorflow_model_optimization.python.core.quantization.keras.quantize import (
    quantize_annotate_model,
    quantize_apply,
)
from tensorflow_model_optimization.python.core.quantization.keras.quantize_scheme import QuantizeScheme
from tensorflow_model_optimization.python.core.quantization.keras.quantize_wrapper import QuantizeWrapper

from pipeline.errors import UserError
from pipeline.methods.quantization import Quantization
from pipeline.quantization.layout import LowBitLayout
from pipeline.quantization.model_access import (
    PREFIX,
    float_network,
    kernel_quantizers,
    plan_of,
    quantize_scope,
    range_variables,
    recipe_of,
    settings_of,
)
from pipeline.quantization.plan import plan
from pipeline.quantization.quantize_config import LowBitQuantizeRegistry
from pipeline.quantization.tensor_scales import range_name


class LowBitQuantizeScheme(QuantizeScheme):
    """Per-channel W2..8/A2..8, first and last layer at their own bits; extends TF-MOT's QAT (paper sec. 2.2, 3.2)."""

    def __init__(self, settings: Quantization):
        self.settings = settings

    def get_layout_transformer(self):
        return LowBitLayout(self.settings)

    def get_quantize_registry(self):
        return LowBitQuantizeRegistry()


def quantize(model: tf_keras.Model, settings: Quantization) -> tf_keras.Model:
    """The quantization-aware copy of a functional or Sequential float model, with its weights.

    Raises UserError that names every unsupported layer.
    """
    plan(model, settings)
    functional = tf_keras.Model(model.inputs, model.outputs, name=model.name)
    with quantize_scope():
        quantized = quantize_apply(quantize_annotate_model(functional), LowBitQuantizeScheme(settings), PREFIX)
    for layer in quantized.layers:
        if isinstance(layer, QuantizeWrapper):
            _own_kernel_only(layer)
    return quantized


def _own_kernel_only(wrapper: QuantizeWrapper) -> None:
    """TF-MOT gives the wrapper of a built layer its weights twice over; a .keras file then fits no loaded model."""
    wrapper._trainable_weights[:] = [kernel for kernel, _, _ in wrapper._weight_vars]


def load_quantized(path: str | Path) -> tf_keras.Model:
    """A quantized model from a file that `model.save` wrote (.keras or .h5); it trains and converts as before.

    Raises UserError if the file cannot be read or holds another kind of model.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(f"{path}: no such file. Give a file that model.save wrote")
    try:
        with quantize_scope():
            model = tf_keras.models.load_model(path)
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{path}: no Keras model can be read from it: {str(error).splitlines()[0]}") from error
    if recipe_of(model) is None:
        raise UserError(f"{path}: holds a float model, not a quantized one; load it with tf_keras and quantize it")
    return model


def rewrap(model: tf_keras.Model, smaller: tf_keras.Model) -> tf_keras.Model:
    """`smaller` (a float network with layers of the same names) quantized like `model`, with its activation ranges."""
    return _with_ranges_of(model, quantize(smaller, settings_of(model)))


def with_au_bits(model: tf_keras.Model, au_bits: dict[str, int]) -> tf_keras.Model:
    """A copy of a quantized `model`, weights and ranges as trained, whose heads have other bits."""
    settings = settings_of(model).model_copy(update={"au_bits": au_bits})
    return _with_ranges_of(model, quantize(float_network(model), settings))


def _with_ranges_of(model: tf_keras.Model, quantized: tf_keras.Model) -> tf_keras.Model:
    """`quantized` with the ranges and kernel scales of `model`; a copy the model does not have gets its tensor's range."""
    ranges, quantizers, decided = range_variables(model), kernel_quantizers(model), plan_of(quantized)
    copied = {
        decided.copy_name(name): decided.owner(decided.source(decided.nodes[name].inputs[0]))
        for name in decided.requantized
    }
    for name, variable in range_variables(quantized).items():
        variable.assign(ranges[name] if name in ranges else ranges[range_name(decided, copied[name], ranges)])
    for name, quantizer in kernel_quantizers(quantized).items():
        quantizer.per_channel = quantizers[name].per_channel
    return quantized


def use_per_tensor_dense(model: tf_keras.Model) -> None:
    """Give every Dense kernel of a quantized model a single scale (some NPUs take no other); call before training.

    Raises UserError where a batch norm that is not folded in training would need one scale per output.
    """
    decided, settings = plan_of(model), settings_of(model)
    quantizers = kernel_quantizers(model)
    for group in decided.groups.values():
        if decided.nodes[group.head].kind != "Dense":
            continue
        if group.batch_norm and settings.batch_norm == "keep":
            raise UserError(
                f"convert.per_channel_dense: false is impossible for layer '{group.head}': the batch norm "
                "behind it gives every output its own scale. Set quantization's batch_norm: fold"
            )
        quantizers[group.head].per_channel = False
