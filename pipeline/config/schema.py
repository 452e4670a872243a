"""The schema of an experiment: its sections, their fields, ranges and defaults.

A section's `conflicts` are the rules between its own fields, those of Experiment the rules between sections. What one data
set needs is a fact of its section (data/settings.py), what one method needs is in the method's own `conflicts`.
"""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, FiniteFloat

from pipeline.data.settings import AnyData, AnyNoise, NoNoise
from pipeline.methods import AnyMethod
from pipeline.models.settings import MIN_IMAGE_SIZE, AnyModel, ResNet20
from pipeline.settings import Conflict, Count, Section, Seed, Share, repeated
from pipeline.tflite.settings import ConvertSettings, VerifySettings

COLUMN_TOLERANCE = 1e-6
SCHEMA_FILE = Path(__file__).resolve().parents[2] / "qat_configs" / "schema.json"
NAME_PATTERN = r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$"
OWN_NETWORK = "keras"  # fits all data
OPTIMIZER_ONLY = {"momentum": "sgd", "weight_decay": "adamw"}


class ConstantSchedule(Section):
    """The learning rate is constant."""

    kind: Literal["constant"] = Field("constant", description="The kind of schedule.")


class CosineSchedule(Section):
    """The learning rate falls as half a cosine over the epochs."""

    kind: Literal["cosine"] = Field("cosine", description="The kind of schedule.")
    final: Share = Field(0.0, description="Last rate as a share of the initial one.")


class StepSchedule(Section):
    """The learning rate is multiplied by a factor every few epochs."""

    kind: Literal["step"] = Field("step", description="The kind of schedule.")
    every: Count = Field(description="Epochs between two steps.")
    factor: FiniteFloat = Field(gt=0, le=1, description="Factor of each step.")


class ExponentialSchedule(Section):
    """The learning rate is multiplied by a factor every epoch."""

    kind: Literal["exponential"] = Field("exponential", description="The kind of schedule.")
    factor: FiniteFloat = Field(gt=0, le=1, description="Factor of each epoch.")


AnySchedule = Annotated[
    ConstantSchedule | CosineSchedule | StepSchedule | ExponentialSchedule, Field(discriminator="kind")
]


class Loss(Section):
    """The loss of a network with one logit per action unit."""

    class_weights: Literal["inverse_frequency", "none"] = Field(
        "inverse_frequency", description="Weight of each AU's cross entropy: 1 / base rate, or equal."
    )
    dice: FiniteFloat = Field(0.0, ge=0, le=10, description="Weight of a soft Dice loss beside the cross entropy.")


class Train(Section):
    """How the network is trained; the same for every method."""

    epochs: Count = Field(30, description="Passes over the training images.")
    batch_size: Count = Field(128, description="Images in a training step.")
    replicas: Count = Field(
        1,
        exclude_if=lambda count: count == 1,  # any other count gives slightly different numbers, so it is another run
        description="Devices that share every batch: GPUs, or logical CPU devices to try it out; divides batch_size.",
    )
    optimizer: Literal["adam", "adamw", "sgd"] = Field("adam", description="The optimizer.")
    learning_rate: FiniteFloat = Field(1e-3, gt=0, description="Initial learning rate.")
    momentum: FiniteFloat = Field(0.9, ge=0, lt=1, description="Momentum of sgd; for no other optimizer.")
    weight_decay: FiniteFloat = Field(0.0, ge=0, description="Decoupled decay of adamw; for no other optimizer.")
    schedule: AnySchedule = Field(ConstantSchedule(), description="How the learning rate changes over the epochs.")
    statistics: Literal["reestimate", "moving"] = Field(
        "reestimate",
        description="Statistics of batch norm and activations: re-estimated on training batches, or moving.",
    )
    statistics_batches: Count = Field(32, description="Training batches of a re-estimation.")
    batch_norm_momentum: Annotated[FiniteFloat, Field(ge=0, lt=1)] | Literal["auto"] = Field(
        "auto", description="Momentum of the moving averages; auto suits the steps of an epoch."
    )
    log_both_statistics: bool = Field(False, description="Evaluate with both kinds of statistics.")
    evaluate_every: Count = Field(1, description="Epochs between two evaluations.")
    evaluate_train_examples: Count | None = Field(
        None, description="Training images in an evaluation, evenly spaced; null takes all."
    )
    tensorboard: bool = Field(
        False,
        exclude_if=lambda value: not value,
        description="Also write the curves for TensorBoard, beside metrics.jsonl.",
    )
    checkpoint_minutes: FiniteFloat = Field(10.0, ge=0, description="Minutes between two checkpoints.")

    def conflicts(self) -> Iterator[Conflict]:
        """Settings of another optimizer, and replicas that cannot share a batch equally."""
        for key, optimizer in OPTIMIZER_ONLY.items():
            if key in self.model_fields_set and self.optimizer != optimizer:
                message = f"is for optimizer: {optimizer}, but the optimizer is {self.optimizer}. Remove one of the two"
                yield Conflict((key,), message, (("optimizer",),))
        if self.batch_size % self.replicas:
            message = f"must divide train.batch_size ({self.batch_size}), but is {self.replicas}. Change one of the two"
            yield Conflict(("replicas",), message, (("batch_size",),))


