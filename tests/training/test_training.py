"""The training loop: what it learns and what it writes."""

import json
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from pipeline.methods import EarlyStopping, LabelSmoothing, WeightDecay
from pipeline.training.selection import scores
from pipeline.training.tasks import Multiclass
from tests.training.training_samples import assert_same, method, run, settings, tiny_data, tiny_network, values

KEYS = ["epoch", "learning_rate", "train_loss", "train_eval_loss", "train_accuracy", "train_noisy_fit",
        "train_clean_fit", "val_loss", "val_accuracy", "val_clean_accuracy", "test_loss", "test_accuracy",
        "seconds"]  # fmt: skip
DATA = tiny_data()


def test_it_learns_and_writes_a_line_an_epoch(tmp_path):
    model, result = run(tmp_path, settings(epochs=8, learning_rate=0.05))
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [list(line) for line in lines] == [KEYS] * 8
    assert lines == result.history
    assert (result.epoch_selected, result.selection) == (8, "last epoch")
    assert lines[-1]["test_accuracy"] > 0.9 > 0.6 > lines[-1]["train_noisy_fit"]
    other = tiny_network(7)
    other.load_weights(tmp_path / "best.weights.h5")
    assert_same(values(other), values(model))


def test_a_step_is_that_of_the_formula(tmp_path):
    """One SGD step on one batch, against a gradient taken eagerly, with penalty, smoothing and decoupled decay."""
    methods = [LabelSmoothing(alpha=0.3), WeightDecay(rate=0.02), method("more", decoupled_rate=lambda: 0.5)]
    section = settings(epochs=1, batch_size=64, optimizer="sgd", momentum=0.0, learning_rate=0.1, statistics="moving")
    model, reference = tiny_network(), tiny_network()
    model, result = run(tmp_path, section, methods, model)
    images, labels = tf.constant(DATA.train_images / np.float32(255)), DATA.train_labels
    targets = 0.7 * np.eye(3, dtype=np.float32)[labels] + 0.1
    kernels = [variable for variable in reference.trainable_variables if variable.name.endswith("kernel:0")]
    with tf.GradientTape() as tape:
        chances = tf.nn.log_softmax(reference(images, training=True))
        loss = -tf.reduce_mean(tf.reduce_sum(targets * chances, axis=1))
        loss += 0.02 * sum(tf.reduce_sum(kernel**2) for kernel in kernels)
    gradients = tape.gradient(loss, reference.trainable_variables)
    assert result.history[0]["train_loss"] == pytest.approx(float(loss), rel=1e-5)
    trained = zip(reference.trainable_variables, gradients, model.trainable_variables, strict=True)
    for variable, gradient, new in trained:
        share = 0.95 if variable.name.endswith("kernel:0") else 1.0
        np.testing.assert_allclose(new.numpy(), variable * share - 0.1 * gradient, atol=1e-6)


def test_metrics_are_those_of_the_selected_weights(tmp_path):
    model, result = run(tmp_path)
    logits = model(DATA.test_images / np.float32(255), training=False).numpy()
    assert result.history[-1]["test_accuracy"] == pytest.approx(np.mean(logits.argmax(1) == DATA.test_labels))


def test_the_corruption_mask_never_reaches_training(tmp_path):
    one, _ = run(tmp_path / "one")
    other, _ = run(tmp_path / "other", data=replace(DATA, corrupted=~DATA.corrupted))
    assert_same(values(one), values(other))


def test_evaluation_leaves_training_alone(tmp_path):
    often, _ = run(tmp_path / "often", settings(statistics="moving", log_both_statistics=True))
    seldom, _ = run(tmp_path / "seldom", settings(statistics="moving", evaluate_every=3))
    assert_same(values(often), values(seldom))


def test_evaluation_every_few_epochs_and_at_the_last(tmp_path):
    _, result = run(tmp_path, settings(epochs=5, evaluate_every=2))
    assert [line["test_accuracy"] is not None for line in result.history] == [False, True, False, True, True]
    assert all(list(line) == KEYS for line in result.history)


