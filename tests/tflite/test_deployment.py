"""Sidecar and model card of an action unit network: what a developer of an app is told."""

from dataclasses import replace

import numpy as np

from pipeline.tflite.described_inputs import Input
from pipeline.tflite.ship import Shipment, model_card, sidecar
from pipeline.training.data import TrainingData
from pipeline.training.experiment import verified_examples

SHIPMENT = Shipment(
    name="faces", task="multilabel", labels=("AU1", "AU45"), inputs=(Input("image", (64, 64, 3)),), crop={"size": 64, "side": 3.2},
    metric="mean F1", validation_metric="val_f1", data="synthetic_faces",
    data_license="CC0", data_limits="rendered faces", noise={"kind": "annotators", "strength": 0.5},
    methods=[{"name": "quantization", "weight_bits": 4}], io="float32", seed=2, fold=3, config_hash="0123abcd",
)  # fmt: skip
METRICS = {
    "f1_mean": 0.71, "f1": {"AU1": 0.71, "AU45": None}, "f1_tuned": {"AU1": 0.7, "AU45": None},
    "base_rate": {"AU1": 0.2, "AU45": None}, "f1_all_positive": {"AU1": 0.33, "AU45": None},
}  # fmt: skip
SCORES = {
    "metrics": METRICS, "metrics_noisy": {"f1_mean": 0.62}, "thresholds": {"AU1": 0.00512, "AU45": 0.5},
    "not_learned": ["AU45"], "subject_counts": {"F001": {}, "F002": {}}, "selection": "last epoch", "val_f1": 0.6,
}  # fmt: skip
VERIFICATION = {
    "metrics": {"int8": 0.71}, "size_bytes": {"int8": 1000}, "latency_ms": {"int8": {"median": 0.1}}, "examples": 50,
    "code_mismatch": 0.0, "integer_model_examples": 20, "decision_agreement": 1.0,
}  # fmt: skip


def test_the_sidecar_names_units_that_were_not_learned():
    content = sidecar(SHIPMENT, SCORES, {})
    assert content["thresholds"] == {"AU1": 0.00512, "AU45": None} and content["not_learned"] == ["AU45"]
    assert content["crop"] == {"size": 64, "side": 3.2} and content["fold"] == 3
    assert content["chosen_by"]["metric"].startswith("val_f1")
    assert "1 / (1 + exp(-logit))" in content["output"]["value"]


def test_classes_have_no_thresholds():
    content = sidecar(replace(SHIPMENT, task="multiclass"), {"val_accuracy": 0.5}, {})
    assert content["thresholds"] is None and content["not_learned"] == []


def test_the_card_has_a_row_for_every_unit_and_lists_what_to_ignore():
    card = model_card(SHIPMENT, SCORES, VERIFICATION)
    assert "| AU1 | 20.0 | 71.0 | 33.0 | 0.00512 | 70.0 |" in card
    assert "| AU45 | undefined | undefined |" in card and "Not learned, ignore its output: AU45." in card
    assert "noisy labels of the same 2 test subjects: mean F1 62.0 %" in card and "tested on part 3" in card
    assert "- Data: CC0" in card and "Limits: rendered faces" in card


def test_verified_examples_come_from_all_over_the_test_part():
    count = 1000
    images = np.zeros((count, 2, 2, 1), np.uint8)
    images[:, 0, 0, 0] = np.arange(count) % 251
    labels = np.arange(count)
    nothing = np.zeros((0, 2, 2, 1), np.uint8)
    data = TrainingData(nothing, labels[:0], None, nothing, labels[:0], None, images, labels, 2)
    some, chosen = verified_examples(data, 100)
    assert len(set(chosen)) == 100 and np.ptp(chosen[:20]) > 500  # also the first few
    np.testing.assert_array_equal(some[:, 0, 0, 0], chosen % 251)
    assert len(verified_examples(data, None)[1]) == count
