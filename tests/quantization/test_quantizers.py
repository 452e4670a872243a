"""The quantizers against plain loops: the paper's scales, the moving average, the identity gradient."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from pipeline.quantization.grid import Grid, weight_top_code
from pipeline.quantization.model_access import quantize_scope
from pipeline.quantization.quantizers import (
    RANGE_NAME,
    ActivationQuantizer,
    CopyQuantizer,
    InputQuantizer,
    KernelQuantizer,
    PoolQuantizer,
)

BITS = range(2, 9)


class Host(tf_keras.layers.Layer):
    """A layer that holds one quantizer's variables."""

    def __init__(self, quantizer):
        super().__init__()
        self.quantizer = quantizer
        self.state = quantizer.build((), "output", self)

    def run(self, x, training: bool) -> np.ndarray:
        return self.quantizer(tf.constant(x, tf.float32), training, self.state).numpy()

    @property
    def range(self) -> float:
        return float(self.state[RANGE_NAME].numpy())


def rounded_channel(values: np.ndarray, bits: int) -> np.ndarray:
    """One channel's weights by the paper's formula, number by number."""
    top = 2 ** (bits - 1) - 1
    scale = np.float32(max(abs(float(value)) for value in values.ravel())) / np.float32(top)
    result = [0.0 if scale == 0 else round(float(np.float32(value) / scale)) * float(scale) for value in values.ravel()]
    return np.array(result, np.float32).reshape(values.shape)


def kernel(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.3, shape).astype(np.float32)


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("shape", [(3, 3, 4, 6), (1, 1, 5, 2), (7, 3)])
def test_a_kernel_is_rounded_channel_by_channel(bits: int, shape: tuple):
    weights = kernel(*shape)
    got = KernelQuantizer(bits)(tf.constant(weights), True, {}).numpy()
    for channel in range(shape[-1]):
        expected = rounded_channel(weights[..., channel], bits)
        np.testing.assert_allclose(got[..., channel], expected, rtol=1e-6)
        codes = np.rint(expected / (np.abs(expected).max() / weight_top_code(bits)))
        assert np.abs(codes).max() == 2 ** (bits - 1) - 1


def test_the_codes_of_four_bits_are_minus_seven_to_seven():
    weights = np.linspace(-1, 1, 301, dtype=np.float32).reshape(-1, 1)
    got = KernelQuantizer(4)(tf.constant(weights), False, {}).numpy()
    assert sorted({round(float(value) * 7) for value in got.ravel()}) == list(range(-7, 8))


def test_a_depthwise_kernel_has_a_scale_for_every_output():
    weights = kernel(3, 3, 4, 2) * np.array([1, 10], np.float32)
    got = KernelQuantizer(4, depthwise=True)(tf.constant(weights), True, {}).numpy()
    for channel in range(4):
        for multiple in range(2):
            expected = rounded_channel(weights[:, :, channel, multiple], 4)
            np.testing.assert_allclose(got[:, :, channel, multiple], expected, rtol=1e-6)


def test_one_scale_for_the_whole_kernel_on_request():
    weights = kernel(8, 5)
    got = KernelQuantizer(4, per_channel=False)(tf.constant(weights), True, {}).numpy()
    np.testing.assert_allclose(got, rounded_channel(weights, 4), rtol=1e-6)


def test_a_channel_of_zeros_stays_zero():
    weights = kernel(3, 3, 2, 4)
    weights[..., 1] = 0
    got = KernelQuantizer(4)(tf.constant(weights), True, {}).numpy()
    assert np.all(got[..., 1] == 0) and np.isfinite(got).all() and np.abs(got[..., 0]).max() > 0


@pytest.mark.parametrize("training", [True, False])
def test_a_kernel_is_rounded_alike_in_training_and_inference(training: bool):
    weights = tf.constant(kernel(3, 3, 2, 4))
    same = KernelQuantizer(4)(weights, True, {}).numpy()
    np.testing.assert_array_equal(KernelQuantizer(4)(weights, training, {}).numpy(), same)


def rounded_activation(x: np.ndarray, limit: float, bits: int, signed: bool, unsigned_range: bool) -> np.ndarray:
    """Activations by the paper's formula, number by number, saturating at the grid's ends."""
    top = 2**bits - 1 if unsigned_range and not signed else 2 ** (bits - 1) - 1
    low = 0 if not signed else (-128 if bits == 8 else -top)
    scale = limit / top
    codes = [min(max(np.floor(float(value) / scale + 0.5), low), top) for value in x.ravel()]
    return np.array(codes).reshape(x.shape) * scale


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize(("signed", "unsigned_range"), [(True, False), (False, False), (False, True)])
def test_activations_use_the_scale_of_their_batch_in_training(bits: int, signed: bool, unsigned_range: bool):
    x = np.random.default_rng(bits).normal(0, 2, (4, 5, 5, 3)).astype(np.float32)
    x = x if signed else np.maximum(x, 0)
    host = Host(ActivationQuantizer(bits, signed, unsigned_range))
    largest = float(np.abs(x).max())
    expected = rounded_activation(x, largest, bits, signed, unsigned_range)
    np.testing.assert_allclose(host.run(x, True), expected, atol=1e-5)
    assert host.range == pytest.approx(largest)


