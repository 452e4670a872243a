"""From rendered faces to a verified file with thresholds, cut small: what a user of action units types and gets."""

import json
from pathlib import Path

import numpy as np
import pytest

from pipeline.config import config_hash, load_config
from pipeline.run import main
from pipeline.tflite.litert import LiteRtModel
from pipeline.tflite.ship import check_shipped
from pipeline.training.experiment import load_trained
from tests.processes import ROOT

CONFIG = str(ROOT / "qat_configs" / "synthetic_faces.yaml")
SMALL = (
    "data.aus=[6,12]", "data.subjects=6", "data.frames=3", "data.render_size=48", "data.image_size=32",
    "data.folds=[1,2]", "data.val_fraction=0.25", "model.width=4", "model.head_units=8",
    "methods=[{name: quantization}]", "train.epochs=2", "train.batch_size=16", "train.statistics_batches=2",
    "baseline=false", "verify={latency_runs: 10, decision_agreement: 0.99, fake_quant_agreement: 0.8, metric_delta: 5}",
)  # fmt: skip
AUS = ("AU6", "AU12")


def arguments(folder: Path, *overrides: str) -> list[str]:
    sets = [part for override in (*SMALL, *overrides) for part in ("--set", override)]
    return ["--config", CONFIG, "--output-dir", str(folder), *sets]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The output folder and the run folder of one small run with two folds; faces are rendered for it."""
    folder = tmp_path_factory.mktemp("faces")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TFDS_DATA_DIR", str(folder / "tfds"))
        assert main(arguments(folder)) == 0
        experiment = load_config(CONFIG, SMALL)
        yield folder, folder / "runs" / f"{experiment.name}-{config_hash(experiment)}"


def test_every_fold_has_scores_by_action_unit(finished):
    _, run = finished
    for fold in (1, 2):
        scores = json.loads((run / f"seed1-fold{fold}" / "scores.json").read_text())
        assert scores["task"] == "multilabel" and scores["fold"] == fold
        assert tuple(scores["metrics"]["f1"]) == AUS and tuple(scores["thresholds"]) == AUS
        assert scores["metrics_noisy"] is not None and 0 <= scores["train_noisy_fit"] <= 1
        verification = json.loads((run / f"seed1-fold{fold}" / "verification.json").read_text())
        assert verification["passed"] and verification["code_mismatch"] == 0


def test_data_json_names_the_subjects(finished):
    _, run = finished
    facts = json.loads((run / "data.json").read_text())
    parts = [facts["subjects"][fold]["test"] for fold in ("1", "2")]
    assert all(parts) and not set(parts[0]) & set(parts[1])


def test_the_shipment_says_how_to_use_it(finished):
    folder, _ = finished
    shipped = folder / "tflite_out" / "synthetic_faces"
    sidecar = check_shipped(shipped)
    assert sidecar["task"] == "multilabel" and tuple(sidecar["labels"]) == AUS
    assert tuple(sidecar["thresholds"]) == AUS and sidecar["crop"]["size"] == 32
    assert "RENDERED" in (shipped / "MODEL_CARD.md").read_text()
    logits = LiteRtModel((shipped / "model_int8.tflite").read_bytes()).logits(np.zeros((2, 32, 32, 3), np.uint8))
    assert logits.shape == (2, 2) and np.isfinite(logits).all()


def test_the_same_command_returns_at_once(finished, capsys):
    folder, run = finished
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*.json")}
    assert main(arguments(folder)) == 0
    assert before == {path: path.stat().st_mtime_ns for path in run.rglob("*.json")}
    assert "report" in capsys.readouterr().out


def test_a_trained_network_is_loaded_with_its_data(finished):
    _, run = finished
    trained = load_trained(run / "seed1-fold2")
    assert trained.training.fold == 2 and tuple(trained.data.label_names) == AUS
    again = LiteRtModel((run / "seed1-fold2" / "model_int8.tflite").read_bytes()).logits(trained.data.test_images)
    scores = json.loads((run / "seed1-fold2" / "scores.json").read_text())
    assert trained.task.metric(again, trained.data.test_labels) == pytest.approx(scores["metrics"]["f1_mean"], abs=0.05)


def test_missing_bp4d_names_the_way_to_get_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    assert main(["--config", str(ROOT / "qat_configs" / "bp4d.yaml"), "--output-dir", str(tmp_path)]) == 2
    message = capsys.readouterr().err
    assert "Binghamton" in message and "synthetic_faces.yaml" in message and "downloads/manual/bp4d" in message
