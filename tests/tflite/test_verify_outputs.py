"""`verify` for networks of other kinds: regression, maps, yes or no, several inputs and outputs, no labels, floats."""

from collections.abc import Callable

import numpy as np
import pytest
import tf_keras
from tf_keras import layers

from pipeline import UserError, convert, quantize, verify
from pipeline.quantization.feed import values_of
from pipeline.tflite.convert import Converted
from pipeline.tflite.judges import TOLERANCE, NumberJudge

SHAPE, COUNT = (8, 8, 3), 24
PIXELS = np.random.default_rng(0).integers(0, 256, (COUNT, *SHAPE)).astype(np.uint8)
RANGE = (-1.0, 1.0)
VALUES = values_of(PIXELS, RANGE)
QUICK = {"latency_runs": 10, "metric_delta": 0}


def body(x):
    return layers.Conv2D(6, 3, padding="same", activation="relu")(x)


def pooled(x, outputs: int, activation: str | None = None, name: str | None = None):
    return layers.Dense(outputs, activation=activation, name=name)(layers.GlobalAveragePooling2D()(x))


def one(end: Callable) -> tf_keras.Model:
    image = tf_keras.Input(SHAPE)
    return tf_keras.Model(image, end(body(image)))


def two_and_two() -> tf_keras.Model:
    """Two images; a class and a number, in a dict."""
    left, right = tf_keras.Input(SHAPE, name="left"), tf_keras.Input(SHAPE, name="right")
    x = layers.Concatenate()([body(left), body(right)])
    return tf_keras.Model({"left": left, "right": right}, {"kind": pooled(x, 3, "softmax"), "age": pooled(x, 1)})


NETWORKS = {
    "numbers": lambda: one(lambda x: pooled(x, 2)),
    "share": lambda: one(lambda x: pooled(x, 1, "sigmoid")),
    "map": lambda: one(lambda x: layers.Conv2D(4, 1, activation="softmax")(x)),
    "mask": lambda: one(lambda x: layers.Conv2D(1, 1)(x)),
    "two": two_and_two,
}  # fmt: skip


@pytest.fixture(scope="module")
def samples(tmp_path_factory) -> dict[str, tuple[tf_keras.Model, Converted]]:
    """Quantized networks with random weights, and their files."""
    made = {}
    for name, build in NETWORKS.items():
        tf_keras.utils.set_random_seed(4)
        model = quantize(build(), input_range=RANGE)
        model([VALUES, -VALUES] if name == "two" else VALUES, training=True)
        made[name] = model, convert(model, tmp_path_factory.mktemp("files"))
    return made


def outputs(model: tf_keras.Model) -> np.ndarray:
    """What the network returns of the values."""
    return model(VALUES, training=False).numpy()


def test_regression_has_r_squared(samples):
    model, files = samples["numbers"]
    truth = outputs(model) + np.random.default_rng(1).normal(0, 0.01, (COUNT, 2))
    report = verify(model, files, VALUES, truth, **QUICK)
    assert report["passed"] and report["code_mismatch"] == 0 and report["fake_quant_decision_agreement"] == 1
    found = outputs(model)
    expected = 1 - ((truth - found) ** 2).sum() / ((truth - truth.mean(axis=0)) ** 2).sum()
    assert report["metrics"]["int8"] == pytest.approx(expected, abs=0.05) and expected > 0
    assert report["metrics"]["int8"] == report["metrics"]["keras"] == report["metrics"]["integer_model"]
    assert verify(model, files, PIXELS, truth, **QUICK)["metrics"] == report["metrics"]
    assert verify(model, files, VALUES, -100 * truth, **QUICK)["metrics"]["int8"] == 0


def test_numbers_of_a_sigmoid_are_compared_with_its_probabilities(samples):
    model, files = samples["share"]
    truth = outputs(model)[:, 0].astype(np.float64)
    assert 0.2 < truth.min() < truth.max() < 0.8  # logits would be far from them
    metrics = verify(model, files, VALUES, truth, **QUICK)["metrics"]
    assert metrics["keras"] == metrics["int8"] > 0.9


@pytest.mark.parametrize("name", ["map", "mask"])
def test_maps_have_a_decision_in_each_place(samples, name: str):
    model, files = samples[name]
    values = outputs(model)
    decisions = values.argmax(axis=-1) if name == "map" else (values[..., 0] >= 0).astype(int)
    assert len(np.unique(decisions)) > 1
    report = verify(model, files, VALUES, decisions, **QUICK)
    assert report["passed"] and report["metrics"]["int8"] > 0.95
    half = np.where(np.arange(COUNT)[:, None, None] < COUNT / 2, decisions, 1 - np.minimum(decisions, 1))
    assert verify(model, files, VALUES, half, **QUICK)["metrics"]["int8"] < report["metrics"]["int8"] - 0.2
    if name == "mask":
        assert verify(model, files, VALUES, decisions[..., None], **QUICK)["metrics"] == report["metrics"]


