"""Trainings on two logical CPU devices: `python -m tests.training.replicas_child FOLDER` writes what they did to results.json.

A process of its own, because TensorFlow takes its devices when it starts.
"""

import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import tensorflow as tf
import tf_keras

from pipeline.data.augmentation import PadCrop
from pipeline.errors import RunFailed, UserError
from pipeline.methods import Dropout, LabelSmoothing, Pruning, Quantization, WeightDecay
from pipeline.models.layers import SeededDropout
from pipeline.run import main
from pipeline.runs.stopping import Stopped
from pipeline.training.data import TrainingData
from pipeline.training.multilabel import Multilabel, class_weights
from pipeline.training.replicas import make_replicas
from tests.training.test_multilabel_training import data as face_data
from tests.training.training_samples import StopAfter, method, run, settings, tiny_data, tiny_network, values, wrapped

SMOKE = Path(__file__).parents[2] / "qat_configs" / "smoke.yaml"
SMALL_RUN = (
    "data.train_examples=160", "data.test_examples=40", "train.epochs=1", "train.batch_size=32", "model.width=4",
    "train.statistics_batches=2", "train.replicas=2", "convert.int4=false", "convert.float32=false",
    "verify.latency_runs=1", "verify.fake_quant_agreement=0.8", "verify.metric_delta=20",
)  # fmt: skip
TWO = make_replicas(2)


def on_two(build: Callable[[], tf_keras.Model]) -> tf_keras.Model:
    """The network of `build` on both devices."""
    with TWO.network_scope():
        return build()


def smooth_network() -> tf_keras.Model:
    """Images (B, 8, 8, 1) to logits (B, 3), without anything that looks at the whole batch."""
    initial = tf_keras.initializers.GlorotUniform
    image = tf_keras.Input((8, 8, 1), name="image")
    x = tf_keras.layers.Conv2D(4, 3, activation="relu", kernel_initializer=initial(1), name="conv0")(image)
    x = tf_keras.layers.GlobalAveragePooling2D(name="pool")(x)
    return tf_keras.Model(image, tf_keras.layers.Dense(3, kernel_initializer=initial(2), name="logits")(x))


def compared(folder: Path, methods=(), optimizer: str = "sgd", **more) -> dict:
    """Three epochs on one replica and on two: how far apart they end, and how far they came."""
    section = settings(optimizer=optimizer, learning_rate=0.05, batch_size=16)
    folder.mkdir()
    start = values(smooth_network())
    one, of_one = run(folder / "one", section, methods, smooth_network(), **more)
    two, of_two = run(folder / "two", section, methods, on_two(smooth_network), **more)
    losses = [[line["train_loss"] for line in result.history] for result in (of_one, of_two)]
    return {
        "apart": distance(values(one), values(two)),
        "moved": distance(start, values(one)),
        "losses": losses,
        "mirrored": all(len(variable.values) == 2 for variable in two.variables),
    }


def distance(first: list[np.ndarray], second: list[np.ndarray]) -> float:
    """The largest difference of any element."""
    return float(max(np.abs(one - other).max() for one, other in zip(first, second, strict=True)))


def same_steps(folder: Path) -> dict:
    """Penalties, decay, smoothing, pruning and optimizer state: each must count once, not once a replica."""
    return {
        "smoothing and l2": compared(folder / "a", [LabelSmoothing(), WeightDecay(rate=0.05)]),
        "decoupled decay": compared(folder / "b", [WeightDecay(rate=0.5, kind="decoupled")], "adam"),
        "pruning, adamw": compared(folder / "c", [Pruning(ratio=0.5, begin=0.0, end=0.5)], "adamw"),
        "action units": compared(folder / "d", **lopsided_units()),
        "uneven": compared(folder / "e", data=tiny_data(train=7)),
    }


def lopsided_units() -> dict:
    """Labels with class weights, Dice and unknown ones, of which one share of a batch has far more than the other."""
    parts = face_data()
    labels = parts.train_labels.copy()
    labels[np.random.default_rng(3).random(len(labels)) < 0.5] = 9
    given = TrainingData(**{**vars(parts), "train_labels": labels})
    task = Multilabel(parts.label_names, class_weights(labels, "inverse_frequency"), dice=0.5)
    return {"data": given, "task": task}


def statistics(folder: Path) -> dict:
    """Both copies of the moving statistics and of a range after a single step, and the kernel before it."""
    methods, section = [Quantization()], settings(epochs=1, statistics="moving")
    model = on_two(lambda: wrapped(methods))
    kernel = next(variable.numpy() for variable in model.variables if "conv0/kernel" in variable.name)
    run(folder, section, methods, model, tiny_data(train=8))
    copies = {
        variable.name: [copy.numpy().tolist() for copy in variable.values]
        for variable in model.non_trainable_variables
        if "moving" in variable.name or "relu0" in variable.name
    }
    return {"kernel": kernel.tolist(), "copies": copies}


