"""The methods' fields and the hooks of early stopping, weight decay, dropout and label smoothing."""

import math

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from pipeline.methods import (
    AnyMethod,
    Dropout,
    EarlyStopping,
    LabelSmoothing,
    Pruning,
    Quantization,
    WeightDecay,
    method_from,
)
from pipeline.methods.weight_decay import kernels
from pipeline.quantization.settings import QuantizationSettings

METHODS = [EarlyStopping, WeightDecay, Dropout, LabelSmoothing, Pruning, Quantization]


def lines(**columns):
    """metrics.jsonl lines of epochs 1, 2, ... from columns of values."""
    rows = zip(*columns.values(), strict=True)
    return [{"epoch": epoch} | dict(zip(columns, row, strict=True)) for epoch, row in enumerate(rows, start=1)]


@pytest.mark.parametrize("method", METHODS)
def test_the_name_picks_the_method_and_every_field_has_a_default(method):
    assert TypeAdapter(AnyMethod).validate_python({"name": method().name}) == method()


@pytest.mark.parametrize("method", METHODS)
def test_fields_are_strict_and_frozen(method):
    with pytest.raises(ValidationError):
        method(unknown=1)
    with pytest.raises(ValidationError):
        method().name = "other"


@pytest.mark.parametrize(("method", "field", "values"), [
    (EarlyStopping, "patience", [0, 1.5, True]),
    (EarlyStopping, "monitor", ["test_accuracy", None]),
    (EarlyStopping, "min_delta", [-0.1, math.nan, "0"]),
    (WeightDecay, "rate", [-0.1, math.inf]),
    (WeightDecay, "kind", ["l1"]),
    (Dropout, "rate", [-0.1, 1, 1.0, True]),
    (Dropout, "position", ["tail"]),
    (LabelSmoothing, "alpha", [-0.1, 1.0]),
    (Pruning, "ratio", [-0.1, 1.0, math.nan]),
    (Pruning, "begin", [-0.1, 1.1]),
    (Pruning, "end", [-0.1, 1.1]),
    (Quantization, "weight_bits", [1, 9, 4.0]),
    (Quantization, "activation_bits", [1, 9]),
    (Quantization, "first_last_bits", [1, 9]),
    (Quantization, "residual_bits", [4, "8", True]),
    (Quantization, "ema_momentum", [-0.1, 1.0]),
    (Quantization, "warmup_epochs", [-1]),
    (Quantization, "overrides", [[{}], [{"layers": ""}], [{"layers": "a", "weight_bits": 9}], {"layers": "a"}]),
])  # fmt: skip
def test_values_out_of_range_are_refused(method, field, values):
    for value in values:
        with pytest.raises(ValidationError):
            method(**{field: value})


@pytest.mark.parametrize("method", [EarlyStopping(), WeightDecay(), Dropout(), LabelSmoothing()])
def test_hooks_a_method_does_not_need_are_the_identity(method):
    model = object()
    assert method.wrap(model) is model and method.export(model) is model
    assert method.before_epoch(model, 0, 1) is False and method.after_step(model) is None


@pytest.mark.parametrize(("losses", "min_delta", "best"), [
    ([3, 2, 1], 0.0, 3),
    ([3, 2, 2], 0.0, 2),
    ([3, 2, 2.5, 1.9], 0.2, 2),
    ([3, 2.9, 2.8, 2.7], 0.25, 4),
    ([math.nan, 2, math.nan, None], 0.0, 2),
    ([math.inf, -math.inf, 5.0], 0.0, 3),
    ([math.nan, math.nan], 0.0, 1),
])  # fmt: skip
def test_best_epoch_is_the_last_improvement_of_the_loss(losses, min_delta, best):
    method = EarlyStopping(min_delta=min_delta)
    assert method.best_epoch(lines(val_loss=losses)) == best
    higher_is_better = EarlyStopping(min_delta=min_delta, monitor="val_accuracy")
    negated = [None if loss is None else -loss for loss in losses]
    assert higher_is_better.best_epoch(lines(val_accuracy=negated)) == best


def test_stopping_waits_for_patience_and_can_be_asked_again_for_any_prefix():
    method = EarlyStopping(patience=2)
    history = lines(val_loss=[3, 2, 2.5, math.nan, 1])
    assert [method.should_stop(history[:count]) for count in range(6)] == [False, False, False, False, True, False]


