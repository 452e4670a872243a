"""Read a run folder, whatever is there of it, without ever failing on what is not."""

import json
import math
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

Json = Mapping[str, Any]
SEED_FOLDER = re.compile(r"seed(\d+)(?:-fold(\d+))?")


@dataclass(frozen=True)
class SeedRun:
    """One trained network: the content of `seedS[-foldF]/`; empty parts were not written (yet)."""

    name: str
    seed: int
    fold: int | None
    epochs: tuple[Json, ...]
    scores: Json
    verification: Json
    wrong_labels: int | None
    all_labels: int | None


@dataclass(frozen=True)
class Run:
    """A run folder; `data` is data.json, `baseline` the run at `baseline_folder`, `notes` what could not be read."""

    name: str
    config: Json
    config_text: str
    environment: Json
    status: Json
    data: Json
    seeds: tuple[SeedRun, ...]
    baseline: "Run | None"
    baseline_folder: str
    notes: tuple[str, ...]

    @property
    def finished(self) -> tuple[SeedRun, ...]:
        """The seeds that have scores."""
        return tuple(seed for seed in self.seeds if seed.scores)

    @property
    def verified(self) -> tuple[SeedRun, ...]:
        """The seeds whose TFLite files were verified."""
        return tuple(seed for seed in self.seeds if seed.verification)


def number(record: Any, *path: str) -> float | None:
    """The finite number at `path` in nested mappings, or None."""
    for key in path:
        record = record.get(key) if isinstance(record, Mapping) else None
    is_number = isinstance(record, int | float) and not isinstance(record, bool)
    return record if is_number and math.isfinite(record) else None


def mapping(record: Any, *path: str) -> Json:
    """The mapping at `path` in nested mappings, or an empty one."""
    for key in path:
        record = record.get(key) if isinstance(record, Mapping) else None
    return record if isinstance(record, Mapping) else {}


def sequence(record: Json, key: str) -> list[Any]:
    """The list at `key`, or an empty one."""
    value = record.get(key)
    return value if isinstance(value, list) else []


def read_run(folder: Path) -> Run:
    """Read `folder` and the baseline it points to."""
    notes: list[str] = []
    baseline_folder = str(_read_json(folder / "baseline.json", notes).get("folder", ""))
    baseline = folder / baseline_folder
    beside = _read_folder(baseline, [], "", None) if baseline_folder and baseline.is_dir() else None
    return _read_folder(folder, notes, baseline_folder, beside)


def _read_folder(folder: Path, notes: list[str], baseline_folder: str, baseline: Run | None) -> Run:
    config_text = _read_text(folder / "resolved.yaml", notes)
    return Run(
        name=folder.resolve().name,
        config=_parse_config(config_text, notes),
        config_text=config_text,
        environment=_read_json(folder / "environment.json", notes),
        status=_read_json(folder / "status.json", notes),
        data=_read_json(folder / "data.json", notes),
        seeds=_read_seeds(folder, notes),
        baseline=baseline,
        baseline_folder=baseline_folder,
        notes=tuple(notes),
    )


def _read_seeds(folder: Path, notes: list[str]) -> tuple[SeedRun, ...]:
    matches = [(SEED_FOLDER.fullmatch(path.name), path) for path in folder.iterdir() if path.is_dir()]
    seeds = [_read_seed(path, match, notes) for match, path in matches if match]
    return tuple(sorted(seeds, key=lambda seed: (seed.seed, -1 if seed.fold is None else seed.fold)))


def _read_seed(folder: Path, match: re.Match, notes: list[str]) -> SeedRun:
    wrong, labels = _count_noise(folder / "noise.npz", notes)
    return SeedRun(
        name=folder.name,
        seed=int(match[1]),
        fold=int(match[2]) if match[2] else None,
        epochs=_read_epochs(folder / "metrics.jsonl", notes),
        scores=_read_json(folder / "scores.json", notes),
        verification=_read_json(folder / "verification.json", notes),
        wrong_labels=wrong,
        all_labels=labels,
    )


def _label(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def _read_text(path: Path, notes: list[str]) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        notes.append(f"{_label(path)} ({type(error).__name__})")
        return ""


def _read_json(path: Path, notes: list[str]) -> Json:
    text = _read_text(path, notes)
    if not text:
        return {}
    try:
        record = json.loads(text)
    except json.JSONDecodeError:
        record = None
    if not isinstance(record, dict):
        notes.append(f"{_label(path)} is damaged")
        return {}
    return record


def _read_epochs(path: Path, notes: list[str]) -> tuple[Json, ...]:
    """One record an epoch, in order; a later line replaces an earlier one of the same epoch."""
    epochs: dict[int, Json] = {}
    damaged = 0
    for line in filter(str.strip, _read_text(path, notes).splitlines()):
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            record = None
        epoch = number(record, "epoch")
        if epoch is None:
            damaged += 1
        else:
            epochs[int(epoch)] = record
    if damaged:
        notes.append(f"{_label(path)}: {damaged} damaged line(s)")
    return tuple(epochs[epoch] for epoch in sorted(epochs))


def _parse_config(text: str, notes: list[str]) -> Json:
    try:
        config = yaml.safe_load(text)
    except yaml.YAMLError:
        notes.append("resolved.yaml is damaged, shown below as it is")
        return {}
    return config if isinstance(config, dict) else {}


def _count_noise(path: Path, notes: list[str]) -> tuple[int | None, int | None]:
    """(corrupted labels, all labels) of the training part, from the mask kept beside the run."""
    if not path.is_file():
        return None, None
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            mask = arrays["corrupted"][arrays["train"]] if "train" in arrays else arrays["corrupted"]
    except (OSError, ValueError, KeyError, IndexError, EOFError, zipfile.BadZipFile):
        notes.append(f"{_label(path)} is damaged")
        return None, None
    return int(np.count_nonzero(mask)), int(mask.size)
