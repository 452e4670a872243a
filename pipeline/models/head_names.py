"""The names of the layers in the heads of an AU network (TensorFlow-free)."""

from collections.abc import Iterable

COMMON = "common"  # the head where all action units share one
HIDDEN = ("dense1", "dense2")  # before the logit


def head_layer(head: str, part: str) -> str:
    """The name of a head's layer, such as AU6_dense1."""
    return f"{head}_{part}"


def hidden_layers(head: str) -> tuple[str, ...]:
    """The names of a head's dense layers before its logit."""
    return tuple(head_layer(head, part) for part in HIDDEN)


def au_heads(layer_names: Iterable[str]) -> list[str]:
    """The action units that have a head of their own among layers of these names, in order."""
    ending = head_layer("", "logit")
    heads = [name.removesuffix(ending) for name in layer_names if name.endswith(ending)]
    return [head for head in heads if head != COMMON]
