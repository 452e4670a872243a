"""From a trained quantized Keras model to the integer model, and back: the values Keras must use to agree with it."""

from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from pipeline.quantization.graph import LINEAR, Group
from pipeline.quantization.grid import Grid, weight_top_code
from pipeline.quantization.integer_model import IntegerModel, Operation, Tensor, Weights
from pipeline.quantization.integer_ops import quantize_factor
from pipeline.quantization.plan import Plan, plan, tensor_source
from pipeline.quantization.scheme import (
    float_network,
    kernel_quantizers,
    plain_network,
    range_variables,
    recipe_of,
    settings_of,
    variables_by_layer,
)

LARGEST_BIAS = 2.0**30
LARGEST_MULTIPLIER = 128.0  # XNNPACK refuses 256
SMALLEST_ADD_RATIO = 2.0**-9  # XNNPACK refuses less than 2^-10
BELOW_TIES = 1 - 2e-6


@dataclass(frozen=True)
class Lowered:
    """The integer model of a quantized model, and (variable, value) pairs that put Keras onto the device's grids."""

    integer_model: IntegerModel
    device_values: list


def lower(model, weight_spacing: str = "narrow") -> Lowered:
    """Build the integer model of a trained quantized `model`; weight_spacing: "narrow" (4 bits: -7..7) or "scaled" (-126..126)."""
    settings = settings_of(model)
    return _Lowering(model, plan(plain_network(model), settings), settings, weight_spacing).run()


@contextmanager
def device_arithmetic(model, weight_spacing: str = "narrow"):
    """Within the context a quantized model evaluates with the device's biases and scales (int32 bias grid)."""
    pairs = lower(model, weight_spacing).device_values
    saved = [(variable, variable.numpy()) for variable, _ in pairs]
    try:
        for variable, value in pairs:
            variable.assign(value)
        yield
    finally:
        for variable, value in saved:
            variable.assign(value)


def rounded_network(model):
    """The float network with the quantized model's weights, kernels rounded to their codes; a float model unchanged."""
    if recipe_of(model) is None:
        return model
    network, settings = float_network(model), settings_of(model)
    lowering = _Lowering(model, plan(network, settings), settings, "narrow")
    for group in lowering.plan.groups.values():
        node = lowering.plan.nodes[group.head]
        if node.kind in LINEAR:
            kernel = variables_by_layer(network)[node.name]
            lowering.round_kernel(node, group, kernel.get("kernel", kernel.get("depthwise_kernel")))
    return network


