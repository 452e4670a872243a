"""Conversion: which files are written, the float file against Keras, and TensorFlow's own converter on our network."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from ai_edge_litert import schema_py_generated as schema

from pipeline.errors import UserError
from pipeline.quantization.device import rounded_network
from pipeline.quantization.lowering import lower
from pipeline.quantization.model_access import float_network, kernel_quantizers, set_enabled, variables_by_layer
from pipeline.tflite.convert import convert, float_tflite
from pipeline.tflite.litert import LiteRtModel
from pipeline.tflite.settings import ConvertSettings
from tests.quantization.quantization_samples import NETWORKS, images, network, pixels, quantized, shake, small_resnet


def settings(**fields) -> ConvertSettings:
    """Config section convert."""
    return ConvertSettings(**fields)


@pytest.fixture(scope="module")
def model() -> tf_keras.Model:
    return small_resnet()


def test_three_files_by_default(model, tmp_path):
    converted = convert(model, tmp_path, settings(), "test")
    assert {kind: path.name for kind, path in converted.files.items()} == {
        kind: f"model_{kind}.tflite" for kind in ("int8", "int4", "float32")
    }
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(path.name for path in converted.files.values())
    sizes = {kind: path.stat().st_size for kind, path in converted.files.items()}
    assert sizes["int4"] < sizes["int8"] < sizes["float32"]
    assert converted.integer_model is converted.narrow_model


@pytest.mark.parametrize("wanted", [{"int8"}, {"int4"}, {"float32"}])
def test_only_the_files_that_are_wanted(model, tmp_path, wanted: set):
    only = {kind: kind in wanted for kind in ("int8", "int4", "float32")}
    assert set(convert(model, tmp_path, settings(**only), "test").files) == wanted


def test_nothing_to_write_is_an_error(model, tmp_path):
    with pytest.raises(UserError, match="no file is left"):
        convert(model, tmp_path, int8=False, int4=False, float32=False)


def test_codes_spread_over_int8_leave_the_packed_file_alone(model, tmp_path):
    narrow, scaled = tmp_path / "narrow", tmp_path / "scaled"
    narrow.mkdir(), scaled.mkdir()
    first = convert(model, narrow, settings(), "test")
    second = convert(model, scaled, settings(weight_storage="scaled"), "test")
    assert first.files["int4"].read_bytes() == second.files["int4"].read_bytes()
    assert first.files["int8"].read_bytes() != second.files["int8"].read_bytes()
    assert second.integer_model is not second.narrow_model
    spacing = {operation.weights.spacing for operation in second.integer_model.operations if operation.weights}
    assert spacing == {1, 18}


def test_eight_bit_weights_make_no_packed_file(tmp_path):
    model = quantized(NETWORKS["padded_stride"], weight_bits=8)
    assert set(convert(model, tmp_path, settings(), "test").files) == {"int8", "float32"}


def test_integer_input_and_output(model, tmp_path):
    converted = convert(model, tmp_path, settings(io="int8"), "test")
    batch = images(5)
    for kind in ("int8", "int4"):
        assert LiteRtModel(converted.files[kind].read_bytes()).run(batch)[0].dtype == np.int8
    assert LiteRtModel(converted.files["float32"].read_bytes()).run(batch)[0].dtype == np.float32


def test_a_float_network_makes_a_float_file(tmp_path):
    converted = convert(network(NETWORKS["plain"]), tmp_path, settings(), "test")
    assert set(converted.files) == {"float32"} and converted.integer_model is None


@pytest.mark.parametrize("body", ["residual", "inverted", "inception", "dense_layers"])
def test_the_float_file_is_the_float_network(body: str):
    model, batch = network(NETWORKS[body]), images(20)
    shake(model)
    expected = model(pixels(batch), training=False).numpy()
    found = LiteRtModel(float_tflite(model)).logits(batch)
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def test_the_float_file_is_that_of_the_whole_model():
    """Converted with its layers saved first, as the converter's documentation has it, at several times the time."""
    model = small_resnet()
    spec = tf.TensorSpec((1, *model.input_shape[1:]), tf.float32, name="image")
    function = tf.function(lambda image: {"output": model(image, training=False)}).get_concrete_function(spec)
    assert float_tflite(model) == tf.lite.TFLiteConverter.from_concrete_functions([function], model).convert()


