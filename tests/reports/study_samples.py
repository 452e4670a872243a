"""Study folders in the exact file formats: classes by noise rates and settings, action units by folds, a search."""

import json
import zlib
from collections.abc import Callable, Iterator, Mapping
from functools import reduce
from itertools import product
from pathlib import Path

import numpy as np
import yaml

RATES, SEEDS, EPOCHS = (0.0, 0.4, 0.8), (1, 2, 3), 12
SETTINGS = {
    "baseline": {"": {}},
    "dropout": {f"rate {rate}": {"dropout.rate": rate} for rate in (0.1, 0.5)},
    "quantization": {
        f"W{weights}/A{activations}": {"quantization.weight_bits": weights, "quantization.activation_bits": activations}
        for weights, activations in ((4, 4), (8, 8), (2, 2))
    },
}
PLAIN = {name: {"": {}} for name in ("baseline", "early stopping", "dropout", "quantization")}
STOPPING = {"name": "early_stopping", "patience": 3, "monitor": "val_accuracy"}
# share of wrong labels memorised at the end, accuracy it costs whatever the noise
STRENGTHS = {
    "": (0.6, 0.0), "rate 0.1": (0.45, 0.0), "rate 0.5": (0.12, 0.06),
    "W4/A4": (0.13, 0.02), "W8/A8": (0.55, 0.0), "W2/A2": (0.02, 0.15),
}  # fmt: skip
AUS = ("AU1", "AU4", "AU12")
SKILLS = {"baseline": 0.5, "dropout": 0.52, "quantization": 0.6, "float, clean labels": 0.8}
APART = ("float, clean labels",)

Run = Callable[[dict], tuple[dict, dict, dict, list[dict]]]  # cell: configuration, scores, verification, epochs


def write_json(path: Path, record: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record))


def edit_json(path: Path, **changes: object) -> None:
    write_json(path, {**json.loads(path.read_text()), **changes})


def write_grid(folder: Path, settings: Mapping = SETTINGS, rates: tuple = RATES, seeds: tuple = SEEDS) -> Path:
    """A study on classes, all done: variants with settings at noise rates."""
    axes = {"noise.rate": rates}
    return _write(folder, settings, axes, list(_cells(settings, axes, seeds, (None,))), classes_run)


def write_units(folder: Path, seeds: tuple = (1, 2), folds: tuple = (1, 2), strengths: tuple = ()) -> Path:
    """A study on action units by folds, all done; with `strengths` of the annotators' errors as conditions."""
    settings = {name: {"": {}} for name in SKILLS}
    axes = {"noise.strength": strengths} if strengths else {}
    return _write(folder, settings, axes, list(_cells(settings, axes, seeds, folds)), units_run)


def write_search(folder: Path, rates: tuple = (0.1, 0.35, 0.5)) -> Path:
    """A random search for the rate of dropout, all done, the baseline as its first trial; two seeds."""
    settings = {"baseline": {"": {}}, "dropout": {f"rate {rate}": {"dropout.rate": rate} for rate in rates}}
    axes = {"noise.rate": RATES}
    cells = list(_cells(settings, axes, (1, 2), (None,)))
    bare = {"baseline": settings["baseline"], "dropout": {}}
    _write(folder, bare, axes, cells, classes_run)
    for index, arm in enumerate(dict.fromkeys((cell["variant"], cell["setting"]) for cell in cells)):
        own = [cell for cell in cells if (cell["variant"], cell["setting"]) == arm]
        write_json(folder / "trials" / f"{index:04d}.json", {"trial": f"{index:04d}", "cells": own})
    search = {"kind": "random", "trials": 6, "objective": "val_accuracy", "seed": 0}
    edit_json(folder / "study.json", cells=[], search=search)
    return folder


def training(folder: Path, variant: str, setting: str, condition: object, seed: int, fold: int | None = None) -> Path:
    """The folder of one training."""
    parts = [part for part in (variant, setting, str(condition) if condition is not None else "") if part]
    name = "-".join(parts).replace(", ", "-").replace(" ", "-").replace("/", "-")
    own = f"seed{seed}" + ("" if fold is None else f"-fold{fold}")
    return folder / "runs" / f"{name}-{own}-1a2b3c4d" / own


