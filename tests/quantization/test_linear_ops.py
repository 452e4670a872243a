"""Grouped, dilated and transposed convolutions and dense layers on more axes against LiteRT with XNNPACK: no code may differ."""

import numpy as np
import pytest
import tf_keras
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from tf_keras import layers

from pipeline.quantization.device_network import DeviceNetwork
from pipeline.quantization.integer_model import IntegerModel, Operation, Tensor, Weights
from pipeline.quantization.linear_ops import EXACT_IN_FLOAT32, _exact_product
from pipeline.quantization.transposed import transposed_kernel
from pipeline.tflite.exactness import macs
from pipeline.tflite.write import write_tflite
from tests.quantization.integer_samples import check, litert, single, tensor
from tests.quantization.test_integer_ops import a_grid, output_shape, weights_of, window

SEEDS = range(8)
PLAIN = {"strides": (1, 1), "padding": "valid"}


def is_delegated(model: IntegerModel, packed_int4: bool = False) -> bool:
    """Whether XNNPACK runs every operation of the file: each but the delegate itself is behind it."""
    interpreter = Interpreter(model_content=write_tflite(model, False, packed_int4, "test"))
    interpreter.allocate_tensors()
    return len(interpreter._get_ops_details()) == len(model.operations) + 1


def a_size(rng, channels: int, lowest: int = 2, highest: int = 10) -> tuple:
    return (*(int(side) for side in rng.integers(lowest, highest, 2)), channels)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize(("inputs", "outputs"), [(1, 1), (1, 3), (3, 1), (4, 5)])  # of one group
def test_grouped_conv_2d(seed: int, bits: int, inputs: int, outputs: int):
    rng = np.random.default_rng(seed)
    groups, kernel = int(rng.integers(2, 9)), tuple(int(side) for side in rng.integers(1, 4, 2))
    shape, options = a_size(rng, groups * inputs, 7, 12), window(rng)
    weights = weights_of(rng, (groups * outputs, *kernel, inputs), groups * outputs, bits, 40 / 4**bits)
    sink = tensor("y", output_shape(shape, kernel, options, groups * outputs), *a_grid(rng))
    check("CONV_2D", [tensor("x", shape, *a_grid(rng))], sink, options, weights, seed)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", ["CONV_2D", "DEPTHWISE_CONV_2D"])
def test_strides_and_dilations_that_differ_between_the_axes(seed: int, kind: str):
    rng = np.random.default_rng(seed)
    shape, kernel = a_size(rng, int(rng.integers(1, 6)), 9, 16), tuple(int(side) for side in rng.integers(1, 4, 2))
    strides, dilation = (tuple(int(step) for step in rng.integers(1, 4, 2)) for _ in range(2))
    options = {"strides": strides, "dilation": dilation, "padding": str(rng.choice(["same", "valid"]))}
    outputs = shape[2] if kind == "DEPTHWISE_CONV_2D" else 5
    layout = (1, *kernel, outputs) if kind == "DEPTHWISE_CONV_2D" else (outputs, *kernel, shape[2])
    sink = tensor("y", output_shape(shape, kernel, options, outputs), *a_grid(rng))
    weights = weights_of(rng, layout, outputs, 8, 40 / 4**8)
    check(kind, [tensor("x", shape, *a_grid(rng))], sink, options | {"depth_multiplier": 1}, weights, seed)


def transposed_sizes(shape: tuple, kernel: tuple, strides: tuple, padding: str, extra: tuple) -> tuple:
    """Height and width of the output; `extra` pixels at the end, fewer than the stride."""
    overlap = [max(size - stride, 0) if padding == "valid" else -extra[axis] for axis, (size, stride) in
               enumerate(zip(kernel, strides, strict=True))]  # fmt: skip
    return tuple(size * stride + more for size, stride, more in zip(shape, strides, overlap, strict=False))


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("activation", [None, "RELU", "RELU6"])
def test_transpose_conv(seed: int, bits: int, padding: str, activation: str | None):
    rng = np.random.default_rng(seed)
    shape, outputs, strides = a_size(rng, int(rng.integers(1, 9))), int(rng.integers(1, 9)), rng.integers(1, 4, 2)
    strides = tuple(int(stride) for stride in strides)
    kernel = tuple(int(rng.integers(stride, 6)) for stride in strides)
    fewer = tuple(int(rng.integers(0, stride)) for stride in strides)
    options = {"strides": strides, "padding": padding} | ({"activation": activation} if activation else {})
    weights = weights_of(rng, (outputs, *kernel, shape[2]), outputs, bits, 40 / 4**bits)
    sizes = transposed_sizes(shape, kernel, strides, padding, fewer)
    sink = tensor("y", (*sizes, outputs), *a_grid(rng))
    codes = check("TRANSPOSE_CONV", [tensor("x", shape, *a_grid(rng))], sink, options, weights, seed)
    assert len(np.unique(codes)) > 1


