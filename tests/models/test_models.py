import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from pipeline.errors import UserError
from pipeline.models.layers import PadChannels, SeededDropout, dropout_layers, name_seed
from pipeline.models.resnet import resnet

BATCH_NORM_EPSILON = 1e-3


def random_images(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).random(shape).astype(np.float32)


def randomise_batch_norms(model: tf_keras.Model) -> None:
    rng = np.random.default_rng(1)
    for layer in model.layers:
        if isinstance(layer, tf_keras.layers.BatchNormalization):
            mean = rng.normal(size=layer.moving_mean.shape)
            layer.set_weights([1 + 0.3 * mean, mean[::-1], mean, rng.uniform(0.5, 2, mean.shape)])


# --- SeededDropout


def dropped(layer: SeededDropout, step: int, size: int = 1000) -> np.ndarray:
    layer.step.assign(step)
    return layer(tf.ones((size,)), training=True).numpy()


def test_dropout_repeats_for_the_same_seed_name_and_step_only():
    first = dropped(SeededDropout(0.4, seed=3, name="a"), step=7)
    assert np.array_equal(first, dropped(SeededDropout(0.4, seed=3, name="a"), step=7))
    for other in (
        dropped(SeededDropout(0.4, seed=4, name="a"), step=7),
        dropped(SeededDropout(0.4, seed=3, name="b"), step=7),
        dropped(SeededDropout(0.4, seed=3, name="a"), step=8),
    ):
        # two independent masks agree on 0.4^2 + 0.6^2 = 52 % of the positions
        assert 0.4 < (first == other).mean() < 0.64


def test_dropout_is_inverted_and_keeps_the_mean():
    y = dropped(SeededDropout(0.25, seed=1, name="d"), step=0, size=200_000)
    assert set(np.unique(y)) == {np.float32(0), np.float32(1 / 0.75)}
    assert y.mean() == pytest.approx(1, abs=0.01)


def test_masks_of_successive_steps_are_independent_for_each_unit():
    layer = SeededDropout(0.5, seed=1, name="d")
    kept = np.stack([dropped(layer, step, size=4) for step in range(1000)]) > 0
    correlation = np.corrcoef(np.concatenate([kept[:-1], kept[1:]], axis=1).T)
    assert np.abs(correlation - np.eye(8)).max() < 0.15


@pytest.mark.parametrize("training", [None, False, tf.constant(False)])
def test_dropout_is_the_identity_outside_training(training):
    x = random_images(3, 5)
    assert np.array_equal(SeededDropout(0.5, seed=1)(x, training=training), x)


def test_dropout_can_be_switched_off_in_training():
    layer, x = SeededDropout(0.5, seed=1), tf.ones((100,))
    layer.enabled = False
    assert np.array_equal(layer(x, training=True), x)
    layer.enabled = True
    assert not np.array_equal(layer(x, training=True), x)


def test_dropout_follows_a_tensor_valued_training_flag():
    layer = SeededDropout(0.5, seed=1, name="d")
    assert np.array_equal(layer(tf.ones((100,)), training=tf.constant(True)), dropped(layer, step=0, size=100))


def test_a_traced_graph_follows_the_step():
    layer, traces = SeededDropout(0.5, seed=1, name="d"), []

    @tf.function
    def call(x):
        traces.append(x)
        y = layer(x, training=True)
        layer.step.assign_add(1)
        return y

    outputs = [call(tf.ones((100,))).numpy() for _ in range(3)]
    eager = SeededDropout(0.5, seed=1, name="d")
    assert all(np.array_equal(output, dropped(eager, step, size=100)) for step, output in enumerate(outputs))
    assert len(traces) == 1


def test_the_gradient_of_dropout_is_its_mask():
    layer, x = SeededDropout(0.5, seed=1), tf.ones((50,))
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x, training=True)
    assert np.array_equal(tape.gradient(y, x), y)


def test_name_seed_is_the_same_in_every_process():
    assert name_seed(1, "conv0") == 381400941
    assert 0 <= name_seed(2**40, "x") < 2**31


def test_dropout_layers_are_found_inside_wrappers_and_nested_models():
    inner = tf_keras.Sequential([tf_keras.Input((4, 3)), SeededDropout(0.1, seed=1, name="b")])
    image = tf_keras.Input((4, 3))
    wrapped = tf_keras.layers.TimeDistributed(SeededDropout(0.1, seed=1, name="a"))(image)
    model = tf_keras.Model(image, inner(wrapped))
    assert [layer.name for layer in dropout_layers(model)] == ["a", "b"]


# --- PadChannels


def test_pad_channels_pads_as_numpy_does():
    x = random_images(2, 3, 4, 5)
    layer = PadChannels(2, 3)
    assert np.array_equal(layer(x), np.pad(x, [(0, 0), (0, 0), (0, 0), (2, 3)]))
    assert layer.compute_output_shape((None, 3, 4, 5)) == (None, 3, 4, 10)


