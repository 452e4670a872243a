"""The model that comes with the project: whole, exact, within its limits, and what its card says of it."""

from pathlib import Path

import numpy as np

from pipeline.config import config_hash, load_config
from pipeline.data.au_set import AU_NUMBERS
from pipeline.deployment import check_shipped
from pipeline.litert import LiteRtModel
from pipeline.run_files import read_json

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "tflite_out" / "synthetic_faces"


def test_its_files_belong_together_and_to_the_configuration():
    sidecar = check_shipped(FOLDER)
    assert sidecar["config_hash"] == config_hash(load_config(ROOT / "qat_configs" / "synthetic_faces.yaml"))
    assert sidecar["labels"] == [f"AU{number}" for number in AU_NUMBERS]
    assert set(sidecar["thresholds"]) == set(sidecar["labels"])
    assert {"model_int8.tflite", "model_int4.tflite", "model_float32.tflite"} <= set(sidecar["files"])


def test_it_is_exact_and_small():
    verification = read_json(FOLDER / "verification.json")
    assert verification["passed"] and verification["code_mismatch"] == 0
    assert verification["decision_agreement"] >= 0.999
    assert verification["size_bytes"]["int8"] <= 300_000


def test_both_files_run_and_tell_noise_from_grey():
    images = np.full((2, 64, 64, 3), 128, np.uint8)
    images[1] = np.random.default_rng(0).integers(0, 256, images[1].shape)
    for name in ("model_int8.tflite", "model_int4.tflite"):
        logits = LiteRtModel((FOLDER / name).read_bytes()).logits(images)
        assert logits.shape == (2, 12) and np.isfinite(logits).all() and (logits[0] != logits[1]).any()


def test_the_card_states_the_limits():
    card = (FOLDER / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "RENDERED faces, not on people" in card and "not certified" in card
