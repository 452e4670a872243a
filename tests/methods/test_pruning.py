import gc
from collections import Counter
from functools import partial

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from hypothesis import given, settings
from hypothesis import strategies as st
from tf_keras import layers as kl

from pipeline.errors import UserError
from pipeline.methods import pruning
from pipeline.methods.pruning import Pruning, component_norms, masks, survivors
from pipeline.methods.quantization import Quantization
from pipeline.models.channels import channel_groups, float_variables, shrink
from pipeline.models.layers import PadChannels
from pipeline.models.resnet import resnet

EPOCHS = 8


def plain_conv_net() -> tf_keras.Model:
    """Convolutions with biases, a fused relu, no batch norm at first; Flatten into a hidden Dense with batch norm."""
    x = image = tf_keras.Input((8, 8, 2))
    x = kl.Conv2D(7, 3, activation="relu", name="a")(x)
    x = kl.MaxPooling2D(2, name="max")(x)
    x = kl.ZeroPadding2D(1, name="zeros")(x)
    x = kl.ReLU(name="relu_b")(kl.BatchNormalization(name="bn_b")(kl.Conv2D(9, 3, name="b")(x)))
    x = kl.Flatten(name="flat")(kl.AveragePooling2D(2, name="average")(x))
    x = kl.BatchNormalization(name="bn_hidden")(kl.Dense(11, name="hidden")(x))
    x = kl.ReLU(max_value=6.0, name="relu_hidden")(x)
    return tf_keras.Model(image, kl.Dense(4, name="logits")(kl.Dropout(0.1, name="drop")(x)))


def inverted_residual_net() -> tf_keras.Model:
    """MobileNetV2's block (Sandler et al. 2018): expand, depthwise, linear projection, add; a depth multiplier of 2."""
    x = image = tf_keras.Input((8, 8, 3))
    x = stream = kl.BatchNormalization(name="bn_stem")(kl.Conv2D(6, 3, 2, "same", use_bias=False, name="stem")(x))
    x = kl.ReLU(6.0, name="relu_expand")(kl.BatchNormalization(name="bn_expand")(kl.Conv2D(12, 1, name="expand")(x)))
    x = kl.DepthwiseConv2D(3, padding="same", depth_multiplier=2, name="depthwise")(x)
    x = kl.ReLU(6.0, name="relu_depthwise")(kl.BatchNormalization(name="bn_depthwise")(x))
    x = kl.BatchNormalization(name="bn_project")(kl.Conv2D(6, 1, use_bias=False, name="project")(x))
    x = kl.Add(name="add")([stream, x])
    return tf_keras.Model(image, kl.Dense(4, name="logits")(kl.GlobalAveragePooling2D(name="pool")(x)))


def concatenated_net() -> tf_keras.Model:
    """Branches joined by Concatenate, batch norm over the joint, the joint added to a convolution."""
    x = image = tf_keras.Input((6, 6, 3))
    left = kl.BatchNormalization(name="bn_left")(kl.Conv2D(8, 3, padding="same", name="left")(x))
    left = kl.ReLU(name="relu_left")(left)
    right = kl.Conv2D(12, 1, activation="relu", name="right")(x)
    x = kl.BatchNormalization(name="bn_joint")(kl.Concatenate(name="joint")([left, right]))
    x = kl.Add(name="add")([x, kl.Conv2D(20, 1, name="side")(image)])
    x = kl.Concatenate(name="with_image")([kl.ReLU(name="relu")(x), image])
    x = kl.Conv2D(10, 3, name="last_conv")(x)
    return tf_keras.Model(image, kl.Dense(4, name="logits")(kl.GlobalMaxPooling2D(name="pool")(x)))


NETWORKS = {
    "identity": partial(resnet, (8, 8, 1), 4, depth=8, width=8, dropout_rate=0.3, dropout_position="blocks"),
    "projection": partial(resnet, (8, 8, 1), 4, depth=8, width=8, shortcut="projection"),
    "odd width": partial(resnet, (8, 8, 1), 4, depth=8, width=5),
    "plain": plain_conv_net,
    "inverted residual": inverted_residual_net,
    "concatenate": concatenated_net,
}


