"""The training loop: what it learns, what it writes, and that nothing stops it for good."""

import json
import multiprocessing
import os
import random
import signal
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from pipeline.errors import RunFailed
from pipeline.methods import Dropout, EarlyStopping, LabelSmoothing, Pruning, WeightDecay
from pipeline.progress import TrainingProgress
from pipeline.selection import scores
from pipeline.stopping import StopFlag, Stopped
from pipeline.tasks import Multiclass
from pipeline.training import train
from tests.training_samples import method, settings, tiny_data, tiny_network

KEYS = ["epoch", "learning_rate", "train_loss", "train_eval_loss", "train_accuracy", "train_noisy_fit",
        "train_clean_fit", "val_loss", "val_accuracy", "val_clean_accuracy", "test_loss", "test_accuracy",
        "seconds"]  # fmt: skip
DATA = tiny_data()


class StopAfter(StopFlag):
    """As if a signal arrived at the n-th look."""

    def __init__(self, looks: int):
        super().__init__()
        self.looks = looks

    def check(self) -> None:
        self.looks -= 1
        if self.looks < 0:
            self.signum = signal.SIGTERM
        super().check()


class Recorder(TrainingProgress):
    def __init__(self):
        self.warnings, self.done, self.finished = [], [], False

    def start(self, epochs, steps_per_epoch, done):
        self.done.append(done)

    def steps(self, done, loss):
        self.done.append(done)

    def warning(self, text):
        self.warnings.append(text)

    def finish(self):
        self.finished = True


def run(folder: Path, section=None, methods=(), model=None, data=DATA, stop=None, progress=None, augment=False, **more):
    folder.mkdir(exist_ok=True)
    model = model or tiny_network(dropout=0.3 if any(one.name == "dropout" for one in methods) else 0.0)
    arguments = (data, section or settings(), methods, 1, folder, augment, stop or StopFlag())
    return model, train(model, *arguments, progress or TrainingProgress(), **more)


