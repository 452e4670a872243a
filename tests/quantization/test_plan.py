"""Which tensor gets which bits, and the words for networks that cannot be quantized."""

import numpy as np
import pytest
import tensorflow as tf
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


WRONG = {
    "custom": (lambda x: head(Doubled(name="odd")(x)), "layer 'odd' (tests.quantization.test_plan.Doubled): unsupported"),
    "activation": (lambda x: head(kl.Conv2D(4, 3, activation="selu", name="c")(x)), "(Conv2D): activation 'selu' cannot be"),
    "softmax inside": (lambda x: head(kl.Softmax(name="s")(x)), "layer 's' (Activation): activation 'softmax'"),
    "threshold": (lambda x: head(kl.ReLU(threshold=0.1, name="r")(kl.Conv2D(4, 3)(x))), "layer 'r' (ReLU): a threshold"),
    "vector times": (lambda x: head(x * kl.GlobalAveragePooling2D()(x)), "(Multiply): combines shapes (12, 12, 3) and (3,)"),
    "vector": (lambda x: head(x + kl.GlobalAveragePooling2D()(x)), "(Add): combines shapes (12, 12, 3) and (3,)"),
    "batch": (lambda x: head(kl.Concatenate(axis=0, name="c")([x, x])), "layer 'c' (Concatenate): concatenates examples"),
    "norm of rows": (lambda x: head(kl.BatchNormalization(axis=1, name="n")(x)), "layer 'n' (BatchNormalization): only batch"),
    "channels first": (lambda x: kl.Dense(2)(kl.GlobalAveragePooling2D("channels_first", name="p")(x)),
                       "layer 'p' (GlobalAveragePooling2D): data_format must be channels_last"),
    "operator": (lambda x: head(tf.sqrt(x)), "(TFOpLambda:math.sqrt): unsupported"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_quantized_is_named(case: str):
    body, message = WRONG[case]
    with pytest.raises(UserError) as caught:
        quantize(network(body), options())
    assert message in str(caught.value)


@pytest.mark.parametrize("problems", [("odd", "even"), ("soft", "softer")])
def test_every_problem_is_named_at_once(problems: tuple):
    """Of layers that are never taken, and of layers that are taken in other places."""

    def body(x):
        for name in problems:
            x = kl.Softmax(name=name)(x) if name.startswith("soft") else Doubled(name=name)(x)
        return head(x)

    with pytest.raises(UserError) as caught:
        quantize(network(body), options())
    assert all(f"layer '{name}'" in str(caught.value) for name in problems)


@pytest.mark.parametrize(("model", "message"), [
    (lambda: Subclassed(), "functional or built Sequential"),
    (lambda: tf_keras.Sequential([kl.Dense(3)]), "functional or built Sequential"),
    (lambda: tf_keras.Sequential([tf_keras.Input((None, 3)), kl.Conv1D(2, 3)]), r"takes \(None, 3\), not a fixed size"),
    (lambda: tf_keras.Sequential([tf_keras.Input((4, 4, 4, 1)), kl.Conv3D(2, 3)]), "three axes"),
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