# --- Saving


def test_layers_survive_their_configuration():
    dropout = SeededDropout.from_config(SeededDropout(0.3, seed=5, name="d").get_config())
    assert (dropout.rate, dropout.seed, dropout.name) == (0.3, 5, "d")
    pad = PadChannels.from_config(PadChannels(1, 2, name="p").get_config())
    assert (pad.before, pad.after, pad.name) == (1, 2, "p")


@pytest.mark.parametrize("file", ["model.keras", "saved_model"])
def test_a_saved_network_computes_the_same(tmp_path, file):
    model = resnet((8, 8, 1), 3, depth=8, width=2, dropout_rate=0.5, dropout_position="stages")
    model.save(tmp_path / file)
    loaded = tf_keras.models.load_model(tmp_path / file)
    x = random_images(4, 8, 8, 1)
    assert np.array_equal(loaded(x), model(x))
    assert np.array_equal(loaded(x, training=True), model(x, training=True))


def test_weight_files_fit_with_and_without_dropout(tmp_path):
    plain = resnet((8, 8, 1), 3, depth=8, width=2, seed=1)
    dropout = resnet((8, 8, 1), 3, depth=8, width=2, seed=2, dropout_rate=0.5, dropout_position="blocks")
    dropout_layers(dropout)[0].step.assign(9)
    dropout.save_weights(tmp_path / "w.weights.h5")
    plain.load_weights(tmp_path / "w.weights.h5")
    assert all(np.array_equal(a, b) for a, b in zip(plain.get_weights(), dropout.get_weights(), strict=True))


# --- ResNet


# Trainable parameters; He et al., table 6, round them: 0.27 M, 0.46 M, 0.66 M, 0.85 M.
@pytest.mark.parametrize(("depth", "parameters"), [(20, 269_722), (32, 464_154), (44, 658_586), (56, 853_018)])
def test_parameter_counts_are_those_of_he_et_al(depth, parameters):
    model = resnet((32, 32, 3), 10, depth=depth)
    assert sum(int(np.prod(weight.shape)) for weight in model.trainable_weights) == parameters


def test_depth_counts_the_layers_with_weights_on_the_main_path():
    model = resnet((28, 28, 1), 10, depth=20)
    assert sum(isinstance(layer, tf_keras.layers.Conv2D | tf_keras.layers.Dense) for layer in model.layers) == 20
    assert model.output_shape == (None, 10)


def block_names(block: str, shortcut: list[str]) -> set[str]:
    return {f"{block}_{part}" for part in ["conv1", "bn1", "relu1", "conv2", "bn2", "add", "relu2", *shortcut]}


@pytest.mark.parametrize(
    ("shortcut", "layers"), [("identity", ["subsample", "pad"]), ("projection", ["shortcut_conv", "shortcut_bn"])]
)
def test_layer_names(shortcut, layers):
    model = resnet((8, 8, 1), 3, depth=14, width=2, shortcut=shortcut)
    expected = {"image", "conv0", "bn0", "relu0", "pool", "logits"}
    for block, parts in {"s1b1": [], "s1b2": [], "s2b1": layers, "s2b2": [], "s3b1": layers, "s3b2": []}.items():
        expected |= block_names(block, parts)
    assert {layer.name for layer in model.layers} == expected


def test_initial_weights_depend_on_seed_and_layer_name_only():
    plain = resnet((8, 8, 1), 3, depth=8, width=4, seed=1)
    tf.random.set_seed(5)
    other = resnet((16, 16, 1), 3, depth=14, width=4, seed=1, dropout_rate=0.5, dropout_position="blocks")
    for layer in plain.layers:
        for left, right in zip(layer.get_weights(), other.get_layer(layer.name).get_weights(), strict=True):
            assert np.array_equal(left, right)
    reseeded = resnet((8, 8, 1), 3, depth=8, width=4, seed=2)
    assert not np.array_equal(plain.get_layer("conv0").kernel, reseeded.get_layer("conv0").kernel)
    assert not np.array_equal(plain.get_layer("s1b1_conv1").kernel, plain.get_layer("s1b1_conv2").kernel)


def test_initial_kernels_have_the_spread_of_he_et_al():
    model = resnet((8, 8, 1), 10, depth=8, width=32)
    for name in ("s1b1_conv2", "s3b1_conv2"):
        kernel = model.get_layer(name).kernel.numpy()
        assert kernel.std() == pytest.approx(np.sqrt(2 / np.prod(kernel.shape[:3])), rel=0.05)