class _Lowering:
    def __init__(self, model, decided: Plan, settings, weight_spacing: str):
        self.plan, self.settings, self.weight_spacing = decided, settings, weight_spacing
        self.variables = variables_by_layer(model)
        self.ranges = range_variables(model)
        self.kernel_quantizers = kernel_quantizers(model)
        self.tensors: dict[str, Tensor] = {}
        self.operations: list[Operation] = []
        self.codes_of: dict[str, str] = {}
        self.device_values: list = []

    def run(self) -> Lowered:
        self.scales = self._scales()
        for node in self.plan.nodes.values():
            self._lower(node)
        names = list(self.plan.nodes)
        output = next(name for name in reversed(names) if not self.plan.nodes[name].consumers)
        model = IntegerModel(self.tensors, self.operations, self.codes_of[names[0]], self.codes_of[output])
        return Lowered(model, self.device_values)

    # Scales

    def _scales(self) -> dict[str, np.float32]:
        """The step of every group's output tensor, kept within what the kernels take."""
        scales = {end: self._trained_scale(end) for end in self.plan.tensors}
        for end, group in self.plan.groups.items():
            if self.plan.nodes[group.head].kind == "Add":
                sources = [tensor_source(s, self.plan.nodes, self.plan.groups) for s in self.plan.nodes[group.head].inputs]
                for source in sources:
                    scales[source] = max(scales[source], np.float32(scales[end] * SMALLEST_ADD_RATIO))
                scales[end] = max(scales[end], np.float32(max(scales[s] for s in sources) / LARGEST_MULTIPLIER))
        return scales

    def _trained_scale(self, end: str) -> np.float32:
        if self.plan.nodes[end].kind == "InputLayer":
            return np.float32(1 / 255)
        return np.float32(max(self._range(end), 1e-6) / np.float32(self.plan.tensors[end].grid.top))

    def _range(self, end: str) -> np.float32:
        return self.ranges[self._quantized_layer(end)].numpy()

    def _quantized_layer(self, end: str) -> str:
        """The layer of the quantized model that rounds a group's output (a folded batch norm is part of its head)."""
        return end if end in self.ranges else self.plan.groups[end].head

    def _grid_owner(self, end: str) -> str:
        while end in self.plan.shared:
            end = self.plan.shared[end]
        return end

    # Tensors and operations

    def _lower(self, node) -> None:
        group = next((g for g in self.plan.groups.values() if node.name in (g.head, g.batch_norm, g.activation)), None)
        if group is None:
            self._lower_passing(node)
        elif node.name == group.head:
            self._lower_group(node, group)

    def _lower_group(self, node, group: Group) -> None:
        owner = self._grid_owner(group.end)
        grid, scale = self.plan.tensors[owner].grid, self.scales[owner]
        build = {"InputLayer": self._input, "Add": self._add, "Concatenate": self._concatenate,
                 "GlobalAveragePooling2D": self._mean, "AveragePooling2D": self._average,
                 "BatchNormalization": self._lone_batch_norm}.get(node.kind, self._linear)
        build(node, group, grid, scale)
        if owner == group.end and node.kind != "InputLayer":
            self._set_device_range(self.ranges[self._quantized_layer(group.end)], self.scales[owner], grid)

    def _set_device_range(self, variable, scale, grid: Grid) -> None:
        self.device_values.append((variable, np.float32(scale) * np.float32(grid.top)))

    def _tensor(self, name: str, shape, scale, grid: Grid) -> str:
        self.tensors[name] = Tensor(name, tuple(shape), np.float32(scale), grid.zero_point, grid.bits)
        return name

    def _emit(self, kind, node, group, inputs, grid, scale, options=None, weights=None) -> None:
        """One operation whose output is the group's tensor, with the lower clamp where the grid needs one."""
        options = {**(options or {}), "relu": group.activation is not None}
        shape = self.plan.nodes[group.end].layer.output_shape[1:]
        clamped = grid.needs_lower_clamp and not options["relu"]
        output = self._tensor(f"{group.end}/unclamped" if clamped else group.end, shape, scale, grid)
        self.operations.append(Operation(kind, node.name, tuple(inputs), output, options, weights))
        if clamped:
            self._tensor(group.end, shape, scale, grid)
            floor = {"code": grid.low + grid.zero_point}
            self.operations.append(Operation("MAXIMUM", f"{node.name}/clamp", (output,), group.end, floor))
        self.codes_of[group.end] = group.end

    def _input(self, node, group, grid, scale) -> None:
        self.codes_of[node.name] = self._tensor(node.name, node.layer.input_shape[0][1:], scale, grid)

    def _source(self, node, index: int = 0) -> str:
        """The tensor a layer reads: its input's codes, or the coarser copy made for it."""
        source = node.inputs[index]
        if node.name not in self.plan.requantized:
            return self.codes_of[source]
        grid = self.plan.requantized[node.name].grid
        name = f"{source}_to_{grid.bits}_bits"
        if name not in self.tensors:
            self._coarser_copy(name, self.codes_of[source], grid)
        return name

    def _coarser_copy(self, name: str, source: str, grid: Grid) -> None:
        """QUANTIZE keeps the ratio of two scales in 256ths: the copy's scale is moved to the nearest such ratio."""
        tensor, variable = self.tensors[source], self.ranges[name]
        wanted = np.float32(max(variable.numpy(), 1e-6) / np.float32(grid.top))
        factor = min(max(quantize_factor(tensor.scale, wanted), 1), 2**15 - 1)
        scale = np.float32(tensor.scale * np.float32(256 / factor))
        self._requantize(name, source, scale, grid)
        self.device_values.append((variable, np.float32(scale * np.float32(grid.top) * np.float32(BELOW_TIES))))

    def _requantize(self, name: str, source: str, scale, grid: Grid) -> None:
        copy = f"{name}/unclamped" if grid.needs_lower_clamp else name
        self._tensor(copy, self.tensors[source].shape, scale, grid)
        self.operations.append(Operation("QUANTIZE", name, (source,), copy))
        if copy != name:
            self._tensor(name, self.tensors[source].shape, scale, grid)
            self.operations.append(Operation("MAXIMUM", f"{name}/clamp", (copy,), name, {"code": grid.low + grid.zero_point}))

    def _add(self, node, group, grid, scale) -> None:
        self._emit("ADD", node, group, [self.codes_of[source] for source in node.inputs], grid, scale)

    def _mean(self, node, group, grid, scale) -> None:
        self._emit("MEAN", node, group, [self.codes_of[node.inputs[0]]], grid, scale)

    def _average(self, node, group, grid, scale) -> None:
        """AVERAGE_POOL_2D stays on its input's grid; a QUANTIZE brings it onto its own."""
        source = self.tensors[self.codes_of[node.inputs[0]]]
        name, config = f"{node.name}/average", node.layer.get_config()
        self.tensors[name] = Tensor(name, node.layer.output_shape[1:], source.scale, source.zero_point, source.bits)
        self.operations.append(Operation("AVERAGE_POOL_2D", node.name, (source.name,), name, _pooling(config)))
        self._requantize(node.name, name, scale, grid)
        self.codes_of[node.name] = node.name

    def _concatenate(self, node, group, grid, scale) -> None:
        inputs = [self._onto_grid(node, source, grid, scale) for source in node.inputs]
        self._emit("CONCATENATION", node, group, inputs, grid, scale, {"axis": len(node.layer.output_shape) - 1})

    def _onto_grid(self, node, source: str, grid, scale) -> str:
        tensor = self.tensors[self.codes_of[source]]
        if (tensor.scale, tensor.zero_point) == (np.float32(scale), grid.zero_point):
            return tensor.name
        name = f"{source}_for_{node.name}"
        self._requantize(name, tensor.name, scale, grid)
        return name

    def _lower_passing(self, node) -> None:
        source = self.tensors[self.codes_of[node.inputs[0]]]
        kind, options = _passing_operation(node)
        if kind is None:
            self.codes_of[node.name] = source.name
            return
        shape = tuple(node.layer.output_shape[1:])
        self.tensors[node.name] = Tensor(node.name, shape, source.scale, source.zero_point, source.bits)
        self.operations.append(Operation(kind, node.name, (source.name,), node.name, options))
        self.codes_of[node.name] = node.name

    # Weights

    def _linear(self, node, group, grid, scale) -> None:
        source = self.tensors[self._source(node)]
        folded = self._folded(node, group)
        weights, bias_step = self._codes(node, folded, source.scale, self._grid_owner(group.end))
        self._snap(node, group, folded, weights.bias * bias_step)
        kind, options = _linear_operation(node)
        self._emit(kind, node, group, [source.name], grid, self.scales[self._grid_owner(group.end)], options, weights)

    def _folded(self, node, group) -> "_Folded":
        """Kernel, per-channel gain and bias of a linear layer with the batch norm behind it."""
        values = {key: variable.numpy().astype(np.float64) for key, variable in self.variables[node.name].items()}
        kernel = values.get("kernel", values.get("depthwise_kernel"))
        channels = np.prod(kernel.shape[2:]) if node.kind == "DepthwiseConv2D" else kernel.shape[-1]
        gain, shift = np.ones(int(channels)), np.zeros(int(channels))
        if group.batch_norm:
            gain, shift = self._affine(group.batch_norm)
        bias = values.get("bias", 0.0) * gain + shift
        return _Folded(kernel, gain, np.broadcast_to(bias, gain.shape))

    def _affine(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Inference batch norm as y = x * gain + shift, each (C,)."""
        norm = {key: variable.numpy().astype(np.float64) for key, variable in self.variables[name].items()}
        gain = norm.get("gamma", 1.0) / np.sqrt(norm["moving_variance"] + self.plan.nodes[name].layer.epsilon)
        return gain, norm.get("beta", 0.0) - norm["moving_mean"] * gain

    def _codes(self, node, folded: "_Folded", input_scale, owner: str) -> tuple[Weights, np.ndarray]:
        quantizer = self.kernel_quantizers[node.name]
        fold = self.settings.batch_norm == "fold" and folded.has_gain
        matrix = _output_major(node, folded.kernel)
        if fold:
            matrix = matrix * folded.gain.reshape(-1, *[1] * (matrix.ndim - 1))
        codes, scales = _round_weights(matrix.astype(np.float32), quantizer.bits, quantizer.per_channel)
        if not fold:
            codes, scales = _apply_gain(codes, scales, folded.gain)
        scales = _usable(scales, folded.bias, input_scale, self.scales[owner])
        codes = np.where(_column(scales.used != scales.wanted, codes), np.rint(codes * _column(scales.wanted / scales.used, codes)), codes)
        self.scales[owner] = max(self.scales[owner], np.float32(np.max(input_scale * scales.used) / LARGEST_MULTIPLIER))
        spacing = 127 // weight_top_code(quantizer.bits) if self.weight_spacing == "scaled" else 1
        used = (scales.used / spacing).astype(np.float32)
        step = np.float64(np.float32(input_scale)) * used.astype(np.float64)
        bias = np.rint(folded.bias / step).astype(np.int32)
        stored = _tflite_layout(node, (codes * spacing).astype(np.int8))
        return Weights(stored, used, bias, quantizer.bits, spacing), step

    def round_kernel(self, node, group, variable) -> None:
        """Assign the kernel that its codes mean to a float network's variable."""
        folded, quantizer = self._folded(node, group), self.kernel_quantizers[node.name]
        gain = folded.gain if self.settings.batch_norm == "fold" else np.ones_like(folded.gain)
        matrix = _output_major(node, folded.kernel)
        gain = _column(np.where(gain == 0, 1, gain), matrix)
        codes, scales = _round_weights((matrix * gain).astype(np.float32), quantizer.bits, quantizer.per_channel)
        rounded = np.moveaxis(codes * _column(scales, codes) / gain, 0, -1)
        variable.assign(rounded.reshape(variable.shape).astype(np.float32))

    def _snap(self, node, group, folded: "_Folded", bias: np.ndarray) -> None:
        """Keras's own bias (or the batch norm's beta) that gives exactly the device's bias."""
        change = (bias - folded.bias).astype(np.float64)
        variables = self.variables[group.batch_norm or node.name]
        variable = variables.get("beta" if group.batch_norm else "bias")
        if variable is not None:
            self.device_values.append((variable, (variable.numpy() + change).astype(np.float32)))

    def _lone_batch_norm(self, node, group, grid, scale) -> None:
        """A batch norm with nothing linear before it: a 1x1 depthwise convolution with 8-bit weights."""
        gain, shift = self._affine(node.name)
        source = self.tensors[self.codes_of[node.inputs[0]]]
        folded = _Folded(np.ones((1, 1, len(gain), 1)), gain, shift)
        top = weight_top_code(8)
        scales = _usable(np.abs(gain) / top, shift, source.scale, scale)
        codes = np.rint(gain / scales.used).astype(np.int8)
        used = scales.used.astype(np.float32)
        step = np.float64(source.scale) * used.astype(np.float64)
        weights = Weights(codes.reshape(1, 1, 1, -1), used, np.rint(shift / step).astype(np.int32), 8)
        self._snap(node, Group(node.name, node.name, None), folded, weights.bias * step)
        options = {"strides": (1, 1), "padding": "valid", "depth_multiplier": 1}
        if len(source.shape) == 3:
            self._emit("DEPTHWISE_CONV_2D", node, group, [source.name], grid, scale, options, weights)
            return
        self._emit_on_vector(node, group, source, grid, scale, options, weights)

    def _emit_on_vector(self, node, group, source: Tensor, grid, scale, options, weights) -> None:
        """The same for (B, C): reshaped to one pixel and back."""
        pixel, result = f"{node.name}/pixel", f"{node.name}/result"
        shape = (1, 1, *source.shape)
        self.tensors[pixel] = Tensor(pixel, shape, source.scale, source.zero_point, source.bits)
        self.operations.append(Operation("RESHAPE", pixel, (source.name,), pixel))
        self._tensor(result, shape, scale, grid)
        options = {**options, "relu": group.activation is not None}
        self.operations.append(Operation("DEPTHWISE_CONV_2D", node.name, (pixel,), result, options, weights))
        self._emit("RESHAPE", node, Group(group.head, group.batch_norm, group.activation), [result], grid, scale)


@dataclass(frozen=True)
class _Folded:
    kernel: np.ndarray
    gain: np.ndarray
    bias: np.ndarray

    @property
    def has_gain(self) -> bool:
        return bool(np.any(self.gain != 1))


@dataclass(frozen=True)
class _Scales:
    wanted: np.ndarray
    used: np.ndarray


def _usable(wanted: np.ndarray, bias: np.ndarray, input_scale, output_scale) -> _Scales:
    """Channel scales at which the bias fits into int32; a channel without weights gets 1/256 of the output's step."""
    wanted = np.where(wanted > 0, wanted, float(output_scale) / float(input_scale) / 256)
    return _Scales(wanted, np.maximum(wanted, np.max(np.abs(bias)) / LARGEST_BIAS / float(input_scale) if wanted.size == 1
                                      else np.abs(bias) / LARGEST_BIAS / float(input_scale)))


def _round_weights(matrix: np.ndarray, bits: int, per_channel: bool) -> tuple[np.ndarray, np.ndarray]:
    """Codes (O, ...) and scales (O,) or (1,) of float32 weights, as `quantizers.round_to_grid` computes them."""
    axes = tuple(range(1 if per_channel else 0, matrix.ndim))
    scales = np.abs(matrix).max(axis=axes) / np.float32(weight_top_code(bits))
    divisor = np.where(scales > 0, scales, 1).reshape(-1, *[1] * (matrix.ndim - 1))
    return np.rint(matrix / divisor), np.atleast_1d(scales).astype(np.float64)


def _apply_gain(codes, scales, gain) -> tuple[np.ndarray, np.ndarray]:
    """A per-channel gain moves into the scale; its sign into the codes."""
    if np.all(gain == 1):
        return codes, scales
    return codes * _column(np.sign(gain), codes), scales * np.abs(gain)


def _column(values, codes) -> np.ndarray:
    return np.reshape(values, (-1, *[1] * (codes.ndim - 1)))


def _output_major(node, kernel: np.ndarray) -> np.ndarray:
    """Keras's kernel with the output channel first."""
    if node.kind == "DepthwiseConv2D":
        kernel = kernel.reshape(*kernel.shape[:2], -1)
    return np.moveaxis(kernel, -1, 0)


def _tflite_layout(node, codes: np.ndarray) -> np.ndarray:
    return np.moveaxis(codes, 0, -1)[None] if node.kind == "DepthwiseConv2D" else codes


def _linear_operation(node) -> tuple[str, dict]:
    if node.kind == "Dense":
        return "FULLY_CONNECTED", {}
    config = node.layer.get_config()
    options = {"strides": config["strides"], "padding": config["padding"], "dilation": config["dilation_rate"]}
    if node.kind == "DepthwiseConv2D":
        return "DEPTHWISE_CONV_2D", {**options, "depth_multiplier": config["depth_multiplier"]}
    return "CONV_2D", options


def _pooling(config: dict) -> dict:
    return {"size": config["pool_size"], "strides": config["strides"], "padding": config["padding"]}


def _passing_operation(node) -> tuple[str | None, dict]:
    config = node.layer.get_config()
    if node.kind == "MaxPooling2D":
        return "MAX_POOL_2D", _pooling(config)
    if node.kind == "GlobalMaxPooling2D":
        return "REDUCE_MAX", {}
    if node.kind == "Flatten":
        return "RESHAPE", {}
    if node.kind == "ZeroPadding2D":
        return "PAD", {"paddings": (*config["padding"], (0, 0))}
    if node.kind == "PadChannels":
        return "PAD", {"paddings": ((0, 0), (0, 0), (config["before"], config["after"]))}
    return None, {}
