"""Folders of studies in the exact file formats: action units by folds, classes by noise rates and settings, a search."""

import json
import zlib
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path

import numpy as np

from tests.au_report_sample import AU_CONFIG, write_au_run
from tests.report_sample import CONFIG, edit_json, verification, write_json, write_run

VARIANTS = {
    "baseline": (1.3, 0.7),
    "dropout": (1.35, 0.5),
    "quantization": (1.6, 0.2),
    "float, clean labels": (2.0, 0.0),
}
APART = ("float, clean labels",)
RATES = (0.0, 0.4, 0.8)
SETTINGS = {
    "baseline": {"": {}},
    "dropout": {f"rate {rate}": {"dropout.rate": rate} for rate in (0.1, 0.5)},
    "quantization": {
        f"W{weights}/A{activations}": {"quantization.weight_bits": weights, "quantization.activation_bits": activations}
        for weights, activations in ((4, 4), (8, 8), (2, 2))
    },
}
# variant, setting: share of wrong labels memorised, points of accuracy that it costs
STRENGTHS = {
    ("baseline", ""): (0.62, 0.0),
    ("dropout", "rate 0.1"): (0.45, 0.0), ("dropout", "rate 0.5"): (0.12, 0.06),
    ("quantization", "W4/A4"): (0.13, 0.02), ("quantization", "W8/A8"): (0.55, 0.0), ("quantization", "W2/A2"): (0.02, 0.15),
}  # fmt: skip


def write_study(
    folder: Path,
    seeds: tuple[int, ...] = (1, 2),
    folds: tuple[int, ...] = (1, 2),
    variants: Mapping | None = None,
    strengths: tuple[float, ...] = (),
) -> Path:
    """Write a study on action units, all done; `variants` maps a name to (skill, share of wrong labels memorised).

    With `strengths` of the annotators' errors as its conditions, of which none is needed.
    """
    chosen = variants or VARIANTS
    settings = {name: {"": {}} for name in chosen}
    cells = []
    axes = {"noise.strength": strengths} if strengths else {}
    for cell in _cells(settings, axes, seeds, folds):
        skill, memorising = chosen[cell["variant"]]
        strength = cell["condition"].get("noise.strength", 1.0)
        noise = {"kind": "none"} if cell["variant"] in APART else {"kind": "annotators", "strength": strength}
        config = {**AU_CONFIG, "seeds": [cell["seed"]], "noise": noise}
        write_au_run(folder / cell["run"], config, (cell["fold"],), skill - 0.2 * (strength - 1), memorising)
        cells.append(cell)
    return _write_manifest(folder, "table1", settings, axes, cells)


def write_grid(
    folder: Path,
    seeds: tuple[int, ...] = (1, 2, 3),
    rates: tuple[float, ...] = RATES,
    settings: Mapping[str, Mapping[str, Mapping]] = SETTINGS,
    strengths: Mapping[tuple[str, str], tuple[float, float]] = STRENGTHS,
) -> Path:
    """Write a study on classes, all done: variants with settings at noise rates."""
    cells = list(_cells(settings, {"noise.rate": rates}, seeds, (None,)))
    for cell in cells:
        _write_run(folder, cell, *strengths[cell["variant"], cell["setting"]])
    return _write_manifest(folder, "settings", settings, {"noise.rate": rates}, cells)


def write_search(folder: Path, dropout: tuple[float, ...] = (0.1, 0.35, 0.5), rates: tuple[float, ...] = RATES) -> Path:
    """Write a random search for the rate of dropout, all done, the baseline as its first trial; two seeds."""
    settings = {"baseline": {"": {}}, "dropout": {f"rate {rate}": {"dropout.rate": rate} for rate in dropout}}
    cells = list(_cells(settings, {"noise.rate": rates}, (1, 2), (None,)))
    for cell in cells:
        rate = cell["values"].get("dropout.rate", 0.0)
        _write_run(folder, cell, 0.62 - rate, 0.5 * max(0.0, rate - 0.3))
    arms = dict.fromkeys((cell["variant"], cell["setting"]) for cell in cells)
    for index, arm in enumerate(arms):
        own = [cell for cell in cells if (cell["variant"], cell["setting"]) == arm]
        write_json(folder / "trials" / f"{index:04d}.json", {"trial": f"{index:04d}", "cells": own})
    search = {"kind": "random", "trials": len(arms), "objective": "val_accuracy", "seed": 0}
    bare = {variant: {} if variant == "dropout" else own for variant, own in settings.items()}
    return _write_manifest(folder, "search", bare, {"noise.rate": rates}, [], seeds=[1, 2], search=search)


