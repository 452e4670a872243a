"""Whole networks of every kind: integer model, LiteRT file, DeviceNetwork and Keras compute the same."""

import numpy as np
import pytest
import tf_keras
from tf_keras import layers as kl

from pipeline.quantization.device import device_arithmetic
from pipeline.quantization.device_network import DeviceNetwork
from pipeline.quantization.integer_model import IntegerModel
from pipeline.quantization.lowering import lower
from pipeline.quantization.scheme import quantize, use_per_tensor_dense
from pipeline.tflite.exactness import layer_mismatches
from pipeline.tflite.write import write_tflite
from tests.quantization.quantization_samples import (
    CLASSES,
    NETWORKS,
    conv,
    exact,
    head,
    images,
    network,
    options,
    padded_stride,
    pixels,
    quantized,
    residual,
    settle,
    shake,
    small_resnet,
)

W8A8 = {"weight_bits": 8, "activation_bits": 8}
W3A5 = {"weight_bits": 3, "activation_bits": 5, "activation_range": "unsigned", "batch_norm": "fold"}
SAME = {"residual_bits": "same"}
UNSIGNED = {"activation_range": "unsigned"}
FOLD = {"batch_norm": "fold"}
CASES = {
    "residual": [{}, W8A8, W3A5, {"activation_bits": 8}, {"weight_bits": 2}, SAME, UNSIGNED, FOLD],
    "projection": [{}, FOLD | SAME],
    "inverted": [{}, W8A8, W3A5, SAME],
    "inception": [{}, W3A5, SAME],
    "dense_block": [{}, UNSIGNED | SAME],
    "dense_layers": [{}, FOLD, UNSIGNED],
    "padded_stride": [{}, {"first_last_bits": 4}],
    "plain": [{}, W3A5],
    "two_stems": [{}, {"first_last_bits": 4} | UNSIGNED],
    "partial_norm": [{}, FOLD],
}


def name_of(fields) -> str:
    return "-".join(f"{key}={value}" for key, value in fields.items()) or "W4A4"


def check_exact(model: tf_keras.Model, weight_storage: str = "narrow", count: int = 48) -> None:
    """No code differs between integer model and file in any layer; TensorFlow's version and Keras follow."""
    batch = images(count, seed=7)
    integer_model, logits = exact(model, batch, weight_storage)
    check_limits(integer_model)
    check_keras(model, batch, logits, integer_model.tensors[integer_model.outputs[0]].scale, weight_storage)


def check_limits(model: IntegerModel) -> None:
    """What XNNPACK takes: rescaling by less than 256, additions of inputs that are not much finer than the output."""
    for operation in model.operations:
        output = model.tensors[operation.output].scale
        ratios = [model.tensors[name].scale / output for name in operation.inputs]
        if operation.weights is not None:
            assert ratios[0] * operation.weights.scales.max() < 256 and operation.weights.scales.min() > 0
        if operation.kind == "ADD":
            assert min(ratios) >= 2**-10 and max(ratios) < 256


def check_keras(model, batch, logits: np.ndarray, step: np.float32, weight_storage: str) -> None:
    """Keras's fake-quantized network decides alike; a float tie may move a code somewhere in one image of fifty."""
    with device_arithmetic(model, weight_storage):
        keras = model(pixels(batch), training=False).numpy()
    steps = np.abs(keras - logits) / step
    assert np.ptp(logits) > 20 * step, "the outputs are all alike: nothing is tested"
    assert np.mean(steps.max(axis=1) < 0.5) >= 0.95
    assert np.mean(keras.argmax(axis=1) == logits.argmax(axis=1)) >= 0.97


@pytest.mark.parametrize(("body", "fields"), [
    pytest.param(body, fields, id=f"{body}-{name_of(fields)}") for body, cases in CASES.items() for fields in cases
])  # fmt: skip
def test_every_kind_of_network(body: str, fields: dict):
    check_exact(quantized(NETWORKS[body], **fields))


