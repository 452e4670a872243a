"""The step of every activation tensor: as trained, moved to where the kernels can follow exactly (NumPy only)."""

import numpy as np

from pipeline.quantization.folded_weights import LARGEST_BIAS, FoldedWeights
from pipeline.quantization.integer_ops import quantize_factor
from pipeline.quantization.plan import Plan

LARGEST_RATIO = 128.0  # of scales, input to output; XNNPACK refuses 256, and QUANTIZE more than 128
SMALLEST_ADD_RATIO = 2.0**-9  # XNNPACK refuses less than 2^-10
SMALLEST_RANGE = np.float32(1e-6)  # also where no data has been seen
PASSES = 8


Scales = dict[str, np.float32]


def tensor_scales(plan: Plan, ranges: dict[str, np.float32], weights: dict[str, FoldedWeights]) -> Scales:
    """{group end or copy name: step}; `ranges`: largest magnitudes by layer, `weights` by head of the group."""
    scales = {end: _trained(plan, end, ranges) for end in plan.tensors if end not in plan.tied}
    for node in reversed(list(plan.nodes.values())):
        if node.kind == "Concatenate":
            _tie_branches(plan, node, scales)
    _complete(plan, ranges, scales)
    for _ in range(PASSES):
        _raise_to_limits(plan, weights, scales)
        _complete(plan, ranges, scales)
    return scales


def range_name(plan: Plan, end: str, ranges: dict) -> str:
    """The layer of the quantized model that rounds a group's output (a folded batch norm is part of its head)."""
    return end if end in ranges else plan.groups[end].head


def _trained(plan: Plan, end: str, ranges) -> np.float32:
    if plan.nodes[end].kind == "InputLayer":
        return np.float32(1 / 255)
    return _step(ranges, range_name(plan, end, ranges), plan.tensors[end].grid.top)


def _step(ranges, name: str, top: int) -> np.float32:
    return np.float32(max(ranges[name], SMALLEST_RANGE) / np.float32(top))


def _tie_branches(plan: Plan, node, scales) -> None:
    """QUANTIZE keeps the ratio of two scales in 256ths: a branch that needs one is moved to such a ratio.

    Where the image itself is a branch, the concatenation is moved.
    """
    own = plan.owner(node.name)
    ends = {plan.owner(plan.source(name)) for name in node.inputs} - {own}
    for end in sorted(ends, key=lambda end: plan.nodes[end].kind != "InputLayer"):
        ratio = _tied_ratio(scales[end] / scales[own])
        if plan.nodes[end].kind == "InputLayer":
            scales[own] = scales[end] / ratio
        else:
            scales[end] = scales[own] * ratio


def _tied_ratio(ratio: np.float32) -> np.float32:
    """The nearest odd number of 256ths, or 1: no code of a branch lies halfway between two of the concatenation."""
    factor = 2 * int(128 * ratio) + 1
    return np.float32(1 if abs(factor - 256) < 2 else factor / 256)


def _complete(plan: Plan, ranges, scales) -> None:
    """The scales that follow from others: shared and tied grids, and the coarser copies in front of linear layers."""
    for end in plan.groups:
        scales[end] = scales[plan.owner(end)]
    for name, tensor in plan.requantized.items():
        source, copy = scales[plan.source(plan.nodes[name].inputs[0])], plan.copy_name(name)
        factor = quantize_factor(source, _step(ranges, copy, tensor.grid.top))
        scales[copy] = np.float32(source * np.float32(256 / min(max(factor, 1), 256 * LARGEST_RATIO - 1)))


def _raise_to_limits(plan: Plan, weights, scales) -> None:
    for end, group in plan.groups.items():
        inputs = [_input_name(plan, group.head, source) for source in plan.nodes[group.head].inputs]
        own = plan.owner(end)
        scales[own] = max([scales[own], *(_smallest(scales[name], weights.get(group.head)) for name in inputs)])
        if plan.nodes[group.head].kind == "Add":
            for source in (plan.owner(name) for name in inputs):
                scales[source] = max(scales[source], np.float32(scales[own] * SMALLEST_ADD_RATIO))


def _input_name(plan: Plan, head: str, source: str) -> str:
    """The tensor that layer `head` reads where the network reads layer `source`."""
    return plan.copy_name(head) if head in plan.requantized else plan.source(source)


def _smallest(input_scale: np.float32, weights: FoldedWeights | None) -> np.float32:
    """The smallest output step that an operation on an input of this step can have."""
    if weights is None:
        return np.float32(input_scale / LARGEST_RATIO)
    largest = max(input_scale * weights.scales.max(), np.abs(weights.bias).max() / LARGEST_BIAS)
    return np.float32(largest / LARGEST_RATIO)
