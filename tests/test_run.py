"""The command line on real images, cut small: what a user types, what is there afterwards, and what goes wrong."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import weight_storage
from pipeline.config import config_hash, load_config
from pipeline.errors import UserError
from pipeline.run import baseline_of, dry_run_of, main
from pipeline.runs.folder import open_run, read_status, write_status
from pipeline.tflite.ship import check_shipped
from tests.processes import ROOT, python, wait_until
from tests.training.training_samples import metrics

SMOKE = str(ROOT / "qat_configs" / "smoke.yaml")
SMALL = (
    "data.train_examples=320", "data.test_examples=60", "train.epochs=2", "train.batch_size=32", "model.width=4",
    "train.statistics_batches=2", "verify.latency_runs=10", "verify.fake_quant_agreement=0.9", "verify.metric_delta=5",
)  # fmt: skip
ALL_METHODS = (
    "methods=[{name: early_stopping}, {name: weight_decay, rate: 0.0001}, {name: dropout, position: blocks}, "
    "{name: label_smoothing}, {name: pruning, ratio: 0.5}, {name: quantization, warmup_epochs: 1}]"
)


def arguments(folder: Path, *overrides: str) -> list[str]:
    sets = [part for override in (*SMALL, *overrides) for part in ("--set", override)]
    return ["--config", SMOKE, "--output-dir", str(folder), *sets]


def run_folder(folder: Path, *overrides: str) -> Path:
    experiment = load_config(SMOKE, [*SMALL, *overrides])
    return folder / "runs" / f"{experiment.name}-{config_hash(experiment)}"


def start(*parts: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "pipeline.run", *parts]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """An output folder in which a small run with a baseline is complete."""
    folder = tmp_path_factory.mktemp("finished")
    assert main(arguments(folder, "baseline=true")) == 0
    return folder


def test_a_run_leaves_everything_the_design_names(finished):
    folder = run_folder(finished, "baseline=true")
    whole = "config.yaml resolved.yaml environment.json status.json report.html report.md baseline.json"
    seed = "metrics.jsonl scores.json best.weights.h5 noise.npz verification.json model_int8.tflite"
    for path in (*(folder / name for name in whole.split()), *(folder / "seed1" / name for name in seed.split())):
        assert path.stat().st_size > 0, path
    assert read_status(folder)["state"] == "done"
    assert (folder / json.loads((folder / "baseline.json").read_text())["folder"] / "seed1" / "scores.json").exists()


def test_the_file_computes_what_the_integer_model_computes(finished):
    verification = json.loads((run_folder(finished, "baseline=true") / "seed1" / "verification.json").read_text())
    assert verification["code_mismatch"] == 0
    assert all(layer["code_mismatch"] == 0 for layer in verification["layers"])
    assert verification["float_tensors"] == []
    assert verification["weight_bits"]["s1b1_conv1"] == 4
    assert verification["weight_bits"]["conv0"] == 8


def test_the_scores_follow_the_metrics(finished):
    folder = run_folder(finished, "baseline=true") / "seed1"
    scores, last = json.loads((folder / "scores.json").read_text()), metrics(folder)[-1]
    assert scores["selection"] == "last epoch"
    assert scores["metrics"]["accuracy"] == last["test_accuracy"]
    assert scores["train_noisy_fit"] == last["train_noisy_fit"]
    assert scores["oracle"]["test_accuracy"] == max(line["test_accuracy"] for line in metrics(folder))


def test_the_shipped_folder_matches_its_sidecar(finished):
    shipped = finished / "tflite_out" / "smoke"
    sidecar = check_shipped(shipped)
    models = {"model_int8.tflite", "model_int4.tflite", "model_float32.tflite"}
    assert set(sidecar["files"]) == {*models, "verification.json", "MODEL_CARD.md", "golden_vectors.json"}
    assert len(sidecar["labels"]) == 10
    assert "code" in (shipped / "MODEL_CARD.md").read_text()


def test_the_mask_of_wrong_labels_is_kept_and_is_the_noise_of_the_seed(finished):
    noise = np.load(run_folder(finished, "baseline=true") / "seed1" / "noise.npz")
    assert len(noise["corrupted"]) == 320
    assert 0.25 < noise["corrupted"].mean() <= 0.4
    folder = next(finished.glob("runs/smoke-baseline-*"))
    assert np.array_equal(np.load(folder / "seed1" / "noise.npz")["labels"], noise["labels"])


def test_both_storages_of_4_bit_weights_are_exact_in_xnnpack(finished, tmp_path):
    """The benchmark that compares them, on the weights of the run."""
    output = tmp_path / "weight_storage.json"
    seed_folder = run_folder(finished, "baseline=true") / "seed1"
    weight_storage.main(["--run", str(seed_folder), "--examples", "40", "--output", str(output)])
    result = json.loads(output.read_text())
    assert result["narrow"]["xnnpack"]["code_mismatch"] == result["scaled"]["xnnpack"]["code_mismatch"] == 0
    assert result["narrow"]["builtin"] == result["int4"]["builtin"]


def test_the_same_command_returns_at_once(finished, capsys):
    folder = run_folder(finished, "baseline=true") / "seed1"
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert main(arguments(finished, "baseline=true")) == 0
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    assert "report.html" in capsys.readouterr().out


def test_a_shipped_file_that_was_changed_is_named_and_shipped_again(finished):
    path = finished / "tflite_out" / "smoke" / "model_int8.tflite"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(UserError, match=r"model_int8.tflite: does not match its sidecar"):
        check_shipped(path.parent)
    assert main(arguments(finished, "baseline=true")) == 0
    check_shipped(path.parent)


def test_a_verified_file_that_was_damaged_is_made_again(finished):
    """Neither a truncated nor a missing file of a finished seed is shipped."""
    folder = run_folder(finished, "baseline=true") / "seed1"
    whole = (folder / "model_int8.tflite").read_bytes()
    (folder / "model_int8.tflite").write_bytes(whole[:1000])
    (folder / "model_int4.tflite").unlink()
    (finished / "tflite_out" / "smoke" / "model_int8.tflite").unlink()
    assert main(arguments(finished, "baseline=true")) == 0
    assert (folder / "model_int8.tflite").read_bytes() == whole
    assert (finished / "tflite_out" / "smoke" / "model_int8.tflite").read_bytes() == whole
    assert "model_int4.tflite" in check_shipped(finished / "tflite_out" / "smoke")["files"]


def test_a_missing_report_is_written_again(finished):
    report = run_folder(finished, "baseline=true") / "report.html"
    report.unlink()
    assert main(arguments(finished, "baseline=true")) == 0
    assert report.exists()


def test_a_sidecar_without_files_is_no_sidecar(tmp_path):
    (tmp_path / "model.json").write_text('{"format": 1}')
    with pytest.raises(UserError, match=r"model\.json"):
        check_shipped(tmp_path)


def test_a_file_in_the_place_of_the_output_folder_exits_2_before_training(tmp_path, capsys):
    (tmp_path / "tflite_out").write_text("")
    assert main(arguments(tmp_path)) == 2
    assert "tflite_out" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_all_methods_together_train_convert_and_verify(tmp_path):
    overrides = (ALL_METHODS, "train.epochs=3")
    assert main(arguments(tmp_path, *overrides)) == 0
    folder = run_folder(tmp_path, *overrides) / "seed1"
    verification = json.loads((folder / "verification.json").read_text())
    assert verification["code_mismatch"] == 0
    filters = {layer["name"]: layer["parameters"] for layer in verification["layers"]}
    assert filters["s1b1_conv1"] == 3 * 3 * 2 * 2 + 2  # half of the 4 filters, in and out
    assert json.loads((folder / "scores.json").read_text())["selection"] == "early stopping"


def test_a_float_network_gives_a_float_file_only(tmp_path):
    assert main(arguments(tmp_path, "methods=[{name: pruning}]", "model.width=8")) == 0
    folder = run_folder(tmp_path, "methods=[{name: pruning}]", "model.width=8") / "seed1"
    assert sorted(path.name for path in folder.glob("*.tflite")) == ["model_float32.tflite"]
    assert json.loads((folder / "verification.json").read_text())["decision_agreement"] == 1


def test_int8_input_and_output_with_a_per_tensor_dense(tmp_path):
    overrides = ("convert.io=int8", "convert.per_channel_dense=false", "convert.weight_storage=scaled")
    assert main(arguments(tmp_path, *overrides)) == 0
    verification = json.loads((run_folder(tmp_path, *overrides) / "seed1" / "verification.json").read_text())
    assert verification["code_mismatch"] == 0
    dense = verification["layers"][-1]
    assert dense["weight_scale_min"] == dense["weight_scale_max"]


def test_killed_at_any_moment_a_run_goes_on_to_the_same_numbers(tmp_path, finished):
    parts = arguments(tmp_path)
    folder = run_folder(tmp_path) / "seed1"
    process = start(*parts)
    wait_until(lambda: list(folder.glob("checkpoint-*.npz")), process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert main(parts) == 0
    expected = metrics(run_folder(finished, "baseline=true") / "seed1")
    for line, other in zip(metrics(folder), expected, strict=True):
        assert line == pytest.approx(other, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_stops_cleanly_and_says_how_to_go_on(tmp_path, signum, code):
    parts = arguments(tmp_path, "train.epochs=500", "train.evaluate_every=500")
    process = start(*parts)
    wait_until(lambda: list(tmp_path.glob("runs/*/seed1/checkpoint-*.npz")), process)
    process.send_signal(signum)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == code
    assert f"python -m pipeline.run {parts[0]}" in errors
    assert "Traceback" not in errors
    assert read_status(run_folder(tmp_path, "train.epochs=500", "train.evaluate_every=500"))["state"] == "stopped"


def test_a_second_process_on_the_same_folder_is_refused(tmp_path, capsys):
    with open_run(run_folder(tmp_path)):
        result = python("-m", "pipeline.run", *arguments(tmp_path))
    assert result.returncode == 2
    assert str(os.getpid()) in result.stderr


def test_a_loss_that_is_no_number_stops_the_run(tmp_path, capsys):
    assert main(arguments(tmp_path, "train.learning_rate=1e30")) == 1
    message = capsys.readouterr().err
    assert "diverged at step" in message
    assert "layer" in message
    assert read_status(run_folder(tmp_path, "train.learning_rate=1e30"))["state"] == "failed"


def test_a_missed_limit_fails_the_run_loudly(tmp_path, capsys, monkeypatch):
    from pipeline.training import experiment

    real = experiment.verify
    broken = {"passed": False, "failures": ["code_mismatch 0.5 is above the limit 0"]}
    monkeypatch.setattr(experiment, "verify", lambda *parts: real(*parts) | broken)
    assert main(arguments(tmp_path)) == 1
    assert "VERIFICATION FAILED" in capsys.readouterr().err
    assert not (tmp_path / "tflite_out" / "smoke").exists()
    assert "code_mismatch 0.5" in (run_folder(tmp_path) / "report.md").read_text()
    monkeypatch.undo()
    assert main(arguments(tmp_path)) == 0  # trained already: verified again


def test_wrong_input_exits_2_with_every_error_and_no_traceback(tmp_path, capsys):
    assert main(arguments(tmp_path, "train.epocs=3", "noise.rate=2", f"data.root={tmp_path}")) == 2
    message = capsys.readouterr().err
    assert "train.epocs" in message
    assert "noise.rate" in message
    assert "Traceback" not in message
    assert not (tmp_path / "runs").exists()


def test_missing_data_exits_2_and_says_where_it_looked(tmp_path, capsys):
    assert main(arguments(tmp_path, f"data.root={tmp_path}")) == 2
    assert str(tmp_path) in capsys.readouterr().err
    assert read_status(run_folder(tmp_path, f"data.root={tmp_path}"))["state"] == "failed"


def test_more_examples_than_there_are_exit_2(tmp_path, capsys):
    assert main(arguments(tmp_path, "data.train_examples=100000000")) == 2
    assert "train_examples" in capsys.readouterr().err


def test_a_dry_run_checks_what_the_real_run_needs(tmp_path, capsys):
    assert main([*arguments(tmp_path, "data.train_examples=100000"), "--dry-run"]) == 2
    assert "data.train_examples: 100000 asked for" in capsys.readouterr().err
    (tmp_path / "runs").write_text("a file")
    assert main([*arguments(tmp_path), "--dry-run"]) == 2
    assert "runs is not a folder" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]


def test_fresh_starts_again(tmp_path):
    folder = run_folder(tmp_path, "train.epochs=1")
    write_status(folder, "done", seeds_done=[1])
    (folder / "report.html").write_text("of an earlier run")
    (folder / "left-over").write_text("")
    assert main([*arguments(tmp_path, "train.epochs=1"), "--fresh"]) == 0
    assert not (folder / "left-over").exists() and (folder / "seed1" / "scores.json").exists()


def test_print_config_is_a_config(tmp_path, capsys):
    assert main([*arguments(tmp_path), "--print-config"]) == 0
    path = tmp_path / "smoke.yaml"
    path.write_text(capsys.readouterr().out)
    assert load_config(path) == load_config(SMOKE, SMALL)


def test_the_baseline_is_the_same_experiment_without_methods():
    experiment = load_config(SMOKE, ["baseline=true"])
    baseline = baseline_of(experiment)
    assert (baseline.methods, baseline.baseline, baseline.name) == ([], False, "smoke-baseline")
    assert (baseline.data, baseline.noise, baseline.train) == (experiment.data, experiment.noise, experiment.train)
    assert baseline_of(baseline) is None


def test_a_dry_run_is_one_batch():
    small = dry_run_of(load_config(SMOKE, ["baseline=true", "seeds=[3, 4]"]))
    assert (small.train.epochs, small.seeds, small.baseline) == (1, [3], False)
    kept = small.data.train_examples * (1 - small.data.val_fraction)
    assert small.train.batch_size <= kept < 2 * small.train.batch_size
