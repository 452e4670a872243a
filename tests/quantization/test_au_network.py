"""AU networks at W4/A4: every encoder and head is exact in every layer; bits for single action units."""

import numpy as np
import pytest
import tf_keras

from pipeline.au_bits.candidates import sensitivity
from pipeline.errors import UserError
from pipeline.methods.quantization import Quantization
from pipeline.quantization.device import device_arithmetic
from pipeline.quantization.lowering import lower
from pipeline.quantization.plan import plan
from pipeline.quantization.scheme import with_au_bits
from tests.models.au_samples import AUS, exact_model, quantized_network, small_network
from tests.quantization.quantization_samples import images, options, pixels

W8A8 = {"weight_bits": 8, "activation_bits": 8}
FOLD = {"batch_norm": "fold", "activation_range": "unsigned", "residual_bits": "same"}
AU_BITS = {"au_bits": {"AU6": 8, "AU12": 2, "default": 3}}
CASES = [  # MobileNetV2 with a head for each action unit: test_pruning_au_network.py
    ("small_resnet", {}, {}),
    ("small_resnet", {"heads": "common", "pooling": "max"}, {}),
    ("small_resnet", {"pooling": "max"}, W8A8),
    ("small_resnet", {"channels": 1}, FOLD),
    ("small_resnet", {}, AU_BITS),
    ("small_resnet", {"pooling": "max"}, AU_BITS | FOLD),
    ("mobilenet_v2", {"heads": "common", "pooling": "max"}, FOLD),
    ("inception_v3", {"pooling": "max"}, {}),
]


@pytest.fixture(scope="module")
def trained() -> tf_keras.Model:
    """A small quantized network; no test changes it."""
    return quantized_network()


def name_of(case) -> str:
    encoder, fields, quantization = case
    return "-".join([encoder, *(f"{key}={value}" for key, value in (fields | quantization).items())])


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_every_encoder_and_head_is_exact(case):
    encoder, fields, quantization = case
    exact_model(quantized_network(encoder, quantization, **fields))


def test_keras_decides_as_the_file(trained: tf_keras.Model):
    batch = images(100, seed=8, shape=trained.input_shape[1:])
    logits = lower(trained).integer_model.predict(batch)
    with device_arithmetic(trained):
        keras = trained(pixels(batch), training=False).numpy()
    assert np.mean((keras >= 0) == (logits >= 0)) >= 0.98


# --- Bits for single action units


def head_bits(network, **fields) -> dict[str, int]:
    """{layer: weight bits} of the heads."""
    decided = plan(network, options(**fields)).weight_bits
    return {name: bits for name, bits in decided.items() if name.startswith("AU")}


def test_bits_of_heads():
    bits = head_bits(small_network(), au_bits={"AU6": 8, "default": 3})
    assert bits == {
        "AU1_dense1": 3, "AU1_dense2": 3, "AU1_logit": 8,
        "AU6_dense1": 8, "AU6_dense2": 8, "AU6_logit": 8,
        "AU12_dense1": 3, "AU12_dense2": 3, "AU12_logit": 8,
    }  # fmt: skip


def test_heads_without_bits_of_their_own_keep_the_methods():
    bits = head_bits(small_network(), au_bits={"AU1": 2}, weight_bits=5, first_last_bits=6)
    assert bits["AU1_dense1"] == bits["AU1_dense2"] == 2
    assert bits["AU6_dense1"] == bits["AU12_dense2"] == 5
    assert {bits[f"{name}_logit"] for name in AUS} == {6}


def test_an_override_is_stronger_and_reaches_logits():
    overrides = [{"layers": "AU6_*", "weight_bits": 7}]
    bits = head_bits(small_network(), au_bits={"AU6": 2}, overrides=overrides)
    assert [bits[f"AU6_{part}"] for part in ("dense1", "dense2", "logit")] == [7, 7, 7]


def test_the_inputs_of_a_head_have_its_bits():
    decided = plan(small_network(), options(**AU_BITS))
    assert decided.tensors["pool"].grid.bits == 8
    copies = {name: tensor.grid.bits for name, tensor in decided.requantized.items() if name.endswith("dense1")}
    assert copies == {"AU1_dense1": 3, "AU12_dense1": 2}
    assert [decided.tensors[f"{name}_norm1"].grid.bits for name in AUS] == [3, 8, 2]


def test_action_units_that_are_not_there():
    with pytest.raises(UserError, match=r"AU2, AU99.*AU1, AU6, AU12"):
        plan(small_network(), options(au_bits={"AU99": 4, "AU6": 4, "AU2": 3}))
    with pytest.raises(UserError, match=r"model\.heads: per_au"):
        plan(small_network(heads="common"), options(au_bits={"default": 4}))


@pytest.mark.parametrize("bits", [1, 9, 4.0, "4", True])
def test_wrong_numbers_of_bits_are_refused(bits):
    with pytest.raises(ValueError, match=r"au_bits\.AU6"):
        Quantization(au_bits={"AU6": bits})


def test_other_bits_for_a_trained_network():
    """What is not changed stays to the last code: a head at its own bits computes what it computed."""
    model = quantized_network(quantization={"residual_bits": "same"})
    batch = images(20, seed=9, shape=model.input_shape[1:])
    before = lower(model).integer_model.predict(batch)
    changed = with_au_bits(model, {"AU6": 2})
    after = exact_model(changed).predict(batch)
    assert np.array_equal(after[:, [0, 2]], before[:, [0, 2]]) and not np.array_equal(after[:, 1], before[:, 1])
    unchanged = with_au_bits(model, {"default": 4})
    np.testing.assert_array_equal(lower(unchanged).integer_model.predict(batch), before)


def test_a_copy_the_trained_network_does_not_have_gets_a_fitting_range(trained: tf_keras.Model):
    changed = with_au_bits(trained, {"AU6": 8})
    before = lower(trained).integer_model.tensors
    assert exact_model(changed).tensors["pool_to_4_bits"].scale == pytest.approx(before["pool"].scale, rel=0.05)


def test_the_sensitivity_of_a_network(trained: tf_keras.Model):
    batch = images(40, seed=10, shape=trained.input_shape[1:])
    labels = (lower(trained).integer_model.predict(batch) >= 0).astype(np.uint8)

    def predict(bits: int) -> np.ndarray:
        return lower(with_au_bits(trained, {"default": bits})).integer_model.predict(batch)

    table = sensitivity(predict, labels, AUS, (2, 4))
    for name, column in zip(AUS, labels.T, strict=True):
        assert table[name][4] == (1.0 if column.any() else None)
    assert min(scores[2] for scores in table.values() if scores[2] is not None) < 1
