"""Results of whole studies with realistic numbers: seven methods by noise, a grid of settings, action units."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np

from pipeline.study.results import Result, Results, Search
from tests.report_sample import CONFIG

RATES = (0.0, 0.2, 0.4, 0.6, 0.8)
EPOCHS = 30
METHODS = {
    "baseline": [],
    "early stopping": [{"name": "early_stopping", "patience": 6}],
    "weight decay": [{"name": "weight_decay", "rate": 0.01}],
    "dropout": [{"name": "dropout", "rate": 0.1}],
    "label smoothing": [{"name": "label_smoothing", "alpha": 0.1}],
    "pruning": [{"name": "pruning", "ratio": 0.75}],
    "quantization": [{"name": "quantization", "weight_bits": 4, "activation_bits": 4, "first_last_bits": 8}],
}
# share of wrong labels memorised at the end, cost in accuracy whatever the noise
STRENGTHS = {
    "baseline": (0.95, 0.0), "early stopping": (0.95, 0.0), "weight decay": (0.93, 0.002), "dropout": (0.62, 0.012),
    "label smoothing": (0.85, -0.004), "pruning": (0.55, 0.025), "quantization": (0.5, 0.008),
}  # fmt: skip
GRID = {
    "baseline": {"": {}},
    "quantization": {
        name: {"quantization.weight_bits": w, "quantization.activation_bits": a}
        for name, w, a in (
            ("W4/A4", 4, 4), ("W8/A8", 8, 8), ("W4/A8", 4, 8), ("W3/A3", 3, 3), ("W2/A4", 2, 4), ("W2/A2", 2, 2)
        )
    },
    "pruning": {f"ratio {ratio}": {"pruning.ratio": ratio} for ratio in (0.75, 0.25, 0.5, 0.9)},
    "dropout": {
        f"rate {rate}, position {place}": {"dropout.rate": rate, "dropout.position": place}
        for rate, place in product((0.1, 0.3, 0.5), ("head", "body"))
    },
    "label smoothing": {f"alpha {alpha}": {"label_smoothing.alpha": alpha} for alpha in (0.1, 0.2, 0.4)},
    "weight decay": {f"rate {rate:g}": {"weight_decay.rate": rate} for rate in (0.01, 0.001, 0.1)},
}  # fmt: skip
# by one place in the list of settings: share of wrong labels memorised no more, cost in accuracy
SENSITIVE = {"dropout": (0.2, 0.006), "pruning": (0.15, 0.02), "quantization": (0.08, 0.003)}
UNITS = tuple(f"AU{unit}" for unit in (1, 2, 4, 6, 7, 10, 12, 14, 15, 17, 23, 24))


def methods_by_noise(folder: Path, data: str = "fashion_mnist", seeds: tuple[int, ...] = (1, 2, 3)) -> Results:
    """Seven methods at five noise rates, the lines of metrics.jsonl below `folder`, all cells done."""
    settings = {name: {"": {}} for name in METHODS}
    cells = [_classes(folder, cell, data, *STRENGTHS[cell.variant]) for cell in _cells(settings, RATES, seeds)]
    return _results("methods", settings, {"noise.rate": RATES}, seeds, (None,), cells)


def settings_by_noise(folder: Path, seeds: tuple[int, ...] = (1, 2)) -> Results:
    """23 settings at three noise rates."""
    rates = (0.2, 0.4, 0.6)
    cells = []
    for cell in _cells(GRID, rates, seeds):
        memorising, cost = STRENGTHS[cell.variant]
        place = list(GRID[cell.variant]).index(cell.setting)
        resists, costs = SENSITIVE.get(cell.variant, (0.02, 0.002))
        cells.append(
            _classes(folder, cell, "fashion_mnist", memorising * (1 - resists) ** place, cost + costs * place**2)
        )
    return _results("settings", GRID, {"noise.rate": rates}, seeds, (None,), cells)


def units_by_strength(seeds: tuple[int, ...] = (1, 2), folds: tuple[int, ...] = (1, 2)) -> Results:
    """Seven methods on action units at three strengths of the annotators' errors."""
    strengths = (0.5, 1.0, 2.0)
    settings = {name: {"": {}} for name in METHODS}
    cells = [_units(cell) for cell in _cells(settings, strengths, seeds, folds, "noise.strength")]
    return _results("units", settings, {"noise.strength": strengths}, seeds, folds, cells)


def without(results: Results, drop) -> Results:
    """The same study with the cells that `drop` names not begun."""
    empty = {"state": "not begun", "config": {}, "data": {}, "scores": {}, "verification": {}, "folder": Path("absent")}
    return replace(results, cells=tuple(replace(cell, **empty) if drop(cell) else cell for cell in results.cells))


def _cells(
    settings: Mapping, values: tuple, seeds: tuple[int, ...], folds: tuple = (None,), axis: str = "noise.rate"
) -> Iterator[Result]:
    for seed, fold, value, variant in product(seeds, folds, values, settings):
        for setting, own in settings[variant].items():
            run = f"runs/{variant}-{setting}-{value}".replace(" ", "-").replace("/", "-").replace(",", "")
            yield Result(
                variant, setting, own, {axis: value}, seed, fold, "done", "", f"{run}-seed{seed}", {}, {}, {}, {}
            )