@pytest.mark.parametrize("bits", range(2, 9))
def test_every_number_of_bits(bits: int):
    check_exact(quantized(padded_stride, weight_bits=bits, activation_bits=10 - bits))


@pytest.mark.parametrize("fields", [{}, {"weight_bits": 2} | FOLD], ids=name_of)
def test_codes_spread_over_int8(fields: dict):
    model = quantized(residual, **fields)
    check_exact(model, "scaled")
    for operation in lower(model, "scaled").integer_model.operations:
        if operation.weights is not None and operation.weights.bits <= 4:
            assert operation.weights.spacing == 127 // (2 ** (operation.weights.bits - 1) - 1)
            assert not np.any(operation.weights.codes % operation.weights.spacing)


def test_the_projects_resnet():
    check_exact(small_resnet())


def test_overrides_reach_the_file():
    overrides = [{"layers": "conv2d_[12]", "weight_bits": 2}, {"layers": "*", "activation_bits": 6}]
    model = quantized(residual, overrides=overrides)
    operations = lower(model).integer_model.operations
    bits = {op.name: op.weights.bits for op in operations if op.weights is not None}
    assert bits == {"conv2d": 8, "conv2d_1": 2, "conv2d_2": 2, "conv2d_3": 4, "conv2d_4": 4, "dense": 8}
    check_exact(model)


@pytest.mark.parametrize("body", ["dense_layers", "residual"])
def test_one_scale_for_every_dense_kernel(body: str):
    model = network(NETWORKS[body])
    shake(model)
    model = quantize(model, options(batch_norm="fold"))
    use_per_tensor_dense(model)
    check_exact(settle(model))
    operations = lower(model).integer_model.operations
    dense = [op.weights.scales for op in operations if op.kind == "FULLY_CONNECTED"]
    assert dense and all(len(scales) == 1 for scales in dense)
    assert any(len(op.weights.scales) > 1 for op in operations if op.kind == "CONV_2D")


def test_a_sequential_model():
    tf_keras.utils.set_random_seed(0)
    model = tf_keras.Sequential([
        tf_keras.Input((12, 12, 3)), kl.Conv2D(6, 3), kl.BatchNormalization(momentum=0.5), kl.ReLU(),
        kl.GlobalAveragePooling2D(), kl.Dense(CLASSES),
    ])  # fmt: skip
    shake(model)
    check_exact(settle(quantize(model, options())))


def dead_branch(x):
    """One branch is always zero, one is nearly so, and both meet the living one in additions and concatenations."""
    x = conv(x, 6)
    dead, faint = conv(x, 6, norm=False, name="dead"), conv(x, 6, norm=False, relu=False, name="faint")
    x = kl.Add()([kl.Add()([x, dead]), faint])
    x = kl.Concatenate()([x, kl.MaxPooling2D(1)(faint), conv(dead, 4)])
    return head(conv(kl.Add()([conv(x, 6), conv(x, 6)]), 6))


@pytest.mark.parametrize("bias", [0.0, -100.0])
@pytest.mark.parametrize("scale", [1e-12, 1e-5])
def test_dead_and_faint_branches(bias: float, scale: float):
    """An output that is zero whatever comes in has no range, but the kernels limit how fine its step may be."""
    model = network(dead_branch)
    for name, factor, shift in (("dead", float(bias < 0), bias), ("faint", scale, 0.0)):
        layer = model.get_layer(name)
        layer.kernel.assign(layer.kernel * factor)
        layer.bias.assign(layer.bias * 0 + shift)
    check_exact(settle(quantize(model, options())))


def dead_sum(x):
    """A ReLU behind an addition of which nothing is left, beside the living."""
    x = conv(x, 6)
    below = [conv(x, 6, norm=False, relu=False, name=name) for name in ("low", "lower")]
    gone = kl.ReLU()(kl.Add()(below))
    return head(conv(kl.Concatenate()([conv(x, 6), conv(gone, 3)]), 6))