@pytest.mark.parametrize("fields", [{}, {"batch_norm": "fold"}, {"weight_bits": 2}], ids=str)
@pytest.mark.parametrize("body", ["inverted", "partial_norm"])
def test_the_float_file_of_a_quantized_model_has_its_rounded_kernels(body: str, fields: dict):
    """Activations in float, kernels on the grid: Keras with its activation quantizers switched off."""
    model, batch = quantized(NETWORKS[body], **fields), images(20)
    found = LiteRtModel(float_tflite(rounded_network(model))).logits(batch)
    set_enabled(model, False)
    unrounded = model(pixels(batch), training=False).numpy()
    for quantizer in kernel_quantizers(model).values():
        quantizer.enabled = True
    expected = model(pixels(batch), training=False).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())
    assert np.abs(unrounded - expected).max() > 1e-3 * np.abs(expected).max()


def test_the_float_network_has_the_trained_weights(model):
    plain = variables_by_layer(float_network(model))
    trained = variables_by_layer(model)
    assert plain.keys() == trained.keys()
    for name, variables in plain.items():
        for key, variable in variables.items():
            np.testing.assert_array_equal(variable, trained[name][key])


def folded_fake_quant(model) -> tf.Module:
    """conv0, bn0 and relu0 of the resnet as TensorFlow's converter wants them: fake quantization on kernel and output."""
    operation = next(op for op in lower(model).integer_model.operations if op.name == "conv0")
    tensors, weights = lower(model).integer_model.tensors, operation.weights
    kernel = (weights.codes * weights.scales.reshape(-1, 1, 1, 1)).transpose(1, 2, 3, 0).astype(np.float32)
    limits = weights.scales * 127
    bias = (weights.bias * np.float64(tensors[operation.inputs[0]].scale) * weights.scales).astype(np.float32)
    top = float(tensors[operation.output].scale * (127 - tensors[operation.output].zero_point))
    step = float(tensors[operation.output].scale)

    class Layer(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((1, 12, 12, 3))])
        def __call__(self, image):
            x = tf.quantization.fake_quant_with_min_max_vars(image, 0.0, 1.0)
            w = tf.quantization.fake_quant_with_min_max_vars_per_channel(kernel, -limits, limits, narrow_range=True)
            y = tf.nn.relu(tf.nn.conv2d(x, w, 1, "SAME") + bias)
            return tf.quantization.fake_quant_with_min_max_vars(y, top - 255 * step, top)

    return Layer()


def test_tensorflows_converter_makes_the_same_first_layer(model):
    """An independent witness: weight codes, biases, grids and outputs of one layer, converted by TensorFlow."""
    module = folded_fake_quant(model)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([module.__call__.get_concrete_function()], module)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    content = converter.convert()
    integer_model = lower(model).integer_model
    operation = next(op for op in integer_model.operations if op.name == "conv0")
    file = schema.ModelT.InitFromPackedBuf(content, 0)
    arrays = {}
    for tensor in file.subgraphs[0].tensors:
        data = file.buffers[tensor.buffer].data
        if data is not None and len(data):
            kind = np.int8 if tensor.type == schema.TensorType.INT8 else np.int32
            arrays[kind] = np.frombuffer(bytes(data), kind).reshape(tensor.shape)
    np.testing.assert_array_equal(arrays[np.int8], operation.weights.codes)
    np.testing.assert_array_equal(arrays[np.int32], operation.weights.bias)
    batch, output = images(20), integer_model.tensors[operation.output]
    ours = next(
        codes for op, codes in integer_model.trace((batch.astype(int) - 128).astype(np.int8)) if op is operation
    )
    theirs = LiteRtModel(content).run(batch)[0]
    np.testing.assert_array_equal(np.rint(theirs / output.scale), ours.astype(np.int32) - output.zero_point)
