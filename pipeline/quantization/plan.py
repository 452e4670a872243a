"""The bits of every kernel and the grid of every activation tensor of a network (TensorFlow-free)."""

from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from pipeline.errors import UserError
from pipeline.models.graph import (
    FUSING,
    LINEAR,
    PASSING,
    SCALING,
    Group,
    Node,
    Output,
    Range,
    graph_of,
    groups_of,
    keeps_grid,
    upper_limit,
)
from pipeline.models.names import free_name
from pipeline.models.settings import au_heads, hidden_layers
from pipeline.quantization.grid import Grid
from pipeline.quantization.settings import QuantizationSettings
from pipeline.quantization.support import check_supported

if TYPE_CHECKING:
    import tf_keras

Bits = dict[str, tuple[int, int]]  # (weight bits, input activation bits) by layer


@dataclass(frozen=True)
class TensorPlan:
    """An activation tensor: its grid, whether training rounds it or only observes its range, and a range that is fixed."""

    grid: Grid
    signed: bool
    in_training: bool
    limit: float | None = None


@dataclass(frozen=True)
class Plan:
    """The quantization of one network.

    inputs: names of nodes, which all other names are too. weight_bits: by linear layer. tensors: by group end.
    requantized: by linear layer, the coarser copy of its input that is made before it. shared: group ends that
    write on the grid of the concatenation they feed. tied: padded average poolings, whose output stays on the grid
    of their input, with the group end of that input.
    """

    nodes: dict[str, Node]
    inputs: list[str]
    outputs: list[Output]
    groups: dict[str, Group]
    weight_bits: dict[str, int]
    tensors: dict[str, TensorPlan]
    requantized: dict[str, TensorPlan]
    shared: dict[str, str]
    tied: dict[str, str]

    def source(self, name: str) -> str:
        """The group end whose codes reach the output of layer `name` through poolings, paddings and dropout."""
        return tensor_source(name, self.nodes, self.groups)

    def owner(self, end: str) -> str:
        """The group end that defines the grid of the output of `end`: itself unless shared or tied."""
        while end in self.shared or end in self.tied:
            end = self.shared.get(end) or self.tied[end]
        return end

    def norm_of(self, head: str) -> str | None:
        """The batch norm of the group that begins with layer `head`: the one after it, or the layer itself."""
        group = next(group for group in self.groups.values() if group.head == head)
        return head if self.nodes[head].kind in SCALING else group.batch_norm

    def copy_name(self, name: str) -> str:
        """The name of the coarser copy that linear layer `name` reads."""
        return free_name(f"{self.nodes[name].inputs[0]}_to_{self.requantized[name].grid.bits}_bits", self.nodes)


@dataclass(frozen=True)
class _Need:
    bits: int
    in_training: bool


_DEVICE_ONLY = _Need(8, False)


def plan(model: "tf_keras.Model", settings: QuantizationSettings, ranges: dict[str, Range] | None = None) -> Plan:
    """Decide the bits of every tensor of a functional float `model`, whose inputs take values of these `ranges` (0 to 1).

    Raises UserError for a network that cannot be quantized, and for bits of layers that do not exist.
    """
    graph = graph_of(model)
    nodes = graph.nodes
    for name, pair in (ranges or {}).items():
        nodes[name].range = pair
    check_supported(nodes)
    groups = groups_of(nodes)
    bits = layer_bits(nodes, settings)
    needs = {end: _needs(end, nodes, groups, bits, settings) for end in groups}
    shared = _concatenated(nodes, groups)
    tied = {name: tensor_source(nodes[name].inputs[0], nodes, groups) for name in groups if keeps_grid(nodes[name])}
    tensors = {end: _tensor_plan(end, needs[end], nodes, settings) for end in groups if end not in shared}
    for name, source in tied.items():
        tensors[name] = TensorPlan(tensors[source].grid, tensors[source].signed, False)
    requantized = _requantized(nodes, groups, bits, tensors, settings)
    weight_bits = {nodes[name].layer.name: pair[0] for name, pair in bits.items()}
    return Plan(nodes, graph.inputs, graph.outputs, groups, weight_bits, tensors, requantized, shared, tied)


def tensor_source(name: str, nodes: dict[str, Node], groups: dict[str, Group]) -> str:
    """The group end whose codes reach the output of layer `name` through poolings, paddings and dropout."""
    while name not in groups:
        name = nodes[name].inputs[0]
    return name


def is_signed(name: str, nodes: dict[str, Node]) -> bool:
    """Whether the output of layer `name` can be negative."""
    node = nodes[name]
    if node.kind == "InputLayer":
        return node.range[0] < 0
    if node.kind == "ReLU":
        return False
    if node.kind == "Activation":
        return node.layer.get_config()["activation"] != "sigmoid"
    if node.kind == "Multiply":
        first, second = node.inputs
        return first != second and any(is_signed(source, nodes) for source in node.inputs)
    if node.kind in FUSING | {"LeakyReLU"}:
        return True
    return any(is_signed(source, nodes) for source in node.inputs)


def _needs(end, nodes, groups, bits, settings) -> list[_Need]:
    """What the consumers of a group's output require, looking through layers that pass codes on unchanged."""
    found = [_DEVICE_ONLY] if nodes[end].outputs else []
    for consumer in nodes[end].consumers:
        kind = nodes[consumer].kind
        if kind in PASSING | {"Concatenate"}:
            found += _needs(consumer, nodes, groups, bits, settings)
        elif kind in LINEAR:
            found.append(_Need(bits[consumer][1], True))
        else:  # a sum, an average, or a ReLU that is an operation of its own
            found.append(_DEVICE_ONLY if keeps_grid(nodes[consumer]) else _side_need(settings))
    return found


