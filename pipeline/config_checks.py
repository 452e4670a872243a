"""Checks across fields, made also when other fields are wrong, so that every error is reported at once."""

import copy
import math
from collections.abc import Callable, Iterator

from pydantic import ValidationError

from pipeline.config_messages import Finding, findings
from pipeline.config_problems import KeyPath
from pipeline.config_schema import (
    AU_NOISE,
    IMAGE_NOISE,
    OPTIMIZER_ONLY,
    AuNetwork,
    Experiment,
    FaceData,
    Loss,
    MatrixNoise,
    PerLabelNoise,
)
from pipeline.config_shape import inside
from pipeline.data.au_set import AU_NUMBERS
from pipeline.methods import Dropout, EarlyStopping, Pruning, Quantization

BP4D_PARTS = 3
SMALLEST_IMAGE = {"small_resnet": 24, "mobilenet_v2": 32, "inception_v3": 75}  # pixels
# What stands in for a broken part that has no default; no check that looks at it is reported.
STAND_INS = {("name",): "stand-in", ("data",): {"name": "fashion_mnist"}}
ENTRY_STAND_INS = {"methods": {"name": "dropout"}, "seeds": 2**31 - 1}
COLUMN_TOLERANCE = 1e-6


def validate(value: dict, damaged: set[KeyPath]) -> tuple[Experiment | None, list[Finding]]:
    """The experiment in a plain document, or None, and everything that is wrong with it.

    Nothing is said about `damaged` paths: that they could not be read has been reported.
    """
    experiment, found = None, []
    try:
        experiment = whole = Experiment.model_validate(value)
        broken = set(damaged)
    except ValidationError as error:
        found = [finding for finding in findings(error) if not _touches(finding, damaged)]
        whole, broken = _salvage(value, damaged)
    found += [finding for check in CHECKS for finding in check(whole) if not _touches(finding, broken)]
    return (None if found else experiment), found


def _salvage(value: dict, damaged: set[KeyPath]) -> tuple[Experiment, set[KeyPath]]:
    """The experiment with its broken parts replaced by defaults or stand-ins, and the paths of those parts."""
    value, broken = copy.deepcopy(value), set(damaged)
    while True:
        try:
            return Experiment.model_validate(value), broken
        except ValidationError as error:
            for finding in findings(error):
                broken.add(finding.meant or finding.paths[0])
                broken.add(_drop(value, finding.paths[0]))


def _drop(value: dict, path: KeyPath) -> KeyPath:
    """Take `path` out of `value`, or what contains it if it is not there; return what was taken out."""
    if path in STAND_INS:
        value[path[0]] = STAND_INS[path]
        return path
    if len(path) == 2 and path[0] in ENTRY_STAND_INS and isinstance(path[1], int):
        value[path[0]][path[1]] = ENTRY_STAND_INS[path[0]]
        return path
    container = value
    for step in path[:-1]:
        container = inside(container, step)
    if isinstance(container, dict) and path[-1] in container:
        del container[path[-1]]
    elif container is not None:
        return _drop(value, path[:-1])
    return path


def _touches(finding: Finding, broken: set[KeyPath]) -> bool:
    return any(path[: len(part)] == part for path in finding.paths for part in broken)


def _unique_seeds(experiment: Experiment) -> Iterator[Finding]:
    yield from _repeats("seeds", experiment.seeds, "seed")


def _unique_methods(experiment: Experiment) -> Iterator[Finding]:
    yield from _repeats("methods", [method.name for method in experiment.methods], "method")


def _repeats(section: str, items: list, noun: str) -> Iterator[Finding]:
    for index, item in enumerate(items):
        first = items.index(item)
        if first < index:
            message = f"the {noun} {item!r} is given twice, first as {section}.{first}. Remove one"
            yield Finding(((section, index), (section, first)), message)