def record(folder: Path, variant: str, setting: str, condition: object, seed: int, fold: int | None = None) -> dict:
    """The scores.json of one training."""
    return json.loads((training(folder, variant, setting, condition, seed, fold) / "scores.json").read_text())


def scores(folder: Path, variant: str, setting: str, rate: float, *path: str) -> np.ndarray:
    """A number of scores.json by seed."""
    records = [record(folder, variant, setting, rate, seed) for seed in SEEDS]
    return np.array([reduce(dict.__getitem__, path or ("metrics", "accuracy"), each) for each in records])


def _cells(settings: Mapping, axes: Mapping, seeds: tuple, folds: tuple) -> Iterator[dict]:
    for seed, fold, *point in product(seeds, folds, *axes.values()):
        for variant, own in settings.items():
            for setting, values in own.items():
                path = training(Path(), variant, setting, point[0] if point else None, seed, fold)
                yield {
                    "variant": variant, "setting": setting, "values": values, "condition": dict(zip(axes, point, strict=True)),
                    "seed": seed, "fold": fold, "run": str(path.parent),
                }  # fmt: skip


def _write(folder: Path, settings: Mapping, axes: Mapping, cells: list[dict], run: Run) -> Path:
    for cell in cells:
        config, scored, verification, epochs = run(cell)
        path, own = (
            folder / cell["run"],
            f"seed{cell['seed']}" + ("" if cell["fold"] is None else f"-fold{cell['fold']}"),
        )
        write_json(path / own / "scores.json", scored)
        write_json(path / own / "verification.json", verification)
        (path / own / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in epochs))
        write_json(path / "status.json", {"format": 1, "state": "done", "message": ""})
        write_json(path / "data.json", {"truth_known": True})
        (path / "resolved.yaml").write_text(yaml.safe_dump(config))
    variants = [
        {"name": name, "reference_only": name in APART, "reference_setting": next(iter(own), ""),
         "settings": [{"name": setting, "values": values} for setting, values in own.items()]}
        for name, own in settings.items()
    ]  # fmt: skip
    write_json(folder / "study.json", {
        "format": 2, "name": "sample", "variants": variants, "axes": axes, "reference": "baseline",
        "search": {"kind": "grid", "trials": None, "objective": "val_accuracy", "seed": 0},
        "seeds": list(dict.fromkeys(cell["seed"] for cell in cells)),
        "folds": [fold for fold in dict.fromkeys(cell["fold"] for cell in cells) if fold is not None],
        "command": "python -m pipeline.study --config sample.yaml", "cells": cells,
    })  # fmt: skip
    (folder / "study.yaml").write_text("base: sample_base.yaml\n")
    return folder


def _random(cell: dict, *more: int) -> np.random.Generator:
    name = f"{cell['variant']} {cell['setting']} {cell['condition']}".encode()
    return np.random.default_rng([zlib.crc32(name), cell["seed"], *more])


