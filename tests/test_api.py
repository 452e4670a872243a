"""The public API as README shows it: from a Keras network to a verified file, and what wrong arguments give."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tf_keras
from tf_keras import layers as kl

import pipeline
from pipeline import UserError, convert, load_config, load_run, quantize, verify

ROOT = Path(__file__).resolve().parents[1]
SEED = 7
CLASSES = 3


def network() -> tf_keras.Model:
    """A plain Keras CNN of images 8 x 8."""
    tf_keras.utils.set_random_seed(SEED)
    return tf_keras.Sequential([
        kl.Input((8, 8, 1)), kl.Conv2D(4, 3, padding="same", use_bias=False), kl.BatchNormalization(), kl.ReLU(),
        kl.Conv2D(8, 3, strides=2), kl.ReLU(), kl.GlobalAveragePooling2D(), kl.Dense(CLASSES),
    ])  # fmt: skip


def examples(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 (N, 8, 8, 1) whose brightness tells the class, labels int64 (N,)."""
    random = np.random.default_rng(SEED)
    labels = np.arange(count) % CLASSES
    images = random.normal(60 + 70 * labels[:, None, None, None], 20, (count, 8, 8, 1))
    return np.clip(images, 0, 255).astype(np.uint8), labels


def smoke(*overrides: str) -> pipeline.Experiment:
    """The experiment of smoke.yaml."""
    return load_config(ROOT / "qat_configs" / "smoke.yaml", overrides)


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    """(network, files, test images, test labels) after the ten lines of README."""
    images, labels = examples(192)
    model = quantize(network(), weight_bits=4, activation_bits=4)
    model.compile(tf_keras.optimizers.Adam(0.01), tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(images / 255, labels, epochs=15, verbose=0)
    return model, convert(model, tmp_path_factory.mktemp("files")), *examples(60)


def test_ten_lines_give_a_verified_file(shipped):
    model, files, images, labels = shipped
    report = verify(model, files, images, labels, latency_runs=10)
    assert report["passed"], report["failures"]
    assert report["code_mismatch"] == 0 and report["examples"] == 60
    assert report["metrics"]["int8"] > 0.6  # chance: 0.33
    assert set(report["weight_bits"].values()) == {4, 8}


def test_a_limit_that_is_missed_is_named(shipped):
    _, files, images, labels = shipped
    other = quantize(network(), weight_bits=4, activation_bits=4)
    report = verify(other, files, images, labels, latency_runs=10)
    assert not report["passed"] and any("fake_quant" in failure for failure in report["failures"])


WRONG = {
    "settings as a dict": (lambda shipped: quantize(network(), {"weight_bits": 4}), "QuantizationSettings, not dict"),
    "bits out of range": (lambda shipped: quantize(network(), weight_bits=9), "weight_bits"),
    "bits of the wrong type": (lambda shipped: quantize(network(), weight_bits="4"), "weight_bits"),
    "an unknown field": (lambda shipped: quantize(network(), bits=4), "bits"),
    "no model": (lambda shipped: quantize("float.keras"), "not builtins.str"),
    "a quantized model again": (lambda shipped: quantize(shipped[0]), "already quantized"),
    "a folder of the wrong type": (lambda shipped: convert(shipped[0], 3), "folder"),
    "convert's unknown field": (lambda shipped: convert(shipped[0], "x", int9=True), "int9"),
    "verify without files": (lambda shipped: verify(shipped[0], "folder", *shipped[2:]), "what convert returned"),
    "whole numbers": (lambda shipped: verify(*shipped[:2], shipped[2].astype(int), shipped[3]), "uint8"),
    "pixels as floats": (lambda shipped: verify(*shipped[:2], shipped[2] * 1.0, shipped[3]), "takes 0 to 1.*input_range"),
    "another size": (lambda shipped: verify(*shipped[:2], shipped[2][:, :4], shipped[3]), "the network takes"),
    "too few labels": (lambda shipped: verify(*shipped[:3], shipped[3][:5]), "labels"),
    "labels out of range": (lambda shipped: verify(*shipped[:3], shipped[3] + 10), "0 to 2"),
    "labels as text": (lambda shipped: verify(*shipped[:3], shipped[3].astype(str)), "integers"),
    "labels of another shape": (lambda shipped: verify(*shipped[:3], np.eye(5, dtype=int)[shipped[3]]), "integers"),
    "files of another model": (lambda shipped: verify(network(), *shipped[1:]), "not made of this model"),
    "a judge that is none": (lambda shipped: verify(*shipped, judge=5), "decide"),
    "scales that training has not seen": (
        lambda shipped: convert(shipped[0], "x", per_channel_dense=False), "use_per_tensor_dense",
    ),
    "a description of the wrong type": (lambda shipped: convert(shipped[0], "x", description=5), "description"),
    "a network that is not built": (lambda shipped: quantize(tf_keras.Sequential([kl.Dense(3)])), "built"),
    "images of any size": (
        lambda shipped: quantize(tf_keras.Sequential([kl.Input((None, None, 1)), kl.Conv2D(3, 3)])), "fixed size",
    ),
    "an output folder of the wrong type": (lambda shipped: pipeline.run(smoke(), 5), "output_dir"),
    "a stop that is none": (lambda shipped: pipeline.run(smoke(), stop=True), "stop"),
    "a configuration that is no path": (lambda shipped: load_config({"data": {}}), "path of a YAML"),
    "overrides as one text": (lambda shipped: load_config("x.yaml", "train.epochs=3"), "list of texts"),
    "overrides of the wrong type": (lambda shipped: load_config("x.yaml", [3]), "list of texts"),
    "a folder that is no run": (lambda shipped: load_run(ROOT / "docs"), "not a run folder"),
    "no experiment": (lambda shipped: pipeline.run({"data": {}}), "load_config"),
    "no run folder": (lambda shipped: load_run("nowhere"), "no such run folder"),
    "no path": (lambda shipped: load_run(None), "path"),
    "no configuration": (lambda shipped: load_config("nowhere.yaml"), "nowhere.yaml"),
}  # fmt: skip


@pytest.mark.parametrize(("call", "message"), WRONG.values(), ids=WRONG)
def test_wrong_arguments_are_user_errors(shipped, call, message: str):
    with pytest.raises(UserError, match=message):
        call(shipped)


def test_every_public_name_is_there():
    assert all(getattr(pipeline, name) for name in pipeline.__all__)
    with pytest.raises(AttributeError):
        _ = pipeline.nothing


def test_importing_the_package_imports_nothing_else():
    code = "import sys, pipeline; sys.exit(bool({'numpy', 'pydantic', 'pandas', 'tensorflow'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_fewer_examples_are_verified_if_asked_for(shipped):
    assert verify(*shipped, latency_runs=10, examples=7)["examples"] == 7


def test_a_run_by_the_api_is_loaded_again(tmp_path):
    sets = ("data.train_examples=128", "data.test_examples=40", "train.epochs=1")
    folder = pipeline.run(smoke(*sets), tmp_path)
    run, noise = load_run(folder), folder / "seed1" / "noise.npz"
    assert len(run.epochs) == 1 and run.finished["scores.metrics.accuracy"].notna().all()
    assert set(run.files()) == {"int8", "int4", "float32"}
    written = noise.stat().st_mtime_ns
    assert run.model().output_shape == (None, 10)
    assert noise.stat().st_mtime_ns == written  # loading writes nothing
    assert (tmp_path / "tflite_out" / "smoke" / "model_int8.tflite").is_file()
    with pytest.raises(UserError, match="seed1"):
        run.files(seed=2)
    trained = (folder / "environment.json").read_bytes(), (folder / "seed1" / "metrics.jsonl").stat().st_mtime_ns
    assert pipeline.run(smoke(*sets, "train.tensorboard=true"), tmp_path) == folder  # curves without training again
    assert list((folder / "seed1" / "tensorboard").glob("events*"))
    assert trained == (
        (folder / "environment.json").read_bytes(),
        (folder / "seed1" / "metrics.jsonl").stat().st_mtime_ns,
    )
