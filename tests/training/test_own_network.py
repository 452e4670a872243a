"""The user's own network in a configuration: real small runs of all three sources, and what is refused before training."""

import importlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tf_keras
from tf_keras import layers as kl

from pipeline.config import load_config
from pipeline.errors import UserError
from pipeline.models.applications import APPLICATIONS
from pipeline.models.settings import KerasNetwork
from pipeline.run import main, run
from pipeline.runs.stopping import StopFlag, Stopped
from pipeline.training.own_network import Needs, check_same_network, own_network
from tests.data.data_trees import write_cifar10, write_fashion_mnist

SHAPE, LABELS = (28, 28, 1), tuple(f"class {number}" for number in range(10))
CLASSES, UNITS = Needs(SHAPE, LABELS, "multiclass"), Needs(SHAPE, LABELS, "multilabel")
NETS = """
import tf_keras
from tf_keras import layers as kl

number = 3

def build(width=8, classes=10, final="softmax", **options):
    return tf_keras.Sequential([
        tf_keras.Input((28, 28, 1)),
        kl.Rescaling(1 / 255),
        kl.Conv2D(width, 3, 2, activation="relu", **options),
        kl.Dropout(0.2),
        kl.SeparableConv2D(2 * width, 3, padding="same", use_bias=False),
        kl.BatchNormalization(),
        kl.ReLU(),
        kl.GlobalAveragePooling2D(),
        kl.Dense(classes, activation=final),
    ])

def excited(width=8, gate="sigmoid"):
    image = tf_keras.Input((28, 28, 1))
    x = kl.ReLU()(kl.BatchNormalization()(kl.Conv2D(width, 3, 4)(image)))
    gate = kl.Conv2D(width, 1, activation=gate)(kl.GlobalAveragePooling2D(keepdims=True)(x))
    x = kl.Multiply()([x, gate])
    return tf_keras.Model(image, kl.Dense(10)(kl.Flatten()(kl.Conv2D(width, 3, activation="relu")(x))))

def nothing():
    build()

def pooled():
    image = tf_keras.Input((28, 28, 1))
    return tf_keras.Model(image, kl.Concatenate()([kl.GlobalAveragePooling2D()(image)] * 10))

def lazy():
    import not_installed

def two_heads():
    image = tf_keras.Input((28, 28, 1))
    flat = kl.Flatten()(image)
    return tf_keras.Model(image, kl.Concatenate()([kl.Dense(5)(flat), kl.Dense(5)(flat)]))

def frozen(layers=None):
    network = build()
    for layer in network.layers[:layers]:
        layer.trainable = False
    return network

def unscaled():
    image = tf_keras.Input((28, 28, 1))
    x = kl.ReLU()(kl.BatchNormalization(scale=False)(kl.Conv2D(4, 3, 4)(image)))
    return tf_keras.Model(image, kl.Dense(10)(kl.Flatten()(x)))

def normed():
    image = tf_keras.Input((28, 28, 1))
    return tf_keras.Model(image, kl.Dense(10)(kl.LayerNormalization()(kl.Flatten()(image))))

def keras_3():
    import keras
    return keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(10)])
"""
RUN = """
data: {{name: {data}, root: {root}}}
model: {model}
methods: {methods}
train: {{epochs: 3, batch_size: 32, statistics_batches: 2}}
verify: {{latency_runs: 2, decision_agreement: 0, fake_quant_agreement: 0, metric_delta: 100}}
"""
ALL_METHODS = (
    "[{name: early_stopping}, {name: weight_decay, rate: 0.0001}, {name: dropout}, {name: label_smoothing}, "
    "{name: pruning, ratio: 0.5}, {name: quantization, warmup_epochs: 1}]"
)
QUANTIZED = "[{name: quantization}]"
FACTORY = '{name: keras, factory: "nibble_nets:build", arguments: {width: 4}}'


