"""Which kernels are INT4 tensors in the packed file: never ones that LiteRT would then compute differently, if it need not."""

import numpy as np
import pytest
import tf_keras
from ai_edge_litert import schema_py_generated as schema
from tf_keras import layers

from pipeline import convert, quantize
from pipeline.quantization.integer_model import IntegerModel, Operation, Weights
from pipeline.tflite.exactness import stored_differently
from pipeline.tflite.packing import MAX_PACKED_DENSE_SUM, largest_sums
from pipeline.tflite.write import write_tflite
from tests.quantization.integer_samples import litert, single, tensor
from tests.quantization.test_integer_ops import a_grid, output_shape, weights_of
from tests.quantization.test_linear_ops import is_delegated

PLAIN = {"strides": (1, 1), "padding": "same"}


def convolution(rng, kernel: tuple, groups: int = 1, channels: int = 6, **options) -> IntegerModel:
    shape, outputs, options = (8, 9, channels), 4 * groups, PLAIN | options
    weights = weights_of(rng, (outputs, *kernel, channels // groups), outputs, 4, 20 / 4**4)
    sink = tensor("y", output_shape(shape, kernel, options, outputs), *a_grid(rng))
    operation = Operation("CONV_2D", "op", ("x",), "y", options, weights)
    return single(operation, [tensor("x", shape, *a_grid(rng))], sink)


def dense(rng, inputs: int, bias: int = 0, leading: tuple = ()) -> IntegerModel:
    weights = weights_of(rng, (5, inputs), 5, 4, 20 / 4**4)
    if bias:
        weights = Weights(weights.codes, np.full(5, 100 / bias, np.float32), np.int32([bias, -bias] * 2 + [bias]), 4)
    grids = ((1.0, 3), (1.0, -5)) if bias else (a_grid(rng), a_grid(rng))
    source, sink = tensor("x", (*leading, inputs), *grids[0]), tensor("y", (*leading, 5), *grids[1])
    return single(Operation("FULLY_CONNECTED", "op", ("x",), "y", {}, weights), [source], sink)


def stored(model: IntegerModel) -> tuple[str, str]:
    """The operation in the packed file and the type of its kernel."""
    file = schema.ModelT.InitFromPackedBuf(write_tflite(model, False, True, "test"), 0)
    kernel = next(tensor for tensor in file.subgraphs[0].tensors if tensor.name == b"op/kernel")
    names = {schema.BuiltinOperator.CONV_2D: "CONV_2D", schema.BuiltinOperator.FULLY_CONNECTED: "FULLY_CONNECTED"}
    return names[file.operatorCodes[0].builtinCode], {schema.TensorType.INT4: "int4", schema.TensorType.INT8: "int8"}[
        kernel.type
    ]


def check_exact(model: IntegerModel) -> None:
    """XNNPACK runs the packed file, and no code differs from the integer model."""
    codes = np.random.default_rng(1).integers(-128, 128, (8, *model.tensors["x"].shape)).astype(np.int8)
    np.testing.assert_array_equal(model.run(codes), litert(model, codes, packed_int4=True))
    assert is_delegated(model, packed_int4=True)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("activation", [None, "RELU", "RELU6"])
@pytest.mark.parametrize("dilation", [(1, 1), (2, 2)])
def test_a_pointwise_convolution_is_a_dense_layer_on_every_pixel(seed: int, activation: str | None, dilation: tuple):
    options = {"dilation": dilation} | ({"activation": activation} if activation else {})
    model = convolution(np.random.default_rng(seed), (1, 1), channels=2 * (seed + 3), **options)
    assert stored(model) == ("FULLY_CONNECTED", "int4")
    check_exact(model)


@pytest.mark.parametrize(("kernel", "options"), [
    ((3, 3), {}), ((1, 3), {}), ((1, 1), {"strides": (2, 2)}), ((1, 1), {"strides": (1, 2)}), ((1, 1), {"groups": 2}),
    ((1, 1), {"channels": 7}), ((3, 3), {"groups": 3}),
])  # fmt: skip
def test_other_convolutions_stay_and_compute_what_builtin_kernels_compute(kernel: tuple, options: dict):
    model = convolution(np.random.default_rng(0), kernel, **options)
    codes = np.random.default_rng(1).integers(-128, 128, (8, *model.tensors["x"].shape)).astype(np.int8)
    assert stored(model) == ("CONV_2D", "int4")
    np.testing.assert_array_equal(litert(model, codes, packed_int4=True), litert(model, codes, "builtin"))


@pytest.mark.parametrize("leading", [(), (3, 4)])
@pytest.mark.parametrize(("inputs", "kind"), [(1, "int8"), (3, "int8"), (33, "int8"), (2, "int4"), (34, "int4")])
def test_a_dense_kernel_is_packed_if_its_rows_are_whole_bytes(inputs: int, kind: str, leading: tuple):
    model = dense(np.random.default_rng(0), inputs, leading=leading)
    assert stored(model) == ("FULLY_CONNECTED", kind)
    check_exact(model)


@pytest.mark.parametrize(("bias", "kind"), [(2**27 - 2**18, "int4"), (2**27, "int8"), (2**30, "int8")])
def test_a_dense_kernel_is_packed_if_its_sums_fit(bias: int, kind: str):
    model = dense(np.random.default_rng(0), 40, bias)
    fits = largest_sums(model.operations[0], model.tensors["x"]).max() <= MAX_PACKED_DENSE_SUM
    assert (stored(model)[1], fits) == (kind, kind == "int4")
    check_exact(model)


def test_a_pointwise_convolution_of_large_sums_stays_one():
    model = convolution(np.random.default_rng(0), (1, 1))
    model.operations[0].weights.bias[:] = 2**27
    assert stored(model) == ("CONV_2D", "int4")


@pytest.mark.parametrize(("hidden", "files"), [(7, {"int8"}), (8, {"int8", "int4"})])
def test_there_is_a_packed_file_if_anything_can_be_packed(hidden: int, files: set, tmp_path):
    """Three dense layers: the second is of 4 bits, with as many inputs as there are hidden values."""
    image = tf_keras.Input((4, 4, 3))
    x = layers.Dense(hidden, activation="relu")(layers.Flatten()(image))
    model = quantize(tf_keras.Model(image, layers.Dense(4)(layers.Dense(6, activation="relu")(x))))
    model(np.random.default_rng(0).uniform(0, 1, (8, 4, 4, 3)).astype(np.float32), training=True)
    converted = convert(model, tmp_path, float32=False)
    assert set(converted.files) == files
    for kind, path in converted.files.items():
        assert not stored_differently(path.read_bytes(), converted.narrow_model, packed_int4=kind == "int4")
