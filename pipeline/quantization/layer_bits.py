"""The bits of every layer with weights: default, first and last, heads of action units, overrides (TensorFlow-free)."""

from fnmatch import fnmatchcase

from pipeline.errors import UserError
from pipeline.models.head_names import au_heads, hidden_layers
from pipeline.quantization.graph import LINEAR, Node

Bits = dict[str, tuple[int, int]]
"""(weight bits, input activation bits) by layer."""


def layer_bits(nodes: dict[str, Node], settings) -> Bits:
    """The bits of every linear layer; what comes later in the settings wins: `au_bits`, then `overrides` in order.

    A head's logit is a last layer and keeps first_last_bits whatever `au_bits` says; an override can change it.
    Raises UserError for action units without a head of their own and for an override that matches no layer.
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
