"""Training on two logical CPU devices, in a process of its own: the same steps, the same numbers after a stop."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from pipeline.config import config_hash, to_yaml
from pipeline.data.batches import epoch_order
from pipeline.errors import UserError
from pipeline.training.replicas import make_replicas
from tests.config.config_samples import MINIMAL, errors_of, load_text
from tests.processes import python
from tests.training.training_samples import tiny_data


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> dict:
    """What `tests.training.replicas_child` found."""
    folder = tmp_path_factory.mktemp("replicas")
    done = python("-m", "tests.training.replicas_child", folder)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads((folder / "results.json").read_text())


@pytest.mark.parametrize("name", ["smoothing and l2", "decoupled decay", "pruning, adamw", "action units", "uneven"])
def test_steps_are_those_of_one_replica(results, name):
    found = results["same_steps"][name]
    assert found["mirrored"]
    assert found["apart"] < 3e-6 < 1e-3 < found["moved"]
    np.testing.assert_allclose(*found["losses"], rtol=1e-5)


def shares() -> list[np.ndarray]:
    """The two halves of the first batch of eight images, in [0, 1]."""
    batch = tiny_data(train=8).train_images[epoch_order(8, 1, 0)] / np.float32(255)
    return [batch[:4], batch[4:]]


def convolved(images: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Images (B, 8, 8, 1) through a kernel (3, 3, 1, C) of 8 bits per channel, without padding: (B, 6, 6, C)."""
    scale = np.abs(kernel).max(axis=(0, 1, 2)) / 127
    rounded = np.rint(kernel / scale) * scale
    out = np.zeros((len(images), 6, 6, kernel.shape[-1]))
    for row in range(3):
        for column in range(3):
            out += images[:, row : row + 6, column : column + 6] * rounded[row, column, 0]
    return out


def test_statistics_are_the_mean_of_what_each_replica_sees_alone(results):
    kernel, copies = np.array(results["statistics"]["kernel"]), results["statistics"]["copies"]
    outputs = [convolved(images, kernel) for images in shares()]
    means, variances = ([function(x) for x in outputs] for function in (_mean, _variance))
    ranges = [((x - _mean(x)) / np.sqrt(x.var(axis=(0, 1, 2)) + 1e-3)).max() for x in outputs]
    expected = {
        "bn0/moving_mean:0": 0.1 * np.mean(means, axis=0),
        "bn0/moving_variance:0": 0.9 + 0.1 * np.mean(variances, axis=0),
        "quant_relu0/output_activation_range:0": np.mean(ranges),
    }
    assert abs(ranges[0] - ranges[1]) > 0.01
    for name, value in expected.items():
        first, second = copies[name]
        assert first == second
        np.testing.assert_allclose(first, value, rtol=1e-4, atol=1e-6, err_msg=name)


def _mean(x: np.ndarray) -> np.ndarray:
    return x.mean(axis=(0, 1, 2))


def _variance(x: np.ndarray) -> np.ndarray:
    """As Keras's fused batch norm keeps it, without bias."""
    return x.var(axis=(0, 1, 2), ddof=1)


def test_dropout_differs_between_replicas_and_steps_and_repeats_itself(results):
    found = results["dropout"]
    assert found["once"] == found["again"] != found["later"]
    assert found["once"][0] == found["alone"] != found["once"][1]
    assert np.unique(found["once"]).tolist() == [0.0, 2.0]


def test_a_stopped_run_goes_on_with_the_same_numbers(results):
    found = results["resumed"]
    assert found["stops"] == 2
    assert found["apart"] == 0 and found["losses"][0] == found["losses"][1]


def test_checkpoints_and_weights_fit_any_number_of_replicas(results):
    found = results["resumed"]
    assert found["taken over by one"] == found["loaded by one"] == 0 < found["trained on by one"]


def test_four_bits_and_batch_norm_learn_as_well_as_on_one_replica(results):
    one, two = results["quality"]["one"], results["quality"]["two"]
    assert min(one["test_accuracy"], two["test_accuracy"]) > 0.9
    assert two["test_accuracy"] == pytest.approx(one["test_accuracy"], abs=0.05)
    assert two["train_noisy_fit"] == pytest.approx(one["train_noisy_fit"], abs=0.1)


def test_the_file_of_a_run_is_exact(results):
    assert results["whole_pipeline"] == {"code": 0, "passed": True, "code_mismatch": 0.0, "decision_agreement": 1.0}


def test_a_loss_that_is_not_finite_on_one_replica_changes_no_weight(results):
    assert "step 1 (epoch 1, its step 1 of 8): the loss is not finite" in results["failures"]["diverged"]
    assert results["failures"]["moved"] == 0


def test_batches_and_devices_that_cannot_be_shared_are_refused(results):
    assert "a batch of 1 is too small for 2 replicas" in results["failures"]["one image"]
    assert "3, but TensorFlow already runs in this process with 2 logical CPU devices" in results["failures"]["three"]


def test_more_replicas_than_gpus(monkeypatch):
    names = {"one": "A100", "two": "A30"}
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [SimpleNamespace(name=name) for name in names])
    details = lambda gpu: {"device_name": names[gpu.name]}  # noqa: E731
    monkeypatch.setattr(tf.config.experimental, "get_device_details", details)
    with pytest.raises(UserError, match=r"train.replicas: 3, but TensorFlow finds only these GPUs: A100, A30"):
        make_replicas(3)


def test_the_batch_must_be_shared_equally(tmp_path):
    (error,) = errors_of(tmp_path, MINIMAL, "train.replicas=3", "train.batch_size=64")
    assert error.startswith("--set train.replicas=3: train.replicas: ") and "train.batch_size (64)" in error


def test_one_replica_is_the_run_it_was_before_and_two_are_another(tmp_path):
    plain, one, two = (
        load_text(tmp_path, MINIMAL, *more) for more in ((), ("train.replicas=1",), ("train.replicas=2",))
    )
    assert config_hash(plain) == config_hash(one) != config_hash(two)
    assert "replicas" not in to_yaml(one)
    assert load_text(tmp_path, to_yaml(two)) == two