@pytest.fixture(autouse=True, scope="module")
def nets(tmp_path_factory) -> Path:
    """A working directory with the user's module, and the data sets cut small."""
    folder = tmp_path_factory.mktemp("work")
    (folder / "nibble_nets.py").write_text(NETS)
    (folder / "nibble_needy.py").write_text("import numpy\nimport not_installed\n")
    (folder / "nibble_broken.py").write_text("def build(:\n")
    write_fashion_mnist(folder / "fashion", train=128, test=32)
    write_cifar10(folder / "cifar", per_batch=16)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.syspath_prepend(str(folder))
        yield folder


def config(folder: Path, model: str, methods: str = QUANTIZED, data: str = "fashion_mnist") -> str:
    """The path of a configuration for a run of a few seconds."""
    root = folder / data.partition("_")[0].removesuffix("10")
    path = folder / "own.yaml"
    path.write_text(RUN.format(data=data, root=root, model=model, methods=methods))
    return str(path)


def layers_of(folder: Path) -> dict:
    """verification.json of the only training in an output folder."""
    return json.loads(next(folder.glob("runs/*/seed1/verification.json")).read_text())


def settings(**fields) -> KerasNetwork:
    if set(fields) & {"file", "application"}:
        return KerasNetwork(**fields)
    return KerasNetwork(**{**fields, "factory": f"nibble_nets:{fields.get('factory', 'build')}"})


def refusal(section: KerasNetwork, needs: Needs = CLASSES, **options) -> str:
    with pytest.raises(UserError) as caught:
        own_network(section, needs, seed=1, momentum=0.9, **options)
    return str(caught.value)


@pytest.mark.parametrize("methods", [ALL_METHODS, QUANTIZED])
def test_a_run_of_a_factory_is_exact(nets, tmp_path, methods):
    assert main(["--config", config(nets, FACTORY, methods), "--output-dir", str(tmp_path), "--ship-anyway"]) == 0
    report = layers_of(tmp_path)
    assert report["passed"] and report["code_mismatch"] == 0
    assert report["weight_bits"] == {
        "conv2d": 8, "separable_conv2d_depthwise": 4, "separable_conv2d": 4, "dense": 8,
    }  # fmt: skip


def test_a_run_of_a_file_is_exact(nets, tmp_path):
    network = tf_keras.Sequential([
        tf_keras.Input(SHAPE), kl.Conv2D(4, 3, 2, activation="relu6"), kl.Flatten(), kl.Dense(10),
    ])  # fmt: skip
    network.save(nets / "net.keras")
    command = [
        "--config",
        config(nets, "{name: keras, file: net.keras}"),
        "--output-dir",
        str(tmp_path),
        "--ship-anyway",
    ]
    assert main(command) == 0
    assert layers_of(tmp_path)["code_mismatch"] == 0


def test_a_run_of_an_application_is_exact(nets, tmp_path):
    model = "{name: keras, application: mobilenet, arguments: {alpha: 0.1}}"
    command = ["--config", config(nets, model, data="cifar10"), "--output-dir", str(tmp_path), "--ship-anyway"]
    assert main([*command, "--set", "train.epochs=1"]) == 0
    report = layers_of(tmp_path)
    assert report["code_mismatch"] == 0 and len(report["weight_bits"]) == 28


@pytest.mark.parametrize("gate", ["sigmoid", "hard_sigmoid"])
def test_squeeze_and_excite_is_pruned_and_exact(nets, tmp_path, gate):
    model = f'{{name: keras, factory: "nibble_nets:excited", arguments: {{gate: {gate}}}}}'
    methods = "[{name: pruning, ratio: 0.5}, {name: quantization}]"
    assert main(["--config", config(nets, model, methods), "--output-dir", str(tmp_path), "--ship-anyway"]) == 0
    report = layers_of(tmp_path)
    assert report["code_mismatch"] == 0
    assert report["metrics"]["keras"] == report["metrics"]["integer_model"]


class _StopAfter(StopFlag):
    """Stops at the n-th check."""

    def __init__(self, checks: int):
        super().__init__()
        self.left = checks

    def check(self) -> None:
        self.left -= 1
        if not self.left:
            raise Stopped(15)


