"""The integer model as a TensorFlow function: what training evaluates is what the device computes, code by code.

Codes are float32 integers with their zero point subtracted. Sums are exact: float32 where every partial sum fits into
its 24-bit integers, float64 elsewhere; everything else is int32 or XNNPACK's own float32 rule.
"""

import numpy as np
import tensorflow as tf

from pipeline.quantization.integer_model import Arrays, IntegerModel, Operation, Tensor, listed, unlisted
from pipeline.quantization.integer_ops import mean_factors, quantize_factor
from pipeline.quantization.leaky_relu import leaky_relu_factors
from pipeline.quantization.linear_ops import EXACT_IN_FLOAT32
from pipeline.quantization.moving_ops import BILINEAR_BITS, bilinear, nearest, slice_ends
from pipeline.quantization.pair_ops import add_factors, multiply_factor
from pipeline.quantization.saturation import code_limits
from pipeline.quantization.table_ops import TABLE_OPERATIONS, table

WITH_WEIGHTS = {"CONV_2D", "TRANSPOSE_CONV", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"}


class DeviceNetwork(tf.Module):
    """An integer model as a compiled function; `update` loads the numbers of another model without retracing.

    `from_codes`: int8 codes (B, ...) to logits float32 (B, ..., K); tuples of them for several inputs and outputs.
    """

    def __init__(self, model: IntegerModel):
        super().__init__()
        self.model = model
        self.parameters = {operation.output: _variables(operation, model) for operation in model.operations}
        self.output_scales = [tf.Variable(model.tensors[name].scale, trainable=False) for name in model.outputs]
        shapes = [(None, *model.tensors[name].shape) for name in model.inputs]
        self.from_codes = tf.function(self._forward, [unlisted([tf.TensorSpec(shape, tf.int8) for shape in shapes])])

    def forward(self, examples: Arrays) -> tf.Tensor | tuple[tf.Tensor, ...]:
        """Logits float32 (B, ..., K) of examples, uint8 or float32 (B, ...): see `feed`."""
        return self.from_codes(self.model.codes(examples))

    def update(self, model: IntegerModel) -> None:
        """Load weights, biases and scales of a model with the same structure."""
        for operation in model.operations:
            for name, value in _numbers(operation, model).items():
                self.parameters[operation.output][name].assign(value)
        for name, scale in zip(model.outputs, self.output_scales, strict=True):
            scale.assign(model.tensors[name].scale)

    def _forward(self, codes):
        pairs = zip(self.model.inputs, listed(codes), strict=True)
        tensors = self.model.tensors
        values = {name: tf.cast(array, tf.float32) - float(tensors[name].zero_point) for name, array in pairs}
        for operation in self.model.operations:
            inputs = [values[name] for name in operation.inputs]
            values[operation.output] = self._run(operation, inputs)
        pairs = zip(self.model.outputs, self.output_scales, strict=True)
        return unlisted([values[name] * scale for name, scale in pairs])

    def _run(self, operation: Operation, inputs: list[tf.Tensor]) -> tf.Tensor:
        numbers, tensors = self.parameters[operation.output], self.model.tensors
        source, output = tensors[operation.inputs[0]], tensors[operation.output]
        if operation.kind == "RESHAPE":
            return tf.reshape(inputs[0], (-1, *output.shape))
        if operation.kind in SHAPED:
            return SHAPED[operation.kind](operation, inputs, numbers, output)
        if operation.kind == "TRANSPOSE":
            return tf.transpose(inputs[0], (0, *operation.options["permutation"]))
        if operation.kind == "TRANSPOSE_CONV":
            result = _transpose_conv(operation, inputs, numbers, output)
        else:
            result = RULES[operation.kind](operation, inputs, numbers, source)
        if operation.kind in REDUCING:
            result = tf.reshape(result, (-1, *output.shape))
        if operation.kind in PASSING:
            return result
        return tf.clip_by_value(tf.cast(result, tf.float32), numbers["lowest"], numbers["highest"])


def _variables(operation: Operation, model: IntegerModel) -> dict[str, tf.Variable]:
    return {name: tf.Variable(value, trainable=False) for name, value in _numbers(operation, model).items()}


def _numbers(operation: Operation, model: IntegerModel) -> dict[str, np.ndarray]:
    """The numbers of an operation that training can change."""
    output = model.tensors[operation.output]
    lowest, highest = (np.float32(code - output.zero_point) for code in code_limits(operation, output))
    return {"lowest": lowest, "highest": highest, **_own_numbers(operation, model)}


def _own_numbers(operation: Operation, model: IntegerModel) -> dict[str, np.ndarray]:
    inputs = [model.tensors[name] for name in operation.inputs]
    output = model.tensors[operation.output]
    if operation.kind in WITH_WEIGHTS:
        weights = operation.weights
        multiplier = np.float32(inputs[0].scale) * weights.scales / np.float32(output.scale)
        kernel = _kernel(operation).astype(_exact_type(operation, inputs[0]))
        return {"kernel": kernel, "bias": weights.bias, "multiplier": multiplier.astype(np.float32)}
    if operation.kind in ("ADD", "SUB"):
        factors, shift = add_factors(inputs, output)
        signs = np.array((1, 1 if operation.kind == "ADD" else -1), np.int32)
        return {"factors": np.array(factors, np.int32) * signs, "shift": np.int32(shift)}
    if operation.kind == "MINIMUM":
        return {"code": np.float32(operation.options["code"] - output.zero_point)}
    if operation.kind == "LEAKY_RELU":
        slopes = leaky_relu_factors(operation.options["alpha"], inputs[0].scale, output.scale)
        return {"slopes": np.array(slopes, np.int32)}
    if operation.kind == "MUL":
        return {"factor": multiply_factor(inputs, output)}
    if operation.kind in TABLE_OPERATIONS:
        codes = table(operation.kind, operation.options, inputs[0], output)
        return {"table": codes.astype(np.float32) - output.zero_point}
    if operation.kind == "QUANTIZE":
        return {"factor": np.int32(quantize_factor(inputs[0].scale, output.scale))}
    if operation.kind == "MEAN":
        scale, offset = mean_factors(inputs[0], output)
        return {"scale": scale, "offset": offset, "zero_point": np.float32(output.zero_point)}
    return {}


def _kernel(operation: Operation) -> np.ndarray:
    """Weight codes in TensorFlow's layout."""
    codes = operation.weights.codes
    if operation.kind == "CONV_2D":
        return codes.transpose(1, 2, 3, 0)
    if operation.kind == "TRANSPOSE_CONV":
        return codes.transpose(1, 2, 0, 3)
    if operation.kind == "DEPTHWISE_CONV_2D":
        multiplier = operation.options["depth_multiplier"]
        return codes[0].reshape(*codes.shape[1:3], -1, multiplier)
    return codes.T


def _exact_type(operation: Operation, source: Tensor) -> type:
    """float32 if it represents the largest possible sum of products of codes exactly, else float64."""
    weights = operation.weights
    terms = weights.codes[0].size if operation.kind != "DEPTHWISE_CONV_2D" else int(np.prod(weights.codes.shape[1:3]))
    largest_weight = (2 ** (weights.bits - 1) - 1) * weights.spacing
    largest_code = max(127 - source.zero_point, 128 + source.zero_point)
    return np.float32 if terms * largest_weight * largest_code < EXACT_IN_FLOAT32 else np.float64


def _requantize(sums: tf.Tensor, numbers) -> tf.Tensor:
    total = tf.cast(sums, tf.int32) + numbers["bias"]
    return tf.round(tf.cast(total, tf.float32) * numbers["multiplier"])


def _conv(operation, inputs, numbers, source) -> tf.Tensor:
    options, kernel = operation.options, numbers["kernel"]
    settings = {"padding": options["padding"].upper(), "dilations": options.get("dilation", (1, 1))}
    x = tf.cast(inputs[0], kernel.dtype)
    if operation.kind == "CONV_2D":
        return _requantize(tf.nn.conv2d(x, kernel, options["strides"], **settings), numbers)
    strides = (1, *options["strides"], 1)
    return _requantize(tf.nn.depthwise_conv2d(x, kernel, strides, **settings), numbers)


def _transpose_conv(operation, inputs, numbers, output) -> tf.Tensor:
    x, padding = tf.cast(inputs[0], numbers["kernel"].dtype), operation.options["padding"].upper()
    shape = (tf.shape(x)[0], *output.shape)
    return _requantize(
        tf.nn.conv2d_transpose(x, numbers["kernel"], shape, operation.options["strides"], padding), numbers
    )


def _dense(operation, inputs, numbers, source) -> tf.Tensor:
    return _requantize(tf.tensordot(tf.cast(inputs[0], numbers["kernel"].dtype), numbers["kernel"], 1), numbers)


def _add(operation, inputs, numbers, source) -> tf.Tensor:
    first, second = (tf.cast(x, tf.int32) * numbers["factors"][index] for index, x in enumerate(inputs))
    total = first + second
    half = tf.bitwise.left_shift(1, numbers["shift"] - 1)
    return tf.bitwise.right_shift(total + half, tf.broadcast_to(numbers["shift"], tf.shape(total)))


def _multiply(operation, inputs, numbers, source) -> tf.Tensor:
    return tf.round(inputs[0] * inputs[1] * numbers["factor"])


def _table(operation, inputs, numbers, source) -> tf.Tensor:
    return tf.gather(numbers["table"], tf.cast(inputs[0], tf.int32) + (source.zero_point + 128))


def _slice(operation, inputs, numbers, output) -> tf.Tensor:
    strides = operation.options.get("strides", (1,) * len(output.shape))
    parts = zip(operation.options["begin"], slice_ends(operation, output), strides, strict=True)
    return inputs[0][(slice(None), *(slice(*part) for part in parts))]


def _leaky_relu(operation, inputs, numbers, source) -> tf.Tensor:
    codes = tf.cast(inputs[0], tf.int32)
    slopes = tf.where(codes >= 0, numbers["slopes"][0], numbers["slopes"][1])
    return tf.bitwise.right_shift(codes * slopes + 128, 8)


def _resize_nearest(operation, inputs, numbers, output) -> tf.Tensor:
    places = [nearest(*sizes) for sizes in zip(inputs[0].shape[1:3], output.shape, strict=False)]
    return tf.gather(tf.gather(inputs[0], places[0], axis=1), places[1], axis=2)


def _resize_bilinear(operation, inputs, numbers, output) -> tf.Tensor:
    """Along each axis weights in 2048ths; together they make 2^22, so sums of codes fit into int32."""
    one, total = 1 << BILINEAR_BITS, tf.cast(inputs[0], tf.int32)
    for axis in (1, 2):
        first, second, weight = bilinear(inputs[0].shape[axis], output.shape[axis - 1])
        weight = tf.reshape(tf.constant(weight), (-1, 1, 1) if axis == 1 else (-1, 1))
        total = tf.gather(total, first, axis=axis) * (one - weight) + tf.gather(total, second, axis=axis) * weight
    return tf.cast(tf.bitwise.right_shift(total + (1 << (2 * BILINEAR_BITS - 1)), 2 * BILINEAR_BITS), tf.float32)


SHAPED = {
    "SLICE": _slice,
    "STRIDED_SLICE": _slice,
    "RESIZE_NEAREST_NEIGHBOR": _resize_nearest,
    "RESIZE_BILINEAR": _resize_bilinear,
}


def _quantize(operation, inputs, numbers, source) -> tf.Tensor:
    return tf.bitwise.right_shift(tf.cast(inputs[0], tf.int32) * numbers["factor"] + 128, 8)


def _mean(operation, inputs, numbers, source) -> tf.Tensor:
    sums = tf.reduce_sum(inputs[0] + source.zero_point, axis=[1, 2])
    return tf.round(sums * numbers["scale"] + numbers["offset"]) - numbers["zero_point"]


def _average_pool(operation, inputs, numbers, source) -> tf.Tensor:
    raw = inputs[0] + source.zero_point
    sums, counts = _window_sums(raw, operation), _window_sums(tf.ones_like(raw), operation)
    sums, counts = tf.cast(sums, tf.int32), tf.cast(counts, tf.int32)
    return tf.sign(sums) * ((tf.abs(sums) + counts // 2) // counts) - source.zero_point


def _window_sums(x: tf.Tensor, operation: Operation) -> tf.Tensor:
    options = operation.options
    ones = tf.ones((*options["size"], x.shape[-1], 1))
    return tf.nn.depthwise_conv2d(x, ones, (1, *options["strides"], 1), options["padding"].upper())


def _max_pool(operation, inputs, numbers, source) -> tf.Tensor:
    options = operation.options
    return tf.nn.max_pool2d(inputs[0], options["size"], options["strides"], options["padding"].upper())


def _maximum(operation, inputs, numbers, source) -> tf.Tensor:
    return tf.maximum(inputs[0], float(operation.options["code"] - source.zero_point))


def _pad(operation, inputs, numbers, source) -> tf.Tensor:
    return tf.pad(inputs[0], [(0, 0), *operation.options["paddings"]])


RULES = {
    "CONV_2D": _conv,
    "DEPTHWISE_CONV_2D": _conv,
    "FULLY_CONNECTED": _dense,
    "ADD": _add,
    "SUB": _add,
    "LEAKY_RELU": _leaky_relu,
    "MUL": _multiply,
    **dict.fromkeys(TABLE_OPERATIONS, _table),
    "QUANTIZE": _quantize,
    "MEAN": _mean,
    "AVERAGE_POOL_2D": _average_pool,
    "MAX_POOL_2D": _max_pool,
    "MAXIMUM": _maximum,
    "MINIMUM": lambda operation, inputs, numbers, source: tf.minimum(inputs[0], numbers["code"]),
    "PAD": _pad,
    "REDUCE_MAX": lambda operation, inputs, numbers, source: tf.reduce_max(inputs[0], axis=[1, 2]),
    "CONCATENATION": lambda operation, inputs, numbers, source: tf.concat(inputs, axis=operation.options["axis"]),
}
REDUCING = {"MEAN", "REDUCE_MAX"}
PASSING = {"MAX_POOL_2D", "MAXIMUM", "MINIMUM", "PAD", "REDUCE_MAX", "CONCATENATION"}