class Experiment(Section):
    """One experiment: data, label noise, network, methods, training, conversion and verification."""

    name: str = Field(pattern=NAME_PATTERN, max_length=100, description="Name of the folders; default: the file's.")
    data: AnyData = Field(description="The data set.")
    noise: AnyNoise = Field(NoNoise(), description="Wrong labels put into the training set.")
    model: AnyModel = Field(ResNet20(), description="The network.")
    methods: list[AnyMethod] = Field([], description="Regularisation and compression methods, used together.")
    loss: Loss = Field(Loss(), description="What is minimised for action units.")
    train: Train = Field(Train(), description="How the network is trained.")
    seeds: list[Seed] = Field([1], min_length=1, description="One training per seed.")
    baseline: bool = Field(False, description="Also train the float network without any method.")
    convert: ConvertSettings = Field(ConvertSettings(), description="The TFLite files.")
    verify: VerifySettings = Field(VerifySettings(), description="How the TFLite files are checked.")

    def conflicts(self) -> Iterator[Conflict]:
        """What does not fit together across sections, and what the methods cannot work with."""
        for rule in (_repeated, _kind_of_labels, _noise_matrix, _noise_by_label, _image_size, _methods):
            yield from rule(self)


def _repeated(experiment: "Experiment") -> Iterator[Conflict]:
    yield from repeated("seeds", "seed", experiment.seeds)
    yield from repeated("methods", "method", [method.name for method in experiment.methods])


def _kind_of_labels(experiment: "Experiment") -> Iterator[Conflict]:
    """Network, noise and loss that belong to the other kind of labels."""
    data = experiment.data
    if experiment.model.name not in (data.network, OWN_NETWORK):
        message = f"does not fit {data.name}. Write model: {{name: {data.network}}}"
        yield Conflict(("model", "name"), message, (("data", "name"),))
    if experiment.noise.kind not in data.noise_kinds:
        message = f"does not fit {data.name}. Use {', '.join(data.noise_kinds[:-1])} or {data.noise_kinds[-1]}"
        yield Conflict(("noise", "kind"), message, (("data", "name"),))
    if data.task != "multilabel" and experiment.loss != Loss():
        yield Conflict(("loss",), f"is for action units, not for {data.name}. Remove it", (("data", "name"),))


def _noise_matrix(experiment: "Experiment") -> Iterator[Conflict]:
    if experiment.noise.kind != "matrix" or experiment.data.task != "multiclass":
        return
    matrix, classes, path = experiment.noise.matrix, experiment.data.classes, ("noise", "matrix")
    widths = {len(row) for row in matrix}
    if len(matrix) != classes or widths != {classes}:
        size = f"{len(matrix)} rows of {' or '.join(map(str, sorted(widths)))} numbers" if matrix else "empty"
        message = f"must be {classes} x {classes}, the classes of {experiment.data.name}, but is {size}"
        yield Conflict(path, message, (("data", "name"),))
        return
    for column in range(classes):
        total = math.fsum(row[column] for row in matrix)
        if abs(total - 1) > COLUMN_TOLERANCE:
            message = f"column {column} sums to {total:.6g}, not 1 (a column holds P(label | true label {column}))"
            yield Conflict(path, message)


def _noise_by_label(experiment: "Experiment") -> Iterator[Conflict]:
    for name in experiment.data.unknown_aus(getattr(experiment.noise, "rates", ())):
        message = f"is none of the data's action units (data.aus): {', '.join(experiment.data.au_names)}"
        yield Conflict(("noise", "rates", name), message, (("data", "aus"),))


def _image_size(experiment: "Experiment") -> Iterator[Conflict]:
    """Images that are too small for the encoder, reported before hours of work on the data."""
    least = MIN_IMAGE_SIZE.get(getattr(experiment.model, "encoder", None), 0)
    if getattr(experiment.data, "image_size", least) < least:
        message = f"{experiment.model.encoder} needs images of {least} pixels or more"
        yield Conflict(("data", "image_size"), message, (("model", "encoder"),))


def _methods(experiment: "Experiment") -> Iterator[Conflict]:
    for index, method in enumerate(experiment.methods):
        for path, message, others in method.conflicts(experiment):
            yield Conflict(("methods", index, *path), message, others)


def json_schema() -> dict:
    """The JSON schema (draft 2020-12) of a configuration file."""
    schema = Experiment.model_json_schema()
    schema["required"].remove("name")  # the file's name is the default
    for section in schema["$defs"].values():
        tags = [key for key, field in section["properties"].items() if "const" in field]
        section["required"] = sorted({*section.get("required", []), *tags})
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "Nibble experiment"}


def schema_text() -> str:
    """The content of qat_configs/schema.json."""
    return json.dumps(json_schema(), indent=2) + "\n"
