"""Training that diverges: where, and what is left."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from pipeline.errors import RunFailed
from tests.training.training_samples import Recorder, assert_same, method, metrics, run, settings, tiny_network, values


def diverged(folder: Path, **more) -> str:
    progress = Recorder()
    with pytest.raises(RunFailed) as error:
        run(folder, progress=progress, **more)
    assert progress.finished
    return str(error.value)


def test_a_diverging_loss_says_where_and_keeps_the_last_good_state(tmp_path):
    """At step 11 of 24, the third of the second epoch, the penalty stops being a number."""
    model, steps = tiny_network(), tf.Variable(0)
    hooks = {
        "penalty": lambda model: tf.where(steps >= 10, np.nan, 0.0),
        "after_step": lambda model: steps.assign_add(1),
    }
    message = diverged(tmp_path, model=model, methods=[method(**hooks)])
    assert "step 11 (epoch 2, its step 3 of 8): the loss is not finite" in message
    assert "smaller train.learning_rate than 0.01" in message
    assert all(np.isfinite(variable.numpy()).all() for variable in model.trainable_variables)
    assert len(metrics(tmp_path)) == 1
    steps.assign(0)
    _, result = run(tmp_path)
    _, expected = run(tmp_path.parent / "undisturbed")
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
        (tf_keras.layers.Lambda(lambda x: _poisonous(x), name="odd"), "a gradient of layer 'before'"),
        (tf_keras.layers.BatchNormalization(beta_initializer=tf.constant_initializer(np.inf), name="bn"),
         "a weight of layer 'bn'"),
    ],
)  # fmt: skip
def test_the_layer_that_diverged_is_named(tmp_path, layer, blamed):
    model = network_with(layer)
    before = values(model)
    assert blamed in diverged(tmp_path, model=model)
    assert_same(before[:2], values(model)[:2])


def test_statistics_spoilt_by_the_failed_pass_are_not_blamed(tmp_path):
    assert "the output of layer 'conv0'" in diverged(tmp_path, section=settings(learning_rate=1e38))


def test_weights_that_are_not_finite_are_never_saved(tmp_path):
    def poison(model):
        model.get_layer("logits").bias.assign([np.nan] * 3)

    message = diverged(tmp_path, methods=[method(after_step=poison)], section=settings(checkpoint_minutes=0))
    assert "step 1 (epoch 1, its step 1 of 8): 'logits/bias:0' is not finite" in message
    assert not list(tmp_path.glob("checkpoint-*"))
