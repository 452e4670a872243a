"""The files that the writer makes: structure, storage of weights, inputs and outputs, as LiteRT reads them."""

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from pipeline.quantization.feed import codes_of
from pipeline.quantization.integer_model import IntegerModel
from pipeline.quantization.lowering import lower
from pipeline.tflite.litert import LiteRtModel
from pipeline.tflite.packing import in_packed_file
from pipeline.tflite.write import with_outputs, write_tflite
from tests.quantization.quantization_samples import CLASSES, SHAPE, images, inverted, quantized, small_resnet


@pytest.fixture(scope="module")
def model() -> IntegerModel:
    return lower(small_resnet()).integer_model


@pytest.fixture(scope="module")
def depthwise() -> IntegerModel:
    return lower(quantized(inverted, weight_bits=3)).integer_model


def parsed(content: bytes):
    return schema.ModelT.InitFromPackedBuf(content, 0)


def kinds(content: bytes) -> list[int]:
    file = parsed(content)
    return [file.operatorCodes[operator.opcodeIndex].builtinCode for operator in file.subgraphs[0].operators]


def test_a_file_says_what_it_is(model: IntegerModel):
    content = write_tflite(model, True, False, "made for a test")
    assert content[4:8] == b"TFL3"
    file = parsed(content)
    assert (file.version, file.description.decode(), len(file.subgraphs)) == (3, "made for a test", 1)
    assert all(code.builtinCode != schema.BuiltinOperator.CUSTOM for code in file.operatorCodes)
    assert len({code.builtinCode for code in file.operatorCodes}) == len(file.operatorCodes)


def test_the_signature_has_batch_one(model: IntegerModel):
    interpreter = Interpreter(model_content=write_tflite(model, True, False, "test"))
    assert interpreter.get_signature_list() == {"serving_default": {"inputs": ["image"], "outputs": ["output"]}}
    source, sink = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    assert source["shape_signature"].tolist() == [1, *SHAPE] and sink["shape_signature"].tolist() == [1, CLASSES]
    run = interpreter.get_signature_runner("serving_default")
    assert run(image=np.zeros((1, *SHAPE), np.float32))["output"].shape == (1, CLASSES)


def test_float_and_integer_ends_give_the_same_logits(model: IntegerModel):
    batch = images(20)
    files = [write_tflite(model, float_io, False, "test") for float_io in (True, False)]
    as_float, as_integer = (LiteRtModel(content) for content in files)
    np.testing.assert_array_equal(as_float.logits(batch), as_integer.logits(batch))
    np.testing.assert_array_equal(as_integer.run(batch)[0], model.run(model.codes(batch)))
    assert as_integer.run(batch)[0].dtype == np.int8 and as_float.run(batch)[0].dtype == np.float32
    added = {schema.BuiltinOperator.QUANTIZE, schema.BuiltinOperator.DEQUANTIZE}
    assert len(kinds(files[0])) == len(kinds(files[1])) + 2 and added & {*kinds(files[0])} == added


def test_int8_input_takes_every_pixel_value(model: IntegerModel):
    source = Interpreter(model_content=write_tflite(model, False, False, "test")).get_input_details()[0]
    scale, zero_point = source["quantization"]
    every = np.arange(256, dtype=np.uint8)
    np.testing.assert_allclose(
        (codes_of(every, scale, zero_point).astype(np.float32) - zero_point) * scale, every / 255, atol=1e-7
    )


def nibbles(content: bytes, count: int) -> np.ndarray:
    """Two codes a byte, low one first, number by number."""
    codes = []
    for byte in content:
        for half in (byte & 15, byte >> 4):
            codes.append(half - 16 if half > 7 else half)
    return np.array(codes[:count])


@pytest.mark.parametrize("name", ["model", "depthwise"])
def test_packed_weights_are_the_same_codes(name: str, request):
    model = request.getfixturevalue(name)
    file = parsed(write_tflite(model, True, True, "test"))
    tensors = {tensor.name.decode(): tensor for tensor in file.subgraphs[0].tensors}
    packed = 0
    for operation in model.operations:
        if operation.weights is not None:
            tensor, codes = tensors[f"{operation.name}/kernel"], operation.weights.codes
            content = bytes(file.buffers[tensor.buffer].data)
            assert list(tensor.shape) == list(in_packed_file(operation, model).weights.codes.shape)
            if operation.weights.bits > 4:
                assert tensor.type == schema.TensorType.INT8 and content == codes.tobytes()
            else:
                packed += 1
                assert tensor.type == schema.TensorType.INT4 and len(content) == -(-codes.size // 2)
                np.testing.assert_array_equal(nibbles(content, codes.size), codes.ravel())
    assert packed > 3


@pytest.mark.parametrize("name", ["model", "depthwise"])
def test_packed_weights_compute_the_same_on_builtin_kernels(name: str, request):
    model, batch = request.getfixturevalue(name), images(20)
    int8, int4 = (write_tflite(model, True, packed, "test") for packed in (False, True))
    assert len(int4) < len(int8)
    same = LiteRtModel(int8, "builtin").logits(batch)
    np.testing.assert_array_equal(LiteRtModel(int4, "builtin").logits(batch), same)


def test_weights_have_one_scale_a_channel_along_the_right_axis(depthwise: IntegerModel):
    interpreter = Interpreter(model_content=write_tflite(depthwise, True, False, "test"))
    found = {tensor["name"]: tensor["quantization_parameters"] for tensor in interpreter.get_tensor_details()}
    for operation in depthwise.operations:
        if operation.weights is not None:
            kernel, bias = found[f"{operation.name}/kernel"], found[f"{operation.name}/bias"]
            np.testing.assert_array_equal(kernel["scales"], operation.weights.scales)
            assert kernel["quantized_dimension"] == (3 if operation.kind == "DEPTHWISE_CONV_2D" else 0)
            assert len(kernel["zero_points"]) == len(kernel["scales"]) and not kernel["zero_points"].any()
            source = depthwise.tensors[operation.inputs[0]].scale
            np.testing.assert_array_equal(bias["scales"], source * operation.weights.scales)


def test_with_outputs_shows_the_inside(model: IntegerModel):
    content = write_tflite(model, False, False, "test")
    names = [operation.output for operation in model.operations][:4]
    inside = LiteRtModel(with_outputs(content, names))
    assert [detail["name"] for detail in inside.outputs] == names
    batch = images(3)
    trace = {operation.output: codes for operation, codes in model.trace(model.codes(batch))}
    for name, codes in zip(names, inside.run(batch), strict=True):
        np.testing.assert_array_equal(codes, trace[name])
