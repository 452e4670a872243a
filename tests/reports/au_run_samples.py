"""A realistic run on action units: folds and seeds, scores from simulated logits through the real metrics."""

import json
from pathlib import Path

import numpy as np

from pipeline.action_units.intervals import bootstrap_f1, subject_counts
from pipeline.action_units.metrics import (
    agreement,
    agreement_per_au,
    au_metrics,
    by_name,
    decisions,
    mean_f1,
    undefined,
)
from pipeline.runs.files import plain
from tests.reports.run_samples import CONFIG, ENVIRONMENT, STATUS, verification, write_json, write_yaml

AUS = ("AU1", "AU2", "AU4", "AU6", "AU7", "AU10", "AU12", "AU14", "AU15", "AU17", "AU23", "AU24")
RUN, BASELINE = "synthetic_faces-1a2b3c4d", "synthetic_faces-baseline-5e6f7a8b"
EPOCHS = 8
PARTS = {1: ("F001", "F002", "M001", "M004"), 2: ("F003", "F005", "M002", "M005"), 3: ("F004", "F006", "M003", "M006")}
AU_CONFIG = {
    **CONFIG,
    "name": "synthetic_faces",
    "data": {"name": "synthetic_faces", "folds": [1, 2], "aus": [1, 2], "val_fraction": 0.15, "image_size": 64},
    "noise": {"kind": "annotators", "strength": 1.0},
    "model": {"name": "au_network", "encoder": "small_resnet"},
    "train": {**CONFIG["train"], "epochs": EPOCHS},
    "seeds": [1, 2],
}
DATA = {
    "truth_known": True,
    "skipped": {"frames without an image": 12, "unreadable images": {"F001/T1/0003.jpg": "truncated"}, "other": 0},
    "crop": {"side": 3.2, "eye_line": 0.38, "detector": "BlazeFace short range"},
    "subjects": {
        str(fold): {"train": ["M017", "M018"], "validation": ["F020"], "test": list(subjects)}
        for fold, subjects in PARTS.items()
    },
    "examples": {str(fold): {"train": 9000, "validation": 1500, "test": 5000} for fold in PARTS},
}


def write_au_sample(root: Path, folds: tuple[int, ...] = (1, 2), config: dict | None = None) -> Path:
    """Write a run of two seeds and its baseline below `root`; returns the run's folder."""
    settings = {**AU_CONFIG, "data": {**AU_CONFIG["data"], "folds": list(folds)}, **(config or {})}
    quantized = write_au_run(root / RUN, settings, folds, skill=1.6, memorising=0.2)
    plain_settings = {**settings, "methods": [], "baseline": False}
    write_au_run(root / BASELINE, plain_settings, folds, skill=1.3, memorising=0.7)
    write_json(quantized / "baseline.json", {"folder": f"../{BASELINE}"})
    return quantized


def write_au_run(folder: Path, config: dict, folds: tuple[int, ...], skill: float, memorising: float) -> Path:
    """One run folder with verification; `skill` is how far logits lie apart, `memorising` the share of wrong labels."""
    folder.mkdir(parents=True)
    for name in ("config.yaml", "resolved.yaml"):
        write_yaml(folder / name, config)
    for name, record in (("environment", ENVIRONMENT), ("status", STATUS), ("data", DATA)):
        write_json(folder / f"{name}.json", record)
    for seed in config["seeds"]:
        for fold in folds:
            scores = au_scores(seed, fold, skill, memorising, noisy=config["noise"]["kind"] != "none")
            _write_unit(folder / f"seed{seed}-fold{fold}", scores)
            write_json(folder / f"seed{seed}-fold{fold}" / "verification.json", verification(seed))
    return folder


def au_scores(
    seed: int, fold: int, skill: float, memorising: float, noisy: bool = True, absent: tuple[str, ...] = ()
) -> dict:
    """scores.json of one training; units in `absent` have no positive label."""
    rng = np.random.default_rng([seed, fold])
    subjects = np.repeat(PARTS[fold], 100)
    rates = np.linspace(0.15, 0.6, len(AUS))
    truth = (rng.random((len(subjects), len(AUS))) < rates).astype(np.uint8)
    truth[:, [AUS.index(name) for name in absent]] = 0
    given = np.where(rng.random(truth.shape) < 0.1, 1 - truth, truth)
    logits = skill * (2.0 * truth - 1) + rng.normal(0, 1.5, truth.shape)
    memory = np.where(rng.random(truth.shape) < memorising, given, truth) * 2.0 - 1
    thresholds, weights = np.full(len(AUS), 0.45), np.ones(len(AUS))
    counted = subject_counts(decisions(logits), truth, subjects, AUS)
    metrics = au_metrics(logits, truth, AUS, thresholds, weights)
    fits = agreement_per_au(memory, given, given != truth)
    scores = {
        "task": "multilabel",
        "metrics": metrics,
        "metrics_noisy": au_metrics(logits, given, AUS, thresholds, weights) if noisy else None,
        "thresholds": by_name(thresholds, AUS),
        "intervals": bootstrap_f1(counted),
        "undefined": undefined(truth, AUS, "test"),
        "subject_counts": counted,
        "train_noisy_fit": memorising if noisy else None,
        "train_clean_fit": 0.9,
        "test_noisy_fit": agreement(logits, given, given != truth) if noisy else None,
        "train_noisy_fit_per_au": by_name(fits, AUS) if noisy else None,
        "val_f1": mean_f1(logits, given),
        "val_clean_f1": mean_f1(logits, truth),
        "seed": seed, "fold": fold, "epochs_run": EPOCHS, "selection": "last epoch", "epoch_selected": EPOCHS,
        "oracle": {"test_f1": metrics["f1_mean"] + 0.01, "epoch": EPOCHS - 2}, "seconds": 30.0 + seed,
    }  # fmt: skip
    return plain(scores)


def _write_unit(folder: Path, scores: dict) -> None:
    """metrics.jsonl that rises to the scores, scores.json, noise.npz."""
    write_json(folder / "scores.json", scores)
    reached, memorised = scores["metrics"]["f1_mean"], scores["train_noisy_fit"]
    noisy = (scores["metrics_noisy"] or {}).get("f1_mean")
    with (folder / "metrics.jsonl").open("w") as file:
        for epoch in range(1, EPOCHS + 1):
            share = 1 - 0.5**epoch
            line = {
                "epoch": epoch, "learning_rate": 1e-3, "train_loss": 1.2 - share, "seconds": 3.0,
                "train_eval_loss": 1.1 - share, "train_f1": 0.9 * share, "train_clean_fit": share,
                "train_noisy_fit": None if memorised is None else share * memorised,
                "val_loss": 1.3 - share / 2, "val_f1": reached * share, "val_clean_f1": reached * share,
                "test_loss": 1.3 - share / 2, "test_f1": reached * share,
                "test_noisy_f1": None if noisy is None else noisy * share,
            }  # fmt: skip
            file.write(json.dumps(line) + "\n")
    corrupted = np.random.default_rng(0).random((600, len(AUS))) < (0 if noisy is None else 0.08)
    np.savez(folder / "noise.npz", corrupted=corrupted, train=np.arange(500), validation=np.arange(500, 600))
