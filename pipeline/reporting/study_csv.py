"""A study as tables for other programs: results.csv, and timings.csv with what no two runs have alike."""

import csv
import io
from collections.abc import Callable, Mapping
from pathlib import Path

from pipeline.reporting.read import Json, mapping, number
from pipeline.run_files import write_text
from pipeline.study.results import Result, Results

TABLE, TIMINGS = "results.csv", "timings.csv"
COPIED = (
    "train_noisy_fit", "train_clean_fit", "test_noisy_fit", "val_accuracy", "val_clean_accuracy", "val_f1", "val_clean_f1",
    "epochs_run", "epoch_selected",
)  # fmt: skip


def write_tables(results: Results, folder: Path) -> None:
    """Write both, a row a run; empty: not there or undefined. Raises RunFailed if the disk is full."""
    write_text(folder / TABLE, _table(results, numbers_of, lambda cell: {"message": cell.message, "run": cell.run}))
    write_text(folder / TIMINGS, _table(results, timings_of))


def numbers_of(cell: Result) -> dict[str, float | None]:
    """Column to number, the same whenever the run is repeated: f1_mean, f1_AU1, noisy_f1_mean, int8_bytes ..."""
    if not cell.scores:
        return {}
    sizes = mapping(cell.verification, "size_bytes")
    best = mapping(cell.scores, "oracle")
    return {
        **_flat(mapping(cell.scores, "metrics")),
        **{f"noisy_{key}": value for key, value in _flat(mapping(cell.scores, "metrics_noisy")).items()},
        **{key: number(cell.scores, key) for key in COPIED if key in cell.scores},
        **{f"best_epoch_{key}" if key != "epoch" else "best_epoch": number(best, key) for key in best},
        **{f"memorised_{au}": number(share) for au, share in mapping(cell.scores, "train_noisy_fit_per_au").items()},
        **{f"{kind}_bytes": number(sizes, kind) for kind in sizes},
    }


def timings_of(cell: Result) -> dict[str, float | None]:
    """Column to seconds of training and milliseconds of a decision."""
    latencies = mapping(cell.verification, "latency_ms")
    seconds = {"seconds": number(cell.scores, "seconds")} if cell.scores else {}
    return seconds | {f"{kind}_ms": number(latencies, kind, "median") for kind in latencies}


def _table(
    results: Results,
    numbers: Callable[[Result], Mapping[str, float | None]],
    last: Callable[[Result], Mapping[str, str]] = lambda cell: {},
) -> str:
    first = [_first(results, cell) for cell in results.cells]
    found = [numbers(cell) for cell in results.cells]
    text = io.StringIO()
    rows = [{**a, **b, **last(cell)} for a, b, cell in zip(first, found, results.cells, strict=True)]
    parts = (first, found, [last(cell) for cell in results.cells])
    columns = list(dict.fromkeys(key for part in parts for row in part for key in row))
    table = csv.DictWriter(text, columns, lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    return text.getvalue()


def _first(results: Results, cell: Result) -> dict[str, object]:
    """What a run is of: trial in a search, arm, whether it competes, a column a condition's and a setting's key, seed, fold."""
    keys = dict.fromkeys(key for each in results.cells for key in each.values if key not in results.axes)
    return {
        **({} if results.search.kind == "grid" else {"trial": cell.trial}),
        "variant": cell.variant,
        "setting": cell.setting,
        "competes": "yes" if results.competes(cell.variant) else "no",
        **{key: cell.condition[key] for key in results.axes},
        **{key: cell.values.get(key) for key in keys},
        "seed": cell.seed,
        "fold": cell.fold,
        "state": cell.state,
    }


def _flat(metrics: Json) -> dict[str, float | None]:
    flat: dict[str, float | None] = {}
    for key, value in metrics.items():
        if isinstance(value, Mapping):
            flat |= {f"{key}_{name}": number(value, name) for name in value}
        else:
            flat[key] = number(value)
    return flat
