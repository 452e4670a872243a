"""The sidecar model.json of a TFLite file: what goes in, what comes out, and that both belong together."""

import hashlib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.deployment import SIDECAR, SIDECAR_FORMAT
from pipeline.errors import UserError
from pipeline.faces.crop import CropRecipe

DEFAULT_FILE = "model_int8.tflite"
LARGEST_BYTES = 2**30
LARGEST_SIDE = 2048


@dataclass(frozen=True)
class Sidecar:
    """What `model.json` says of an action unit network; `thresholds` are None for units that were not learned."""

    name: str
    labels: tuple[str, ...]
    thresholds: tuple[float | None, ...]
    crop: CropRecipe
    input_type: str
    input_scale: float
    input_zero_point: int
    data_license: str


@dataclass(frozen=True)
class ShippedModel:
    """The content of a TFLite file that its sidecar vouches for; `files` are all that were shipped with it."""

    path: Path
    files: tuple[Path, ...]
    content: bytes
    sidecar: Sidecar


def load_shipped(path: Path) -> ShippedModel:
    """A TFLite file with its sidecar, or of a folder tflite_out/NAME its model_int8.tflite.

    The file's sha256 is compared before anything looks into it. Raises UserError.
    """
    path = path / DEFAULT_FILE if path.is_dir() else path
    if not path.is_file():
        raise UserError(
            f"{path}: no such model. Give a .tflite file or a folder that pipeline.run made: tflite_out/NAME"
        )
    record = path.with_name(SIDECAR)
    values = _read(record)
    content = _vouched(path, values, record)
    try:
        return ShippedModel(path, _files(record, values["files"]), content, _parse(values))
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise UserError(f"{record}: damaged or not of an action unit network: {_words(error)}") from error


def _read(record: Path) -> dict:
    try:
        values = json.loads(record.read_bytes())
    except FileNotFoundError as error:
        raise UserError(
            f"{record}: missing. A model needs the sidecar that pipeline.run wrote beside it; copy the whole folder"
        ) from error
    except OSError as error:
        raise UserError(f"{record}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{record}: damaged, no JSON. Copy the whole folder again") from error
    if not isinstance(values, dict) or values.get("format") != SIDECAR_FORMAT:
        found = values.get("format") if isinstance(values, dict) else None
        raise UserError(f"{record}: format {found!r}, this version reads {SIDECAR_FORMAT}")
    return values


def _vouched(path: Path, values: Mapping, record: Path) -> bytes:
    files = values.get("files")
    facts = files.get(path.name) if isinstance(files, dict) else None
    if not isinstance(facts, dict):
        raise UserError(
            f"{path}: not named in {record}. Copy the whole folder again, or convert the model with pipeline.run"
        )
    try:
        size = path.stat().st_size
        content = path.read_bytes() if size <= LARGEST_BYTES else b""
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from error
    if hashlib.sha256(content).hexdigest() != facts.get("sha256"):
        raise UserError(
            f"{path}: not the file that {record} describes (another sha256): damaged, or from another model. "
            "Copy the whole folder again"
        )
    return content


def _files(record: Path, named: Mapping) -> tuple[Path, ...]:
    """The sidecar and those of the files it names that are there."""
    return tuple(path for path in (record, *(record.parent / name for name in named)) if os.path.isfile(path))


def _parse(values: Mapping) -> Sidecar:
    if values["task"] != "multilabel" or values["crop"] is None:
        raise ValueError(f"task {values['task']!r}, no faces")
    labels, entry = tuple(values["labels"]), values["input"]
    thresholds = tuple(_threshold(values["thresholds"][label]) for label in labels)
    crop = CropRecipe.from_dict(values["crop"])
    _check_crop(crop)
    if tuple(entry["height_width_channels"]) != crop.shape:
        raise ValueError(f"input {entry['height_width_channels']} does not fit a crop of {list(crop.shape)}")
    if not labels or len(set(labels)) < len(labels) or not all(isinstance(label, str) and label for label in labels):
        raise ValueError("labels")
    return Sidecar(
        str(values["name"]),
        labels,
        thresholds,
        crop,
        str(entry["type"]),
        float(entry["scale"]),
        int(entry["zero_point"]),
        str(values["data_license"]),
    )


def _threshold(value: object) -> float | None:
    if value is None:
        return None
    if not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ValueError(f"threshold {value!r}")
    return float(value)


def _check_crop(crop: CropRecipe) -> None:
    if type(crop.size) is not int or not 1 <= crop.size <= LARGEST_SIDE or type(crop.grey) is not bool:
        raise ValueError(f"crop of size {crop.size!r}, grey {crop.grey!r}")
    if not all(type(value) in (int, float) and math.isfinite(value) for value in (crop.side, crop.eye_line)):
        raise ValueError(f"crop with side {crop.side!r}, eye_line {crop.eye_line!r}")
    if not 0.1 <= crop.side <= 100 or not -10 <= crop.eye_line <= 10:
        raise ValueError(f"crop with side {crop.side}, eye_line {crop.eye_line}")


def _words(error: Exception) -> str:
    return f"no {error}" if isinstance(error, KeyError) else str(error)