def test_a_stopped_run_resumes_with_the_same_numbers(nets, tmp_path):
    experiment = load_config(config(nets, FACTORY, "[{name: quantization}, {name: dropout}]"))
    with pytest.raises(Stopped):
        run(experiment, tmp_path / "stopped", ship=False, stop=_StopAfter(9))
    whole, resumed = (run(experiment, tmp_path / name, ship=False) for name in ("whole", "stopped"))
    lines = [
        [{**json.loads(line), "seconds": 0} for line in (folder / "seed1" / "metrics.jsonl").read_text().splitlines()]
        for folder in (whole, resumed)
    ]
    assert lines[0] == lines[1] and len(lines[0]) == 3


def test_another_architecture_is_refused_on_resume(tmp_path):
    first = own_network(settings(), CLASSES, seed=1, momentum=0.9)
    check_same_network(settings(), first, tmp_path)
    check_same_network(settings(), own_network(settings(), CLASSES, seed=2, momentum=0.8), tmp_path)
    other = own_network(settings(arguments={"padding": "same"}), CLASSES, 1, 0.9)
    with pytest.raises(UserError, match=r"another network than when this run began, from 'conv2d' on.*--fresh"):
        check_same_network(settings(), other, tmp_path)


def test_initial_weights_follow_from_the_seed_and_not_from_dropout():
    first, again, other = (own_network(settings(), CLASSES, seed, 0.9).get_weights() for seed in (1, 1, 2))
    dropped = own_network(settings(), CLASSES, 1, 0.9, dropout_rate=0.5).get_weights()
    assert all(map(np.array_equal, first, again)) and all(map(np.array_equal, first, dropped))
    assert not np.array_equal(first[0], other[0])


def test_the_function_is_that_of_the_network_as_written():
    images = np.random.default_rng(1).integers(0, 256, (4, *SHAPE)).astype(np.float32)
    network = own_network(settings(), CLASSES, seed=3, momentum=0.9)
    tf_keras.utils.set_random_seed(3)
    nibble_nets = importlib.import_module("nibble_nets")

    wanted = nibble_nets.build()(images).numpy()
    logits = network(images / 255).numpy().astype(np.float64)
    found = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_a_declared_range_reaches_the_network():
    images = np.random.default_rng(1).random((4, *SHAPE), np.float32)
    plain = own_network(settings(factory="excited", input_range=[0, 1]), CLASSES, seed=3, momentum=0.9)
    network = own_network(settings(factory="excited", input_range=[-1, 1]), CLASSES, seed=3, momentum=0.9)
    np.testing.assert_allclose(network(images), plain(images * 2 - 1), atol=1e-5)


@pytest.mark.parametrize(("fields", "words"), [
    ({"factory": "nothing"}, ["model.factory: nibble_nets:nothing", "returned None", "return"]),
    ({"factory": "bild"}, ["has no 'bild'", "nibble_nets:build"]),
    ({"factory": "number"}, ["is a int, not a function"]),
    ({"factory": "pooled"}, ["no weights to round"]),
    ({"factory": "frozen"}, ["no weights to train"]),
    ({"factory": "lazy"}, ["ModuleNotFoundError", "not_installed", "nibble_nets.py, line"]),
    ({"factory": "normed"}, ["layer_normalization"]),
    ({"factory": "keras_3"}, ["returned a keras.", "Keras 3", "tf_keras"]),
    ({"arguments": {"widht": 4, "classes": -3}}, ["nibble_nets:build"]),
    ({"factory": "excited", "arguments": {"widht": 4}}, ["model.arguments", "widht", "takes (width=8, gate='sigmoid')"]),
    ({"arguments": {"width": 0}}, ["ZeroDivisionError|ValueError"]),
    ({"arguments": {"classes": 5}}, ["output is (5,)", "need (10,)", "class 0"]),
    ({"arguments": {"final": "sigmoid"}}, ["ends in sigmoid", "classes", "softmax"]),
    ({"arguments": {"dtype": "mixed_float16"}}, ["'conv2d'", "float16", "mixed precision"]),
    ({"arguments": {"dtype": "float64"}}, ["'conv2d'", "float64"]),
    ({"file": "missing.keras"}, ["no such file"]),
    ({"file": "nibble_nets.py"}, ["not a readable Keras network"]),
    ({"application": "mobilenet_v2"}, ["model.application: mobilenet_v2", "32x32"]),
    ({"application": "mobilenet_v2", "arguments": {"alfa": 1}}, ["alfa"]),
])  # fmt: skip
def test_what_cannot_be_trained_is_refused(fields: dict, words: list[str]):
    message = refusal(settings(**fields))
    for word in words:
        assert any(part in message for part in word.split("|")), message


