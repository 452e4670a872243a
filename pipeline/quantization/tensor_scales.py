"""The step of every activation tensor: as trained, moved to where the kernels can follow exactly (NumPy only)."""

import numpy as np

from pipeline.quantization.folded_weights import LARGEST_BIAS, FoldedWeights
from pipeline.quantization.integer_ops import quantize_factor
from pipeline.quantization.plan import Plan

LARGEST_RATIO = 128.0  # input step x weight step / output step; from 256 on XNNPACK refuses the file
SMALLEST_ADD_RATIO = 2.0**-9  # input step / output step; below 2^-10 an ADD falls back to kernels that round otherwise
LARGEST_FACTOR = 2**15 - 1  # of a QUANTIZE, in 256ths
SMALLEST_RANGE = np.float32(1e-6)  # also where no data has been seen

Scales = dict[str, np.float32]


def tensor_scales(plan: Plan, ranges: dict[str, np.float32], weights: dict[str, FoldedWeights]) -> Scales:
    """{group end or copy name: step}; `ranges`: largest magnitudes by layer, `weights` by head of the group."""
    scales = {end: _trained(plan, end, ranges) for end in plan.tensors if end not in plan.tied}
    for node in reversed(list(plan.nodes.values())):
        if node.kind == "Concatenate":
            _tie_branches(plan, node, scales)
    for _ in range(2):  # an addition's output may raise an input, which may raise what follows from it
        _raise_addends(plan, scales)
        _raise_outputs(plan, ranges, weights, scales)
    return scales | {end: scales[plan.owner(end)] for end in plan.groups}


def range_name(plan: Plan, end: str, ranges: dict) -> str:
    """The layer of the quantized model that rounds a group's output (a folded batch norm is part of its head)."""
    return end if end in ranges else plan.groups[end].head


def _trained(plan: Plan, end: str, ranges) -> np.float32:
    if plan.nodes[end].kind == "InputLayer":
        return np.float32(1 / 255)
    return _step(ranges, range_name(plan, end, ranges), plan.tensors[end].grid.top)


def _step(ranges, name: str, top: int) -> np.float32:
    return np.float32(max(ranges[name], SMALLEST_RANGE) / np.float32(top))


def _tie_branches(plan: Plan, node, scales: Scales) -> None:
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


def _copy_scale(plan: Plan, head: str, ranges, scales: Scales) -> np.float32:
    """The step of the coarser copy that layer `head` reads: the nearest to the trained one that QUANTIZE can hold."""
    source = scales[plan.owner(plan.source(plan.nodes[head].inputs[0]))]
    wanted = _step(ranges, plan.copy_name(head), plan.requantized[head].grid.top)
    return np.float32(source * np.float32(256 / min(max(quantize_factor(source, wanted), 1), LARGEST_FACTOR)))


def _raise_addends(plan: Plan, scales: Scales) -> None:
    """No input of an addition may be much finer than its output."""
    for end, group in plan.groups.items():
        if plan.nodes[group.head].kind == "Add":
            for name in plan.nodes[group.head].inputs:
                source = plan.owner(plan.source(name))
                scales[source] = max(scales[source], np.float32(scales[plan.owner(end)] * SMALLEST_ADD_RATIO))


def _raise_outputs(plan: Plan, ranges, weights: dict[str, FoldedWeights], scales: Scales) -> None:
    """No output may be much finer than its inputs; the coarser copies follow from their sources."""
    for end, group in plan.groups.items():
        if group.head in plan.requantized:
            scales[plan.copy_name(group.head)] = _copy_scale(plan, group.head, ranges, scales)
        own = plan.owner(end)
        scales[own] = max(scales[own], _smallest(plan, group.head, weights.get(group.head), scales))


def _smallest(plan: Plan, head: str, weights: FoldedWeights | None, scales: Scales) -> np.float32:
    """The smallest output step that the operation of layer `head` can have; only outputs that are always 0 need it."""
    inputs = [_input_step(plan, head, source, scales) for source in plan.nodes[head].inputs]
    if weights is not None:
        largest = max(inputs[0] * weights.scales.max(), np.abs(weights.bias).max() / LARGEST_BIAS)
    else:
        largest = max(inputs, default=0) if plan.nodes[head].kind == "Add" else 0
    return np.float32(largest / LARGEST_RATIO)


def _input_step(plan: Plan, head: str, source: str, scales: Scales) -> np.float32:
    return scales[plan.copy_name(head) if head in plan.requantized else plan.owner(plan.source(source))]
