"""Linear layers as integer weights: batch norm folded, kernel as codes, bias on its int32 grid (NumPy only)."""

from dataclasses import dataclass

import numpy as np

from pipeline.quantization.graph import LINEAR, Node
from pipeline.quantization.grid import weight_top_code
from pipeline.quantization.integer_model import Weights
from pipeline.quantization.plan import Plan

LARGEST_BIAS = 2.0**30  # of int32's 2^31: room for the products
# The bias grid of a channel without weights, in steps of its output; odd, so that no bias is half a step.
DEAD_CHANNEL = 1 / 255


@dataclass(frozen=True)
class FoldedWeights:
    """A linear layer with the batch norm behind it, before the scales of its input and output are known.

    codes: integers as float64, output channel first: (O, h, w, I), depthwise (O, h, w), dense (O, I).
    scales: float64 (O,), or (1,) for one scale per tensor. bias: float64 (O,).
    """

    codes: np.ndarray
    scales: np.ndarray
    bias: np.ndarray
    bits: int

    def usable_scales(self, input_scale: float, output_scale: float) -> np.ndarray:
        """The scales at which the bias fits into int32; a channel without weights gets one from the output's step."""
        needed = np.abs(self.bias) / LARGEST_BIAS / input_scale
        needed = needed if len(self.scales) == len(self.bias) else needed.max(keepdims=True)
        wanted = np.where(self.scales > 0, self.scales, output_scale / input_scale * DEAD_CHANNEL)
        return np.maximum(wanted, needed)

    def at(self, input_scale: np.float32, output_scale: np.float32, scaled: bool, depthwise: bool) -> Weights:
        """The weights in TFLite's layout; `scaled`: spread the codes over INT8 (4 bits: multiples of 18)."""
        usable = self.usable_scales(float(input_scale), float(output_scale))
        codes = np.rint(self.codes * column(self.scales / usable, self.codes))
        spacing = 127 // weight_top_code(self.bits) if scaled else 1
        scales = (usable / spacing).astype(np.float32)
        bias = np.rint(self.bias / bias_step(input_scale, scales)).astype(np.int32)
        stored = (codes * spacing).astype(np.int8)
        return Weights(np.moveaxis(stored, 0, -1)[None] if depthwise else stored, scales, bias, self.bits, spacing)


def bias_step(input_scale: np.float32, scales: np.ndarray) -> np.ndarray:
    """The value of 1 in an int32 bias, float64 (O,) or (1,)."""
    return np.float64(input_scale) * scales.astype(np.float64)


def fold_groups(plan: Plan, values: dict[str, dict], quantizers: dict, fold_first: bool) -> dict[str, FoldedWeights]:
    """The weights of every group that becomes a linear operation, by head.

    `values`: variables by layer as float64. `fold_first`: the folded kernel is what is rounded (batch_norm: fold), else
    the kernel before batch norm.
    """
    norms = {
        name: affine(values[name], node.layer.epsilon)
        for name, node in plan.nodes.items()
        if node.kind == "BatchNormalization"
    }
    found = {}
    for group in plan.groups.values():
        node = plan.nodes[group.head]
        if node.kind in LINEAR:
            norm = norms.get(group.batch_norm)
            found[node.name] = fold_linear(node, values[node.name], norm, quantizers[node.name], fold_first)
        elif node.kind == "BatchNormalization":
            found[node.name] = fold_lone_batch_norm(*norms[node.name])
        elif node.kind == "AveragePooling2D" and node.name not in plan.tied:
            found[node.name] = averaging_weights(node.layer.input_shape[-1], node.layer.get_config()["pool_size"])
    return found


def fold_linear(node: Node, values: dict, norm: tuple | None, quantizer, fold_first: bool) -> FoldedWeights:
    """A linear layer and the (gain, shift) of the batch norm behind it, if there is one."""
    matrix = output_major(node, values)
    gain, shift = norm or (np.ones(len(matrix)), np.zeros(len(matrix)))
    bias = np.broadcast_to(values.get("bias", 0.0) * gain + shift, gain.shape)
    if fold_first and norm:
        matrix = matrix * column(gain, matrix)
    codes, scales = round_weights(matrix, quantizer)
    if norm and not fold_first:
        codes, scales = codes * column(np.sign(gain), codes), scales * np.abs(gain)
    return FoldedWeights(codes, scales, bias, quantizer.bits)


def fold_lone_batch_norm(gain: np.ndarray, shift: np.ndarray) -> FoldedWeights:
    """A batch norm with nothing linear before it, y = x * gain + shift (C,): a 1x1 depthwise convolution of 8 bits."""
    top = weight_top_code(8)
    return FoldedWeights((np.sign(gain) * top).reshape(-1, 1, 1), np.abs(gain) / top, shift, 8)


def averaging_weights(channels: int, size: tuple[int, int]) -> FoldedWeights:
    """An average over windows of `size` pixels without padding: a depthwise convolution with equal weights."""
    codes = np.ones((channels, *size))
    return FoldedWeights(codes, np.full(channels, 1 / codes[0].size), np.zeros(channels), 8)


def affine(norm: dict, epsilon: float) -> tuple[np.ndarray, np.ndarray]:
    """Inference batch norm as y = x * gain + shift, each (C,), from its variables as float64."""
    gain = norm.get("gamma", 1.0) / np.sqrt(norm["moving_variance"] + epsilon)
    return gain, norm.get("beta", 0.0) - norm["moving_mean"] * gain


def round_weights(matrix: np.ndarray, quantizer) -> tuple[np.ndarray, np.ndarray]:
    """Codes (O, ...) and scales (O,) or (1,) of weights (O, ...), in float32 as `quantizers.round_to_grid` does."""
    matrix = matrix.astype(np.float32)
    axes = tuple(range(1 if quantizer.per_channel else 0, matrix.ndim))
    scales = np.atleast_1d(np.abs(matrix).max(axis=axes) / np.float32(weight_top_code(quantizer.bits)))
    codes = np.rint(matrix / column(np.where(scales > 0, scales, 1), matrix))
    return codes.astype(np.float64), scales.astype(np.float64)


def rounded_kernel(node: Node, values: dict, gain: np.ndarray, quantizer) -> np.ndarray:
    """The kernel in Keras's layout whose product with `gain` (O,) is what the codes mean."""
    matrix = output_major(node, values)
    factor = column(np.where(gain == 0, 1, gain), matrix)
    codes, scales = round_weights(matrix * factor, quantizer)
    kernel = np.moveaxis(codes * column(scales, codes) / factor, 0, -1)
    return kernel.reshape(_kernel(values).shape).astype(np.float32)


def output_major(node: Node, values: dict) -> np.ndarray:
    """Keras's kernel with the output channel first; a depthwise kernel's two channel axes become one."""
    kernel = _kernel(values)
    if node.kind == "DepthwiseConv2D":
        kernel = kernel.reshape(*kernel.shape[:2], -1)
    return np.moveaxis(kernel, -1, 0)


def _kernel(values: dict) -> np.ndarray:
    return values["depthwise_kernel"] if "depthwise_kernel" in values else values["kernel"]


def column(values: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Values per output channel, shaped to multiply `codes` (O, ...)."""
    return np.reshape(values, (-1, *[1] * (codes.ndim - 1)))