@pytest.mark.parametrize("name", ["numbers", "share", "map", "mask"])
def test_without_labels_there_is_no_metric(samples, name: str):
    report = verify(*samples[name], PIXELS, **QUICK)
    assert report["passed"] and report["code_mismatch"] == 0 and report["decision_agreement"] == 1
    assert set(report["metrics"].values()) == {None} and report["metric_delta"] is None
    assert report["examples"] == COUNT


def test_several_inputs_and_outputs(samples):
    model, files = samples["two"]
    values, named = (VALUES, -VALUES), {"right": -VALUES, "left": VALUES}
    kind, age = np.arange(COUNT) % 3, np.linspace(-1, 1, COUNT)[:, None]
    assert files.integer_model.names == ("age", "kind")
    both = verify(model, files, named, {"kind": kind, "age": age}, **QUICK)
    assert both["passed"] and both["code_mismatch"] == 0 and both["max_code_difference"] == 0
    parts = [
        verify(model, files, values, labels, **QUICK)["metrics"]["int8"] for labels in ([age, None], {"kind": kind})
    ]
    assert both["metrics"]["int8"] == pytest.approx(np.mean(parts))
    assert verify(model, files, (PIXELS, 255 - PIXELS), **QUICK)["metrics"]["int8"] is None


def test_a_float_network_is_fed_what_it_was_made_for(tmp_path):
    network = tf_keras.Sequential([layers.Input(SHAPE), layers.Rescaling(1 / 127.5, -1), layers.Conv2D(4, 3), layers.Flatten(),
                                   layers.Dense(3)])  # fmt: skip
    files = convert(network, tmp_path)
    labels = network(PIXELS.astype(np.float32)).numpy().argmax(axis=1)
    for examples in (PIXELS, PIXELS.astype(np.float32)):
        report = verify(network, files, examples, labels, **QUICK)
        assert report["passed"] and report["metrics"]["float32"] == report["metrics"]["keras"] == 1


def test_a_network_of_bytes(tmp_path):
    """Its quantized copy takes the same arrays."""
    network = tf_keras.Sequential([layers.Input(SHAPE, dtype="uint8"), layers.Rescaling(1 / 127.5, -1), layers.Conv2D(4, 3),
                                   layers.Flatten(), layers.Dense(3)])  # fmt: skip
    model = quantize(network)
    model.compile("sgd", tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(PIXELS, np.arange(COUNT) % 3, verbose=0)
    report = verify(model, convert(model, tmp_path), PIXELS, np.arange(COUNT) % 3, **QUICK)
    assert report["passed"] and report["code_mismatch"] == 0


def test_numbers_may_differ_by_two_steps():
    judge, numbers = NumberJudge(), np.array([[1.0], [0.5], [0.0], [-0.3]])
    moved = numbers + np.array([[0.9], [-0.9], [1.1], [-2]]) * TOLERANCE
    assert judge.agreement(numbers, moved) == 0.5
    assert judge.metric(numbers, np.ones((4, 1))) is None


WRONG = {
    "out of range": ("numbers", 2 * VALUES, None, "data are from -2 to 2, the network takes -1 to 1"),
    "not a number": ("numbers", VALUES * np.nan, None, "nan"),
    "one of two": ("two", VALUES, None, "1 arrays, but the network has the inputs left, right"),
    "another name": ("two", {"left": VALUES, "up": VALUES}, None, "called left, up"),
    "not as many": ("two", (VALUES, VALUES[:5]), None, "24, 5 examples"),
    "one label array for two": ("two", (VALUES, VALUES), np.arange(COUNT), "outputs age, kind"),
    "no such output": ("two", (VALUES, VALUES), {"size": np.arange(COUNT)}, "no output 'size'"),
    "classes of one output": ("two", (VALUES, VALUES), {"kind": np.arange(COUNT)}, "labels of 'kind' must be 0 to 2"),
    "classes of a mask": ("mask", VALUES, np.full((COUNT, 8, 8), 2), "must be 0 or 1"),
    "floats of another shape": ("numbers", VALUES, np.zeros(COUNT), "floats \\(24, 2\\)"),
    "infinite labels": ("numbers", VALUES, np.full((COUNT, 2), np.inf), "finite"),
}  # fmt: skip


@pytest.mark.parametrize(("name", "examples", "labels", "message"), WRONG.values(), ids=WRONG)
def test_wrong_examples_and_labels(samples, name: str, examples, labels, message: str):
    with pytest.raises(UserError, match=f"verify: .*{message}"):
        verify(*samples[name], examples, labels, **QUICK)