@pytest.mark.parametrize("packed", [False, True])
def test_transpose_conv_stays_int8_in_a_packed_file(packed: bool):
    weights = weights_of(np.random.default_rng(0), (4, 3, 3, 6), 4, 4, 40 / 4**4)
    operation = Operation("TRANSPOSE_CONV", "op", ("x",), "y", {"strides": (2, 2), "padding": "same"}, weights)
    model = single(operation, [tensor("x", (5, 6, 6), 0.05, 7)], tensor("y", (10, 12, 4), 0.04, -9))
    codes = np.random.default_rng(1).integers(-128, 128, (4, 5, 6, 6)).astype(np.int8)
    np.testing.assert_array_equal(model.run(codes), litert(model, codes, packed_int4=packed))
    assert is_delegated(model, packed)


@pytest.mark.parametrize(
    ("kernel", "strides"), [((1, 1), (2, 2)), ((1, 3), (2, 2)), ((2, 2), (3, 3)), ((2, 1), (2, 4))]
)
def test_zeros_at_the_end_of_a_kernel_keep_a_transpose_conv_on_xnnpack(kernel: tuple, strides: tuple):
    rng, shape = np.random.default_rng(0), (4, 5, 6)
    original = weights_of(rng, (3, *kernel, 6), 3, 4, 40 / 4**4)
    padded = transposed_kernel(original.codes.transpose(1, 2, 0, 3), strides)
    models = []
    for codes in (original.codes, padded):
        weights = Weights(codes, original.scales, original.bias, 4)
        operation = Operation("TRANSPOSE_CONV", "op", ("x",), "y", {"strides": strides, "padding": "same"}, weights)
        sizes = (4 * strides[0], 5 * strides[1], 3)
        models.append(single(operation, [tensor("x", shape, 0.05, 7)], tensor("y", sizes, 0.04, -9)))
    codes = rng.integers(-128, 128, (6, *shape)).astype(np.int8)
    np.testing.assert_array_equal(models[0].run(codes), models[1].run(codes))
    np.testing.assert_array_equal(models[1].run(codes), litert(models[1], codes))
    assert [is_delegated(model) for model in models] == [False, True]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("leading", [(3,), (4, 5), (2, 3, 4)])
@pytest.mark.parametrize("packed", [False, True])
def test_fully_connected_on_more_axes(seed: int, leading: tuple, packed: bool):
    rng = np.random.default_rng(seed)
    inputs, outputs = 2 * int(rng.integers(1, 30)), int(rng.integers(1, 20))
    weights = weights_of(rng, (outputs, inputs), outputs, 4, 20 / 4**4)
    if seed % 2:
        weights = Weights(weights.codes, weights.scales[:1], weights.bias, 4)
    operation = Operation("FULLY_CONNECTED", "op", ("x",), "y", {}, weights)
    source, sink = tensor("x", (*leading, inputs), *a_grid(rng)), tensor("y", (*leading, outputs), *a_grid(rng))
    model = single(operation, [source], sink)
    codes = rng.integers(-128, 128, (3, *source.shape)).astype(np.int8)
    np.testing.assert_array_equal(model.run(codes), litert(model, codes, packed_int4=packed))
    assert is_delegated(model, packed)


# Keras's layers

X = 0.05, -128  # scale and zero point of the input
Y = 0.04, -9


def kernels_of(layer) -> np.ndarray:
    """Integer weights in -7..7, set in the layer too."""
    rng, weights = np.random.default_rng(0), layer.get_weights()
    weights[0] = rng.integers(-7, 8, weights[0].shape).astype(np.float32)
    if layer.use_bias:
        weights[1] = rng.integers(-400, 400, weights[1].shape).astype(np.float32)
    layer.set_weights(weights)
    kernel = weights[0].astype(np.int8)
    one_axis = kernel.ndim == 3  # (k, ...): a kernel of height 1
    return kernel[None] if one_axis else kernel


