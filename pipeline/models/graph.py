"""A functional tf_keras network as nodes and groups (each one integer operation), and the windows of its kernels."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from pipeline.errors import UserError
from pipeline.models.names import free_name

if TYPE_CHECKING:
    import tf_keras

Pair = Sequence[int]  # along height, along width
Range = tuple[float, float]

UNIT_RANGE = (0.0, 1.0)

LINEAR = {"Conv2D", "Conv2DTranspose", "DepthwiseConv2D", "Dense"}
SCALING = {"BatchNormalization", "Affine", "ChannelScale"}  # y = x * gain + shift by channel
ACTIVATIONS = {"ReLU"}
AVERAGING = {"AveragePooling2D", "GlobalAveragePooling2D"}
PASSING = {
    *(
        "MaxPooling2D",
        "GlobalMaxPooling2D",
        "Flatten",
        "Reshape",
        "ZeroPadding2D",
        "Cropping2D",
        "PadChannels",
        "Permute",
        "UpSampling2D",
        "Resizing",
        "Slice",
        "ActivityRegularization",
    ),
    *("Dropout", "SeededDropout", "SpatialDropout2D", "GaussianNoise", "GaussianDropout", "AlphaDropout"),
    *("RandomFlip", "RandomRotation", "RandomTranslation", "RandomZoom", "RandomContrast", "RandomBrightness"),
}
SUMS = {"Add", "Subtract"}
HEADS = LINEAR | AVERAGING | SCALING | SUMS | {"Multiply", "Activation", "LeakyReLU", "Concatenate", "InputLayer"}
FUSING = LINEAR | SCALING | SUMS | {"Multiply"}
SUPPORTED = HEADS | ACTIVATIONS | PASSING  # the kinds of canonical layers
TABLES = {"sigmoid": "LOGISTIC", "tanh": "TANH", "elu": "ELU", "gelu": "GELU"}  # activations and their operations
RESIZES = {"nearest": "RESIZE_NEAREST_NEIGHBOR", "bilinear": "RESIZE_BILINEAR"}
LIMITS = {"sigmoid": 255 / 256, "tanh": 127 / 128}  # LiteRT prescribes these grids: steps of 1/256 and 1/128
MIN_SLOPE = 0.05  # of a LeakyReLU: the device has 256ths of a slope
FINAL = {"softmax", "sigmoid"}  # of the network's output: left to whoever reads the logits


@dataclass
class Node:
    """One call of a layer, with the names of the nodes before and after it; shapes are without batch axis.

    outputs: the numbers of the network's outputs that it computes. A layer that is called once gives the node its name.
    """

    name: str
    kind: str
    layer: object
    inputs: list[str]
    shape: tuple[int, ...]
    input_shapes: list[tuple[int, ...]]
    consumers: list[str] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)
    range: Range = UNIT_RANGE  # of the values of an input

    @property
    def is_shared(self) -> bool:
        """Whether the layer is called more than once."""
        return self.name != self.layer.name

    @property
    def uses(self) -> int:
        """How many layers and outputs read it."""
        return len(self.consumers) + len(self.outputs)


@dataclass(frozen=True)
class Output:
    """An output of the network: the node with its logits, and the layer that makes probabilities of them."""

    node: str
    final: object | None


@dataclass(frozen=True)
class Graph:
    """A network: its nodes in topological order, its inputs (names of nodes) and outputs in the user's order."""

    nodes: dict[str, Node]
    inputs: list[str]
    outputs: list[Output]


@dataclass(frozen=True)
class Group:
    """Layers that the device runs as one operation: a head, and the batch norm and ReLU fused into it."""

    head: str
    batch_norm: str | None
    activation: str | None

    @property
    def end(self) -> str:
        """The layer whose output is the group's output tensor."""
        return self.activation or self.batch_norm or self.head


def nodes_of(model: "tf_keras.Model") -> dict[str, Node]:
    """The layers of a functional or Sequential model in topological order; UserError for other models."""
    return graph_of(model).nodes


def graph_of(model: "tf_keras.Model") -> Graph:
    """The graph of a functional or Sequential model, without the last softmax or sigmoid of its outputs.

    Raises UserError for other models.
    """
    if problem := graph_problem(model):
        raise UserError(f"network '{model.name}': {problem}")
    calls = [call for depth in sorted(model._nodes_by_depth, reverse=True) for call in model._nodes_by_depth[depth]]
    names, nodes = _names(calls), {}
    for call in calls:
        inputs = [names[id(parent)] for parent in call.parent_nodes]
        shapes = [nodes[source].shape for source in inputs]
        name = names[id(call)]
        nodes[name] = Node(name, kind_of(call.layer), call.layer, inputs, tuple(call.outputs.shape[1:]), shapes)
        for source in inputs:
            nodes[source].consumers.append(name)
    for number, tensor in enumerate(model.outputs):
        layer, call, _ = tensor._keras_history
        nodes[names[id(layer._inbound_nodes[call])]].outputs.append(number)
    outputs = {number: _output(node, nodes) for node in list(nodes.values()) for number in node.outputs}
    return Graph(nodes, list(model.input_names), [outputs[number] for number in range(len(model.outputs))])


def names_of_outputs(model: "tf_keras.Model") -> list[str]:
    """The names of a model's outputs: the keys of a dict of outputs, else as Keras names them, nested dicts included."""
    if isinstance(model.output, dict) and len(model.output) == len(model.outputs):
        return sorted(model.output)
    return list(model.output_names)


