"""The results of a study, read from its folder: study.json says which cells belong to it, their run folders the rest."""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import UserError
from pipeline.reporting.read import Json, mapping, number, read_run, sequence
from pipeline.run_files import read_json, write_json, write_text
from pipeline.study.config import Study

MANIFEST, TABLE, STUDY_TEXT = "study.json", "results.csv", "study.yaml"
STUDY_FORMAT = 1
FIRST_COLUMNS = ("variant", "seed", "fold", "state")
LAST_COLUMNS = ("message", "run")
COPIED = (
    "train_noisy_fit", "train_clean_fit", "test_noisy_fit", "val_accuracy", "val_clean_accuracy", "val_f1", "val_clean_f1",
    "epochs_run", "epoch_selected", "seconds",
)  # fmt: skip


@dataclass(frozen=True)
class Result:
    """What one cell has come to; `scores` and `verification` are empty unless its run is done."""

    variant: str
    seed: int
    fold: int | None
    state: str
    message: str
    run: str
    config: Json
    data: Json
    scores: Json
    verification: Json

    @property
    def pair(self) -> tuple[int, int | None]:
        """By what it is paired with another variant's: seed and fold."""
        return self.seed, self.fold


@dataclass(frozen=True)
class Results:
    """All cells of a study, done or not."""

    name: str
    variants: tuple[str, ...]
    reference_only: tuple[str, ...]
    reference: str
    command: str
    cells: tuple[Result, ...]

    def of(self, variant: str) -> tuple[Result, ...]:
        """The cells of a variant that are done."""
        return tuple(cell for cell in self.cells if cell.variant == variant and cell.scores)


def write_manifest(study: Study, folder: Path, command: str) -> None:
    """Write study.json, from which results and report are made."""
    cells = [
        {"variant": cell.variant, "seed": cell.seed, "fold": cell.fold, "run": f"runs/{cell.run_folder(folder).name}"}
        for cell in study.cells
    ]
    names = {key: getattr(study, key) for key in ("name", "variants", "reference_only", "reference")}
    write_json(folder / MANIFEST, {"format": STUDY_FORMAT, **names, "command": command, "cells": cells})


def read_results(folder: Path) -> Results:
    """The results in the folder of a study; raises UserError if it is none."""
    record = read_json(folder / MANIFEST)
    if record is None or record.get("format") != STUDY_FORMAT:
        raise UserError(f"{folder}: there is no study of this version; python -m pipeline.study makes studies/NAME/")
    return Results(
        name=record["name"],
        variants=tuple(record["variants"]),
        reference_only=tuple(record["reference_only"]),
        reference=record["reference"],
        command=record["command"],
        cells=tuple(_result(folder, cell) for cell in sequence(record, "cells")),
    )


def _result(folder: Path, cell: Mapping) -> Result:
    state, message, config, data, seed_run = "not begun", "", {}, {}, None
    if (folder / cell["run"]).is_dir():
        run = read_run(folder / cell["run"])
        state, message = run.status.get("state", "unfinished"), run.status.get("message", "")
        config, data = run.config, run.data
        if state == "running":
            state = "unfinished"
        found = [each for each in run.finished if (each.seed, each.fold) == (cell["seed"], cell["fold"])]
        if state == "done":
            seed_run = next(iter(found), None)
            state, message = (state, message) if seed_run else ("failed", "its scores.json is not there")
    return Result(
        *(cell[key] for key in ("variant", "seed", "fold")),
        state,
        message,
        cell["run"],
        config,
        data,
        seed_run.scores if seed_run else {},
        seed_run.verification if seed_run else {},
    )


def write_csv(results: Results, path: Path) -> None:
    """One row a cell, numbers as they are in scores.json and verification.json; empty: not there or undefined."""
    numbers = [numbers_of(cell) for cell in results.cells]
    columns = list(dict.fromkeys(key for row in numbers for key in row))
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow((*FIRST_COLUMNS, *columns, *LAST_COLUMNS))
    for cell, row in zip(results.cells, numbers, strict=True):
        first = (cell.variant, cell.seed, cell.fold, cell.state)
        table.writerow((*first, *(row.get(key) for key in columns), cell.message, cell.run))
    write_text(path, text.getvalue())


def numbers_of(cell: Result) -> dict[str, float | None]:
    """Column to number: f1_mean, f1_AU1, noisy_f1_mean, train_noisy_fit, int8_bytes, int8_ms ..."""
    if not cell.scores:
        return {}
    sizes, latencies = mapping(cell.verification, "size_bytes"), mapping(cell.verification, "latency_ms")
    return {
        **_flat(mapping(cell.scores, "metrics")),
        **{f"noisy_{key}": value for key, value in _flat(mapping(cell.scores, "metrics_noisy")).items()},
        **{key: number(cell.scores, key) for key in COPIED if key in cell.scores},
        **{f"memorised_{au}": number(share) for au, share in mapping(cell.scores, "train_noisy_fit_per_au").items()},
        **{f"{kind}_bytes": number(sizes, kind) for kind in sizes},
        **{f"{kind}_ms": number(latencies, kind, "median") for kind in latencies},
    }


def _flat(metrics: Json) -> dict[str, float | None]:
    flat: dict[str, float | None] = {}
    for key, value in metrics.items():
        if isinstance(value, Mapping):
            flat |= {f"{key}_{name}": number(value, name) for name in value}
        else:
            flat[key] = number(value)
    return flat
