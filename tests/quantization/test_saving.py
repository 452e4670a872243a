"""A saved quantized model loads again: same decisions, same codes, and training goes on as if nothing had happened."""

import h5py
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from pipeline.errors import UserError
from pipeline.quantization.layers import FoldedBatchNorm
from pipeline.quantization.lowering import lower
from pipeline.quantization.model_access import (
    is_enabled,
    kernel_quantizers,
    range_variables,
    set_enabled,
    settings_of,
    variables_by_layer,
)
from pipeline.quantization.saving import load
from pipeline.quantization.scheme import quantize, use_per_tensor_dense
from pipeline.tflite.write import write_tflite
from tests.quantization.quantization_samples import (
    CLASSES,
    images,
    inception,
    inverted,
    network,
    options,
    partial_norm,
    pixels,
    quantized,
    residual,
    settle,
    shake,
    small_resnet,
)

FORMATS = [".keras", ".h5"]
SAMPLES = {
    "resnet": lambda: small_resnet(overrides=[{"layers": "s2*", "weight_bits": 2}], warmup_epochs=1),
    "inverted-fold": lambda: quantized(inverted, batch_norm="fold", activation_range="unsigned"),
    "inception": lambda: quantized(inception, residual_bits="same"),
    "bias-fold": lambda: quantized(partial_norm, batch_norm="fold"),
}


def file_of(model) -> bytes:
    return write_tflite(lower(model).integer_model, True, False, "test")


def train(model, steps: int = 2) -> list[float]:
    """Losses of some steps of plain gradient descent."""
    optimizer, losses = tf_keras.optimizers.SGD(0.05), []
    for step in range(steps):
        batch, labels = pixels(images(16, seed=step)), np.arange(16) % CLASSES
        with tf.GradientTape() as tape:
            logits = model(batch, training=True)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
        gradients = tape.gradient(loss, model.trainable_variables)
        assert all(gradient is not None for gradient in gradients)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        losses.append(float(loss))
    return losses


@pytest.mark.parametrize(
    ("sample", "ending"), [*((name, ".keras") for name in SAMPLES), ("bias-fold", ".h5"), ("resnet", ".h5")]
)
def test_a_saved_model_is_the_same_after_loading(tmp_path, sample: str, ending: str):
    model = SAMPLES[sample]()
    train(model, 1)
    model.save(tmp_path / f"model{ending}")
    again = load(tmp_path / f"model{ending}")
    batch = pixels(images(8, seed=5))
    np.testing.assert_array_equal(model(batch, training=False), again(batch, training=False))
    assert settings_of(again) == settings_of(model)
    assert file_of(again) == file_of(model)
    assert train(again) == pytest.approx(train(model), rel=1e-5)


@pytest.mark.parametrize("ending", [".weights.h5", ".h5"])
@pytest.mark.parametrize("sample", ["bias-fold", "resnet"])
def test_weights_go_into_a_fresh_model(tmp_path, sample: str, ending: str):
    model = SAMPLES[sample]()
    train(model)
    model.save_weights(tmp_path / f"w{ending}")
    fresh = SAMPLES[sample]()
    assert file_of(fresh) != file_of(model)
    fresh.load_weights(tmp_path / f"w{ending}")
    assert file_of(fresh) == file_of(model)


@pytest.mark.parametrize("ending", [".weights.h5", ".h5"])
@pytest.mark.parametrize("fields", [{}, {"batch_norm": "fold"}], ids=str)
def test_weight_files_hold_every_kernel_and_range(tmp_path, fields: dict, ending: str):
    """TF-MOT's wrapper replaces a layer's kernel by a rounded tensor: what is saved must be the variable."""
    model = quantized(residual, **fields)
    model.save_weights(tmp_path / f"w{ending}")
    stored = []
    with h5py.File(tmp_path / f"w{ending}") as file:
        file.visititems(lambda _, item: stored.append(np.array(item)) if isinstance(item, h5py.Dataset) else None)
    wanted = [variables["kernel"] for variables in variables_by_layer(model).values() if "kernel" in variables]
    wanted += list(range_variables(model).values())
    assert len(wanted) > 10
    for variable in wanted:
        assert any(item.shape == variable.shape and np.array_equal(item, variable) for item in stored), variable.name


def test_one_scale_per_dense_kernel_is_saved(tmp_path):
    model = small_resnet()
    use_per_tensor_dense(model)
    model.save(tmp_path / "model.keras")
    again = load(tmp_path / "model.keras")
    assert not kernel_quantizers(again)["logits"].per_channel
    assert file_of(again) == file_of(model)


def test_warm_up_switches_all_rounding(tmp_path):
    model, batch = small_resnet(), pixels(images(8))
    rounded = model(batch, training=False).numpy()
    assert is_enabled(model) and not set_enabled(model, True)
    assert set_enabled(model, False) and not is_enabled(model) and not set_enabled(model, False)
    assert np.abs(model(batch, training=False).numpy() - rounded).max() > 1e-3
    assert set_enabled(model, True)
    np.testing.assert_array_equal(model(batch, training=False).numpy(), rounded)


def test_a_float_warm_up_is_the_float_network():
    model = network(residual)
    shake(model)
    wrapped = quantize(model, options())
    set_enabled(wrapped, False)
    batch = pixels(images(8))
    np.testing.assert_allclose(wrapped(batch, training=False), model(batch, training=False), atol=1e-5)
    settle(wrapped, 1)
    assert all(variable.numpy() > 0 for variable in range_variables(wrapped).values())


def test_the_bias_before_a_folded_batch_norm_is_not_trained():
    """Batch norm takes it away again: it has no gradient, and inference must not count it twice."""
    model = network(partial_norm)
    shake(model)
    for step in range(4):
        model(pixels(images(32, seed=100 + step)), training=True)
    folded = quantize(model, options(batch_norm="fold"))
    layers = [layer for layer in folded.layers if isinstance(getattr(layer, "layer", layer), FoldedBatchNorm)]
    assert len(layers) == 3
    trained = {variable.ref() for variable in folded.trainable_variables}
    for layer in layers:
        inner = getattr(layer, "layer", layer)
        assert np.abs(inner.linear.bias.numpy()).max() > 0 and inner.linear.bias.ref() not in trained
    set_enabled(folded, False)
    batch = pixels(images(8))
    np.testing.assert_allclose(folded(batch, training=False), model(batch, training=False), atol=1e-4)
    np.testing.assert_allclose(folded(batch, training=True), model(batch, training=True), atol=1e-4)
    # Keras's fused batch norm keeps the unbiased variance of a batch, so the averages now differ by a thousandth.
    np.testing.assert_allclose(folded(batch, training=False), model(batch, training=False), atol=2e-3)


@pytest.mark.parametrize(("name", "content", "message"), [
    ("none.keras", None, "no such file"),
    ("model.keras", b"not a model", "not a readable Keras model"),
    ("model.h5", b"not a model", "not a readable Keras model"),
])  # fmt: skip
def test_files_that_hold_no_model(tmp_path, name: str, content: bytes | None, message: str):
    if content:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        load(tmp_path / name)


@pytest.mark.parametrize("ending", FORMATS)
def test_a_float_model_is_refused(tmp_path, ending: str):
    network(residual).save(tmp_path / f"model{ending}")
    with pytest.raises(UserError, match="holds a float model"):
        load(tmp_path / f"model{ending}")