@pytest.mark.parametrize(("arguments", "method", "words"), [
    ('nibble_nets:frozen", arguments: {layers: 2}', "{name: pruning}", ["pruning", "'conv2d' is frozen"]),
    ('nibble_nets:unscaled"', "{name: pruning}", ["pruning", "has no gamma"]),
    ('nibble_nets:two_heads"', "{name: dropout}", ["dropout", "'concatenate' (Concatenate)"]),
])  # fmt: skip
def test_a_method_that_does_not_suit_the_network_is_named(nets, tmp_path, capsys, arguments, method, words):
    model, methods = f'{{name: keras, factory: "{arguments}}}', f"[{method}, {{name: quantization}}]"
    assert main(["--config", config(nets, model, methods), "--output-dir", str(tmp_path)]) == 2
    message = capsys.readouterr().err
    assert all(word in message for word in words), message
    assert (
        not list(tmp_path.glob("runs/*/seed1/metrics.jsonl"))
        or not next(tmp_path.glob("runs/*/seed1/metrics.jsonl")).read_text()
    )


@pytest.mark.parametrize(("factory", "words"), [
    ("nibble_nets_2:build", ["there is no module 'nibble_nets_2'"]),
    ("nibble_needy:build", ["nibble_needy was found", "imports 'not_installed'", "nibble_needy.py, line 2"]),
    ("nibble_broken:build", ["SyntaxError", "nibble_broken.py, line 1"]),
])  # fmt: skip
def test_a_wrong_name_is_told_from_an_import_that_fails(factory: str, words: list[str]):
    message = refusal(KerasNetwork(factory=factory))
    assert all(word in message for word in words), message


def test_other_tasks_and_shapes_are_refused():
    assert "ends in softmax" in refusal(settings(), UNITS)
    assert "those of the data are (32, 32, 3)" in refusal(settings(), Needs((32, 32, 3), LABELS, "multiclass"))
    assert "dropout: position head" in refusal(settings(factory="two_heads"), dropout_rate=0.1)


def test_a_sigmoid_suits_action_units():
    network = own_network(settings(arguments={"final": "sigmoid"}), UNITS, seed=1, momentum=0.9)
    assert network.layers[-1].name == "dense" and network.layers[-1].get_config()["activation"] == "linear"


def test_a_file_of_keras_3_is_refused(tmp_path):
    keras = pytest.importorskip("keras", minversion="3")
    keras.Sequential([keras.Input(SHAPE), keras.layers.Flatten(), keras.layers.Dense(10)]).save(tmp_path / "new.keras")
    assert "written by Keras 3" in refusal(settings(file=str(tmp_path / "new.keras")))


def test_a_quantized_file_is_refused(tmp_path):
    from pipeline import quantize

    network = quantize(own_network(settings(), CLASSES, 1, 0.9))
    network.save(tmp_path / "quantized.keras")
    assert "holds a quantized network" in refusal(settings(file=str(tmp_path / "quantized.keras")))


@pytest.mark.parametrize("options", [["--dry-run"], []])
def test_the_command_exits_with_2_before_training(nets, tmp_path, capsys, options):
    model = '{name: keras, factory: "nibble_nets:build", arguments: {classes: 3}}'
    assert main(["--config", config(nets, model), "--output-dir", str(tmp_path), *options]) == 2
    assert "model.factory: nibble_nets:build: the network's output is (3,)" in capsys.readouterr().err
    assert not list(tmp_path.glob("runs/*/seed1/metrics.jsonl"))


def test_every_application_of_tf_keras_has_a_name():
    found = {name for name, value in vars(tf_keras.applications).items() if isinstance(value, Callable)}
    assert set(APPLICATIONS.values()) == found
