"""Which networks the integer model can express, and error messages for those that it cannot."""

from pipeline.errors import UserError
from pipeline.models.advice import ACTIVATION_ADVICE, advice_for, listed
from pipeline.models.graph import LINEAR, MIN_SLOPE, RESIZES, SUPPORTED, TABLES, Node


def check_supported(nodes: dict[str, Node]) -> None:
    """Raise UserError that names every layer that the integer model cannot express, or if there are no weights to round."""
    problems = [
        f"layer '{node.name}' ({node.kind}): {problem}" for node in nodes.values() if (problem := _problem(node, nodes))
    ]
    if problems:
        raise UserError(listed(problems))
    if not any(node.kind in LINEAR for node in nodes.values()):
        raise UserError(
            f"this network cannot be quantized: it has no weights to round, as none of its layers is a {', '.join(sorted(LINEAR))}"
        )


def _problem(node: Node, nodes: dict[str, Node]) -> str | None:
    if node.kind == "InputLayer" and node.outputs:
        return "an input that is also an output; leave it out of the outputs"
    if node.kind not in SUPPORTED:
        return f"unsupported: {advice_for(node.layer)}"
    config = node.layer.get_config()
    if node.kind != "Activation" and config.get("activation", "linear") != "linear":
        return f"activation {config['activation']!r}; use a ReLU layer after it (or none)"
    if config.get("data_format", "channels_last") != "channels_last":
        return "data_format must be channels_last: leave it out, and give the network images (H, W, C)"
    check = _CHECKS.get(node.kind)
    return check(node, nodes, config) if check else None


def _relu(node: Node, nodes: dict[str, Node], config: dict) -> str | None:
    if config["negative_slope"] or config["threshold"]:
        return "a threshold, or a slope and a bound; only ReLU(max_value), and ReLU(negative_slope) alone"
    return None


def _activation(node: Node, nodes: dict[str, Node], config: dict) -> str | None:
    name = config["activation"]
    if name in TABLES:
        return None
    return f"activation {name!r}; {ACTIVATION_ADVICE.get(name, 'only ' + ', '.join(TABLES))}"


def _leaky_relu(node: Node, nodes: dict[str, Node], config: dict) -> str | None:
    return None if MIN_SLOPE <= config["alpha"] <= 1 else f"alpha={config['alpha']}; only from {MIN_SLOPE} to 1"


def _transposed(node: Node, nodes: dict[str, Node], config: dict) -> str | None:
    if tuple(config["dilation_rate"]) != (1, 1) or config["output_padding"] is not None:
        return "dilation or output_padding of a transposed convolution"
    return None


def _upsampling(node: Node, nodes: dict[str, Node], config: dict) -> str | None:
    if config.get("crop_to_aspect_ratio"):
        return "crop_to_aspect_ratio=True; crop the images before, or set False"
    if config["interpolation"] in RESIZES:
        return None
    return f"interpolation {config['interpolation']!r}; only {', '.join(RESIZES)}"


def _pair(node: Node, nodes: dict[str, Node], config: dict) -> str | None:
    first, second = node.input_shapes
    if _broadcasts(first, second):
        return None
    return f"combines shapes {first} and {second}; only equal ones, and sizes of 1 with any"


def _broadcasts(first: tuple, second: tuple) -> bool:
    """Whether two shapes of one rank have equal sizes, or sizes of 1, along every axis."""
    return len(first) == len(second) and all(a == b or 1 in (a, b) for a, b in zip(first, second, strict=True))


def _concatenate(node: Node, nodes: dict[str, Node], config: dict) -> str | None:
    return None if config["axis"] % (len(node.shape) + 1) else "concatenates examples of a batch (axis 0)"


def _batch_norm(node: Node, nodes: dict[str, Node], config: dict) -> str | None:
    last = len(node.shape)
    return None if list(node.layer.axis) == [last] else "only batch normalization over the last axis"


_CHECKS = {
    "ReLU": _relu,
    "Activation": _activation,
    "Multiply": _pair,
    "Conv2DTranspose": _transposed,
    "LeakyReLU": _leaky_relu,
    "UpSampling2D": _upsampling,
    "Resizing": _upsampling,
    "Add": _pair,
    "Subtract": _pair,
    "Concatenate": _concatenate,
    "BatchNormalization": _batch_norm,
}