def randomised(model: tf_keras.Model) -> tf_keras.Model:
    """`model` with every weight random, batch norm statistics too, as after a training."""
    rng = np.random.default_rng(3)
    for layer in model.layers:
        arrays = [rng.normal(size=weight.shape) * np.sqrt(2 / np.prod(weight.shape[:-1])) for weight in layer.weights]
        if isinstance(layer, kl.BatchNormalization):
            channels = layer.gamma.shape
            gamma, variance = rng.uniform(0.5, 1.5, channels), rng.uniform(0.5, 2, channels)
            arrays = [gamma, rng.normal(size=channels), rng.normal(size=channels), variance]
        layer.set_weights(arrays)
    return model


def pruned(model: tf_keras.Model, ratio: float) -> tf_keras.Model:
    Pruning(ratio=ratio).before_epoch(model, epoch=EPOCHS - 1, epochs=EPOCHS)
    return model


def images(model: tf_keras.Model, count: int = 5) -> np.ndarray:
    return np.random.default_rng(0).random((count, *model.input_shape[1:])).astype(np.float32)


# --- Schedule


def test_the_ratio_grows_cubically_from_begin_to_end():
    method = Pruning(ratio=0.8, begin=0.2, end=0.6)
    ratios = [method.ratio_at(epoch, 10) for epoch in range(10)]
    expected = [0.0] * 3 + [0.8 - 0.8 * (1 - t / 4) ** 3 for t in (1, 2, 3)] + [0.8] * 4
    np.testing.assert_allclose(ratios, expected)


@given(st.floats(0, 0.99), st.floats(0, 0.99), st.floats(0.001, 1), st.integers(1, 60))
def test_the_schedule_never_falls_and_ends_at_the_ratio(ratio, begin, length, epochs):
    method = Pruning(ratio=ratio, begin=begin, end=min(begin + length, 1.0))
    ratios = [method.ratio_at(epoch, epochs) for epoch in range(epochs)]
    assert ratios == sorted(ratios)
    assert ratios[-1] == ratio
    assert ratios[0] in (0.0, ratio)


# --- Groups


def test_option_a_streams_are_one_component_wherever_their_channel_moves():
    model = resnet((8, 8, 1), 4, depth=14, width=4)
    outputs = channel_groups(model).outputs
    for channel in range(4):
        streams = [outputs["conv0"][channel], outputs["s1b2_conv2"][channel]]
        streams += [outputs["s2b1_conv2"][channel + 2], outputs["s2b2_relu2"][channel + 2]]
        streams += [outputs["s3b1_pad"][channel + 6], outputs["s3b2_conv2"][channel + 6], outputs["pool"][channel + 6]]
        assert len(set(streams)) == 1
    assert len({*outputs["conv0"], *outputs["s2b1_conv2"], *outputs["s3b1_conv2"]}) == 16


def test_groups_of_option_a():
    model = resnet((8, 8, 1), 4, depth=8, width=4)
    groups = channel_groups(model)
    makers = [
        sorted(layer for layer, found in groups.outputs.items() if "conv" in layer and members[0] in found)
        for members in groups.groups
    ]
    sizes = {tuple(names): len(members) for names, members in zip(makers, groups.groups, strict=True)}
    assert sizes == {
        ("conv0", "s1b1_conv2", "s2b1_conv2", "s3b1_conv2"): 4, ("s2b1_conv2", "s3b1_conv2"): 4, ("s3b1_conv2",): 8,
        ("s1b1_conv1",): 4, ("s2b1_conv1",): 8, ("s3b1_conv1",): 16,
    }  # fmt: skip


def test_inputs_and_logits_are_in_no_group():
    model = concatenated_net()
    groups = channel_groups(model)
    competing = np.concatenate(groups.groups)
    assert not np.isin(groups.outputs["logits"], competing).any()
    assert not np.isin(groups.inputs["left"], competing).any()
    assert not np.isin(groups.inputs["last_conv"][-3:], competing).any()
    assert np.isin(groups.inputs["last_conv"][:-3], competing).all()