def operation_of(layer) -> tuple[str, dict, np.ndarray]:
    """The kind, the options and the weight codes of a Keras layer with integer weights."""
    kernel, kind = kernels_of(layer), type(layer).__name__
    if kind == "Dense":
        return "FULLY_CONNECTED", {}, kernel.T
    strides, dilation = ((1, *steps)[-2:] for steps in (layer.strides, layer.dilation_rate))
    options = {"strides": strides, "dilation": dilation, "padding": layer.padding.replace("causal", "valid")}
    if kind.endswith("Transpose"):
        return "TRANSPOSE_CONV", options, transposed_kernel(kernel, strides, dilation)
    if kind.startswith("Depthwise"):
        codes = kernel.reshape(1, *kernel.shape[:2], -1)
        return "DEPTHWISE_CONV_2D", options | {"depth_multiplier": layer.depth_multiplier}, codes
    return "CONV_2D", options, kernel.transpose(3, 0, 1, 2)


def lowered(layer, shape: tuple) -> IntegerModel:
    """The layer alone, without its causal padding; (T, C) as (1, T, C) and back."""
    kind, options, codes = operation_of(layer)
    outputs = layer.output_shape[-1]
    bias = layer.get_weights()[1] if layer.use_bias else np.zeros(outputs)
    weights = Weights(codes, np.full(outputs, 0.02, np.float32), bias.astype(np.int32), 4)
    tensors, operations = {"x": tensor("x", shape, *X)}, []

    def append(kind: str, shape: tuple, options: dict, weights=None, grid: tuple = X) -> None:
        name, source = f"t{len(operations)}", list(tensors)[-1]
        tensors[name] = tensor(name, shape, *grid)
        operations.append(Operation(kind, name, (source,), name, options, weights))

    if len(shape) == 2 and kind != "FULLY_CONNECTED":
        append("RESHAPE", (1, *shape), {})
        if layer.padding == "causal":
            before = layer.dilation_rate[0] * (layer.kernel_size[0] - 1)
            append("PAD", (1, shape[0] + before, shape[1]), {"paddings": ((0, 0), (before, 0), (0, 0))})
        append(kind, (1, *layer.output_shape[1:]), options, weights, Y)
        append("RESHAPE", layer.output_shape[1:], {}, grid=Y)
    else:
        append(kind, layer.output_shape[1:], options, weights, Y)
    return IntegerModel(tensors, operations, ("x",), (list(tensors)[-1],))


@pytest.mark.parametrize(("layer", "shape"), [
    (layers.Conv2D(8, 3, groups=4), (7, 8, 12)),
    (layers.Conv2D(8, 3, groups=8, strides=2, padding="same"), (7, 8, 8)),
    (layers.Conv2D(5, (2, 3), dilation_rate=(2, 3), padding="same"), (9, 8, 3)),
    (layers.DepthwiseConv2D(3, dilation_rate=(2, 3), depth_multiplier=2, padding="same"), (9, 8, 3)),
    (layers.Conv2DTranspose(4, 3, strides=2, padding="same"), (5, 6, 3)),
    (layers.Conv2DTranspose(4, (3, 4), strides=(2, 3)), (5, 6, 3)),
    (layers.Conv2DTranspose(4, 3, strides=2, padding="same", output_padding=0), (5, 6, 3)),
    (layers.Conv2DTranspose(4, 3, strides=2, padding="valid", output_padding=1), (5, 6, 3)),
    (layers.Conv2DTranspose(4, 1, strides=2, padding="same", use_bias=False), (5, 6, 3)),
    (layers.Conv2DTranspose(4, 2, strides=3), (5, 6, 3)),
    (layers.Conv2DTranspose(4, 3, dilation_rate=2), (5, 6, 3)),
    (layers.Conv2DTranspose(4, 3, dilation_rate=2, padding="same"), (5, 6, 3)),
    (layers.Conv1D(6, 3, strides=2, padding="same"), (11, 4)),
    (layers.Conv1D(6, 3, dilation_rate=3, padding="causal"), (11, 4)),
    (layers.Conv1D(6, 4, strides=2, padding="causal", groups=2), (11, 4)),
    (layers.DepthwiseConv1D(3, depth_multiplier=2), (11, 4)),
    (layers.Conv1DTranspose(6, 3, strides=2, padding="same"), (11, 4)),
    (layers.Conv1DTranspose(6, 4, strides=3), (11, 4)),
    (layers.Dense(6), (11, 4)),
    (layers.Dense(6, use_bias=False), (3, 5, 4)),
])  # fmt: skip
def test_a_keras_layer_on_device(layer, shape: tuple):
    tf_keras.Sequential([layers.Input(shape), layer])
    model = lowered(layer, shape)
    codes = np.random.default_rng(1).integers(-128, 128, (3, *shape)).astype(np.int8)
    got = model.run(codes)
    sums = layer(codes.astype(np.float32) + 128).numpy()  # integers below 2^24, so exact
    multiplier = np.float32(X[0]) * np.float32(0.02) / np.float32(Y[0])
    np.testing.assert_array_equal(got, np.clip(np.rint(sums * multiplier) + Y[1], -128, 127))
    np.testing.assert_array_equal(got, litert(model, codes))
    assert is_delegated(model)
    in_training = DeviceNetwork(model).from_codes(codes).numpy()
    np.testing.assert_array_equal(np.rint(in_training / np.float32(Y[0])) + Y[1], got)