def _noise_matrix(experiment: Experiment) -> Iterator[Finding]:
    if not isinstance(experiment.noise, MatrixNoise) or isinstance(experiment.data, FaceData):
        return
    matrix, classes, path = experiment.noise.matrix, experiment.data.classes, ("noise", "matrix")
    widths = {len(row) for row in matrix}
    if len(matrix) != classes or widths != {classes}:
        size = f"{len(matrix)} rows of {' or '.join(map(str, sorted(widths)))} numbers" if matrix else "empty"
        message = f"must be {classes} x {classes}, the classes of {experiment.data.name}, but is {size}"
        yield Finding((path, ("data", "name")), message)
        return
    for column in range(classes):
        total = math.fsum(row[column] for row in matrix)
        if abs(total - 1) > COLUMN_TOLERANCE:
            message = f"column {column} sums to {total:.6g}, not 1 (a column holds P(label | true label {column}))"
            yield Finding((path,), message)


def _kind_of_data(experiment: Experiment) -> Iterator[Finding]:
    """Network, noise and loss that belong to the other kind of labels."""
    data, faces = experiment.data, isinstance(experiment.data, FaceData)
    if faces != isinstance(experiment.model, AuNetwork):
        fitting = "au_network" if faces else "resnet20"
        message = f"is not for {data.name}. Write model: {{name: {fitting}}}"
        yield Finding((("model", "name"), ("data", "name")), message)
    if isinstance(experiment.noise, IMAGE_NOISE if faces else AU_NOISE):
        fitting = "none, per_label or annotators" if faces else "none, uniform, pair_flip or matrix"
        message = f"is not for {data.name}. Use {fitting}"
        yield Finding((("noise", "kind"), ("data", "name")), message)
    if experiment.loss != Loss() and not faces:
        yield Finding((("loss",), ("data", "name")), f"is for action units, not for {data.name}. Remove it")


def _label_names(experiment: Experiment) -> Iterator[Finding]:
    """Action units named in noise and bits that the data do not have."""
    data = experiment.data
    if not isinstance(data, FaceData):
        return
    allowed = {*data.au_names, "default"}
    if isinstance(experiment.noise, PerLabelNoise):
        for name in experiment.noise.rates:
            if name not in allowed:
                message = f"is none of the data's action units (data.aus): {', '.join(data.au_names)}"
                yield Finding((("noise", "rates", name), ("data", "aus")), message)
    for path, method in _methods(experiment, Quantization):
        for name in method.au_bits or ():
            if name not in allowed:
                message = f"is none of the data's action units (data.aus): {', '.join(data.au_names)}"
                yield Finding(((*path, "au_bits", name), ("data", "aus")), message)


def _rendered_aus(experiment: Experiment) -> Iterator[Finding]:
    if experiment.data.name != "synthetic_faces":
        return
    for index, number in enumerate(experiment.data.aus):
        if number not in AU_NUMBERS:
            message = f"AU{number} is not rendered; there are {', '.join(map(str, AU_NUMBERS))}"
            yield Finding((("data", "aus", index),), message)


def _encoder(experiment: Experiment) -> Iterator[Finding]:
    """What an encoder cannot do, said before hours of work on the data."""
    model, data = experiment.model, experiment.data
    if not isinstance(model, AuNetwork) or not isinstance(data, FaceData):
        return
    if data.image_size < SMALLEST_IMAGE[model.encoder]:
        message = f"{model.encoder} needs images of {SMALLEST_IMAGE[model.encoder]} pixels or more"
        yield Finding((("data", "image_size"), ("model", "encoder")), message)
    if model.encoder == "small_resnet" and model.weights == "imagenet":
        message = "there are no ImageNet weights for small_resnet. Use none, or another encoder"
        yield Finding((("model", "weights"), ("model", "encoder")), message)
    for path, method in _methods(experiment, Dropout):
        if method.position != "head" and model.encoder != "small_resnet":
            message = f"{model.encoder} has dropout in its heads only. Use head, or small_resnet"
            yield Finding(((*path, "position"), ("model", "encoder")), message)


def _parts(experiment: Experiment) -> Iterator[Finding]:
    data = experiment.data
    if not isinstance(data, FaceData):
        return
    count, first = len(data.parts) if data.parts else BP4D_PARTS, {}
    for index, fold in enumerate(data.folds):
        if fold > count:
            message = f"there are {count} parts to test on, so a fold is 1 to {count}"
            yield Finding((("data", "folds", index), ("data", "parts")), message)
        elif fold in data.folds[:index]:
            yield Finding((("data", "folds", index),), f"the fold {fold} is given twice. Remove one")
    for index, part in enumerate(data.parts or ()):
        for subject in part:
            if subject in first:
                message = (
                    f"the subject {subject!r} is in part {first[subject] + 1} already: a subject is in one part only"
                )
                yield Finding((("data", "parts", index), ("data", "parts", first[subject])), message)
            first.setdefault(subject, index)


