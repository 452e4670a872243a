"""The action unit network, one face crop in and one probability per action unit out, and its sidecar model.json."""

import hashlib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from pipeline.action_units.metrics import probabilities
from pipeline.errors import UserError
from pipeline.faces.crop import CropRecipe
from pipeline.tflite.ship import SIDECAR, SIDECAR_FORMAT

DEFAULT_FILE = "model_int8.tflite"
TYPES = {"float32": np.float32, "int8": np.int8, "uint8": np.uint8}
MAX_BYTES = 2**30
MAX_SIDE = 2048


@dataclass(frozen=True)
class Sidecar:
    """What `model.json` says about an action unit network; `thresholds` are None for action units not learned."""

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
    """A TFLite file whose sha256 is the one in its sidecar; `files` are all that were shipped with it."""

    path: Path
    files: tuple[Path, ...]
    content: bytes
    sidecar: Sidecar


class AuNetwork:
    """A shipped network on LiteRT; raises UserError if the file is not what its sidecar says."""

    def __init__(self, model: ShippedModel, threads: int = 1):
        self.model = model
        try:
            self._interpreter = Interpreter(model_content=model.content, num_threads=threads)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise UserError(f"{model.path}: LiteRT cannot run it: {str(error).splitlines()[0]}") from error
        inputs, self._outputs = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        for problem in _problems(model.sidecar, inputs, self._outputs):
            raise UserError(f"{model.path}: {problem}, unlike its sidecar. Copy the whole folder again")
        self._input, self._pixels = inputs[0]["index"], _pixel_table(inputs[0])

    def probabilities(self, crop: np.ndarray) -> np.ndarray:
        """Probabilities float64 (A,), in the order of the sidecar's labels, of a face crop uint8 (H, W, C)."""
        return probabilities(self.logits(crop))

    def logits(self, crop: np.ndarray) -> np.ndarray:
        """Logits float64 (A,) of a face crop uint8 (H, W, C)."""
        self._interpreter.set_tensor(self._input, self._pixels[crop][None])
        self._interpreter.invoke()
        values = self._interpreter.get_tensor(self._outputs[0]["index"])[0].astype(np.float64)
        scale, zero_point = self._outputs[0]["quantization"]
        return (values - zero_point) * scale if scale else values


def _pixel_table(details: dict) -> np.ndarray:
    """The network's input for each of the 256 values of a pixel: pixel / 255, quantized as the file says."""
    values = np.arange(256, dtype=np.float32) * np.float32(1 / 255)
    scale, zero_point = details["quantization"]
    if details["dtype"] == np.float32:
        return values
    limits = np.iinfo(details["dtype"])
    codes = np.rint(values.astype(np.float64) / scale) + zero_point
    return np.clip(codes, limits.min, limits.max).astype(details["dtype"])


def _problems(sidecar: Sidecar, inputs: list[dict], outputs: list[dict]) -> list[str]:
    """How the tensors of a file differ from what its sidecar says."""
    if len(inputs) != 1 or len(outputs) != 1:
        return [f"{len(inputs)} inputs and {len(outputs)} outputs instead of one each"]
    shape, classes = inputs[0]["shape"].tolist(), outputs[0]["shape"].tolist()
    kind, (scale, zero_point) = inputs[0]["dtype"], inputs[0]["quantization"]
    problems = []
    if shape != [1, *sidecar.crop.shape]:
        problems.append(f"its input is {shape}, not {[1, *sidecar.crop.shape]}")
    if classes != [1, len(sidecar.labels)]:
        problems.append(f"its output is {classes}, not {[1, len(sidecar.labels)]}")
    same_scale = np.isclose(scale, sidecar.input_scale, 1e-5) and zero_point == sidecar.input_zero_point
    if kind != TYPES.get(sidecar.input_type):
        problems.append(f"its input is {np.dtype(kind).name}, not {sidecar.input_type}")
    elif kind != np.float32 and not same_scale:
        problems.append(f"its input has scale {scale:g} and zero point {zero_point}")
    return problems