def test_separable_conv_1d():
    """Between its two convolutions the device needs a grid that Keras's layer does not have."""
    rng, shape = np.random.default_rng(0), (1, 12, 4)
    tensors = [tensor("x", (12, 4), *X), tensor("a", shape, *X), tensor("b", shape, *a_grid(rng)),
               tensor("c", (1, 12, 6), *a_grid(rng))]  # fmt: skip
    tensors.append(Tensor("y", (12, 6), tensors[-1].scale, tensors[-1].zero_point, 8))
    same = {"strides": (1, 1), "padding": "same"}
    depthwise, pointwise = weights_of(rng, (1, 1, 3, 4), 4, 4, 0.1), weights_of(rng, (6, 1, 1, 4), 6, 4, 0.1)
    operations = [
        Operation("RESHAPE", "a", ("x",), "a"),
        Operation("DEPTHWISE_CONV_2D", "b", ("a",), "b", same | {"depth_multiplier": 1}, depthwise),
        Operation("CONV_2D", "c", ("b",), "c", same, pointwise),
        Operation("RESHAPE", "y", ("c",), "y"),
    ]
    model = IntegerModel({item.name: item for item in tensors}, operations, ("x",), ("y",))
    codes = rng.integers(-128, 128, (6, 12, 4)).astype(np.int8)
    np.testing.assert_array_equal(model.run(codes), litert(model, codes))


@pytest.mark.parametrize(("layer", "shape", "expected"), [
    (layers.Conv2DTranspose(4, 3, strides=2), (5, 6, 3), 5 * 6 * 3 * 3 * 3 * 4),
    (layers.Conv2D(8, 3, groups=4), (7, 8, 12), 5 * 6 * 8 * 3 * 3 * 3),
    (layers.Dense(6), (3, 5, 4), 3 * 5 * 4 * 6),
    (layers.Dense(6), (4,), 4 * 6),
])  # fmt: skip
def test_multiply_accumulates(layer, shape: tuple, expected: int):
    tf_keras.Sequential([layers.Input(shape), layer])
    model = lowered(layer, shape)
    assert sum(macs(operation, model) for operation in model.operations) == expected


@pytest.mark.parametrize(("layer", "shape", "packed", "version"), [
    (layers.Conv2D(8, 3), (7, 8, 12), False, 3),
    (layers.Conv2D(8, 3, groups=4), (7, 8, 12), False, 6),
    (layers.Conv2D(8, 3, groups=4), (7, 8, 12), True, 7),
    (layers.Conv2DTranspose(4, 3), (5, 6, 3), True, 3),
    (layers.Dense(6), (4,), False, 4),
    (layers.Dense(6), (11, 4), False, 5),
    (layers.Dense(6), (11, 4), True, 7),
])  # fmt: skip
def test_versions_of_operators(layer, shape: tuple, packed: bool, version: int):
    tf_keras.Sequential([layers.Input(shape), layer])
    content = write_tflite(lowered(layer, shape), False, packed, "test")
    assert [code.version for code in schema.ModelT.InitFromPackedBuf(content, 0).operatorCodes] == [version]