def metrics(folder: Path) -> list[dict]:
    """The lines of metrics.jsonl without the only thing that may differ."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


def values(model) -> list[np.ndarray]:
    return [variable.numpy() for variable in model.variables]


def assert_same(first: list[np.ndarray], second: list[np.ndarray]) -> None:
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)


# What it does


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
    for variable, gradient, new in zip(reference.trainable_variables, gradients, model.trainable_variables, strict=True):
        share = 0.95 if variable.name.endswith("kernel:0") else 1.0
        np.testing.assert_allclose(new.numpy(), variable * share - 0.1 * gradient, atol=1e-6)


def test_metrics_are_those_of_the_selected_weights(tmp_path):
    model, result = run(tmp_path)
    logits = model(DATA.test_images / np.float32(255), training=False).numpy()
    assert result.history[-1]["test_accuracy"] == pytest.approx(np.mean(logits.argmax(1) == DATA.test_labels))


def test_the_corruption_mask_never_reaches_training(tmp_path):
    from dataclasses import replace

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
    assert log == ["in"] * 3
    assert result.history[-1]["test_accuracy"] == pytest.approx(np.mean(DATA.test_labels == 1))
    assert np.abs(model.get_layer("logits").bias.numpy()).max() < 10


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
    rule = method("early_stopping", best_epoch=lambda history: history[0]["epoch"], should_stop=lambda history: False)
    _, result = run(tmp_path, settings(epochs=4), [rule, method("quantization", warmup_epochs=2)])
    assert result.epoch_selected == 3


def test_scores_of_a_run(tmp_path):
    _, result = run(tmp_path)
    content = scores(result, Multiclass(3), seed=1)
    last = result.history[-1]
    assert content["metrics"] == {"accuracy": last["test_accuracy"], "loss": last["test_loss"]}
    assert content["oracle"]["test_accuracy"] == max(line["test_accuracy"] for line in result.history)
    assert (content["task"], content["seed"], content["epochs_run"], content["epoch_selected"]) == ("multiclass", 1, 3, 3)
    assert content["train_noisy_fit"] == last["train_noisy_fit"]


def test_fewer_images_than_a_batch_and_no_validation(tmp_path):
    _, result = run(tmp_path, settings(batch_size=128), data=tiny_data(20, val=0))
    assert result.history[-1]["val_loss"] is None
    assert result.history[-1]["test_loss"] > 0


# When it goes wrong


def diverged(folder: Path, **more) -> str:
    progress = Recorder()
    with pytest.raises(RunFailed) as error:
        run(folder, progress=progress, **more)
    assert progress.finished
    return str(error.value)


def test_a_diverging_loss_says_where_and_keeps_the_last_good_state(tmp_path):
    """At step 11 of 24, the third of the second epoch, the penalty stops being a number."""
    model, steps = tiny_network(), tf.Variable(0)
    hooks = {"penalty": lambda model: tf.where(steps >= 10, np.nan, 0.0), "after_step": lambda model: steps.assign_add(1)}
    message = diverged(tmp_path, model=model, methods=[method(**hooks)])
    assert "step 11 (epoch 2, its step 3 of 8): the loss is not finite" in message
    assert "smaller train.learning_rate than 0.01" in message
    assert all(np.isfinite(variable.numpy()).all() for variable in model.trainable_variables)
    assert len(metrics(tmp_path)) == 1
    steps.assign(0)
    _, result = run(tmp_path)
    undisturbed, expected = run(tmp_path.parent / "undisturbed")
    assert [line["train_loss"] for line in result.history] == [line["train_loss"] for line in expected.history]


@tf.custom_gradient
def _poisonous(x):
    return tf.identity(x), lambda dy: dy * np.nan


def network_with(layer) -> tf_keras.Model:
    image = tf_keras.Input((8, 8, 1))
    x = tf_keras.layers.Conv2D(2, 3, name="before")(image)
    x = tf_keras.layers.Conv2D(2, 3, name="after")(layer(x))
    return tf_keras.Model(image, tf_keras.layers.Dense(3, name="logits")(tf_keras.layers.GlobalMaxPool2D()(x)))


@pytest.mark.parametrize(
    ("layer", "blamed"),
    [
        (tf_keras.layers.Lambda(lambda x: tf.math.log(-1 - x * 0), name="bad"), "the output of layer 'bad'"),
        (tf_keras.layers.Lambda(lambda x: _poisonous(x), name="odd"), "the gradient of layer 'before'"),
        (tf_keras.layers.BatchNormalization(beta_initializer=tf.constant_initializer(np.inf), name="bn"),
         "the weights of layer 'bn'"),
    ],
)  # fmt: skip
def test_the_layer_that_diverged_is_named(tmp_path, layer, blamed):
    model = network_with(layer)
    before = values(model)
    assert blamed in diverged(tmp_path, model=model)
    assert_same(before[:2], values(model)[:2])


def test_weights_that_are_not_finite_are_never_saved(tmp_path):
    def poison(model):
        model.get_layer("logits").bias.assign([np.nan] * 3)

    message = diverged(tmp_path, methods=[method(after_step=poison)], section=settings(checkpoint_minutes=0))
    assert "step 1 (epoch 1, its step 1 of 8): 'logits/bias:0' is not finite" in message
    assert not list(tmp_path.glob("checkpoint-*"))


# When it is interrupted

COMBINATIONS = {
    "plain": [],
    "regularised": [Dropout(rate=0.3), LabelSmoothing(), WeightDecay(kind="decoupled"), EarlyStopping(patience=2)],
    "pruned": [Pruning(ratio=0.5, begin=0.1, end=0.6)],
}


@pytest.mark.parametrize("name", COMBINATIONS)
@pytest.mark.parametrize("looks", [5, 8, 13])
def test_a_stopped_run_goes_on_with_the_same_numbers(tmp_path, tmp_path_factory, name, looks):
    """Stopped within the first epoch, within its evaluation, and within the second epoch, again and again."""
    whole = _whole_run(tmp_path_factory, name)
    while True:
        progress = Recorder()
        try:
            model, result = run(tmp_path, methods=COMBINATIONS[name], stop=StopAfter(looks), progress=progress, augment=True)
            break
        except Stopped as stopped:
            assert stopped.signum == signal.SIGTERM
            assert progress.finished
    assert metrics(tmp_path) == whole[0]
    assert_same(values(model), whole[1])
    assert result.history[-1]["seconds"] > 0


_WHOLE = {}


def _whole_run(factory, name):
    if name not in _WHOLE:
        folder = factory.mktemp(name)
        model, _ = run(folder, methods=COMBINATIONS[name], augment=True)
        _WHOLE[name] = metrics(folder), values(model)
    return _WHOLE[name]


def test_a_finished_run_is_not_trained_again(tmp_path):
    model, first = run(tmp_path)
    (tmp_path / "best.weights.h5").unlink()
    again, second = run(tmp_path)
    assert first == second
    assert_same(values(model), values(again))
    assert (tmp_path / "best.weights.h5").exists()


def test_a_damaged_checkpoint_and_lines_beyond_it(tmp_path):
    whole, _ = run(tmp_path)
    lines = metrics(tmp_path)
    newest = max(tmp_path.glob("checkpoint-*"))
    newest.write_bytes(newest.read_bytes()[:-100])
    progress = Recorder()
    again, _ = run(tmp_path, progress=progress)
    assert len(progress.warnings) == 1 and newest.name in progress.warnings[0]
    assert progress.done[0] == 16
    assert metrics(tmp_path) == lines
    assert_same(values(whole), values(again))


# When it is killed: processes of their own, forked from one that has imported TensorFlow


@pytest.fixture(scope="module")
def start():
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.training_child"])
    from tests.training_child import child

    started = []

    def begin(folder: Path, *arguments) -> multiprocessing.Process:
        process = context.Process(target=child, args=(str(folder), *arguments))
        process.start()
        started.append(process)
        return process

    yield begin
    for process in started:
        if process.is_alive():
            process.kill()
        process.join()


@pytest.fixture(scope="module")
def uninterrupted(start, tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    assert finished(start(folder)) == 0
    return metrics(folder)


def finished(process) -> int:
    process.join(60)
    return process.exitcode


def wait_for_checkpoint(folder: Path, process) -> None:
    """Until the process has written another checkpoint, or ended."""
    before = set(folder.glob("checkpoint-*"))
    while process.is_alive() and not set(folder.glob("checkpoint-*")) - before:
        time.sleep(0.005)


def assert_equal_to_six_digits(lines: list[dict], expected: list[dict]) -> None:
    assert [list(line) for line in lines] == [list(line) for line in expected]
    for line, other in zip(lines, expected, strict=True):
        assert line == pytest.approx(other, rel=1e-6)


def test_killed_at_random_moments_it_ends_with_the_same_numbers(start, uninterrupted, tmp_path):
    chance = random.Random(int.from_bytes(os.urandom(4), "big"))
    for _ in range(4):
        process = start(tmp_path)
        wait_for_checkpoint(tmp_path, process)
        time.sleep(chance.uniform(0, 0.4))
        process.kill()
        assert finished(process) in (-signal.SIGKILL, 0)
    assert finished(start(tmp_path)) == 0
    assert_equal_to_six_digits(metrics(tmp_path), uninterrupted)


def test_killed_while_it_writes_it_ends_with_the_same_numbers(start, uninterrupted, tmp_path):
    for replaces in (2, 3, 5):
        assert finished(start(tmp_path, replaces)) == -signal.SIGKILL
    assert finished(start(tmp_path)) == 0
    assert_equal_to_six_digits(metrics(tmp_path), uninterrupted)


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_stop_it_stops_and_goes_on(start, uninterrupted, tmp_path, signum):
    process = start(tmp_path)
    wait_for_checkpoint(tmp_path, process)
    os.kill(process.pid, signum)
    assert finished(process) == 128 + signum
    assert len(metrics(tmp_path)) < len(uninterrupted)
    assert finished(start(tmp_path)) == 0
    assert_equal_to_six_digits(metrics(tmp_path), uninterrupted)