def load_shipped(path: Path) -> ShippedModel:
    """A TFLite file, or the model_int8.tflite of a folder tflite_out/NAME, with its sidecar.

    The file's sha256 is compared before anything parses it. Raises UserError.
    """
    path = path / DEFAULT_FILE if os.path.isdir(path) else path
    if not os.path.isfile(path):
        raise UserError(
            f"{path}: no such model. Give a .tflite file or a folder that pipeline.run made: tflite_out/NAME"
        )
    record = path.with_name(SIDECAR)
    values = _read(record)
    content = _checked_content(path, values, record)
    try:
        return ShippedModel(path, _files(record, values["files"]), content, _parse(values))
    except KeyError as error:
        raise UserError(f"{record}: damaged or not of an action unit network: {error} is missing") from error
    except (TypeError, ValueError, AttributeError, OverflowError) as error:
        raise UserError(f"{record}: damaged or not of an action unit network: {error}") from error


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
        raise UserError(f"{record}: damaged, not JSON. Copy the whole folder again") from error
    found = values.get("format") if isinstance(values, dict) else None
    if found != SIDECAR_FORMAT:
        raise UserError(f"{record}: format {found!r}, this version reads {SIDECAR_FORMAT}")
    return values


def _checked_content(path: Path, values: Mapping, record: Path) -> bytes:
    files = values.get("files")
    facts = files.get(path.name) if isinstance(files, dict) else None
    if not isinstance(facts, dict):
        raise UserError(
            f"{path}: not named in {record}. Copy the whole folder again, or convert the model with pipeline.run"
        )
    try:
        content = path.read_bytes() if path.stat().st_size <= MAX_BYTES else b""
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from error
    if hashlib.sha256(content).hexdigest() != facts.get("sha256"):
        raise UserError(
            f"{path}: not the file that {record} describes (another sha256): damaged, or from another model. "
            "Copy the whole folder again"
        )
    return content


def _files(record: Path, named: Mapping) -> tuple[Path, ...]:
    """The sidecar and those of the files it names that exist."""
    return tuple(path for path in (record, *(record.parent / name for name in named)) if os.path.isfile(path))


def _parse(values: Mapping) -> Sidecar:
    if values["task"] != "multilabel" or values["crop"] is None:
        raise ValueError(f"task {values['task']!r}, no faces")
    if str(values.get("output", {}).get("value", "logits")).startswith("probabilities"):
        raise ValueError("its outputs are probabilities; convert it with convert.outputs: logits")
    labels, entry = tuple(values["labels"]), values["input"]
    thresholds = tuple(_threshold(values["thresholds"][label]) for label in labels)
    crop = CropRecipe.from_dict(values["crop"])
    _check_crop(crop)
    if tuple(entry["height_width_channels"]) != crop.shape:
        raise ValueError(f"input {entry['height_width_channels']} does not fit a crop of {list(crop.shape)}")
    named = all(isinstance(label, str) and label and label.isprintable() for label in labels)
    if not labels or not named or len(set(labels)) < len(labels):
        raise ValueError("labels must be names, each once")
    return Sidecar(
        name=str(values["name"]),
        labels=labels,
        thresholds=thresholds,
        crop=crop,
        input_type=str(entry["type"]),
        input_scale=float(entry["scale"]),
        input_zero_point=int(entry["zero_point"]),
        data_license=str(values["data_license"]),
    )


def _threshold(value: object) -> float | None:
    if value is None:
        return None
    if not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ValueError(f"threshold {value!r}")
    return float(value)


def _check_crop(crop: CropRecipe) -> None:
    if type(crop.size) is not int or not 1 <= crop.size <= MAX_SIDE or type(crop.grey) is not bool:
        raise ValueError(f"crop of size {crop.size!r}, grey {crop.grey!r}")
    if not all(type(value) in (int, float) and math.isfinite(value) for value in (crop.side, crop.eye_line)):
        raise ValueError(f"crop with side {crop.side!r}, eye_line {crop.eye_line!r}")
    if not 0.1 <= crop.side <= 100 or not -10 <= crop.eye_line <= 10:
        raise ValueError(f"crop with side {crop.side}, eye_line {crop.eye_line}")