def dropout(folder: Path) -> dict:
    """What is left of ones on each replica at a step, twice, and at another step."""
    layer = on_two(lambda: SeededDropout(0.5, 1, name="dropout"))

    @tf.function(autograph=False)
    def dropped(step):
        def on_replica(step):
            layer.step.assign(TWO.dropout_step(step))
            return layer(tf.ones((4, 8)), training=True)

        return TWO.strategy.run(on_replica, (step,))

    def at(step: int) -> list:
        return [share.numpy().tolist() for share in dropped(tf.constant(step, tf.int64)).values]

    alone = SeededDropout(0.5, 1, name="dropout")
    alone.step.assign(7)
    return {
        "once": at(7),
        "again": at(7),
        "later": at(8),
        "alone": alone(tf.ones((4, 8)), training=True).numpy().tolist(),
    }


def resumed(folder: Path) -> dict:
    """A run stopped within its first and its second epoch, and one that is not stopped; then one replica goes on."""
    methods = [Dropout(rate=0.3), Pruning(ratio=0.5, begin=0.1, end=0.6), Quantization(batch_norm="fold")]
    network = partial(on_two, partial(wrapped, methods))
    whole, expected = run(folder / "whole", methods=methods, model=network(), augmentation=PadCrop())
    stops = 0
    while True:
        try:
            stop = StopAfter((5, 12, 10**6)[stops])
            model, result = run(folder / "parts", methods=methods, model=network(), stop=stop, augmentation=PadCrop())
            break
        except Stopped:
            stops += 1
    loaded = wrapped(methods)
    loaded.load_weights(folder / "parts" / "best.weights.h5")
    alone, _ = run(folder / "whole", settings(epochs=4), methods, wrapped(methods), augmentation=PadCrop())
    again, _ = run(folder / "parts", settings(epochs=3), methods, wrapped(methods), augmentation=PadCrop())
    return {
        "stops": stops,
        "apart": distance(values(whole), values(model)),
        "losses": [[line["train_loss"] for line in found.history] for found in (expected, result)],
        "loaded by one": distance(values(model), values(loaded)),
        "taken over by one": distance(values(model), values(again)),
        "trained on by one": distance(values(whole), values(alone)),
    }


def quality(folder: Path) -> dict:
    """Clean test accuracy with batch norm and W4/A4, on one replica and on two."""
    section, methods = settings(epochs=12, learning_rate=0.03, batch_size=16), [Quantization()]
    found = {}
    for name, build in (("one", wrapped), ("two", partial(on_two, lambda: wrapped(methods)))):
        model = build(methods) if name == "one" else build()
        _, result = run(folder / name, section, methods, model, tiny_data(train=192, test=200))
        found[name] = {key: result.history[-1][key] for key in ("test_accuracy", "train_noisy_fit")}
    return found


def whole_pipeline(folder: Path) -> dict:
    """A run from the command line: its exit code and what the verification of its file says."""
    sets = [part for override in SMALL_RUN for part in ("--set", override)]
    code = main(["--config", str(SMOKE), "--output-dir", str(folder), *sets])
    verification = json.loads(next(folder.glob("runs/*/seed1/verification.json")).read_text())
    return {"code": code, **{key: verification[key] for key in ("passed", "code_mismatch", "decision_agreement")}}


def failures(folder: Path) -> dict:
    """What is said of a loss that is not finite on one replica alone, of too small a batch, and of too many replicas."""

    def diverge():
        run(folder / "nan", methods=[method(penalty=lambda model: nan_on_the_second())], model=model)

    def nan_on_the_second() -> tf.Tensor:
        number = tf.get_static_value(tf.distribute.get_replica_context().replica_id_in_sync_group)
        return tf.constant([0.0, np.nan][number])

    model = on_two(tiny_network)
    before = [variable.numpy() for variable in model.trainable_variables]
    messages = {
        "diverged": message_of(RunFailed, diverge),
        "one image": message_of(UserError, lambda: run(folder / "1", model=on_two(tiny_network), data=tiny_data(1))),
        "three": message_of(UserError, lambda: make_replicas(3)),
    }
    return messages | {"moved": distance(before, [variable.numpy() for variable in model.trainable_variables])}


def message_of(kind: type[Exception], function: Callable[[], object]) -> str:
    """The message of the error that `function` raises."""
    try:
        function()
    except kind as error:
        return str(error)
    return "no error"


CASES = (same_steps, statistics, dropout, resumed, quality, whole_pipeline, failures)

if __name__ == "__main__":
    root = Path(sys.argv[1])
    results = {}
    for case in CASES:
        (root / case.__name__).mkdir(parents=True)
        results[case.__name__] = case(root / case.__name__)
    (root / "results.json").write_text(json.dumps(results))