def _results(name: str, settings: Mapping, axes: Mapping, seeds: tuple, folds: tuple, cells: list) -> Results:
    return Results(
        name=name, variants=tuple(settings), reference_only=(), reference="baseline", settings=settings,
        reference_settings={variant: next(iter(own)) for variant, own in settings.items()}, axes=axes, seeds=seeds,
        folds=folds, search=Search("grid", None, "val_accuracy", 0), command="python -m pipeline.study", cells=tuple(cells),
    )  # fmt: skip


def _classes(folder: Path, cell: Result, data: str, memorising: float, cost: float) -> Result:
    rate, methods = cell.condition["noise.rate"], METHODS[cell.variant]
    lines = [_line(epoch, cell, rate, memorising, cost) for epoch in range(1, EPOCHS + 1)]
    chosen = EPOCHS
    if cell.variant == "early stopping":
        chosen = int(np.argmax([line["val_accuracy"] for line in lines])) + 1
        lines = lines[: min(EPOCHS, chosen + 6)]
    path = folder / cell.run / f"seed{cell.seed}" / "metrics.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    line = lines[chosen - 1]
    scores = {
        "task": "multiclass", "metrics": {"accuracy": line["test_accuracy"]}, "epoch_selected": chosen,
        "epochs_run": len(lines), "val_accuracy": line["val_accuracy"], "train_noisy_fit": line["train_noisy_fit"],
    }  # fmt: skip
    config = {
        **CONFIG, "data": {**CONFIG["data"], "name": data, "train_examples": None if data == "cifar10" else 4000},
        "noise": {"kind": "uniform", "rate": rate}, "methods": methods, "seeds": [cell.seed],
        "train": {**CONFIG["train"], "statistics": "reestimate", "log_both_statistics": True},
    }  # fmt: skip
    return replace(cell, config=config, scores=scores, verification=_verified(cell), folder=folder / cell.run)


def _line(epoch: int, cell: Result, rate: float, memorising: float, cost: float) -> dict:
    place = list(METHODS).index(cell.variant)
    rng = np.random.default_rng([cell.seed, epoch, place, int(100 * rate), sum(cell.setting.encode())])
    shared = np.random.default_rng([cell.seed, int(100 * rate)]).normal(0, 0.008)
    learnt = 1 - np.exp(-epoch / 2.2)
    memorised = memorising / (1 + np.exp(-(epoch - 14) / 3))
    best = 0.91 - 0.12 * rate - 0.45 * max(0.0, rate - 0.6)
    test = float(best * learnt - cost - 1.05 * rate**0.9 * memorised**1.3 * best + shared + rng.normal(0, 0.009))
    stale = max(0.1, test - abs(float(rng.normal(0.04, 0.07))) * (1.6 if cell.variant == "baseline" else 1))
    values = {
        "train_eval_loss": float(0.35 + 1.9 * rate * (1 - memorised) + 0.9 * np.exp(-epoch / 3) + rng.normal(0, 0.01)),
        "train_noisy_fit": float(0.03 + memorised + rng.normal(0, 0.006)) if rate else None,
        "val_accuracy": test * (1 - rate * 0.9) + float(rng.normal(0, 0.006)),
        "test_loss": float(
            0.35 + 0.7 * rate + 1.2 * np.exp(-epoch / 2) + 2.5 * rate * memorised**1.5 + rng.normal(0, 0.02)
        ),
        "test_accuracy": test,
    }
    return {"epoch": epoch, "train_loss": values["train_eval_loss"] + 0.05, **values,
            "moving": {**values, "test_accuracy": stale}}  # fmt: skip


def _verified(cell: Result) -> dict:
    jitter = 1 + 0.02 * np.random.default_rng([cell.seed, len(cell.run)]).random()
    if cell.variant != "quantization":
        return {"size_bytes": {"float32": 1_118_400}, "latency_ms": {"float32": {"median": 1.92 * jitter}}}
    bits = cell.values.get("quantization.weight_bits", 4)
    sizes = {"float32": 1_118_400, "int8": 325_700} | ({"int4": 120_000 + 19_000 * bits} if bits <= 4 else {})
    return {
        "size_bytes": sizes,
        "latency_ms": {
            kind: {"median": {"float32": 1.92, "int8": 0.574, "int4": 4.31}[kind] * jitter} for kind in sizes
        },
    }


def _units(cell: Result) -> Result:
    strength, place = cell.condition["noise.strength"], list(METHODS).index(cell.variant)
    memorising, cost = STRENGTHS[cell.variant]
    shared = np.random.default_rng([cell.seed, cell.fold]).normal(0, 0.02, len(UNITS))
    own = np.random.default_rng([cell.seed, cell.fold, place, int(10 * strength)]).normal(0, 0.015, len(UNITS))
    values = np.linspace(0.45, 0.85, len(UNITS)) - 0.05 * strength * memorising - cost + shared + own
    scores = {
        "task": "multilabel",
        "metrics": {"f1_mean": float(values.mean()), "f1": dict(zip(UNITS, values.tolist(), strict=True))},
        "epoch_selected": 20, "train_noisy_fit": memorising,
    }  # fmt: skip
    config = {
        **CONFIG, "data": {"name": "synthetic_faces", "folds": [cell.fold]}, "model": {"name": "au_network"},
        "noise": {"kind": "annotators", "strength": strength}, "methods": METHODS[cell.variant],
    }  # fmt: skip
    return replace(cell, config=config, data={"truth_known": True}, scores=scores, folder=Path("absent"))