def test_a_convolution_added_to_the_image_stays():
    image = tf_keras.Input((6, 6, 3))
    x = kl.Add(name="add")([image, kl.Conv2D(3, 3, padding="same", name="kept")(image)])
    x = kl.GlobalAveragePooling2D()(kl.Conv2D(8, 3, name="pruned")(x))
    groups = channel_groups(tf_keras.Model(image, kl.Dense(2)(x)))
    assert [len(members) for members in groups.groups] == [8]


# --- Norms and ranking against loops


def loop_norms(model: tf_keras.Model, members: list[list[tuple[str, int]]]) -> list[float]:
    """The mean L1 norm of the filters (layer, output channel) of every component."""
    norms = []
    for component in members:
        total = 0.0
        for layer, channel in component:
            for value in model.get_layer(layer).kernel.numpy()[..., channel].ravel():
                total += abs(float(value))
        norms.append(total / len(component))
    return norms


def test_norms_are_those_of_a_loop():
    model = randomised(resnet((8, 8, 1), 4, depth=8, width=4))
    groups = channel_groups(model)
    norms = component_norms(float_variables(model), groups)
    streams = [[("conv0", c), ("s1b1_conv2", c), ("s2b1_conv2", c + 2), ("s3b1_conv2", c + 6)] for c in range(4)]
    np.testing.assert_allclose(norms[groups.outputs["conv0"]], loop_norms(model, streams), rtol=1e-6)
    second = [[("s2b1_conv2", c), ("s3b1_conv2", c + 4)] for c in (0, 1, 6, 7)]
    np.testing.assert_allclose(norms[groups.outputs["s2b1_conv2"][[0, 1, 6, 7]]], loop_norms(model, second), rtol=1e-6)
    inner = [[("s2b1_conv1", c)] for c in range(8)]
    np.testing.assert_allclose(norms[groups.outputs["s2b1_conv1"]], loop_norms(model, inner), rtol=1e-6)


def test_norms_of_a_depthwise_component_average_all_its_filters():
    model = randomised(inverted_residual_net())
    groups = channel_groups(model)
    expand, depthwise = model.get_layer("expand").kernel.numpy(), model.get_layer("depthwise").depthwise_kernel.numpy()
    expected = []
    for c in range(12):
        expected.append((np.abs(expand[..., c]).sum() + np.abs(depthwise[:, :, c]).sum()) / 3)
    norms = component_norms(float_variables(model), groups)
    np.testing.assert_allclose(norms[groups.outputs["expand"]], expected, rtol=1e-6)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.floats(0, 0.99), st.integers(0, 2**31))
def test_the_lowest_norms_go_and_floor_of_ratio_times_n_of_them(n, ratio, seed):
    image = tf_keras.Input((1, 1, 2))
    model = tf_keras.Model(image, kl.Dense(2)(kl.Flatten()(kl.Conv2D(n, 1, name="conv")(image))))
    kernel = np.random.default_rng(seed).normal(size=(1, 1, 2, n)).astype(np.float32)
    model.get_layer("conv").kernel.assign(kernel)
    groups = channel_groups(model)
    alive = survivors(float_variables(model), groups, ratio)[groups.outputs["conv"]]
    removed = int(ratio * n + 1e-9)
    norms = [sum(abs(float(value)) for value in kernel[0, 0, :, c]) for c in range(n)]
    assert set(np.flatnonzero(~alive)) == set(sorted(range(n), key=norms.__getitem__)[:removed])
    assert alive.any()


def test_a_share_that_floats_miss_by_a_hair_is_met():
    image = tf_keras.Input((1, 1, 1))
    model = tf_keras.Model(image, kl.Dense(2)(kl.Flatten()(kl.Conv2D(100, 1, name="conv")(image))))
    groups = channel_groups(model)
    assert survivors(float_variables(model), groups, 0.29)[groups.outputs["conv"]].sum() == 71


# --- What a mask does


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("training", [False, True])
def test_pruned_channels_are_zero_in_every_tensor(network, training):
    model = pruned(randomised(NETWORKS[network]()), 0.5)
    groups = channel_groups(model)
    dead = ~survivors(float_variables(model), groups, 0.5)
    layers = [layer for layer in model.layers if layer.name in groups.outputs]
    tensors = tf_keras.Model(model.input, [layer.output for layer in layers])(images(model), training=training)
    for layer, tensor in zip(layers, tensors, strict=True):
        channels = dead[groups.outputs[layer.name]]
        assert not np.any(tensor.numpy()[..., channels]), layer.name
        assert np.any(tensor.numpy()[..., ~channels]), layer.name
    assert dead.sum() > 0


