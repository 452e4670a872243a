"""Linear layers as integer weights (batch norm folded, bias on its int32 grid), and the step of every tensor (NumPy only)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipeline.models.graph import LINEAR, SCALING, SUMS, Node
from pipeline.quantization.certain_scales import settle
from pipeline.quantization.grid import weight_top_code
from pipeline.quantization.integer_model import Weights
from pipeline.quantization.integer_ops import quantize_factor
from pipeline.quantization.plan import Plan

if TYPE_CHECKING:
    from pipeline.quantization.quantizers import KernelQuantizer

FARTHEST_CODE = 255  # from a zero point
MAX_OUTPUT = 2.0**31 / (1 + 1e-6)  # steps: from 2^31 on XNNPACK on x86 takes a very negative output for a positive one
MAX_BIAS = 2.0**30  # of int32's 2^31: leaves room for the products
# The bias grid of a channel without weights, in steps of its output; odd, so that no bias is half a step.
DEAD_CHANNEL = 1 / 255
MAX_RATIO = 128.0  # input step x weight step / output step; from 256 on XNNPACK refuses the file
MIN_ADD_RATIO = 2.0**-9  # input step / output step; below 2^-10 an ADD falls back to kernels that round differently
MAX_FACTOR = 2**15 - 1  # of a QUANTIZE, in 256ths
MIN_RANGE = np.float32(1e-6)  # also where no data has been seen
Scales = dict[str, np.float32]


@dataclass(frozen=True)
class FoldedWeights:
    """A linear layer and the batch norm after it, before the scales of its input and output are known.

    codes: integers as float64, output channel first: (O, h, w, I), depthwise (O, h, w), dense (O, I).
    scales: float64 (O,), or (1,) for one scale per tensor. bias: float64 (O,).
    """

    codes: np.ndarray
    scales: np.ndarray
    bias: np.ndarray
    bits: int

    def usable_scales(self, input_scale: float, output_scale: float) -> np.ndarray:
        """The scales at which the bias fits into int32; a channel without weights gets one from the output's step."""
        needed = np.abs(self.bias) / MAX_BIAS / input_scale
        needed = needed if len(self.scales) == len(self.bias) else needed.max(keepdims=True)
        wanted = np.where(self.scales > 0, self.scales, output_scale / input_scale * DEAD_CHANNEL)
        return np.maximum(wanted, needed)

    def reach(self, input_scale: np.float32) -> float:
        """The largest magnitude of an output before rounding, for any input codes."""
        sums = np.abs(self.codes).reshape(len(self.codes), -1).sum(axis=1) * self.scales * FARTHEST_CODE
        return float((sums * float(input_scale) + np.abs(self.bias)).max())

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
    """The step of an int32 bias, float64 (O,) or (1,)."""
    return np.float64(input_scale) * scales.astype(np.float64)


def fold_groups(plan: Plan, values: dict[str, dict], quantizers: dict, fold_first: bool) -> dict[str, FoldedWeights]:
    """The weights of every group that becomes a linear operation, by head.

    `values`: variables by layer as float64. `fold_first`: round the folded kernel (batch_norm: fold), not
    the kernel before batch norm.
    """
    norms = {
        name: affine(values[node.layer.name], getattr(node.layer, "epsilon", 0.0))
        for name, node in plan.nodes.items()
        if node.kind in SCALING
    }
    found = {}
    for group in plan.groups.values():
        node = plan.nodes[group.head]
        if node.kind in LINEAR:
            norm = norms.get(group.batch_norm)
            layer = node.layer.name
            found[node.name] = fold_linear(node, values[layer], norm, quantizers[layer], fold_first)
        elif node.kind in SCALING:
            found[node.name] = fold_lone_batch_norm(*norms[node.name])
        elif node.kind == "AveragePooling2D" and node.name not in plan.tied:
            found[node.name] = averaging_weights(node.shape[-1], node.layer.get_config()["pool_size"])
    return found