def _monitor(experiment: Experiment) -> Iterator[Finding]:
    wrong = "val_accuracy" if isinstance(experiment.data, FaceData) else "val_f1"
    for path, method in _methods(experiment, EarlyStopping):
        if method.monitor == wrong:
            right = {"val_accuracy": "val_f1", "val_f1": "val_accuracy"}[wrong]
            message = f"is not measured for {experiment.data.name}. Use val_loss or {right}"
            yield Finding(((*path, "monitor"), ("data", "name")), message)


def _early_stopping(experiment: Experiment) -> Iterator[Finding]:
    data = experiment.data
    for path, _ in _methods(experiment, EarlyStopping):
        if data.val_fraction == 0:
            message = "early_stopping needs a validation split. Set data.val_fraction to more than 0, such as 0.1"
            yield Finding((path, ("data", "val_fraction")), message)
        elif not isinstance(data, FaceData) and data.train_examples and data.train_examples * data.val_fraction < 1:
            message = (
                f"early_stopping needs a validation split, but a share of {data.val_fraction:g} of "
                f"{data.train_examples} training images leaves none. Raise data.val_fraction or data.train_examples"
            )
            yield Finding((path, ("data", "val_fraction"), ("data", "train_examples")), message)


def _pruning(experiment: Experiment) -> Iterator[Finding]:
    if getattr(experiment.model, "encoder", "small_resnet") != "small_resnet":
        return
    width = experiment.model.width
    for path, method in _methods(experiment, Pruning):
        if math.floor(method.ratio * width + 1e-9) >= width:
            message = f"{method.ratio!r} leaves no filter in the layers of {width} filters (model.width). Give less"
            yield Finding(((*path, "ratio"), ("model", "width")), message)


def _au_bits(experiment: Experiment) -> Iterator[Finding]:
    for path, method in _methods(experiment, Quantization):
        if method.au_bits and getattr(experiment.model, "heads", None) != "per_au":
            message = (
                "needs a network with a head for every action unit. Write model: {name: au_network, heads: per_au}"
            )
            yield Finding(((*path, "au_bits"), ("model",)), message)


def _quantization(experiment: Experiment) -> Iterator[Finding]:
    epochs = experiment.train.epochs
    for path, method in _methods(experiment, Quantization):
        if method.warmup_epochs >= epochs:
            message = f"must be less than train.epochs ({epochs}), but is {method.warmup_epochs}"
            yield Finding(((*path, "warmup_epochs"), ("train", "epochs")), message)
        for index, override in enumerate(method.overrides):
            if override.weight_bits is None and override.activation_bits is None:
                message = "changes nothing. Give weight_bits, activation_bits or both"
                yield Finding(((*path, "overrides", index),), message)


def _optimizer(experiment: Experiment) -> Iterator[Finding]:
    train = experiment.train
    for key, optimizer in OPTIMIZER_ONLY.items():
        if key in train.model_fields_set and train.optimizer != optimizer:
            message = f"is for optimizer: {optimizer}, but the optimizer is {train.optimizer}. Remove one of the two"
            yield Finding((("train", key), ("train", "optimizer")), message)


def _replicas(experiment: Experiment) -> Iterator[Finding]:
    batch_size, count = experiment.train.batch_size, experiment.train.replicas
    if batch_size % count:
        message = f"must divide train.batch_size ({batch_size}), but is {count}. Change one of the two"
        yield Finding((("train", "replicas"), ("train", "batch_size")), message)


def _methods(experiment: Experiment, kind: type) -> Iterator[tuple[KeyPath, object]]:
    for index, method in enumerate(experiment.methods):
        if isinstance(method, kind):
            yield ("methods", index), method


CHECKS: tuple[Callable[[Experiment], Iterator[Finding]], ...] = (
    _unique_seeds,
    _unique_methods,
    _noise_matrix,
    _kind_of_data,
    _label_names,
    _rendered_aus,
    _encoder,
    _parts,
    _monitor,
    _early_stopping,
    _pruning,
    _quantization,
    _au_bits,
    _optimizer,
    _replicas,
)
