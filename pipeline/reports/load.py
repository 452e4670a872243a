"""Read a run folder, whatever is there of it: one row a training, one row an epoch, in pandas tables.

A damaged or missing file is never an error here: what could not be read is in `notes`, its columns are empty.
"""

import json
import math
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import yaml

from pipeline.errors import UserError
from pipeline.runs.folder import training_of
from pipeline.runs.names import (
    BASELINE,
    DATA,
    ENVIRONMENT,
    METRICS,
    NOISE,
    RESOLVED,
    SCORES,
    STATUS,
    STUDY_MANIFEST,
    VERIFICATION,
)

if TYPE_CHECKING:
    import tf_keras

Json = Mapping[str, Any]
NOT_FLATTENED = ("subject_counts", "intervals", "layers", "weight_bits", "files", "float_tensors")
KEYS = ("arm", "run", "training", "seed", "fold")
HEAD = (*KEYS, "wrong_labels", "all_labels", "scores", "verification")
EPOCH_HEAD = (*KEYS, "epoch")


@dataclass(frozen=True)
class Run:
    """A run folder. `table` has a row a training of the run and of its baseline (`arm`: `run` or `baseline`).

    Columns of `table`: KEYS, `wrong_labels`, `all_labels`, the records `scores` and `verification`, and their numbers
    as `scores.metrics.accuracy`, `verification.size_bytes.int8`, ...; `epochs` has KEYS and the keys of metrics.jsonl.
    """

    name: str
    folder: Path
    config: Json
    config_text: str
    environment: Json
    status: Json
    data: Json
    table: pd.DataFrame
    epochs: pd.DataFrame
    baseline: "Run | None"
    baseline_folder: str
    notes: tuple[str, ...]

    @cached_property
    def own(self) -> pd.DataFrame:
        """The trainings of the run itself."""
        return self.table[self.table["arm"] == "run"]

    @cached_property
    def finished(self) -> pd.DataFrame:
        """Those of its own trainings that have scores."""
        return self.own[self.own["scores"].astype(bool)]

    @cached_property
    def verified(self) -> pd.DataFrame:
        """Those of its own trainings whose TFLite files were verified."""
        return self.own[self.own["verification"].astype(bool)]

    def model(self, seed: int | None = None, fold: int | None = None) -> "tf_keras.Model":
        """The trained Keras network of one training, which takes images (B, H, W, C) in [0, 1]; imports TensorFlow.

        The data are read again, for the network's shape. Raises UserError if no training, or more than one, fits.
        """
        from pipeline.training.experiment import load_trained

        return load_trained(self._training_folder(seed, fold)).model

    def files(self, seed: int | None = None, fold: int | None = None) -> dict[str, Path]:
        """{"int8" | "int4" | "float32": path} of the verified TFLite files of one training; raises as `model`.

        Also UserError if they were not verified, or missed a limit.
        """
        folder = self._training_folder(seed, fold)
        verification = read_json(folder / VERIFICATION, [])
        if not verification.get("passed"):
            raise UserError(f"{folder}: its TFLite files were not verified, or missed a limit; see the report")
        return {Path(name).stem.removeprefix("model_"): folder / name for name in mapping(verification, "files")}

    def _training_folder(self, seed: int | None, fold: int | None) -> Path:
        found = self.own
        for key, wanted in (("seed", seed), ("fold", fold)):
            found = found if wanted is None else found[found[key] == wanted]
        if len(found) != 1:
            there = ", ".join(self.own["training"]) or "none"
            raise UserError(f"{self.folder}: give the seed and fold of one training; there are: {there}")
        return self.folder / found["training"].iloc[0]


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


def sequence(record: Any, *path: str) -> list[Any]:
    """The list at `path` in nested mappings, or an empty one."""
    *outer, key = path
    value = mapping(record, *outer).get(key)
    return value if isinstance(value, list) else []


def column(table: pd.DataFrame, name: str) -> pd.Series:
    """A column as floats: NaN where the table, the column or a finite number is not there."""
    if name not in table:
        return pd.Series(np.nan, index=table.index, dtype=float)
    values = table[name].map(lambda value: np.nan if number(value) is None else value)
    return pd.to_numeric(values, errors="coerce").astype(float)


def is_run(folder: Path) -> bool:
    """Whether a folder looks like a run's: it has a configuration, a status, or a training."""
    found = any((folder / name).is_file() for name in (RESOLVED, STATUS))
    return found or any(training_of(path.name) and path.is_dir() for path in folder.iterdir())


def is_study(folder: Path) -> bool:
    """Whether a folder is a study's."""
    return (folder / STUDY_MANIFEST).is_file()


def load_run(folder: str | Path) -> Run:
    """Read a run folder and the baseline it points to; raises UserError if `folder` is no folder of a run."""
    if not isinstance(folder, str | Path):
        raise UserError(f"load_run: give the path of a run folder, not {type(folder).__name__}")
    if Path(folder).is_dir() and not is_run(Path(folder)):
        raise UserError(f"{folder}: not a run folder; a run writes runs/NAME-HASH8/, load_run takes one of these")
    return read_run(Path(folder))