def fold_linear(
    node: Node, values: dict, norm: tuple | None, quantizer: "KernelQuantizer", fold_first: bool
) -> FoldedWeights:
    """A linear layer and the (gain, shift) of the batch norm after it, if there is one."""
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
    """A batch norm without a linear layer before it, y = x * gain + shift (C,): a 1x1 depthwise convolution of 8 bits."""
    top = weight_top_code(8)
    return FoldedWeights((np.sign(gain) * top).reshape(-1, 1, 1), np.abs(gain) / top, shift, 8)


def averaging_weights(channels: int, size: tuple[int, int]) -> FoldedWeights:
    """An average over windows of `size` pixels without padding: a depthwise convolution with equal weights."""
    codes = np.ones((channels, *size))
    return FoldedWeights(codes, np.full(channels, 1 / codes[0].size), np.zeros(channels), 8)


def affine(norm: dict, epsilon: float) -> tuple[np.ndarray, np.ndarray]:
    """Inference batch norm, or Affine, as y = x * gain + shift, each (C,), from its variables as float64."""
    gain = norm.get("gamma", 1.0) / np.sqrt(norm.get("moving_variance", 1.0) + epsilon)
    return gain, norm.get("beta", 0.0) - norm.get("moving_mean", 0.0) * gain


def round_weights(matrix: np.ndarray, quantizer: "KernelQuantizer") -> tuple[np.ndarray, np.ndarray]:
    """Codes (O, ...) and scales (O,) or (1,) of weights (O, ...), in float32 as `quantizers.round_to_grid` does."""
    matrix = matrix.astype(np.float32)
    axes = tuple(range(1 if quantizer.per_channel else 0, matrix.ndim))
    scales = np.atleast_1d(np.abs(matrix).max(axis=axes) / np.float32(weight_top_code(quantizer.bits)))
    codes = np.rint(matrix / column(np.where(scales > 0, scales, 1), matrix))
    return codes.astype(np.float64), scales.astype(np.float64)


def rounded_kernel(node: Node, values: dict, gain: np.ndarray, quantizer: "KernelQuantizer") -> np.ndarray:
    """The kernel in Keras's layout whose product with `gain` (O,) equals the values of the codes."""
    matrix = output_major(node, values)
    factor = column(np.where(gain == 0, 1, gain), matrix)
    codes, scales = round_weights(matrix * factor, quantizer)
    kernel = np.moveaxis(codes * column(scales, codes) / factor, 0, _output_axis(node))
    return kernel.reshape(_kernel(values).shape).astype(np.float32)


def output_major(node: Node, values: dict) -> np.ndarray:
    """Keras's kernel with the output channel first; a depthwise kernel's two channel axes become one."""
    kernel = _kernel(values)
    if node.kind == "DepthwiseConv2D":
        kernel = kernel.reshape(*kernel.shape[:2], -1)
    return np.moveaxis(kernel, _output_axis(node), 0)


def _output_axis(node: Node) -> int:
    """The axis of a kernel's output channels: Keras stores a transposed one as (h, w, O, I)."""
    return -2 if node.kind == "Conv2DTranspose" else -1


def _kernel(values: dict) -> np.ndarray:
    return values["depthwise_kernel"] if "depthwise_kernel" in values else values["kernel"]