def test_batch_norm_momentum_reaches_every_batch_norm():
    model = resnet((8, 8, 1), 3, depth=8, width=2, shortcut="projection", batch_norm_momentum=0.7)
    norms = [layer for layer in model.layers if isinstance(layer, tf_keras.layers.BatchNormalization)]
    assert len(norms) == 9
    assert all(layer.momentum == 0.7 for layer in norms)


@pytest.mark.parametrize(("position", "behind"), [
    ("head", {"dropout": "pool"}),
    ("blocks", {f"dropout_s{s}b1": f"s{s}b1_relu1" for s in (1, 2, 3)}),
    ("stages", {f"dropout_s{s}": f"s{s}b1_relu2" for s in (1, 2, 3)}),
])  # fmt: skip
def test_dropout_positions(position, behind):
    model = resnet((8, 8, 1), 3, depth=8, width=2, seed=6, dropout_rate=0.2, dropout_position=position)
    layers = dropout_layers(model)
    assert {layer.name for layer in layers} == set(behind)
    for layer in layers:
        assert layer.input is model.get_layer(behind[layer.name]).output
        assert (layer.rate, layer.seed) == (0.2, 6)


@pytest.mark.parametrize("depth", [2, 7, 18, 21])
def test_a_depth_that_is_not_6n_plus_2_is_refused(depth):
    with pytest.raises(UserError, match=f"6n \\+ 2, .* not {depth}"):
        resnet((8, 8, 1), 3, depth=depth)


@pytest.mark.parametrize("size", [(3, 8), (8, 3)])
def test_images_too_small_are_refused(size):
    with pytest.raises(UserError, match=f"{size[0]} x {size[1]} pixels are too small"):
        resnet((*size, 1), 3, depth=8)


# --- ResNet against NumPy


def numpy_conv(x: np.ndarray, kernel: np.ndarray, stride: int) -> np.ndarray:
    """x (B, H, W, C), kernel (k, k, C, D), zero padding of `same` (smaller half first)."""
    size, out = kernel.shape[0], -(-x.shape[1] // stride)
    missing = max((out - 1) * stride + size - x.shape[1], 0)
    x = np.pad(x, [(0, 0), (missing // 2, missing - missing // 2), (missing // 2, missing - missing // 2), (0, 0)])
    y = np.zeros((len(x), out, out, kernel.shape[3]))
    for row in range(out):
        for column in range(out):
            patch = x[:, row * stride : row * stride + size, column * stride : column * stride + size]
            y[:, row, column] = np.tensordot(patch, kernel, 3)
    return y


def numpy_norm(x: np.ndarray, layer: tf_keras.layers.BatchNormalization) -> np.ndarray:
    gamma, beta, mean, variance = layer.get_weights()
    return gamma * (x - mean) / np.sqrt(variance + BATCH_NORM_EPSILON) + beta


def numpy_conv_norm(model: tf_keras.Model, x: np.ndarray, conv: str, norm: str, stride: int = 1) -> np.ndarray:
    return numpy_norm(numpy_conv(x, model.get_layer(conv).kernel.numpy(), stride), model.get_layer(norm))


def numpy_shortcut(model: tf_keras.Model, x: np.ndarray, block: str, shortcut: str) -> np.ndarray:
    if shortcut == "projection":
        return numpy_conv_norm(model, x, f"{block}_shortcut_conv", f"{block}_shortcut_bn", stride=2)
    channels = x.shape[3]
    y = np.zeros((len(x), x.shape[1] // 2, x.shape[2] // 2, 2 * channels))
    y[..., channels // 2 : channels // 2 + channels] = x[:, ::2, ::2]
    return y


def numpy_resnet8(model: tf_keras.Model, x: np.ndarray, shortcut: str) -> np.ndarray:
    x = np.maximum(numpy_conv_norm(model, x, "conv0", "bn0"), 0)
    for block, stride in (("s1b1", 1), ("s2b1", 2), ("s3b1", 2)):
        y = np.maximum(numpy_conv_norm(model, x, f"{block}_conv1", f"{block}_bn1", stride), 0)
        y = numpy_conv_norm(model, y, f"{block}_conv2", f"{block}_bn2")
        x = np.maximum(y + (x if stride == 1 else numpy_shortcut(model, x, block, shortcut)), 0)
    kernel, bias = model.get_layer("logits").get_weights()
    return x.mean(axis=(1, 2)) @ kernel + bias


@pytest.mark.parametrize("shortcut", ["identity", "projection"])
@pytest.mark.parametrize("width", [2, 3])
def test_the_network_computes_what_a_numpy_loop_computes(shortcut, width):
    model = resnet((8, 8, 3), 5, depth=8, width=width, shortcut=shortcut)
    randomise_batch_norms(model)
    x = random_images(2, 8, 8, 3)
    np.testing.assert_allclose(model(x), numpy_resnet8(model, x, shortcut), rtol=1e-4, atol=1e-4)
