"""The bits of every kernel and the grid of every activation tensor of a network (TensorFlow-free)."""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from pipeline.errors import UserError
from pipeline.models.graph import FUSING, LINEAR, PASSING, Group, Node, groups_of, keeps_grid, nodes_of
from pipeline.models.settings import au_heads, hidden_layers
from pipeline.quantization.grid import Grid
from pipeline.quantization.settings import QuantizationSettings
from pipeline.quantization.support import check_supported

if TYPE_CHECKING:
    import tf_keras

Bits = dict[str, tuple[int, int]]  # (weight bits, input activation bits) by layer


@dataclass(frozen=True)
class TensorPlan:
    """An activation tensor: its grid, and whether training rounds it or only observes its range."""

    grid: Grid
    signed: bool
    in_training: bool


@dataclass(frozen=True)
class Plan:
    """The quantization of one network.

    weight_bits: by linear layer. tensors: by group end. requantized: by linear layer, the coarser copy of its input
    that is made before it. shared: group ends that write on the grid of the concatenation they feed. tied: padded
    average poolings, whose output stays on the grid of their input, with the group end of that input.
    """

    nodes: dict[str, Node]
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

    @property
    def output(self) -> str:
        """The layer whose output is the network's."""
        return next(name for name, node in self.nodes.items() if not node.consumers)

    def norm_of(self, head: str) -> str | None:
        """The batch norm of the group that begins with layer `head`: the one after it, or the layer itself."""
        group = next(group for group in self.groups.values() if group.head == head)
        return head if self.nodes[head].kind == "BatchNormalization" else group.batch_norm

    def copy_name(self, name: str) -> str:
        """The name of the coarser copy that linear layer `name` reads."""
        return f"{self.nodes[name].inputs[0]}_to_{self.requantized[name].grid.bits}_bits"


@dataclass(frozen=True)
class _Need:
    bits: int
    in_training: bool


_DEVICE_ONLY = _Need(8, False)


def plan(model: "tf_keras.Model", settings: QuantizationSettings) -> Plan:
    """Decide the bits of every tensor of a functional float `model`.

    Raises UserError for a network that cannot be quantized, and for bits of layers that do not exist.
    """
    nodes = nodes_of(model)
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
    weight_bits = {name: pair[0] for name, pair in bits.items()}
    return Plan(nodes, groups, weight_bits, tensors, requantized, shared, tied)


def tensor_source(name: str, nodes: dict[str, Node], groups: dict[str, Group]) -> str:
    """The group end whose codes reach the output of layer `name` through poolings, paddings and dropout."""
    while name not in groups:
        name = nodes[name].inputs[0]
    return name


def is_signed(name: str, nodes: dict[str, Node]) -> bool:
    """Whether the output of layer `name` can be negative."""
    node = nodes[name]
    if node.kind in ("InputLayer", "ReLU"):
        return False
    if node.kind in FUSING:
        return True
    return any(is_signed(source, nodes) for source in node.inputs)


def _needs(end, nodes, groups, bits, settings) -> list[_Need]:
    """What the consumers of a group's output require, looking through layers that pass codes on unchanged."""
    if not nodes[end].consumers:
        return [_DEVICE_ONLY]
    found = []
    for consumer in nodes[end].consumers:
        kind = nodes[consumer].kind
        if kind in PASSING | {"Concatenate"}:
            found += _needs(consumer, nodes, groups, bits, settings)
        elif kind in LINEAR:
            found.append(_Need(bits[consumer][1], True))
        else:
            found.append(_DEVICE_ONLY if keeps_grid(nodes[consumer]) else _side_need(settings))
    return found


def _side_need(settings) -> _Need:
    """Sums, averages, batch norms on their own: not layer inputs in the paper; 8 bits on the device, or the layer's."""
    if settings.residual_bits == "same":
        return _Need(settings.activation_bits, True)
    return _DEVICE_ONLY


def _tensor_plan(end, needs, nodes, settings) -> TensorPlan:
    if nodes[end].kind == "InputLayer":
        return TensorPlan(Grid.of(8, False, True), False, False)
    bits = max(need.bits for need in needs)
    in_training = any(need.in_training and need.bits == bits for need in needs)
    return _on_grid(bits, in_training, is_signed(end, nodes), settings)


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
    while len(nodes[name].consumers) == 1 and name not in groups:
        name = nodes[name].inputs[0]
    return name if len(nodes[name].consumers) == 1 and name in groups and not keeps_grid(nodes[name]) else None


def _requantized(nodes, groups, bits, tensors, settings) -> dict[str, TensorPlan]:
    """The coarser copy for each linear layer whose input tensor is finer than it requires."""
    result = {}
    for name, (_, activation_bits) in bits.items():
        source = tensor_source(nodes[name].inputs[0], nodes, groups)
        have = tensors[source]
        if have.grid.bits > activation_bits:
            result[name] = _on_grid(activation_bits, True, have.signed, settings)
    return result


def layer_bits(nodes: dict[str, Node], settings: QuantizationSettings) -> Bits:
    """The bits of every linear layer; `au_bits` and then `overrides`, in order, replace the defaults.

    A head's logit is a last layer and keeps first_last_bits whatever `au_bits` says; an override can change it.
    Raises UserError for action units without their own head and for an override that matches no layer.
    """
    linear = [node.name for node in nodes.values() if node.kind in LINEAR]
    ends = {name for name in linear if _at_input(name, nodes) or _at_output(name, nodes)}
    inner, outer = (settings.weight_bits, settings.activation_bits), (settings.first_last_bits,) * 2
    bits = {name: outer if name in ends else inner for name in linear}
    bits |= _au_bits(linear, settings.au_bits)
    for override in settings.overrides:
        for name in _matched(linear, override.layers):
            bits[name] = (override.weight_bits or bits[name][0], override.activation_bits or bits[name][1])
    return bits


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
    return not consumers or all(nodes[c].kind not in LINEAR and _at_output(c, nodes) for c in consumers)