def _names(calls: list) -> dict[int, str]:
    """The name of the node of every call: that of its layer, numbered if the layer is called more than once."""
    of_layer: dict[int, list] = {}
    for call in calls:
        of_layer.setdefault(id(call.layer), []).append(call)
    taken, names = {call.layer.name for call in calls}, {}
    for group in of_layer.values():
        order = group[0].layer._inbound_nodes  # the same in every copy of the network
        for number, call in enumerate(sorted(group, key=order.index), 1):
            name = call.layer.name
            if len(group) > 1:
                name = free_name(f"{name}.{number}", taken)
                taken.add(name)
            names[id(call)] = name
    return names


def _output(node: Node, nodes: dict[str, Node]) -> Output:
    """What a node outputs; an activation that makes probabilities, and that no layer reads, is removed from the nodes."""
    is_final = node.kind == "Activation" and node.layer.get_config()["activation"] in FINAL and not node.consumers
    if not is_final:
        return Output(node.name, None)
    source = nodes[node.inputs[0]]
    if nodes.pop(node.name, None):
        source.consumers.remove(node.name)
        source.outputs += node.outputs
    return Output(source.name, node.layer)


def graph_problem(model: "tf_keras.Model") -> str | None:
    """Why the layers of a model cannot be followed, and what to do; None if it is made of calls of layers."""
    is_graph, kind = getattr(model, "_is_graph_network", False), type(model).__name__
    if is_graph and type(model).call.__module__.startswith("tf_keras."):
        return None
    advice = f"{kind} computes in a method call of its own. Write it as a function of tensors: tf_keras.Model(inputs, outputs)"
    if type(model).call.__module__.startswith("tf_keras."):
        advice = "begin it with tf_keras.layers.Input((height, width, channels))"
    return f"only functional or built Sequential tf_keras models can be quantized; {advice}"


def kind_of(layer: object) -> str:
    """The name of a Keras layer's class; another class of that name, or one derived from it, is "module.Name"."""
    name, module = type(layer).__name__, type(layer).__module__
    if name in ("TFOpLambda", "SlicingOpLambda"):
        return f"{name}:{layer.get_config()['function']}"
    known = module.startswith(("tf_keras.src.layers.", "tf_keras.src.engine.", "pipeline."))
    return name if known else f"{module}.{name}"


def upper_limit(node: Node) -> float | None:
    """The largest magnitude on a grid that does not depend on the data: of an input, a bounded ReLU, sigmoid or tanh; or None."""
    if node.kind == "InputLayer":
        return max(map(abs, node.range))
    if node.kind == "Activation":
        return LIMITS.get(node.layer.get_config()["activation"])
    if node.kind == "ReLU" and node.layer.get_config()["max_value"] not in (None, 6):
        return float(node.layer.get_config()["max_value"])
    return None


def keeps_grid(node: Node) -> bool:
    """Whether a node is an average pooling with padding: its output stays on the grid of its input."""
    if node.kind != "AveragePooling2D":
        return False
    config = node.layer.get_config()
    edges = padding_of(node.input_shapes[0][:2], config["pool_size"], config["strides"], config["padding"])
    return any(pixels > 0 for edge in edges for pixels in edge)


def groups_of(nodes: dict[str, Node]) -> dict[str, Group]:
    """Every group by the name of its end layer, in topological order."""
    absorbed, groups = set(), {}
    for node in nodes.values():
        if node.name in absorbed or node.kind not in HEADS:
            continue
        group = _group_at(node, nodes)
        absorbed.update(name for name in (group.batch_norm, group.activation) if name)
        groups[group.end] = group
    return groups


def _group_at(node: Node, nodes: dict[str, Node]) -> Group:
    batch_norm = _only_consumer(node, nodes, {"BatchNormalization"}) if node.kind in LINEAR else None
    last = nodes[batch_norm] if batch_norm else node
    return Group(node.name, batch_norm, _only_consumer(last, nodes, ACTIVATIONS) if node.kind in FUSING else None)


def _only_consumer(node: Node, nodes: dict[str, Node], kinds: set[str]) -> str | None:
    if node.uses == 1 and node.consumers and nodes[node.consumers[0]].kind in kinds:
        return node.consumers[0]
    return None


def padding_of(shape: Pair, kernel: Pair, strides: Pair, padding: str) -> list[tuple[int, int]]:
    """[(before, after) along height, along width] in pixels of TensorFlow's "same" or "valid" padding."""
    if padding == "valid":
        return [(0, 0), (0, 0)]
    return [_same(*axis) for axis in zip(shape, kernel, strides, strict=True)]


def _same(size: int, kernel: int, stride: int) -> tuple[int, int]:
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def windows_of(values: np.ndarray, kernel: Pair, options: dict, fill: int) -> np.ndarray:
    """Windows (B, H', W', C, h, w) of values (B, H, W, C); `fill` is the value of the padding.

    options: "strides", "padding" and, if not (1, 1), "dilation".
    """
    stride, dilation = options["strides"], options.get("dilation", (1, 1))
    extent = [(size - 1) * step + 1 for size, step in zip(kernel, dilation, strict=True)]
    edges = padding_of(values.shape[1:3], extent, stride, options["padding"])
    values = np.pad(values, ((0, 0), *edges, (0, 0)), constant_values=values.dtype.type(fill))
    windows = sliding_window_view(values, extent, axis=(1, 2))
    return windows[:, :: stride[0], :: stride[1], :, :: dilation[0], :: dilation[1]]
