"""A functional tf_keras network as nodes and groups (each one integer operation), and the windows of its kernels."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from pipeline.errors import UserError

if TYPE_CHECKING:
    import tf_keras

Pair = Sequence[int]  # along height, along width

LINEAR = {"Conv2D", "DepthwiseConv2D", "Dense"}
ACTIVATIONS = {"ReLU"}
AVERAGING = {"AveragePooling2D", "GlobalAveragePooling2D"}
PASSING = {
    *("MaxPooling2D", "GlobalMaxPooling2D", "Flatten", "ZeroPadding2D", "PadChannels"),
    *("Dropout", "SeededDropout", "SpatialDropout2D"),
}
HEADS = LINEAR | AVERAGING | {"Add", "Concatenate", "InputLayer", "BatchNormalization"}
FUSING = LINEAR | {"Add", "BatchNormalization"}


@dataclass
class Node:
    """One layer of the network, with the names of the layers before and after it."""

    name: str
    kind: str
    layer: object
    inputs: list[str]
    consumers: list[str] = field(default_factory=list)


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
    """The layers of a functional or Sequential model in topological order.

    Raises UserError for other models, and for a layer that is used twice.
    """
    if not getattr(model, "_is_graph_network", False):
        raise UserError(f"network '{model.name}': only functional or built Sequential tf_keras models can be quantized")
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise UserError(
            f"network '{model.name}': has {len(model.inputs)} inputs and {len(model.outputs)} outputs; "
            "only networks with one of each can be quantized"
        )
    nodes: dict[str, Node] = {}
    for depth in sorted(model._nodes_by_depth, reverse=True):
        for call in model._nodes_by_depth[depth]:
            _add_node(nodes, call)
    return nodes


def _add_node(nodes: dict[str, Node], call) -> None:
    layer = call.layer
    if layer.name in nodes:
        raise UserError(f"layer '{layer.name}': is used more than once; shared layers cannot be quantized")
    inputs = [parent.layer.name for parent in call.parent_nodes]
    nodes[layer.name] = Node(layer.name, type(layer).__name__, layer, inputs)
    for source in inputs:
        nodes[source].consumers.append(layer.name)


def keeps_grid(node: Node) -> bool:
    """Whether a node is an average pooling with padding: its output stays on the grid of its input."""
    if node.kind != "AveragePooling2D":
        return False
    config = node.layer.get_config()
    edges = padding_of(node.layer.input_shape[1:3], config["pool_size"], config["strides"], config["padding"])
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
    if len(node.consumers) == 1 and nodes[node.consumers[0]].kind in kinds:
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
