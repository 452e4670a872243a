"""A functional tf_keras network as a list of nodes, and the groups that become one integer operation each."""

from dataclasses import dataclass, field

from pipeline.errors import UserError

LINEAR = {"Conv2D", "DepthwiseConv2D", "Dense"}
ACTIVATIONS = {"ReLU"}
AVERAGING = {"AveragePooling2D", "GlobalAveragePooling2D"}
PASSING = {"MaxPooling2D", "GlobalMaxPooling2D", "Flatten", "ZeroPadding2D", "PadChannels", "Dropout", "SeededDropout",
           "SpatialDropout2D"}
HEADS = LINEAR | AVERAGING | {"Add", "Concatenate", "InputLayer", "BatchNormalization"}


@dataclass
class Node:
    """One layer of the network, with the names of the layers before and behind it."""

    name: str
    kind: str
    layer: object
    inputs: list[str]
    consumers: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Group:
    """Layers that the device runs as one operation: a head and the batch norm and ReLU fused into it."""

    head: str
    batch_norm: str | None
    activation: str | None

    @property
    def end(self) -> str:
        """The layer whose output is the group's output tensor."""
        return self.activation or self.batch_norm or self.head


def nodes_of(model) -> dict[str, Node]:
    """The layers of a functional model in topological order; UserError where the graph is not of that kind."""
    if not getattr(model, "_is_graph_network", False):
        raise UserError(f"network '{model.name}': only functional (or Sequential) tf_keras models can be quantized")
    nodes = {}
    for layer in model.layers:
        nodes[layer.name] = Node(layer.name, type(layer).__name__, layer, _inputs_of(layer))
    order = _topological(nodes)
    for name in order:
        for source in nodes[name].inputs:
            nodes[source].consumers.append(name)
    return {name: nodes[name] for name in order}


def _inputs_of(layer) -> list[str]:
    inbound = layer.inbound_nodes
    if len(inbound) > 1:
        raise UserError(f"layer '{layer.name}': is used {len(inbound)} times; layers shared between places cannot be quantized")
    before = inbound[0].inbound_layers
    return [item.name for item in (before if isinstance(before, list) else [before])]


def _topological(nodes: dict[str, Node]) -> list[str]:
    order, done = [], set()
    pending = list(nodes)
    while pending:
        ready = [name for name in pending if all(source in done for source in nodes[name].inputs)]
        order += ready
        done.update(ready)
        pending = [name for name in pending if name not in done]
    return order


def check_supported(nodes: dict[str, Node]) -> None:
    """UserError that names every layer the integer model cannot express."""
    problems = [_problem(node, nodes) for node in nodes.values()]
    problems = [problem for problem in problems if problem]
    if problems:
        raise UserError("this network cannot be quantized:\n  " + "\n  ".join(problems))


def _problem(node: Node, nodes: dict[str, Node]) -> str | None:
    where = f"layer '{node.name}' ({node.kind})"
    if node.kind not in HEADS | ACTIVATIONS | PASSING:
        supported = ", ".join(sorted((HEADS | ACTIVATIONS | PASSING) - {"InputLayer"}))
        return f"{where}: unsupported; supported are {supported}, ReLU6 as ReLU(max_value=6)"
    config = node.layer.get_config()
    if config.get("activation", "linear") != "linear":
        return f"{where}: activation '{config['activation']}'; use a ReLU layer behind it (or none)"
    if node.kind == "ReLU" and (config["negative_slope"] or config["threshold"] or config["max_value"] not in (None, 6.0)):
        return f"{where}: only ReLU and ReLU6, without slope or threshold"
    if config.get("data_format", "channels_last") != "channels_last":
        return f"{where}: data_format must be channels_last"
    if node.kind == "Conv2D" and config["groups"] != 1:
        return f"{where}: grouped convolution (groups={config['groups']})"
    if node.kind == "Concatenate" and config["axis"] not in (-1, 3):
        return f"{where}: only concatenation of channels (axis -1)"
    if node.kind == "BatchNormalization" and list(node.layer.axis) != [len(node.layer.input_shape) - 1]:
        return f"{where}: only batch normalization over the last axis"
    if node.kind in ACTIVATIONS and not _fusable_source(node, nodes):
        return f"{where}: must stand directly behind a Conv2D, DepthwiseConv2D, Dense, BatchNormalization or Add whose output nothing else uses"
    return None


def _fusable_source(node: Node, nodes: dict[str, Node]) -> bool:
    source = nodes[node.inputs[0]]
    return source.kind in LINEAR | {"Add", "BatchNormalization"} and len(source.consumers) == 1


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
    fuses = node.kind in LINEAR | {"Add", "BatchNormalization"}
    return Group(node.name, batch_norm, _only_consumer(last, nodes, ACTIVATIONS) if fuses else None)


def _only_consumer(node: Node, nodes: dict[str, Node], kinds: set[str]) -> str | None:
    if len(node.consumers) == 1 and nodes[node.consumers[0]].kind in kinds:
        return node.consumers[0]
    return None