def test_epochs_without_evaluation_count_for_patience_but_are_never_the_best():
    history = [{"epoch": 2, "val_loss": 3.0}, {"epoch": 3}, {"epoch": 4, "val_loss": 3.5}]
    assert EarlyStopping(patience=2).best_epoch(history) == 2
    assert EarlyStopping(patience=2).should_stop(history) and not EarlyStopping(patience=3).should_stop(history)


def test_best_epoch_of_nothing_is_a_programming_error():
    with pytest.raises(ValueError, match="at least one epoch"):
        EarlyStopping().best_epoch([])


def test_dropout_gives_its_options_to_the_network_builder():
    assert Dropout(rate=0.3, position="stages").model_options() == {"dropout_rate": 0.3, "dropout_position": "stages"}


@pytest.fixture(scope="module")
def network():
    import tf_keras as keras

    layers = keras.layers
    model = keras.Sequential([
        layers.Conv2D(3, 3, name="conv0"), layers.BatchNormalization(name="bn0"),
        layers.DepthwiseConv2D(3, name="depthwise"), layers.Conv2D(2, 1, trainable=False, name="frozen"),
        layers.Flatten(), layers.Dense(4, name="logits"),
    ])  # fmt: skip
    model.build((None, 8, 8, 1))
    return model


def test_kernels_are_the_trainable_weights_without_biases_and_batch_norm(network):
    assert [kernel.shape.as_list() for kernel in kernels(network)] == [[3, 3, 1, 3], [3, 3, 3, 1], [32, 4]]


def test_l2_penalty_is_the_sum_of_squares_of_the_kernels(network):
    expected = 0.0
    for kernel in kernels(network):
        for weight in kernel.numpy().ravel():
            expected += 0.5 * float(weight) ** 2
    assert float(WeightDecay(rate=0.5).penalty(network)) == pytest.approx(expected, rel=1e-5)
    assert WeightDecay(rate=0.5).decoupled_rate() == 0.0


def test_l2_penalty_has_the_gradient_of_weight_decay(network):
    import tensorflow as tf

    with tf.GradientTape() as tape:
        penalty = WeightDecay(rate=0.25).penalty(network)
    kernel = kernels(network)[0]
    np.testing.assert_allclose(tape.gradient(penalty, kernel), 0.5 * kernel.numpy(), rtol=1e-6)


def test_decoupled_decay_adds_no_penalty(network):
    method = WeightDecay(rate=0.5, kind="decoupled")
    assert method.penalty(network) is None and method.decoupled_rate() == 0.5


def test_label_smoothing_mixes_with_the_uniform_distribution():
    import tensorflow as tf

    targets = np.eye(5, dtype=np.float32)[[0, 3]]
    smooth = LabelSmoothing(alpha=0.2).smooth(tf.constant(targets), targets.shape[-1]).numpy()
    for example in range(2):
        for label in range(5):
            assert smooth[example, label] == pytest.approx(0.8 * targets[example, label] + 0.2 / 5)
    np.testing.assert_allclose(smooth.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_array_equal(LabelSmoothing(alpha=0.0).smooth(tf.constant(targets), targets.shape[-1]), targets)


@pytest.mark.parametrize(("method", "title", "short"), [
    (Quantization(weight_bits=3), "W3/A4 quantization", "W3/A4"),
    (Pruning(ratio=0.5), "50 % pruning", "pruning"),
    (Dropout(rate=0.2), "dropout 0.2", "dropout"),
    (WeightDecay(), "weight decay 0.01", "decay"),
    (LabelSmoothing(), "label smoothing 0.1", "smoothing"),
    (EarlyStopping(), "early stopping", "early stop"),
])  # fmt: skip
def test_a_method_knows_its_title_also_from_recorded_fields(method, title, short):
    assert (method.title, method.short_title) == (title, short) and len(short) <= 10
    assert method_from(method.model_dump()) == method


@pytest.mark.parametrize("fields", [{}, {"name": "mixup"}, {"name": ["dropout"]}, {"name": "dropout", "unit": 1}])
def test_fields_that_no_method_of_this_version_has_give_none(fields):
    assert method_from(fields) is None


def test_a_dry_run_is_quantized_from_its_first_epoch():
    assert Quantization(warmup_epochs=5, weight_bits=3).for_dry_run() == Quantization(weight_bits=3)
    assert Dropout(rate=0.3).for_dry_run() == Dropout(rate=0.3)


def test_the_settings_of_quantization_are_the_methods_fields_without_its_name():
    assert list(Quantization.model_fields) == ["name", *QuantizationSettings.model_fields]