def test_both_kinds_of_statistics(tmp_path):
    _, both = run(tmp_path / "both", settings(log_both_statistics=True))
    _, moving = run(tmp_path / "moving", settings(statistics="moving"))
    for line, other in zip(both.history, moving.history, strict=True):
        assert line["moving"] == {key: other[key] for key in Multiclass.metric_names}
        assert line["moving"]["test_loss"] != line["test_loss"]


def test_evaluation_is_prepared_around_every_forward_pass(tmp_path):
    log = []

    @contextmanager
    def prepared(model):
        dense = model.get_layer("logits").bias
        before = dense.numpy()
        dense.assign([0.0, 1e6, 0.0])
        log.append("in")
        yield
        dense.assign(before)

    model, result = run(tmp_path, prepare_evaluation=prepared)
    assert log == ["in"] * 4  # three epochs, and the details of the selected one
    assert result.history[-1]["test_accuracy"] == pytest.approx(np.mean(DATA.test_labels == 1))
    assert np.abs(model.get_layer("logits").bias.numpy()).max() < 10


def test_another_forward_function_can_be_evaluated(tmp_path):
    @contextmanager
    def always_the_last_class(model):
        yield lambda images: tf.one_hot(tf.fill(len(images), 2), 3)

    _, result = run(tmp_path, prepare_evaluation=always_the_last_class)
    assert result.history[-1]["test_accuracy"] == pytest.approx(np.mean(DATA.test_labels == 2))


def test_hooks_run_in_the_graph_and_a_changed_network_is_traced_again(tmp_path):
    counter, state, traces = tf.Variable(0), {"factor": 1.0}, []

    def before_epoch(model, epoch, epochs):
        changed = epoch == 2
        state["factor"] = 3.0 if epoch >= 2 else 1.0
        return changed

    def penalty(model):
        traces.append(state["factor"])
        return tf.constant(1000.0 * state["factor"])

    hooks = {"before_epoch": before_epoch, "penalty": penalty, "after_step": lambda model: counter.assign_add(1)}
    _, result = run(tmp_path, settings(epochs=4), [method(**hooks)])
    assert traces == [1.0, 3.0]
    assert counter.numpy() == 4 * 8
    assert [round(line["train_loss"], -3) for line in result.history] == [1000, 1000, 3000, 3000]


def test_early_stopping_restores_the_best_epoch(tmp_path):
    rule = EarlyStopping(patience=2)
    section = settings(epochs=30, learning_rate=0.3)
    model, result = run(tmp_path / "stopped", section, [rule])
    losses = [line["val_loss"] for line in result.history]
    best = int(np.argmin(losses)) + 1
    assert (result.epoch_selected, result.selection) == (best, "early stopping")
    assert len(result.history) == best + 2 < 30
    shorter, _ = run(tmp_path / "shorter", settings(epochs=best, learning_rate=0.3))
    assert_same(values(model), values(shorter))


def test_early_stopping_does_not_choose_a_float_epoch(tmp_path):
    rule = SimpleNamespace(
        best_epoch=lambda history: history[0]["epoch"], should_stop=lambda history: False, is_measured=lambda line: True
    )
    _, result = run(
        tmp_path,
        settings(epochs=4),
        [method("early_stopping", stopping_rule=lambda: rule), method("quantization", settled_from=lambda epochs: 2)],
    )
    assert result.epoch_selected == 3


def test_scores_of_a_run(tmp_path):
    _, result = run(tmp_path)
    content = scores(result, Multiclass(3), seed=1)
    last = result.history[-1]
    assert content["metrics"] == {"accuracy": last["test_accuracy"], "loss": last["test_loss"]}
    assert content["oracle"]["test_accuracy"] == max(line["test_accuracy"] for line in result.history)
    expected = {"task": "multiclass", "seed": 1, "epochs_run": 3, "epoch_selected": 3}
    assert content.items() >= expected.items()
    assert content["train_noisy_fit"] == last["train_noisy_fit"]


def test_fewer_images_than_a_batch_and_no_validation(tmp_path):
    _, result = run(tmp_path, settings(batch_size=128), data=tiny_data(20, val=0))
    assert result.history[-1]["val_loss"] is None
    assert result.history[-1]["test_loss"] > 0
