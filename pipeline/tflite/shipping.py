"""Ship any network: its verified files with sidecar, golden vectors and model card, as a run does."""

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import tf_keras
from pydantic import Field

from pipeline.errors import RunFailed, UserError
from pipeline.models.inputs import Examples
from pipeline.runs.files import check_writable
from pipeline.settings import Section, checked_settings
from pipeline.tflite.card import Shipment
from pipeline.tflite.convert import Converted, convert
from pipeline.tflite.described_inputs import Input
from pipeline.tflite.golden_vectors import golden_vectors
from pipeline.tflite.litert import LiteRtModel
from pipeline.tflite.metadata import names_in
from pipeline.tflite.ship import SIDECAR, Described, facts_of_bytes, read_sidecar, write_shipment
from pipeline.tflite.verify import Labels, verify

METRICS = {
    "multiclass": "accuracy",
    "multilabel": "mean F1",
    "regression": "R^2",
    "map": "accuracy",
    "several": "mean of the outputs' metrics",
}


class About(Section):
    """What sidecar and model card say of a network."""

    name: str = Field("", description="Its name; empty: that of the folder.")
    task: Literal["multiclass", "multilabel", "regression"] = Field(
        "multiclass", description="One of the classes, any number of them, or numbers."
    )
    classes: list[str] = Field([], description="The names of the outputs in their order; empty: their numbers.")
    data: str = Field("", description="What it was trained on.")
    data_license: str = Field("", description="The terms of the data.")
    limits: str = Field("", description="What it is not for.")


def ship(
    network: tf_keras.Model | Converted,
    folder: str | Path,
    images: Examples | None = None,
    labels: Labels = None,
    *,
    report: dict | None = None,
    **about: object,
) -> dict:
    """Write the files of a network into `folder` with model.json, verification.json, golden vectors and model card.

    A Keras model is converted and verified with `images` and `labels`, as `verify` takes them; what `convert` returned
    comes with the `report` of `verify`. `about`: name, task (multiclass, multilabel or regression; without it by the labels),
    classes (the names of the numbers of the only output), data, data_license, limits. Files that `ship` wrote for a network
    of this name are replaced. Returns the content of verification.json. Raises UserError for invalid
    arguments and for a folder that holds another network, RunFailed if the files miss their limits; nothing is written
    then.
    """
    if isinstance(labels, np.ndarray) and (labels.ndim == 2 or labels.dtype.kind == "f"):
        about.setdefault("task", "regression" if labels.dtype.kind == "f" else "multilabel")
    told = checked_settings(About, None, about, "ship")
    folder = _folder(folder, told)
    if not isinstance(network, Converted):
        if images is None or report is not None:
            raise UserError(
                "ship: pass a model with images and labels to verify it: ship(model, folder, images, labels)"
            )
        with tempfile.TemporaryDirectory(prefix="nibble-ship-") as place:
            files = convert(network, place)
            return ship(files, folder, report=verify(network, files, images, labels), **about)
    if not isinstance(report, dict) or images is not None or labels is not None:
        raise UserError(
            "ship: pass what convert returned with what verify returned: ship(files, folder, report=report)"
        )
    contents = _contents(network, report)
    if not report["passed"]:
        raise RunFailed("\n  ".join(["NOT SHIPPED: the files miss their limits", *report["failures"]]))
    shipment = replace(_shipment(contents, told, folder), outputs=report["outputs"])
    scores = {"thresholds": dict.fromkeys(shipment.labels, 0.5)} if shipment.task == "multilabel" else {}
    golden = golden_vectors(contents, shipment.inputs)
    write_shipment(folder, contents, Described(shipment, scores, report, golden))
    return report


def _folder(folder: object, told: About) -> Path:
    """The folder to write to; UserError if it cannot be written or holds a network of a run or of another name."""
    if not isinstance(folder, str | Path):
        raise UserError(f"ship: folder must be a path, not {type(folder).__name__}")
    folder = Path(folder).resolve()
    check_writable(folder)
    there = read_sidecar(folder / SIDECAR)
    if there and (there.get("config_hash") or there.get("name") != _name(folder, told)):
        raise UserError(f"ship: {folder} holds the network '{there.get('name')}'. Choose another folder, or delete it")
    return folder


def _name(folder: Path, told: About) -> str:
    return told.name or folder.name


def _contents(converted: Converted, report: dict) -> dict[str, bytes]:
    """{name: content} of the files; UserError unless they are those of the report."""
    if missing := [str(path) for path in converted.files.values() if not path.is_file()]:
        raise UserError(f"ship: {', '.join(missing)}: no such file. Convert the model again")
    contents = {path.name: path.read_bytes() for path in converted.files.values()}
    if report.get("files") != {name: facts_of_bytes(content) for name, content in contents.items()}:
        raise UserError("ship: the report is not of these files. Call verify again and pass what it returns")
    return contents


def _shipment(contents: dict[str, bytes], told: About, folder: Path) -> Shipment:
    """The facts for sidecar and card; UserError if the classes are not as many as the outputs."""
    kinds = ("model_int8.tflite", "model_int4.tflite", "model_float32.tflite")
    content = next(contents[name] for name in kinds if name in contents)
    file, (inputs, outputs) = LiteRtModel(content), names_in(content)
    shapes = [shape[1:] for shape in file.input_shapes]
    task = _task(told, file)
    return Shipment(
        name=_name(folder, told),
        task=task,
        labels=_labels(told, file, outputs),
        inputs=tuple(Input(*each) for each in zip(inputs, shapes, file.ranges, strict=True)),
        crop=None,
        metric=METRICS[told.task if task == "multilabel" else task],
        validation_metric=None,
        data=told.data,
        data_license=told.data_license,
        data_limits=told.limits or "not stated",
        noise={},
        methods=[],
        io=file.input_type,
        seed=None,
        fold=None,
        config_hash=None,
    )


def _task(told: About, file: LiteRtModel) -> str:
    """What the outputs are: more than `About.task` knows of several outputs, of places, and of a single yes or no."""
    if len(file.outputs) > 1:
        return "several"
    shape = file.outputs[0]["shape"]
    if told.task == "regression":
        return told.task
    if len(shape) > 2:
        return "map"
    return "multilabel" if shape[-1] == 1 else told.task


def _labels(told: About, file: LiteRtModel, names: list[str]) -> tuple[str, ...]:
    """The names of the numbers of the only output, or of several outputs."""
    if len(names) > 1:
        if told.classes:
            raise UserError(f"ship: classes are for a network with one output; this one has {', '.join(names)}")
        return tuple(names)
    count = int(file.outputs[0]["shape"][-1])
    if told.classes and (len(told.classes) != count or len(set(told.classes)) != count):
        raise UserError(f"ship: classes must be {count} different names, one for each output")
    return tuple(told.classes) or tuple(map(str, range(count)))