def read_run(folder: Path) -> Run:
    """As `load_run` for any folder, also an empty one: a run that has just begun."""
    if not folder.is_dir():
        raise UserError(f"{folder}: there is no such run folder; a run writes runs/NAME-HASH8/")
    run = _load(folder)
    if not run.baseline_folder or not (folder / run.baseline_folder).is_dir():
        return run
    baseline = _load(folder / run.baseline_folder)
    table, epochs = (
        _frame([*own.to_dict("records"), *theirs.assign(arm="baseline").to_dict("records")], head)
        for own, theirs, head in ((run.table, baseline.table, HEAD), (run.epochs, baseline.epochs, EPOCH_HEAD))
    )
    return replace(run, baseline=baseline, table=table, epochs=epochs)


def read_epochs(path: Path, notes: list[str]) -> list[Json]:
    """The records of a metrics.jsonl, one an epoch, in order; a later line replaces an earlier one of the same epoch."""
    epochs: dict[int, Json] = {}
    damaged = 0
    for line in filter(str.strip, read_text(path, notes).splitlines()):
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
    return [epochs[epoch] for epoch in sorted(epochs)]


def _load(folder: Path) -> Run:
    notes: list[str] = []
    config_text = read_text(folder / RESOLVED, notes)
    name = folder.resolve().name
    found = [(training, path) for path in folder.iterdir() if path.is_dir() and (training := training_of(path.name))]
    rows, epochs = [], []
    for (seed, fold), path in sorted(found, key=lambda pair: (pair[0].seed, pair[0].fold or -1)):
        keys = dict(zip(KEYS, ("run", name, path.name, seed, fold), strict=True))
        row = dict(zip(("wrong_labels", "all_labels"), _count_noise(path / NOISE, notes), strict=True))
        row |= {"scores": read_json(path / SCORES, notes), "verification": read_json(path / VERIFICATION, notes)}
        rows.append(keys | row)
        epochs += [keys | flat(record) for record in read_epochs(path / METRICS, notes)]
    return Run(
        name=name,
        folder=folder,
        config=parse_config(config_text, notes),
        config_text=config_text,
        environment=read_json(folder / ENVIRONMENT, notes),
        status=read_json(folder / STATUS, notes),
        data=read_json(folder / DATA, notes),
        table=_frame(rows, HEAD, flatten=("scores", "verification")),
        epochs=_frame(epochs, EPOCH_HEAD),
        baseline=None,
        baseline_folder=str(read_json(folder / BASELINE, notes).get("folder", "")),
        notes=tuple(notes),
    )


def _frame(rows: list[Json], head: Sequence[str], flatten: Sequence[str] = ()) -> pd.DataFrame:
    """A table of rows with at least the columns `head`; the mappings in the columns `flatten` get columns of their own."""
    whole = [row | flat({name: row[name] for name in flatten}, without=NOT_FLATTENED) for row in rows]
    columns = dict.fromkeys([*head, *(key for row in whole for key in row)])
    table = pd.DataFrame({name: pd.Series([row.get(name) for row in whole], dtype=object) for name in columns})
    numbers = [name for name in columns if name not in KEYS and _is_numeric(table[name])]
    return table.astype(dict.fromkeys(numbers, float))


def _is_numeric(values: pd.Series) -> bool:
    numbers = (value is None or (isinstance(value, int | float) and not isinstance(value, bool)) for value in values)
    return len(values) > 0 and all(numbers)


def flat(record: Json, prefix: str = "", separator: str = ".", without: Sequence[str] = ()) -> dict[str, Any]:
    """Nested mappings as one with joined keys, but for the keys in `without`."""
    found: dict[str, Any] = {}
    for key, value in record.items():
        if isinstance(value, Mapping) and key not in without:
            found |= flat(value, f"{prefix}{key}{separator}", separator, without)
        elif key not in without:
            found[f"{prefix}{key}"] = value
    return found


def _label(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def read_text(path: Path, notes: list[str]) -> str:
    """The text of a file, empty if there is none; why it cannot be read goes to `notes`."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        notes.append(f"{_label(path)} ({type(error).__name__})")
        return ""


def read_json(path: Path, notes: list[str]) -> Json:
    """The mapping in a JSON file, empty if there is none; that it is damaged goes to `notes`."""
    text = read_text(path, notes)
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


@lru_cache(maxsize=4096)
def _parsed(text: str) -> Any:
    """The content of a YAML text; remembered, as a study's report is made again after each of its runs."""
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def parse_config(text: str, notes: list[str]) -> Json:
    """The mapping in the text of a resolved.yaml; that it is damaged goes to `notes`."""
    try:
        config = _parsed(text)
    except yaml.YAMLError:
        notes.append(f"{RESOLVED} is damaged")
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