def _side_need(settings) -> _Need:
    """Sums, averages, batch norms on their own: not layer inputs in the paper; 8 bits on the device, or the layer's."""
    if settings.residual_bits == "same":
        return _Need(settings.activation_bits, True)
    return _DEVICE_ONLY


def _tensor_plan(end, needs, nodes, settings) -> TensorPlan:
    limit, signed = upper_limit(nodes[end]), is_signed(end, nodes)
    if nodes[end].kind in ("InputLayer", "Activation") and limit:
        return TensorPlan(Grid.of(8, signed, True), signed, False, limit)
    if nodes[end].kind == "LeakyReLU":  # its slopes are 256ths of input step / output step: too coarse for fewer bits
        return _on_grid(8, False, signed, settings)
    bits = max(need.bits for need in needs)
    in_training = any(need.in_training and need.bits == bits for need in needs)
    return replace(_on_grid(bits, in_training, signed, settings), limit=limit)


def _on_grid(bits, in_training, signed, settings) -> TensorPlan:
    return TensorPlan(Grid.of(bits, signed, settings.activation_range == "unsigned"), signed, in_training)


def _concatenated(nodes, groups) -> dict[str, str]:
    """{group end: concatenation}: groups whose codes reach only a concatenation write directly on its grid."""
    shared = {}
    for node in nodes.values():
        if node.kind == "Concatenate":
            ends = [_sole_source(name, nodes, groups) for name in node.inputs]
            shared.update({end: node.name for end in ends if end and nodes[end].kind != "InputLayer"})
    return shared


def _sole_source(name, nodes, groups) -> str | None:
    """The group end that layer `name` reads; None if its codes are also used elsewhere or keep their own grid."""
    while nodes[name].uses == 1 and name not in groups:
        name = nodes[name].inputs[0]
    own_grid = keeps_grid(nodes[name]) or upper_limit(nodes[name]) is not None
    return name if nodes[name].uses == 1 and name in groups and not own_grid else None


def _requantized(nodes, groups, bits, tensors, settings) -> dict[str, TensorPlan]:
    """The coarser copy for each linear layer whose input tensor is finer than it requires."""
    result = {}
    for name, (_, activation_bits) in bits.items():
        read = nodes[name].inputs[0]
        if tensors[tensor_source(read, nodes, groups)].grid.bits > activation_bits:
            result[name] = _on_grid(activation_bits, True, is_signed(read, nodes), settings)
    return result


def layer_bits(nodes: dict[str, Node], settings: QuantizationSettings) -> Bits:
    """The bits of every call of a linear layer; `au_bits` and then `overrides`, in order, replace the defaults.

    All calls of a layer share its weights, which get the bits of the call that needs most. A head's logit is a last
    layer and keeps first_last_bits whatever `au_bits` says; an override can change it.
    Raises UserError for action units without their own head and for an override that matches no layer.
    """
    linear = [node for node in nodes.values() if node.kind in LINEAR]
    names = list(dict.fromkeys(node.layer.name for node in linear))
    inner, outer = (settings.weight_bits, settings.activation_bits), (settings.first_last_bits,) * 2
    ends = {node.name for node in linear if _at_input(node.name, nodes) or _at_output(node.name, nodes)}
    named = _au_bits(names, settings.au_bits)
    bits = {node.name: named.get(node.layer.name, outer if node.name in ends else inner) for node in linear}
    for override in settings.overrides:
        matched = _matched(names, override.layers)
        for node in linear:
            if node.layer.name in matched:
                weight_bits, activation_bits = bits[node.name]
                bits[node.name] = (override.weight_bits or weight_bits, override.activation_bits or activation_bits)
    most = {name: max(bits[node.name][0] for node in linear if node.layer.name == name) for name in names}
    return {node.name: (most[node.layer.name], bits[node.name][1]) for node in linear}


def _au_bits(linear: list[str], au_bits: dict[str, int]) -> Bits:
    heads = au_heads(linear)
    if au_bits and not heads:
        raise UserError("quantization.au_bits: no action unit has a head of its own. Set model.heads: per_au")
    if unknown := sorted(au_bits.keys() - {*heads, "default"}):
        names = ", ".join(heads)
        raise UserError(f"quantization.au_bits: no head for {', '.join(unknown)}; there are: {names}, and default")
    chosen = {head: au_bits.get(head, au_bits.get("default")) for head in heads}
    return {name: (bits, bits) for head, bits in chosen.items() if bits for name in hidden_layers(head)}


def _matched(linear: list[str], pattern: str) -> list[str]:
    matched = [name for name in linear if fnmatchcase(name, pattern)]
    if not matched:
        there = ", ".join(linear)
        raise UserError(f"quantization.overrides: '{pattern}' matches no layer; there are: {there}")
    return matched


def _at_input(name: str, nodes: dict[str, Node]) -> bool:
    sources = nodes[name].inputs
    return not sources or all(nodes[s].kind not in LINEAR and _at_input(s, nodes) for s in sources)


def _at_output(name: str, nodes: dict[str, Node]) -> bool:
    consumers = nodes[name].consumers
    return bool(nodes[name].outputs) or all(nodes[c].kind not in LINEAR and _at_output(c, nodes) for c in consumers)
