"""The labels that `verify` takes: of one output or of several, classes, action units or numbers."""

from collections.abc import Mapping, Sequence

import numpy as np

from pipeline.action_units.labels import UNKNOWN
from pipeline.errors import UserError

Shape = tuple[int, ...]


def labels_by_output(labels: object, names: Sequence[str], shapes: Sequence[Shape], count: int) -> list:
    """The labels (N, ...) of each output, None where there are none.

    names and shapes (..., K) of the outputs; count: N. Raises UserError for labels that fit none of them.
    """
    if len(names) == 1:
        return [None if labels is None else _checked(labels, shapes[0], count, "labels")]
    if labels is None:
        return [None] * len(names)
    if isinstance(labels, Mapping):
        if unknown := [str(name) for name in labels if name not in names]:
            raise UserError(f"verify: labels: no output '{unknown[0]}'; there are: {', '.join(names)}")
        labels = [labels.get(name) for name in names]
    if not isinstance(labels, list | tuple) or len(labels) != len(names):
        raise UserError(
            f"verify: labels must be a dict or a list for the outputs {', '.join(names)}, None for those without"
        )
    cases = zip(labels, names, shapes, strict=True)
    return [
        None if each is None else _checked(each, shape, count, f"labels of '{name}'") for each, name, shape in cases
    ]


def _checked(labels: object, shape: Shape, count: int, what: str) -> np.ndarray:
    classes, full = (count, *shape[:-1]), (count, *shape)
    found = f"{labels.dtype} {labels.shape}" if isinstance(labels, np.ndarray) else type(labels).__name__
    fits = isinstance(labels, np.ndarray) and labels.shape in (classes, full) and labels.dtype.kind in "iubf"
    if not fits or (labels.dtype.kind == "f" and labels.size != count * np.prod(shape, dtype=int)):
        raise UserError(f"verify: {what} must be integers of shape {classes} or {full}, or floats {full}, not {found}")
    if labels.dtype.kind == "f":
        if not np.isfinite(labels).all():
            raise UserError(f"verify: {what} must be finite numbers")
        return labels
    _check_values(labels, labels.shape == classes, shape, what)
    return labels


def _check_values(labels: np.ndarray, is_class: bool, shape: Shape, what: str) -> None:
    if is_class and shape[-1] > 1:
        allowed, known = range(shape[-1]), f"0 to {shape[-1] - 1}"
    elif not is_class and len(shape) == 1:
        allowed, known = (0, 1, UNKNOWN), f"0, 1 or {UNKNOWN} (unknown)"
    else:
        allowed, known = (0, 1), "0 or 1"
    if wrong := sorted(set(np.unique(labels).tolist()) - set(allowed)):
        raise UserError(f"verify: {what} must be {known}, but there is {wrong[0]}")
