"""From a trained quantized Keras model to the integer model: each layer as a TFLite operation with its options."""

from dataclasses import dataclass, replace

import numpy as np
import tf_keras

from pipeline.models.graph import LINEAR, RESIZES, Group, Node, names_of_outputs
from pipeline.models.names import free_name
from pipeline.quantization.certain_scales import table_of
from pipeline.quantization.folding import FoldedWeights, fold_groups, tensor_scales
from pipeline.quantization.grid import Grid
from pipeline.quantization.integer_model import IntegerModel, Operation, Tensor
from pipeline.quantization.model_access import (
    kernel_quantizers,
    plan_of,
    range_variables,
    settings_of,
    values_by_layer,
)
from pipeline.quantization.plan import Plan
from pipeline.quantization.transposed import transposed_kernel


@dataclass(frozen=True)
class Lowered:
    """The integer model of a quantized model, and the weights by layer before their bias was rounded."""

    integer_model: IntegerModel
    weights: dict[str, FoldedWeights]


def lower(model: tf_keras.Model, weight_storage: str = "narrow") -> Lowered:
    """The integer model of a quantized `model`; weight_storage: "narrow" (4 bits: -7..7) or "scaled" (-126..126)."""
    plan = plan_of(model)
    fold_first = settings_of(model).batch_norm == "fold"
    weights = fold_groups(plan, values_by_layer(model), kernel_quantizers(model), fold_first)
    ranges = {name: variable.numpy() for name, variable in range_variables(model).items()}
    builder = _Builder(plan, weights, tensor_scales(plan, ranges, weights), weight_storage == "scaled")
    names = tuple(names_of_outputs(model)) if len(model.outputs) > 1 else ()
    return Lowered(replace(builder.build(), names=names), weights)


