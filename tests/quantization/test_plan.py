"""Which tensor gets which bits, and the words for networks that cannot be quantized."""

import numpy as np
import pytest
import tf_keras
from tf_keras import layers as kl

from pipeline.errors import UserError
from pipeline.quantization.grid import Grid
from pipeline.quantization.plan import plan
from pipeline.quantization.scheme import quantize
from tests.quantization.quantization_samples import CLASSES, SHAPE, conv, head, inception, network, options, residual


def weight_bits(body, **fields) -> dict[str, int]:
    return plan(network(body), options(**fields)).weight_bits


def chain(x):
    for _ in range(3):
        x = conv(x, 4)
    return head(x)


def test_the_first_and_the_last_layer_have_their_own_bits():
    assert weight_bits(chain) == {"conv2d": 8, "conv2d_1": 4, "conv2d_2": 4, "dense": 8}
    bits = weight_bits(chain, first_last_bits=5, weight_bits=2)
    assert bits == {"conv2d": 5, "conv2d_1": 2, "conv2d_2": 2, "dense": 5}


def test_every_layer_that_reads_the_image_is_a_first_one():
    def body(x):
        return head(kl.Concatenate()([conv(x, 4), conv(kl.MaxPooling2D(1)(x), 4), conv(conv(x, 2), 4)]))

    assert weight_bits(body) == {"conv2d": 8, "conv2d_1": 8, "conv2d_2": 8, "conv2d_3": 4, "dense": 8}


def test_overrides_come_last_and_in_order():
    overrides = [{"layers": "conv2d*", "weight_bits": 3}]
    overrides += [{"layers": "conv2d_2", "weight_bits": 6, "activation_bits": 7}]
    decided = plan(network(chain), options(overrides=overrides))
    assert decided.weight_bits == {"conv2d": 3, "conv2d_1": 3, "conv2d_2": 6, "dense": 8}
    assert [decided.tensors[f"re_lu{end}"].grid.bits for end in ("", "_1", "_2")] == [4, 7, 8]


def test_an_override_that_fits_nothing_is_an_error():
    with pytest.raises(UserError, match=r"overrides: 's9\*' matches no layer; there are: conv2d, .*dense"):
        weight_bits(chain, overrides=[{"layers": "s9*", "weight_bits": 3}])


@pytest.mark.parametrize(("residual_bits", "bits", "in_training"), [(8, 8, False), ("same", 4, True)])
def test_the_residual_path(residual_bits, bits: int, in_training: bool):
    """What only an addition reads has the residual path's bits; what a convolution reads too keeps the finer ones."""
    decided = plan(network(residual), options(residual_bits=residual_bits))
    only_add = decided.tensors["batch_normalization_2"]
    assert (only_add.grid.bits, only_add.in_training, only_add.signed) == (bits, in_training, True)
    both = decided.tensors["re_lu"]
    assert (both.grid.bits, both.in_training, both.signed) == (bits, in_training, False)
    assert set(decided.requantized) == ({"conv2d_1", "conv2d_3"} if residual_bits == 8 else set())
    assert all(tensor.grid.bits == 4 and tensor.in_training for tensor in decided.requantized.values())
    logits = decided.tensors["dense"]
    assert (logits.grid.bits, logits.in_training) == (8, False)


def test_branches_write_straight_onto_the_grid_of_their_concatenation():
    decided = plan(network(inception), options())
    ends = {decided.nodes[end].kind for end in decided.shared}
    assert ends == {"ReLU", "AveragePooling2D"} and set(decided.shared.values()) == {"concatenate", "concatenate_1"}
    assert not set(decided.shared) & set(decided.tensors)
    assert decided.tied == {"average_pooling2d": "re_lu"}, "the one with padding stays on its input's grid"
    assert decided.tensors["re_lu"].grid.bits == 8 and not decided.tensors["average_pooling2d"].in_training


@pytest.mark.parametrize(("bits", "signed", "unsigned_range", "expected"), [
    (4, False, False, (0, 7, 120)), (4, False, True, (0, 15, 112)), (4, True, False, (-7, 7, 120)),
    (4, True, True, (-7, 7, 120)), (8, True, False, (-128, 127, 0)), (8, False, False, (0, 127, 0)),
    (8, False, True, (0, 255, -128)), (2, False, False, (0, 1, 126)),
])  # fmt: skip
def test_grids(bits: int, signed: bool, unsigned_range: bool, expected: tuple):
    grid = Grid.of(bits, signed, unsigned_range)
    assert (grid.low, grid.top, grid.zero_point) == expected
    assert grid.needs_lower_clamp == (signed and bits < 8)
    assert grid.top + grid.zero_point == 127


class Doubled(kl.Layer):
    """An unsupported layer."""

    def call(self, inputs):
        return 2 * inputs


class Subclassed(tf_keras.Model):
    """A model without a graph."""

    def call(self, inputs):
        return inputs


def shared_layer(x):
    layer = kl.Conv2D(3, 3, padding="same", name="twice")
    return head(layer(layer(x)))