def column(values: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Values per output channel, shaped to multiply `codes` (O, ...)."""
    return np.reshape(values, (-1, *[1] * (codes.ndim - 1)))


def tensor_scales(plan: Plan, ranges: dict[str, np.float32], weights: dict[str, FoldedWeights]) -> Scales:
    """{group end or copy name: step}; `ranges`: largest magnitudes by layer, `weights` by head of the group."""
    scales = {end: _trained(plan, end, ranges) for end in plan.tensors if end not in plan.tied}
    for node in reversed(list(plan.nodes.values())):
        if node.kind == "Concatenate":
            _tie_branches(plan, node, scales)
    for _ in range(2):  # an addition's output may raise an input, which may raise what follows from it
        _raise_addends(plan, scales)
        _raise_outputs(plan, ranges, weights, scales)
        settle(plan, scales)
    for head in plan.requantized:
        scales[plan.copy_name(head)] = _copy_scale(plan, head, ranges, scales)
    return scales | {end: scales[plan.owner(end)] for end in plan.groups}


def range_name(plan: Plan, end: str, ranges: dict) -> str:
    """The layer of the quantized model that rounds a group's output (a folded batch norm is part of its head)."""
    return end if end in ranges else plan.groups[end].head


def _trained(plan: Plan, end: str, ranges) -> np.float32:
    tensor = plan.tensors[end]
    if plan.nodes[end].kind == "InputLayer":
        return np.float32(tensor.limit / tensor.grid.top)
    return _step(ranges, range_name(plan, end, ranges), tensor.grid.top)


def _step(ranges, name: str, top: int) -> np.float32:
    return np.float32(max(ranges[name], MIN_RANGE) / np.float32(top))


def _tie_branches(plan: Plan, node, scales: Scales) -> None:
    """QUANTIZE stores the ratio of two scales in 256ths: rescale each branch that needs one to such a ratio.

    Where the grid of a branch is fixed (an input of the network, a sigmoid), rescale the concatenation.
    """
    own = plan.owner(node.name)
    ends = {plan.owner(plan.source(name)) for name in node.inputs} - {own}
    fixed = {end for end in ends if plan.tensors[end].limit is not None}
    for end in sorted(fixed)[:1]:
        scales[own] = scales[end] / _tied_ratio(scales[end] / scales[own])
    for end in ends - fixed:
        scales[end] = scales[own] * _tied_ratio(scales[end] / scales[own])


def _tied_ratio(ratio: np.float32) -> np.float32:
    """The nearest odd number of 256ths, or 1: no code of a branch falls halfway between two of the concatenation."""
    factor = 2 * int(128 * ratio) + 1
    return np.float32(1 if abs(factor - 256) < 2 else factor / 256)


def _copy_scale(plan: Plan, head: str, ranges, scales: Scales) -> np.float32:
    """The step of the coarser copy that layer `head` reads: the nearest to the trained one that QUANTIZE can represent."""
    source = scales[plan.owner(plan.source(plan.nodes[head].inputs[0]))]
    wanted = _step(ranges, plan.copy_name(head), plan.requantized[head].grid.top)
    return np.float32(source * np.float32(256 / min(max(quantize_factor(source, wanted), 1), MAX_FACTOR)))


def _raise_addends(plan: Plan, scales: Scales) -> None:
    """Raise input steps of additions that are much finer than the output's."""
    for end, group in plan.groups.items():
        if plan.nodes[group.head].kind in SUMS:
            for name in plan.nodes[group.head].inputs:
                source = plan.owner(plan.source(name))
                scales[source] = max(scales[source], np.float32(scales[plan.owner(end)] * MIN_ADD_RATIO))


def _raise_outputs(plan: Plan, ranges, weights: dict[str, FoldedWeights], scales: Scales) -> None:
    """Raise output steps that are much finer than the inputs'; coarser copies follow from their sources."""
    for end, group in plan.groups.items():
        if group.head in plan.requantized:
            scales[plan.copy_name(group.head)] = _copy_scale(plan, group.head, ranges, scales)
        own = plan.owner(end)
        if plan.tensors[own].limit is not None:
            continue
        scales[own] = max(scales[own], _smallest(plan, group.head, weights.get(group.head), scales))


def _smallest(plan: Plan, head: str, weights: FoldedWeights | None, scales: Scales) -> np.float32:
    """The smallest possible output step of the operation of layer `head`; only outputs that are always 0 need it."""
    inputs = [_input_step(plan, head, source, scales) for source in plan.nodes[head].inputs]
    if weights is None:
        return np.float32((max(inputs, default=0) if plan.nodes[head].kind in SUMS else 0) / MAX_RATIO)
    largest = max(inputs[0] * weights.scales.max(), np.abs(weights.bias).max() / MAX_BIAS)
    return np.float32(max(largest / MAX_RATIO, weights.reach(inputs[0]) / MAX_OUTPUT))


def _input_step(plan: Plan, head: str, source: str, scales: Scales) -> np.float32:
    return scales[plan.copy_name(head) if head in plan.requantized else plan.owner(plan.source(source))]
