"""Quantize a Keras model: TF-MOT's quantize_apply with the paper's per-channel low-bit quantizers."""

import tf_keras

from pipeline.errors import UserError
from pipeline.models.canonical import canonical, like
from pipeline.models.graph import Range
from pipeline.models.inference import check_keras, check_network
from pipeline.models.input_range import Declared, ranges_for
from pipeline.models.refusals import check_layers
from pipeline.quantization.folding import range_name
from pipeline.quantization.layers import QuantizeWrapperV2
from pipeline.quantization.layout import LowBitLayout
from pipeline.quantization.model_access import (
    float_network,
    kernel_quantizers,
    plan_of,
    quantize_scope,
    range_variables,
    ranges_of,
    recipe_of,
    remember_plan,
    settings_of,
)
from pipeline.quantization.plan import plan
from pipeline.quantization.quantizers import (
    LowBitQuantizeRegistry,
)
from pipeline.quantization.settings import QuantizationSettings
from pipeline.quantization.tfmot import (
    QuantizeScheme,
    QuantizeWrapper,
    quantize_annotate_model,
    quantize_apply,
)
from pipeline.settings import checked_settings


class LowBitQuantizeScheme(QuantizeScheme):
    """Extends TF-MOT's QAT to 2 to 8 bits, per channel, with other bits for first and last layer (paper sec. 2.2, 3.2)."""

    def __init__(self, settings: QuantizationSettings, ranges: dict[str, Range]):
        self.settings, self.ranges = settings, ranges

    def get_layout_transformer(self):
        return LowBitLayout(self.settings, self.ranges)

    def get_quantize_registry(self):
        return LowBitQuantizeRegistry()


def quantize(
    model: tf_keras.Model,
    settings: QuantizationSettings | None = None,
    *,
    input_range: Declared = None,
    **fields: object,
) -> tf_keras.Model:
    """A quantization-aware copy of a functional or Sequential float model, with its weights; train it as usual.

    It takes images (B, H, W, C), sequences (B, T, C) or vectors (B, F). Pass `settings`, or its fields as keyword arguments
    (weight_bits=4, ...). `input_range`: the smallest and largest value that the network takes, such as (-1, 1), or {input
    name: pair}; without it (0, 255) where a Rescaling or Normalization for pixels begins the network, else (0, 1). A range
    is widened until it contains 0. Data that leave it are an error in training. Raises UserError for invalid arguments, and
    for unsupported layers, naming each.
    """
    settings = checked_settings(QuantizationSettings, settings, fields, "quantize")
    check_keras(model, "quantize")
    if recipe_of(model):
        raise UserError("quantize: this model is already quantized; pass the float model")
    check_layers(model)
    check_network(model, "quantize")
    network = canonical(model)
    ranges = ranges_for(model, network, input_range)
    decided, scheme = plan(network, settings, ranges), LowBitQuantizeScheme(settings, ranges)
    with quantize_scope():
        quantized = quantize_apply(quantize_annotate_model(network), scheme, _prefix(network))
    for layer in quantized.layers:
        if isinstance(layer, QuantizeWrapper):
            _adopt(layer)
    if len(model.outputs) > 1:
        quantized = _with_names(quantized, model.output_names)
    remember_plan(quantized, decided)
    return quantized


def _with_names(quantized: tf_keras.Model, names: list[str]) -> tf_keras.Model:
    """A model whose outputs have these names, by which losses are given; TF-MOT renames the layers that it wraps."""
    taken = {layer.name for layer in quantized.layers}
    outputs = [
        tensor if name in taken else tf_keras.layers.Activation("linear", name=name)(tensor)
        for tensor, name in zip(quantized.outputs, names, strict=True)
    ]
    return tf_keras.Model(quantized.input, like(quantized.output, outputs), name=quantized.name)


def _prefix(network: tf_keras.Model) -> str:
    """What TF-MOT puts before the names of the layers that it wraps: no other layer has such a name."""
    prefix, names = "quant_", {layer.name for layer in network.layers}
    while any(prefix + name in names for name in names):
        prefix += "quant_"
    return prefix


def _adopt(wrapper: QuantizeWrapper) -> None:
    """Make a wrapper that TF-MOT has built one of ours, which respects frozen layers.

    TF-MOT registers the weights of a built layer twice; a .keras file could then not be loaded.
    """
    wrapper.__class__ = QuantizeWrapperV2
    wrapper._trainable_weights[:] = [kernel for kernel, _, _ in wrapper._weight_vars]


def rewrap(model: tf_keras.Model, smaller: tf_keras.Model) -> tf_keras.Model:
    """`smaller` (a float network with the same layer names) quantized like `model`, with its activation ranges."""
    return _with_ranges_of(model, quantize(smaller, settings_of(model), input_range=ranges_of(model)))


def with_au_bits(model: tf_keras.Model, au_bits: dict[str, int]) -> tf_keras.Model:
    """A copy of a quantized `model` with other bits in its heads; weights and ranges stay as trained."""
    settings = settings_of(model).model_copy(update={"au_bits": au_bits})
    return _with_ranges_of(model, quantize(float_network(model), settings, input_range=ranges_of(model)))


def _with_ranges_of(model: tf_keras.Model, quantized: tf_keras.Model) -> tf_keras.Model:
    """`quantized` with the ranges and kernel scales of `model`; a new coarser copy gets the range of its tensor."""
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


def has_per_channel_dense(model: tf_keras.Model) -> bool:
    """Whether any Dense kernel of a quantized model has a scale per output."""
    quantizers = kernel_quantizers(model)
    dense = [node.layer.name for node in plan_of(model).nodes.values() if node.kind == "Dense"]
    return any(quantizers[name].per_channel for name in dense)


def use_per_tensor_dense(model: tf_keras.Model) -> None:
    """Use one scale per Dense kernel of a quantized model (some NPUs require it); call before training.

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
                "after it gives every output its own scale. Set batch_norm: fold in quantization"
            )
        quantizers[decided.nodes[group.head].layer.name].per_channel = False