@pytest.mark.parametrize(("signed", "unsigned_range"), [(True, False), (False, False), (False, True)])
def test_inference_uses_the_moving_average_and_saturates(signed: bool, unsigned_range: bool):
    host, average = Host(ActivationQuantizer(4, signed, unsigned_range, ema_momentum=0.9)), None
    for step in range(5):
        x = np.random.default_rng(step).uniform(-3 * signed, 3, (50,)).astype(np.float32) * (step + 1)
        host.run(x, True)
        largest = float(np.abs(x).max())
        average = largest if average is None else 0.9 * average + 0.1 * largest
        assert host.range == pytest.approx(average, rel=1e-5)
    x = np.linspace(-40 * signed, 40, 333).astype(np.float32)
    expected = rounded_activation(x, host.range, 4, signed, unsigned_range)
    np.testing.assert_allclose(host.run(x, False), expected, atol=1e-5)
    assert host.run(x, False).max() == pytest.approx(host.range)
    assert host.range == pytest.approx(average, rel=1e-5), "inference must not move the average"


def test_a_batch_of_zeros_gives_zeros_and_no_nan():
    host = Host(ActivationQuantizer(4, False))
    np.testing.assert_array_equal(host.run(np.zeros(6), True), np.zeros(6))
    np.testing.assert_array_equal(host.run(np.zeros(6), False), np.zeros(6))
    assert host.range > 0


def test_observing_only_leaves_training_alone_and_still_rounds_on_the_device():
    host = Host(ActivationQuantizer(4, True, in_training=False))
    x = kernel(40)
    np.testing.assert_array_equal(host.run(x, True), x)
    assert host.range == pytest.approx(np.abs(x).max())
    assert len(set(host.run(x, False).tolist())) <= 15


@pytest.mark.parametrize("training", [True, False])
def test_a_quantizer_that_is_off_is_the_identity(training: bool):
    x = kernel(6, 4)
    activation, weights = Host(ActivationQuantizer(4, True)), KernelQuantizer(4)
    activation.quantizer.enabled = weights.enabled = False
    np.testing.assert_array_equal(activation.run(x, training), x)
    np.testing.assert_array_equal(weights(tf.constant(x), training, {}).numpy(), x)
    assert (activation.range > 0) == training, "the range is observed in float training"


@pytest.mark.parametrize("quantizer", [
    KernelQuantizer(2), KernelQuantizer(4, per_channel=False), ActivationQuantizer(2, True),
    ActivationQuantizer(4, False), ActivationQuantizer(4, False, True), CopyQuantizer(4, True),
    ActivationQuantizer(8, True, in_training=False), InputQuantizer(-5, 100),
])  # fmt: skip
def test_the_gradient_is_the_identity_everywhere(quantizer):
    x = tf.Variable(np.append(kernel(30).ravel(), [0, 5, -5, 100]).astype(np.float32).reshape(-1, 1))
    host, upstream = Host(quantizer), kernel(34, 1, seed=1)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(quantizer(x, True, host.state) * upstream)
    np.testing.assert_array_equal(tape.gradient(loss, x), upstream)


def test_pixels_are_on_their_grid_already():
    x = np.arange(256, dtype=np.float32) / 255
    np.testing.assert_allclose(Host(InputQuantizer()).run(x, False), x, atol=1e-7)


@pytest.mark.parametrize("factor", [1, 14, 64, 127, 128, 200])
@pytest.mark.parametrize("signed", [True, False])
def test_a_coarser_copy_rounds_halves_up_as_quantize_does(factor: int, signed: bool):
    """codes * factor / 256 with factor over 256 the ratio of the scales, as XNNPACK's QUANTIZE keeps it."""
    step = np.float32(0.0371)
    codes = np.arange(-127 * signed, 128)
    host = Host(CopyQuantizer(4, signed))
    host.state[RANGE_NAME].assign(step * np.float32(256 / factor) * 7)
    got = np.rint(host.run(codes.astype(np.float32) * step, False) / (step * np.float32(256 / factor)))
    np.testing.assert_array_equal(got, np.clip((codes * factor + 128) >> 8, -7 * signed, 7))


@pytest.mark.parametrize(("signed", "unsigned_range"), [(True, False), (False, False), (False, True)])
@pytest.mark.parametrize("count", [2, 4, 6, 9])
def test_a_padded_average_rounds_as_average_pool_does(signed: bool, unsigned_range: bool, count: int):
    """Codes with their zero point summed, integer division, half away from zero."""
    grid, rng = Grid.of(8, signed, unsigned_range), np.random.default_rng(count)
    codes = rng.integers(max(grid.low, -127), grid.top + 1, (500, count))
    step = np.float32(0.0211)
    sums = (codes + grid.zero_point).sum(axis=1)
    expected = np.sign(sums) * ((np.abs(sums) + count // 2) // count) - grid.zero_point
    host = Host(PoolQuantizer(8, signed, unsigned_range))
    host.state[RANGE_NAME].assign(step * grid.top)
    got = host.run((codes.astype(np.float32) * step).mean(axis=1), False)
    np.testing.assert_array_equal(np.rint(got / step), expected)


@pytest.mark.parametrize("quantizer", [
    KernelQuantizer(3, per_channel=False, depthwise=True), ActivationQuantizer(5, False, True, False, 0.7),
    CopyQuantizer(4, True), PoolQuantizer(8, True), InputQuantizer(-1.5, 2.0, "picture"),
])  # fmt: skip
def test_quantizers_can_be_written_down_and_read_again(quantizer):
    with quantize_scope():
        again = tf_keras.utils.deserialize_keras_object(tf_keras.utils.serialize_keras_object(quantizer))
    assert type(again) is type(quantizer)
    assert again.get_config() == quantizer.get_config()