def test_masks_of_inputs_change_nothing_but_the_kernels():
    model, filters_only = randomised(NETWORKS["identity"]()), randomised(NETWORKS["identity"]())
    variables, groups = float_variables(filters_only), channel_groups(filters_only)
    alive = survivors(variables, groups, 0.5)
    for layer, named in variables.items():
        for variable in named.values():
            variable.assign(variable * alive[groups.outputs[layer]].astype(np.float32))
    pruned(model, 0.5)
    x = images(model)
    np.testing.assert_allclose(model(x), filters_only(x), atol=1e-6)
    kernel, unmasked = (m.get_layer("s2b1_conv1").kernel.numpy() for m in (model, filters_only))
    assert np.count_nonzero(kernel) == 8 * 4 * 9 < np.count_nonzero(unmasked)


def test_masks_leave_out_moving_statistics():
    model = resnet((8, 8, 1), 4, depth=8, width=4)
    variables = {"bn0": {"gamma": model.get_layer("bn0").gamma, "moving_mean": model.get_layer("bn0").moving_mean}}
    assert set(masks(variables, channel_groups(model), 0.5)["bn0"]) == {"gamma"}


def test_pruning_more_keeps_what_is_pruned():
    model = randomised(resnet((8, 8, 1), 4, depth=8, width=8))
    zeros = [pruned(model, ratio).get_layer("s3b1_conv1").kernel.numpy() == 0 for ratio in (0.25, 0.5, 0.9)]
    assert zeros[0].any()
    assert np.all(zeros[1] >= zeros[0])
    assert np.all(zeros[2] >= zeros[1])


# --- Physical removal


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("ratio", [0.25, 0.5, 0.75, 0.9])
def test_the_smaller_network_equals_the_masked_one(network, ratio):
    model = pruned(randomised(NETWORKS[network]()), ratio)
    smaller = Pruning(ratio=ratio).export(model)
    x = images(model)
    reference = model(x).numpy()
    assert np.ptp(reference) > 0.1
    np.testing.assert_allclose(smaller(x), reference, atol=1e-5)
    assert smaller.count_params() < model.count_params()
    assert [layer.name for layer in smaller.layers] == [layer.name for layer in model.layers]
    for layer in smaller.layers:
        for array in layer.get_weights():
            assert np.any(array)


def kept(n: int, ratio: float) -> int:
    return n - int(ratio * n)


@pytest.mark.parametrize("ratio", [0.25, 0.9])
def test_the_smaller_network_has_the_expected_widths(ratio):
    smaller = shrink(pruned(randomised(resnet((8, 8, 1), 4, depth=8, width=8)), ratio))
    first = kept(8, ratio)
    widths = {
        "conv0": first, "s1b1_conv1": kept(8, ratio), "s1b1_conv2": first, "s2b1_conv1": kept(16, ratio),
        "s2b1_conv2": first + kept(8, ratio), "s3b1_conv1": kept(32, ratio),
        "s3b1_conv2": first + kept(8, ratio) + kept(16, ratio), "logits": 4,
    }  # fmt: skip
    assert {name: smaller.get_layer(name).output.shape[-1] for name in widths} == widths


def test_a_depthwise_layer_shrinks_with_the_one_before_it():
    smaller = shrink(pruned(randomised(inverted_residual_net()), 0.75))
    assert smaller.get_layer("expand").filters == 3
    assert smaller.get_layer("depthwise").depthwise_kernel.shape == (3, 3, 3, 2)
    assert smaller.get_layer("project").kernel.shape == (1, 1, 6, 2)


def test_an_unpruned_network_keeps_its_shape():
    model = randomised(concatenated_net())
    smaller, x = shrink(model), images(model)
    assert smaller is not model
    assert smaller.count_params() == model.count_params()
    assert np.array_equal(smaller(x), model(x))