def _cells(settings: Mapping, axes: Mapping, seeds: tuple[int, ...], folds: tuple) -> Iterator[dict]:
    """The cells of study.json in running order."""
    for seed, fold, *point in product(seeds, folds, *axes.values()):
        for variant, own in settings.items():
            for setting, values in own.items():
                parts = (variant, setting, *map(str, point))
                name = "-".join(part.replace(", ", "-").replace(" ", "-").replace("/", "-") for part in parts if part)
                unit = f"seed{seed}" + ("" if fold is None else f"-fold{fold}")
                yield {
                    "variant": variant, "setting": setting, "values": dict(values),
                    "condition": dict(zip(axes, point, strict=True)), "seed": seed, "fold": fold,
                    "run": f"runs/{name}-{unit}-1a2b3c4d",
                }  # fmt: skip


def _write_manifest(folder: Path, name: str, settings: Mapping, axes: Mapping, cells: list[dict], **changes) -> Path:
    variants = [
        {
            "name": variant, "reference_only": variant in APART, "reference_setting": next(iter(own), ""),
            "settings": [{"name": setting, "values": values} for setting, values in own.items()],
        }
        for variant, own in settings.items()
    ]  # fmt: skip
    manifest = {
        "format": 2, "name": name, "digest": "0" * 64, "variants": variants, "axes": axes, "reference": next(iter(settings)),
        "search": {"kind": "grid", "trials": None, "objective": "val_accuracy", "seed": 0},
        "seeds": list(dict.fromkeys(cell["seed"] for cell in cells)),
        "folds": list(dict.fromkeys(cell["fold"] for cell in cells)),
        "command": f"python -m pipeline.study --config {name}.yaml",
        "identity": {"code": "0" * 64, "files": {}, "versions": {}}, "cells": cells,
    }  # fmt: skip
    write_json(folder / "study.json", {**manifest, **changes})
    (folder / "study.yaml").write_text("base: synthetic_faces.yaml\n")
    return folder


def _write_run(folder: Path, cell: dict, memorising: float, cost: float) -> None:
    """One run on classes: the more noise, the more there is to memorise; `cost` in accuracy whatever the noise."""
    rate, methods = cell["condition"]["noise.rate"], []
    own = zlib.crc32(f"{cell['variant']} {cell['setting']} {rate} {cell['seed']}".encode())
    cost += float(np.random.default_rng(own).normal(0, 0.004))
    if cell["variant"] != "baseline":
        fields = {key.rpartition(".")[2]: value for key, value in cell["values"].items()}
        methods = [{"name": cell["variant"], **fields}]
    train = {**CONFIG["train"], "statistics": "reestimate", "statistics_batches": 32}
    noise = {"kind": "uniform", "rate": rate}
    config = {**CONFIG, "train": train, "noise": noise, "methods": methods, "seeds": [cell["seed"]], "baseline": False}
    run, wrong = folder / cell["run"], memorising * rate**0.5
    unit = write_run(run, config, (cell["seed"],), wrong) / f"seed{cell['seed']}"
    write_json(run / "data.json", {"examples": {"train": 5400, "validation": 600, "test": 10000}})
    write_json(unit / "verification.json", verification(cell["seed"]))
    lines = [json.loads(line) for line in (unit / "metrics.jsonl").read_text().splitlines()]
    lines = [
        {**line, **{f"{part}_accuracy": line[f"{part}_accuracy"] - cost for part in ("test", "val")}} for line in lines
    ]
    (unit / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    best = max(lines, key=lambda line: line["test_accuracy"])
    edit_json(
        unit / "scores.json",
        metrics={"accuracy": lines[-1]["test_accuracy"], "loss": lines[-1]["test_loss"]},
        oracle={"test_accuracy": best["test_accuracy"], "epoch": best["epoch"]},
        val_accuracy=lines[-1]["val_accuracy"],
        train_noisy_fit=lines[-1]["train_noisy_fit"] if rate else None,
    )  # fmt: skip