class _Builder:
    """Builds the operations in order; `codes_of` maps each layer to the tensor with its output."""

    def __init__(self, plan: Plan, weights: dict[str, FoldedWeights], scales: dict[str, np.float32], scaled: bool):
        self.plan, self.weights, self.scales, self.scaled = plan, weights, scales, scaled
        self.tensors: dict[str, Tensor] = {}
        self.operations: list[Operation] = []
        self.codes_of: dict[str, str] = {}
        self.reserved = {*plan.nodes, *map(plan.copy_name, plan.requantized)}

    def build(self) -> IntegerModel:
        heads = {group.head: group for group in self.plan.groups.values()}
        absorbed = {name for group in heads.values() for name in (group.batch_norm, group.activation)}
        for node in self.plan.nodes.values():
            if node.name in heads:
                self._lower_group(node, heads[node.name])
            elif node.name not in absorbed:
                self._lower_passing(node)
        inputs = tuple(self.codes_of[name] for name in self.plan.inputs)
        outputs = tuple(self.codes_of[output.node] for output in self.plan.outputs)
        ranges = tuple(self.plan.nodes[name].range for name in self.plan.inputs)
        return IntegerModel(self.tensors, self.operations, inputs, outputs, ranges=ranges)

    # Tensors and operations

    def _lower_group(self, node: Node, group: Group) -> None:
        build = {
            "InputLayer": self._input,
            "Add": self._sum,
            "Subtract": self._sum,
            "LeakyReLU": self._leaky_relu,
            "Multiply": self._multiply,
            "Activation": self._table,
            "Concatenate": self._concatenate,
            "GlobalAveragePooling2D": self._mean,
        }.get(node.kind)
        if build is None:
            build = self._linear if node.name in self.weights else self._padded_average
        build(node, group)

    def _grid(self, end: str) -> Grid:
        return self.plan.tensors[self.plan.owner(end)].grid

    def _shape(self, name: str) -> tuple[int, ...]:
        return self.plan.nodes[name].shape

    def _tensor(self, name: str, shape, scale: np.float32, grid: Grid) -> str:
        self.tensors[name] = Tensor(name, tuple(shape), scale, grid.zero_point, grid.bits)
        return name

    def _free(self, name: str) -> str:
        """The name of a tensor that no layer stands for."""
        return free_name(name, self.reserved | self.tensors.keys())

    def _like(self, name: str, source: str, shape) -> str:
        """A tensor on the grid of another one."""
        self.tensors[name] = replace(self.tensors[source], name=name, shape=tuple(shape))
        return name

    def _append(self, operation: Operation, shape, scale: np.float32, grid: Grid) -> None:
        """Append an operation with its output tensor, and the lower clamp where the grid needs one."""
        clamped = grid.needs_lower_clamp and "activation" not in operation.options
        output = self._free(f"{operation.output}/unclamped") if clamped else operation.output
        self._tensor(output, shape, scale, grid)
        self.operations.append(replace(operation, output=output))
        if clamped:
            self._tensor(operation.output, shape, scale, grid)
            floor = {"code": grid.low + grid.zero_point}
            self.operations.append(Operation("MAXIMUM", f"{operation.name}/clamp", (output,), operation.output, floor))

    def _emit(self, kind: str, group: Group, inputs: list[str], options: dict | None = None, weights=None) -> None:
        """Append the operation whose output is the tensor of the group."""
        options = {**(options or {}), **_fused(self.plan.nodes.get(group.activation))}
        operation = Operation(kind, group.head, tuple(inputs), group.end, options, weights)
        self._append(operation, self._shape(group.end), self.scales[group.end], self._grid(group.end))
        self.codes_of[group.end] = group.end

    def _input(self, node: Node, group: Group) -> None:
        self.codes_of[node.name] = self._tensor(node.name, node.shape, self.scales[node.name], self._grid(node.name))

    def _sum(self, node: Node, group: Group) -> None:
        kind = "ADD" if node.kind == "Add" else "SUB"
        self._emit(kind, group, [self.codes_of[source] for source in node.inputs])

    def _multiply(self, node: Node, group: Group) -> None:
        """MUL; a square reads a copy, because processors round XNNPACK's own squares differently."""
        first, second = (self.codes_of[source] for source in node.inputs)
        if first == second:
            second = self._like(self._free(f"{node.name}/copy"), first, self.tensors[first].shape)
            self.operations.append(Operation("QUANTIZE", second, (first,), second))
        self._emit("MUL", group, [first, second])

    def _table(self, node: Node, group: Group) -> None:
        kind, options = table_of(node)
        self._emit(kind, group, [self.codes_of[node.inputs[0]]], options)

    def _leaky_relu(self, node: Node, group: Group) -> None:
        options = {"alpha": float(node.layer.get_config()["alpha"])}
        self._emit("LEAKY_RELU", group, [self.codes_of[node.inputs[0]]], options)

    def _mean(self, node: Node, group: Group) -> None:
        self._emit("MEAN", group, [self.codes_of[node.inputs[0]]])

    def _padded_average(self, node: Node, group: Group) -> None:
        self._pass_on("AVERAGE_POOL_2D", node, _pooling(node))

    def _concatenate(self, node: Node, group: Group) -> None:
        """CONCATENATION after a QUANTIZE for every branch on another grid; no clamp is needed."""
        inputs = tuple(self._onto_grid(node, source) for source in node.inputs)
        shape, scale, grid = self._shape(node.name), self.scales[node.name], self._grid(node.name)
        self._tensor(node.name, shape, scale, grid)
        axis = node.layer.get_config()["axis"] % (1 + len(shape))
        self.operations.append(Operation("CONCATENATION", node.name, inputs, node.name, {"axis": axis}))
        self.codes_of[node.name] = node.name

    def _onto_grid(self, node: Node, source: str) -> str:
        codes, end = self.codes_of[source], self.plan.source(source)
        if self.plan.owner(end) == self.plan.owner(node.name):
            return codes
        name = self._free(f"{source}_for_{node.name}")
        operation = Operation("QUANTIZE", name, (codes,), name)
        self._append(operation, self.tensors[codes].shape, self.scales[node.name], self._grid(node.name))
        return name

    def _lower_passing(self, node: Node) -> None:
        kind, options = _passing_operation(node)
        if node.kind == "ReLU":
            self._relu(node)
        elif kind is None:
            self.codes_of[node.name] = self.codes_of[node.inputs[0]]
        else:
            self._pass_on(kind, node, options)

    def _relu(self, node: Node) -> None:
        """A ReLU that is not fused: a lower clamp, and an upper one where it is bounded."""
        source = self.tensors[self.codes_of[node.inputs[0]]]
        floor, bound = {"code": source.zero_point}, node.layer.get_config()["max_value"]
        if bound is None:
            self._pass_on("MAXIMUM", node, floor)
            return
        clamped = self._like(self._free(f"{node.name}/unbounded"), source.name, self._shape(node.name))
        self.operations.append(Operation("MAXIMUM", clamped, (source.name,), clamped, floor))
        self._like(node.name, source.name, self._shape(node.name))
        ceiling = {"code": min(source.zero_point + int(np.rint(np.float32(bound) / source.scale)), 127)}
        self.operations.append(Operation("MINIMUM", node.name, (clamped,), node.name, ceiling))
        self.codes_of[node.name] = node.name

    def _pass_on(self, kind: str, node: Node, options: dict) -> None:
        source = self.codes_of[node.inputs[0]]
        self._like(node.name, source, self._shape(node.name))
        self.operations.append(Operation(kind, node.name, (source,), node.name, options))
        self.codes_of[node.name] = node.name

    # Weights

    def _linear(self, node: Node, group: Group) -> None:
        source = self._source(node)
        kind, options = _operation(node)
        scaled, depthwise = self.scaled and node.kind in LINEAR, kind == "DEPTHWISE_CONV_2D"
        scale = self.tensors[source].scale
        weights = self.weights[node.name].at(scale, self.scales[group.end], scaled, depthwise)
        if kind == "TRANSPOSE_CONV":
            weights = replace(weights, codes=transposed_kernel(weights.codes.transpose(1, 2, 0, 3), options["strides"]))
        if depthwise and len(self.tensors[source].shape) < 3:
            self._emit_on_vectors(node, group, source, options, weights)
        else:
            self._emit(kind, group, [source], options, weights)

    def _source(self, node: Node) -> str:
        """The tensor a linear layer reads: its input's codes, or the coarser copy made for it."""
        codes = self.codes_of[node.inputs[0]]
        if node.name not in self.plan.requantized:
            return codes
        name, grid = self.plan.copy_name(node.name), self.plan.requantized[node.name].grid
        if name not in self.tensors:
            operation = Operation("QUANTIZE", name, (codes,), name)
            self._append(operation, self.tensors[codes].shape, self.scales[name], grid)
        return name

    def _emit_on_vectors(self, node: Node, group: Group, source: str, options: dict, weights) -> None:
        """A batch norm on vectors (B, C) or sequences (B, T, C): reshaped to one pixel, or one row of them, and back."""
        flat = self.tensors[source].shape
        shape = (*[1] * (3 - len(flat)), *flat)
        pixel, result = self._like(self._free(f"{node.name}/pixel"), source, shape), self._free(f"{node.name}/result")
        self.operations.append(Operation("RESHAPE", pixel, (source,), pixel))
        options = {**options, **_fused(self.plan.nodes.get(group.activation))}
        operation = Operation("DEPTHWISE_CONV_2D", node.name, (pixel,), result, options, weights)
        self._append(operation, shape, self.scales[group.end], self._grid(group.end))
        self._like(group.end, result, self._shape(group.end))
        self.operations.append(Operation("RESHAPE", f"{group.head}/vector", (result,), group.end))
        self.codes_of[group.end] = group.end


