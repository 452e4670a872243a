"""Which networks the integer model can express, and error messages for those that it cannot."""

from pipeline.errors import UserError
from pipeline.models.graph import ACTIVATIONS, FUSING, HEADS, PASSING, Node

SUPPORTED = HEADS | ACTIVATIONS | PASSING


def check_supported(nodes: dict[str, Node]) -> None:
    """Raise UserError that names every layer that the integer model cannot express."""
    problems = [
        f"layer '{node.name}' ({node.kind}): {problem}" for node in nodes.values() if (problem := _problem(node, nodes))
    ]
    if problems:
        raise UserError("this network cannot be quantized:\n  " + "\n  ".join(problems))


def _problem(node: Node, nodes: dict[str, Node]) -> str | None:
    if node.kind not in SUPPORTED:
        names = ", ".join(sorted(SUPPORTED - {"InputLayer"}))
        return f"unsupported; supported are {names}, ReLU6 as ReLU(max_value=6)"
    config = node.layer.get_config()
    if config.get("activation", "linear") != "linear":
        return f"activation {config['activation']!r}; use a ReLU layer after it (or none)"
    if config.get("data_format", "channels_last") != "channels_last":
        return "data_format must be channels_last"
    check = _CHECKS.get(node.kind)
    return check(node, nodes, config) if check else None


def _relu(node: Node, nodes: dict[str, Node], config: dict) -> str | None:
    if config["negative_slope"] or config["threshold"] or config["max_value"] not in (None, 6):
        return "only ReLU and ReLU6, without slope or threshold, are supported"
    source = nodes[node.inputs[0]]
    if source.kind not in FUSING or len(source.consumers) != 1:
        return (
            f"must directly follow a Conv2D, DepthwiseConv2D, Dense, BatchNormalization or Add whose output nothing else "
            f"uses; it follows '{source.name}' ({source.kind})"
        )
    return None


def _conv(node: Node, nodes: dict[str, Node], config: dict) -> str | None:
    return f"grouped convolution (groups={config['groups']})" if config["groups"] != 1 else None


def _dense(node: Node, nodes: dict[str, Node], config: dict) -> str | None:
    return None if len(node.layer.input_shape) == 2 else "its input must be a vector; put Flatten before it"


def _add(node: Node, nodes: dict[str, Node], config: dict) -> str | None:
    if len(node.inputs) != 2:
        return f"adds {len(node.inputs)} tensors; use Add layers of two, one after the other"
    first, second = node.layer.input_shape
    return None if first == second else f"adds tensors of different shapes, {first[1:]} and {second[1:]}"


def _concatenate(node: Node, nodes: dict[str, Node], config: dict) -> str | None:
    last = len(node.layer.output_shape) - 1
    return None if config["axis"] in (-1, last) else "only concatenation of channels (axis -1)"


def _batch_norm(node: Node, nodes: dict[str, Node], config: dict) -> str | None:
    last = len(node.layer.input_shape) - 1
    return None if list(node.layer.axis) == [last] else "only batch normalization over the last axis"


_CHECKS = {
    "ReLU": _relu,
    "Conv2D": _conv,
    "Dense": _dense,
    "Add": _add,
    "Concatenate": _concatenate,
    "BatchNormalization": _batch_norm,
}