# Weights of all kinds

SHAPES = {  # of the weights, the input and the output
    "CONV_2D": ((6, 3, 3, 4), (5, 5, 4), (3, 3, 6)),
    "DEPTHWISE_CONV_2D": ((1, 3, 3, 6), (5, 5, 6), (3, 3, 6)),
    "TRANSPOSE_CONV": ((6, 3, 3, 4), (5, 5, 4), (7, 7, 6)),
    "FULLY_CONNECTED": ((6, 40), (40,), (6,)),
}


def one_layer(kind: str, weights: Weights, source: tuple, sink: tuple, options: dict | None = None) -> IntegerModel:
    """A layer with the shapes of SHAPES; `source` and `sink` are (scale, zero point)."""
    _, before, after = SHAPES[kind]
    operation = Operation(kind, "op", ("x",), "y", PLAIN | {"depth_multiplier": 1} | (options or {}), weights)
    return single(operation, [tensor("x", before, *source)], tensor("y", after, *sink))


@pytest.mark.parametrize("kind", SHAPES)
def test_channels_without_weights(kind: str):
    rng = np.random.default_rng(0)
    codes = rng.integers(-7, 8, SHAPES[kind][0]).astype(np.int8)
    (codes.T if kind == "DEPTHWISE_CONV_2D" else codes)[:3] = 0
    weights = Weights(codes, np.full(6, 0.05, np.float32), rng.integers(-999, 999, 6).astype(np.int32), 4)
    model = one_layer(kind, weights, (1.0, 7), (1.0, -5))
    inputs = rng.integers(-128, 128, (6, *SHAPES[kind][1])).astype(np.int8)
    np.testing.assert_array_equal(model.run(inputs), litert(model, inputs))


@pytest.mark.parametrize("kind", ["CONV_2D", "FULLY_CONNECTED"])
def test_two_layers_with_equal_weights(kind: str):
    """The file stores them once."""
    rng, shape = np.random.default_rng(0), (5, 5, 4) if kind == "CONV_2D" else (4,)
    first = weights_of(rng, (4, 3, 3, 4) if kind == "CONV_2D" else (4, 4), 4, 4, 0.1)
    again = Weights(first.codes.copy(), first.scales * 2, first.bias.copy(), 4)
    grids = {"x": (0.5, 3), "a": (0.4, -7), "b": (0.3, 9), "y": (0.8, 0)}
    options = {"strides": (1, 1), "padding": "same"} if kind == "CONV_2D" else {}
    steps = [("x", "a", first), ("a", "b", again), ("b", "y", first)]
    operations = [Operation(kind, sink, (source,), sink, options, weights) for source, sink, weights in steps]
    model = IntegerModel({name: tensor(name, shape, *grid) for name, grid in grids.items()}, operations, ("x",), ("y",))
    codes = rng.integers(-128, 128, (6, *shape)).astype(np.int8)
    np.testing.assert_array_equal(model.run(codes), litert(model, codes))


@pytest.mark.parametrize("channels", [517, 518, 4096, 66000])
def test_sums_of_very_many_channels(channels: int):
    """518 products of 127 * 255 are the last to fit into float32's integers, 66,000 into int32."""
    kernel = np.full((3, channels), 127, np.int8)
    rows = np.stack([np.full(channels, 255), np.full(channels, -255), np.arange(channels) % 511 - 255]).astype(np.int16)
    expected = rows.astype(np.int64) @ kernel.T.astype(np.int64)
    np.testing.assert_array_equal(_exact_product(rows, kernel), expected)
    assert (127 * 255 * channels < EXACT_IN_FLOAT32) == (channels <= 518)
    weights = Weights(kernel.reshape(3, 1, 1, -1), np.float32([1, 0.3, 0.7]), np.zeros(3, np.int32), 8)
    source, sink = tensor("x", (1, 1, channels), 1.0, -128), tensor("y", (1, 1, 3), 127.0 * channels, -100)
    model = single(Operation("CONV_2D", "op", ("x",), "y", PLAIN, weights), [source], sink)
    codes = np.stack([np.full(channels, 127), np.zeros(channels), np.arange(channels) % 256 - 128])
    codes = codes.astype(np.int8).reshape(3, 1, 1, -1)
    np.testing.assert_array_equal(model.run(codes), litert(model, codes))