def test_one_channel_of_a_dead_group_stays():
    model = randomised(plain_conv_net())
    for variable in float_variables(model)["a"].values():
        variable.assign(tf.zeros_like(variable))
    smaller, x = shrink(model), images(model)
    assert smaller.get_layer("a").filters == 1
    np.testing.assert_allclose(smaller(x), model(x), atol=1e-5)


def test_pads_of_both_sides_shrink_on_their_own():
    image = tf_keras.Input((4, 4, 1))
    x = kl.Conv2D(2, 1, name="narrow")(image)
    wide = kl.Add(name="add")([PadChannels(1, 2, name="pad")(x), kl.Conv2D(5, 1, name="wide")(image)])
    model = randomised(tf_keras.Model(image, kl.Dense(2)(kl.GlobalAveragePooling2D()(wide))))
    for variable in float_variables(model)["wide"].values():
        variable.assign(variable * [0.0, 1.0, 1.0, 1.0, 0.0])
    smaller = shrink(model)
    assert (smaller.get_layer("pad").before, smaller.get_layer("pad").after) == (0, 1)
    np.testing.assert_allclose(smaller(images(model)), model(images(model)), atol=1e-5)


# --- Training


class Trainer:
    """A training loop as the pipeline's: one traced step for all epochs."""

    def __init__(self, model: tf_keras.Model, method: Pruning):
        self.model, self.method, self.traces = model, method, 0
        self.optimizer = tf_keras.optimizers.Adam(1e-2)
        self.optimizer.build(model.trainable_variables)
        self.step = tf.function(self._step)

    def _step(self, x: tf.Tensor, labels: tf.Tensor) -> None:
        self.traces += 1
        with tf.GradientTape() as tape:
            logits = self.model(x, training=True)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
        variables = self.model.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        self.method.after_step(self.model)

    def epoch(self, epoch: int, steps: int = 3) -> None:
        assert self.method.before_epoch(self.model, epoch, EPOCHS) is False
        rng = np.random.default_rng(epoch)
        for _ in range(steps):
            x = tf.constant(rng.random((8, *self.model.input_shape[1:])), tf.float32)
            self.step(x, tf.constant(rng.integers(4, size=8)))


def zero_filters(model: tf_keras.Model) -> dict[str, list[int]]:
    kernels = {layer: named["kernel"].numpy() for layer, named in float_variables(model).items() if "kernel" in named}
    return {
        layer: np.flatnonzero(~np.any(kernel.reshape(-1, kernel.shape[-1]), axis=0)).tolist()
        for layer, kernel in kernels.items()
    }


def test_masks_hold_under_adam_and_grow_without_a_new_trace():
    trainer = Trainer(resnet((8, 8, 1), 4, depth=8, width=8), Pruning(ratio=0.75, begin=0.1, end=0.6))
    counts = []
    for epoch in range(EPOCHS):
        trainer.epoch(epoch)
        counts.append(len(zero_filters(trainer.model)["s1b1_conv1"]))
        expected = trainer.method.ratio_at(epoch, EPOCHS)
        assert counts[-1] == int(expected * 8 + 1e-9)
    assert counts[0] == 0
    assert len(set(counts)) > 3
    assert trainer.traces == 1
    x = images(trainer.model)
    smaller = trainer.method.export(trainer.model)
    np.testing.assert_allclose(smaller(x), trainer.model(x), atol=1e-5)
    assert smaller.count_params() < 0.2 * trainer.model.count_params()


def test_choosing_again_changes_nothing_and_a_resumed_model_is_pruned_alike():
    trainer = Trainer(resnet((8, 8, 1), 4, depth=8, width=8), Pruning(ratio=0.75, begin=0.0, end=0.9))
    for epoch in range(3):
        trainer.epoch(epoch)
    weights, filters = trainer.model.get_weights(), zero_filters(trainer.model)
    resumed = Trainer(resnet((8, 8, 1), 4, depth=8, width=8, seed=2), trainer.method)
    resumed.model.set_weights(weights)
    for model in (trainer.model, resumed.model):
        trainer.method.before_epoch(model, 2, EPOCHS)
        assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), weights, strict=True))
    resumed.epoch(3)
    trainer.method.before_epoch(trainer.model, 3, EPOCHS)
    assert zero_filters(resumed.model) == zero_filters(trainer.model) != filters