def relu_behind_two(x):
    x = kl.Conv2D(4, 3, name="source")(x)
    return head(kl.Add()([x, kl.ReLU(name="lonely")(x)]))


WRONG = {
    "custom": (lambda x: head(Doubled(name="odd")(x)), "layer 'odd' (Doubled): unsupported; supported are Add, "),
    "activation": (lambda x: head(kl.Conv2D(4, 3, activation="relu", name="c")(x)),
                   "layer 'c' (Conv2D): activation 'relu'; use a ReLU layer after it"),
    "softmax": (lambda x: kl.Dense(3, activation="softmax", name="d")(kl.Flatten()(x)), "layer 'd' (Dense): activation 'softmax'"),
    "softmax layer": (lambda x: kl.Softmax(name="s")(head(x)), "layer 's' (Softmax): unsupported"),
    "groups": (lambda x: head(kl.Conv2D(6, 3, groups=3, name="c")(x)), "layer 'c' (Conv2D): grouped convolution (groups=3)"),
    "shared": (shared_layer, "layer 'twice': is used more than once"),
    "slope": (lambda x: head(kl.ReLU(negative_slope=0.1, name="r")(kl.Conv2D(4, 3)(x))), "layer 'r' (ReLU): only ReLU and ReLU6"),
    "cap": (lambda x: head(kl.ReLU(4.0, name="r")(kl.Conv2D(4, 3)(x))), "layer 'r' (ReLU): only ReLU and ReLU6"),
    "relu alone": (lambda x: head(kl.ReLU(name="r")(x)), "layer 'r' (ReLU): must directly follow a Conv2D"),
    "relu after two": (relu_behind_two, "layer 'lonely' (ReLU): must directly follow"),
    "relu after dropout": (lambda x: head(kl.ReLU(name="r")(kl.Dropout(0.1, name="drop")(kl.Conv2D(4, 3)(x)))),
                            "it follows 'drop' (Dropout)"),
    "three": (lambda x: head(kl.Add(name="a")([kl.Conv2D(4, 1)(x), kl.Conv2D(4, 1)(x), kl.Conv2D(4, 1)(x)])),
              "layer 'a' (Add): adds 3 tensors; use Add layers of two"),
    "broadcast": (lambda x: head(kl.Add(name="a")([x, kl.GlobalAveragePooling2D(keepdims=True)(x)])),
                  "layer 'a' (Add): adds tensors of different shapes, (12, 12, 3) and (1, 1, 3)"),
    "rows": (lambda x: head(kl.Concatenate(axis=1, name="c")([x, x])), "layer 'c' (Concatenate): only concatenation of channels"),
    "dense on maps": (lambda x: head(kl.Dense(4, name="d")(x)), "layer 'd' (Dense): its input must be a vector"),
    "norm of rows": (lambda x: head(kl.BatchNormalization(axis=1, name="n")(x)), "layer 'n' (BatchNormalization): only batch"),
    "channels first": (lambda x: kl.Dense(2)(kl.GlobalAveragePooling2D("channels_first", name="p")(x)),
                       "layer 'p' (GlobalAveragePooling2D): data_format must be channels_last"),
    "operator": (lambda x: head(x + 1), "(TFOpLambda): unsupported"),
    "nested": (lambda x: network(chain)(x), "(Functional): unsupported"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_quantized_is_named(case: str):
    body, message = WRONG[case]
    with pytest.raises(UserError) as caught:
        quantize(network(body), options())
    assert message in str(caught.value)


def test_every_problem_is_named_at_once():
    def body(x):
        return kl.Softmax(name="s")(head(Doubled(name="odd")(x)))

    with pytest.raises(UserError) as caught:
        quantize(network(body), options())
    assert "'s' (Softmax)" in str(caught.value) and "'odd' (Doubled)" in str(caught.value)


def two_ended(inputs: int, outputs: int) -> tf_keras.Model:
    images = [tf_keras.Input(SHAPE) for _ in range(inputs)]
    x = kl.Flatten()(images[0] if inputs == 1 else kl.Concatenate()(images))
    return tf_keras.Model(images, [kl.Dense(CLASSES)(x) for _ in range(outputs)])


@pytest.mark.parametrize(("model", "message"), [
    (lambda: Subclassed(), "functional or built Sequential"),
    (lambda: tf_keras.Sequential([kl.Dense(3)]), "functional or built Sequential"),
    (lambda: two_ended(2, 1), "has 2 inputs and 1 outputs"),
    (lambda: two_ended(1, 2), "has 1 inputs and 2 outputs"),
])  # fmt: skip
def test_models_of_the_wrong_kind(model, message: str):
    with pytest.raises(UserError, match=message):
        quantize(model(), options())


def test_a_network_used_inside_another_is_still_one_network():
    """Calling a model again must not make its layers look shared."""
    model = network(chain)
    model(tf_keras.Input(SHAPE))
    quantize(model, options())
    assert quantize(model, options())(np.zeros((1, *SHAPE), np.float32)).shape == (1, CLASSES)