def classes_run(cell: dict) -> tuple[dict, dict, dict, list[dict]]:
    """The more noise, the more there is to memorise, and the more that costs."""
    rate, variant = cell["condition"]["noise.rate"], cell["variant"]
    memorising, cost = STRENGTHS.get(cell["setting"], (0.3, 0.03))
    shared = np.random.default_rng([cell["seed"], int(100 * rate)]).normal(0, 0.01)
    rng, lines = _random(cell), []
    for epoch in range(1, EPOCHS + 1):
        fit = memorising * (epoch / EPOCHS) ** 2
        test = 0.8 * (1 - np.exp(-epoch / 2)) - cost - 0.5 * rate * fit + shared + rng.normal(0, 0.006)
        own = {"test_accuracy": test, "val_accuracy": test * (1 - 0.9 * rate) + rng.normal(0, 0.01)}
        lines.append({
            "epoch": epoch, "train_eval_loss": 2 * np.exp(-epoch / 9), "train_loss": 2.1 * np.exp(-epoch / 9),
            "test_loss": 1 + rate * fit, "train_noisy_fit": fit if rate else None, **own,
            "moving": {"test_accuracy": test - abs(rng.normal(0, 0.03))},
        })  # fmt: skip
    chosen = EPOCHS
    if variant == "early stopping":
        chosen = max(lines, key=lambda line: line["val_accuracy"])["epoch"]
        lines = lines[: chosen + STOPPING["patience"]]
    last, best = lines[chosen - 1], max(lines, key=lambda line: line["test_accuracy"])
    method = {
        "name": variant.replace(" ", "_"),
        **{key.rpartition(".")[2]: value for key, value in cell["values"].items()},
    }
    methods = [] if variant == "baseline" else [STOPPING] if variant == "early stopping" else [method]
    config = {
        "data": {"name": "fashion_mnist", "train_examples": 4000}, "noise": {"kind": "uniform", "rate": rate},
        "model": {"name": "resnet20"}, "methods": methods, "seeds": [cell["seed"]],
        "train": {"epochs": EPOCHS, "statistics": "reestimate"},
    }  # fmt: skip
    scored = {
        "task": "multiclass", "metrics": {"accuracy": last["test_accuracy"], "loss": last["test_loss"]}, "seconds": 61.5,
        "oracle": {"test_accuracy": best["test_accuracy"], "epoch": best["epoch"]}, "val_accuracy": last["val_accuracy"],
        "train_noisy_fit": last["train_noisy_fit"], "epochs_run": len(lines), "epoch_selected": chosen,
        "selection": "early stopping" if methods == [STOPPING] else "last epoch",
    }  # fmt: skip
    return config, scored, _verification(cell), lines


def _verification(cell: dict) -> dict:
    jitter = 1 + 0.02 * _random(cell, 1).random()
    kinds = {"float32": (300_000, 0.2)} | ({"int8": (90_000, 0.06)} if cell["variant"] == "quantization" else {})
    return {
        "size_bytes": {kind: size for kind, (size, _) in kinds.items()},
        "latency_ms": {kind: {"median": latency * jitter} for kind, (_, latency) in kinds.items()},
    }


def units_run(cell: dict) -> tuple[dict, dict, dict, list[dict]]:
    """F1 of three action units, on clean and on noisy test labels."""
    strength, rng = cell["condition"].get("noise.strength", 1.0), _random(cell, cell["fold"])
    skill = SKILLS[cell["variant"]] - 0.1 * (strength - 1)
    f1 = dict(zip(AUS, (skill + np.array([-0.1, 0.0, 0.1]) + rng.normal(0, 0.01, 3)).tolist(), strict=True))
    mean = float(np.mean([*f1.values()]))
    present = dict(zip(AUS, (0.2, 0.3, 0.4), strict=True))
    noise = {"kind": "none"} if cell["variant"] in APART else {"kind": "annotators", "strength": strength}
    config = {
        "data": {"name": "synthetic_faces", "folds": [cell["fold"]]}, "noise": noise, "model": {"name": "au_network"},
        "methods": [{"name": cell["variant"]}] if cell["variant"] in ("dropout", "quantization") else [],
        "train": {"epochs": 2, "statistics": "moving"}, "seeds": [cell["seed"]],
    }  # fmt: skip
    scored = {
        "task": "multilabel", "metrics": {"f1_mean": mean, "f1": f1, "f1_all_positive": present, "f1_all_positive_mean": 0.3},
        "metrics_noisy": {"f1_mean": mean - 0.05}, "train_noisy_fit": 0.5 * strength, "test_noisy_fit": 0.2, "val_f1": mean,
        "oracle": {"test_f1": mean + 0.01, "epoch": 1}, "epochs_run": 2, "epoch_selected": 2, "seconds": 10.0,
        "train_noisy_fit_per_au": dict.fromkeys(AUS, 0.5),
    }  # fmt: skip
    lines = [
        {"epoch": epoch, "train_loss": 1 / epoch, "test_loss": 1.0, "test_f1": mean * epoch / 2} for epoch in (1, 2)
    ]
    return config, scored, _verification(cell), lines