def test_a_dead_sum():
    model = network(dead_sum)
    for name in ("low", "lower"):
        model.get_layer(name).bias.assign([-50.0] * 6)
    check_exact(settle(quantize(model, options())))


def test_a_dead_tensor_of_tiny_weights():
    """Its step is so small that sums far below zero would overflow XNNPACK's integers on x86, and come out as the top code."""

    def body(x):
        x = conv(x, 6)
        gone = conv(x, 6, norm=False, name="dead")
        return head(conv(kl.Concatenate()([x, conv(gone, 3)]), 6))

    model = network(body)
    layer = model.get_layer("dead")
    layer.kernel.assign(layer.kernel * 1e-5)
    layer.bias.assign([-30.0] * 6)
    fields = {"weight_bits": 8, "activation_bits": 8, "activation_range": "unsigned"}
    check_exact(settle(quantize(model, options(**fields))))


def unlike_branches(x):
    """A concatenation of branches with ranges of their own: one feeds others too, one is a ReLU6 beside larger values."""
    x = conv(x, 6)
    large, capped = conv(x, 6, name="large"), conv(x, 6, cap=6.0, name="capped")
    return head(conv(kl.Concatenate()([kl.MaxPooling2D(2, 1, "same")(x), large, capped, conv(x, 3)]), 8))


@pytest.mark.parametrize("fields", [{}, UNSIGNED | SAME, {"batch_norm": "fold", "activation_bits": 8}], ids=name_of)
@pytest.mark.parametrize("factor", [1.7, 3.1, 11.0])
def test_branches_of_very_different_ranges(fields: dict, factor: float):
    model = network(unlike_branches)
    norms = [layer for layer in model.layers if isinstance(layer, kl.BatchNormalization)]
    for layer in norms[1:3]:
        layer.gamma.assign([factor] * 6)
        layer.beta.assign(np.linspace(0, 2 * factor, 6))
    check_exact(settle(quantize(model, options(**fields))))


def test_biases_far_larger_than_the_weights():
    """The int32 bias has no room at the weights' own scale: the channel's scale grows until it fits."""
    model = network(lambda x: kl.Dense(CLASSES)(kl.Flatten()(conv(conv(x, 4, norm=False, name="tiny"), 4, strides=4))))
    layer = model.get_layer("tiny")
    layer.kernel.assign(layer.kernel * 1e-9)
    layer.bias.assign([3.0, -2.0, 1.0, 0.5])
    model = settle(quantize(model, options(weight_bits=8)))
    integer_model = lower(model).integer_model
    batch = images(8)
    content = write_tflite(integer_model, False, False, "test")
    assert not any(layer_mismatches(integer_model, content, batch).values())
    weights = next(op.weights for op in integer_model.operations if op.name == "tiny")
    assert 2**29 < np.abs(weights.bias.astype(np.int64)).max() < 1.01 * 2**30


def test_the_plan_is_made_once_for_a_model(monkeypatch):
    model = quantized(padded_stride)
    first = lower(model).integer_model
    monkeypatch.setattr("pipeline.quantization.model_access.plan", None)
    second = lower(model).integer_model
    assert [op.name for op in first.operations] == [op.name for op in second.operations]


def test_device_arithmetic_leaves_no_trace():
    model = quantized(residual)
    before = [variable.numpy() for variable in model.variables]
    with pytest.raises(KeyError), device_arithmetic(model):
        assert any(np.any(a != b.numpy()) for a, b in zip(before, model.variables, strict=True))
        raise KeyError
    for value, variable in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(value, variable.numpy())


def test_a_device_network_takes_over_new_numbers():
    model = quantized(NETWORKS["inception"])
    device = DeviceNetwork(lower(model).integer_model)
    shift = np.random.default_rng(0)
    for variable in model.trainable_variables:
        variable.assign(variable + shift.normal(0, 0.05, variable.shape))
    settle(model)
    changed = lower(model).integer_model
    device.update(changed)
    batch = images(20)
    np.testing.assert_array_equal(device.forward(batch).numpy(), changed.predict(batch))