def _operation(node: Node) -> tuple[str, dict]:
    """The operation of a layer with weights.

    An average without padding and a batch norm without a linear layer before it are depthwise convolutions, which for
    averages is several times faster in LiteRT than its pooling.
    """
    if node.kind == "Dense":
        return "FULLY_CONNECTED", {}
    config = node.layer.get_config()
    if node.kind not in LINEAR:
        strides = config.get("strides", (1, 1))
        return "DEPTHWISE_CONV_2D", {"strides": strides, "padding": "valid", "depth_multiplier": 1}
    options = {"strides": config["strides"], "padding": config["padding"], "dilation": config["dilation_rate"]}
    if node.kind == "Conv2DTranspose":
        return "TRANSPOSE_CONV", {"strides": config["strides"], "padding": config["padding"]}
    if node.kind == "DepthwiseConv2D":
        return "DEPTHWISE_CONV_2D", {**options, "depth_multiplier": config["depth_multiplier"]}
    return "CONV_2D", options


def _pooling(node: Node) -> dict:
    """The options of a pooling layer's window."""
    config = node.layer.get_config()
    return {"size": config["pool_size"], "strides": config["strides"], "padding": config["padding"]}


def _passing_operation(node: Node) -> tuple[str | None, dict]:
    """The operation of a layer that passes codes on unchanged; None if no operation is needed."""
    config = node.layer.get_config()
    if node.kind == "MaxPooling2D":
        return "MAX_POOL_2D", _pooling(node)
    if node.kind == "GlobalMaxPooling2D":
        return "REDUCE_MAX", {}
    if node.kind in ("Flatten", "Reshape"):
        return "RESHAPE", {}
    if node.kind == "ZeroPadding2D":
        return "PAD", {"paddings": (*config["padding"], (0, 0))}
    if node.kind == "Cropping2D":
        (top, _), (left, _) = config["cropping"]
        return "SLICE", {"begin": (top, left, 0)}
    if node.kind == "Slice":
        strided = {"strides": tuple(config["strides"])} if max(config["strides"]) > 1 else {}
        return "STRIDED_SLICE" if strided else "SLICE", {"begin": tuple(config["begin"]), **strided}
    if node.kind == "Permute":
        return "TRANSPOSE", {"permutation": tuple(config["dims"])}
    if node.kind in ("UpSampling2D", "Resizing"):
        return RESIZES[config["interpolation"]], {}
    if node.kind == "PadChannels":
        return "PAD", {"paddings": ((0, 0), (0, 0), (config["before"], config["after"]))}
    return None, {}


def _fused(node: Node | None) -> dict:
    """The option of a ReLU layer fused into the operation before it; {} for none."""
    if node is None:
        return {}
    return {"activation": "RELU6" if node.layer.get_config()["max_value"] == 6 else "RELU"}