def test_a_step_traced_before_the_first_epoch_prunes_nothing():
    model = randomised(resnet((8, 8, 1), 4, depth=8, width=4))
    weights = model.get_weights()
    tf.function(lambda: Pruning().after_step(model))()
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), weights, strict=True))


def test_masks_are_no_weights_of_the_model_and_go_with_it():
    model = resnet((8, 8, 1), 4, depth=8, width=4)
    count, held = len(model.weights), len(pruning._STATES)
    pruned(model, 0.5)
    assert len(model.weights) == count
    assert len(pruning._STATES) == held + 1
    del model
    gc.collect()
    assert len(pruning._STATES) <= held


# --- Quantized models


@pytest.mark.parametrize("batch_norm", ["keep", "fold"])
@pytest.mark.parametrize("shortcut", ["identity", "projection"])
def test_a_quantized_model_shrinks_to_the_same_function(batch_norm, shortcut):
    network = randomised(resnet((8, 8, 1), 4, depth=8, width=8, shortcut=shortcut))
    model = Quantization(batch_norm=batch_norm).wrap(network)
    images = tf.random.stateless_uniform((16, 8, 8, 1), [1, 2])
    model(images, training=True)
    pruned(model, 0.5)
    model(images, training=True)
    smaller = Pruning(ratio=0.5).export(model)
    assert smaller.count_params() < 0.5 * model.count_params()
    np.testing.assert_allclose(smaller(images), model(images), atol=1e-5)


# --- Networks that cannot be pruned


def small_network(make_layer) -> tf_keras.Model:
    x = image = tf_keras.Input((6, 6, 4))
    x = make_layer(kl.Conv2D(4, 3, padding="same", name="conv")(x))
    return tf_keras.Model(image, kl.Dense(2, name="logits")(kl.GlobalAveragePooling2D()(x)))


def shared(x: tf.Tensor) -> tf.Tensor:
    layer = kl.Conv2D(4, 1, name="twice")
    return layer(layer(x))


@pytest.mark.parametrize(("make_layer", "message"), [
    (kl.LayerNormalization(name="odd"), r"'odd' \(LayerNormalization\).*supported: .*Conv2D"),
    (kl.Conv2DTranspose(3, 3, name="odd"), r"'odd' \(Conv2DTranspose\)"),
    (tf_keras.Sequential([kl.Conv2D(3, 3)], name="odd"), r"'odd' \(Sequential\)"),
    (kl.Conv2D(4, 3, groups=2, name="odd"), "'odd' .*grouped"),
    (kl.Conv2D(4, 3, activation="sigmoid", name="odd"), "activation of layer 'odd' does not map 0 to 0"),
    (kl.BatchNormalization(scale=False, name="odd"), "'odd' has no gamma"),
    (kl.BatchNormalization(axis=1, name="odd"), "'odd' .*not work along the channels"),
    (kl.MaxPooling2D(2, data_format="channels_first", name="odd"), "'odd' .*channels_first"),
    (lambda x: kl.Concatenate(axis=1, name="odd")([x, x]), "'odd' .*not work along the channels"),
    (lambda x: kl.Add(name="odd")([x, kl.Conv2D(1, 1)(x)]), "'odd' adds tensors of different channel counts"),
    (shared, "used more than once"),
])  # fmt: skip
def test_what_cannot_be_pruned_is_named(make_layer, message):
    with pytest.raises(UserError, match=message):
        Pruning().before_epoch(small_network(make_layer), 0, EPOCHS)


def test_a_final_activation_is_allowed():
    image = tf_keras.Input((6, 6, 1))
    x = kl.Flatten()(kl.Conv2D(8, 3, name="conv")(image))
    model = pruned(randomised(tf_keras.Model(image, kl.Dense(3, activation="softmax", name="out")(x))), 0.75)
    smaller = shrink(model)
    np.testing.assert_allclose(smaller(images(model)), model(images(model)), atol=1e-5)
    assert Counter(array.ndim for array in smaller.get_weights()) == {4: 1, 2: 1, 1: 2}
