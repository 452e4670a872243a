"""The range of values that each input of a network takes: as declared, or found from the layers at its front."""

from collections.abc import Mapping, Sequence
from math import isfinite
from numbers import Real

import numpy as np
import tensorflow as tf
import tf_keras

from pipeline.errors import UserError
from pipeline.models.canonical import canonical
from pipeline.models.graph import PASSING, UNIT_RANGE, Range, kind_of
from pipeline.models.layers import Affine

BYTES = (0.0, 255.0)
SMALL_GAIN = 0.1  # constants before the first layer that are all smaller expect pixels up to 255
TOLERANCE = 1e-5  # of the width of a range: for roundings of float32

Declared = Sequence[float] | Mapping[str, Sequence[float]] | None


def ranges_for(model: tf_keras.Model, network: tf_keras.Model, declared: Declared) -> dict[str, Range]:
    """{input: (low, high)} for the canonical `network` of `model`; a declared range is widened until it contains 0.

    `declared`: a pair for every input, or pairs by input; others are found. Raises UserError for anything else.
    """
    ranges = dict(zip(network.input_names, _found(model, network), strict=True))
    if declared is None:
        return ranges
    by_name = declared if isinstance(declared, Mapping) else dict.fromkeys(ranges, declared)
    if unknown := [str(name) for name in by_name if name not in ranges]:
        raise UserError(f"quantize: input_range: no input '{unknown[0]}'; there are: {', '.join(ranges)}")
    return ranges | {name: _checked(pair) for name, pair in by_name.items()}


def found_ranges(model: tf_keras.Model) -> tuple[Range, ...]:
    """The range of every input of a float model; 0 to 1 for one of layers that canonical networks do not have."""
    try:
        return _found(model, canonical(model))
    except UserError:
        return (UNIT_RANGE,) * len(model.inputs)


def _found(model: tf_keras.Model, network: tf_keras.Model) -> tuple[Range, ...]:
    pairs = zip(model.inputs, network.inputs, strict=True)
    return tuple(BYTES if old.dtype == tf.uint8 else expected_range(network, new) for old, new in pairs)


def expected_range(network: tf_keras.Model, tensor: tf.Tensor) -> Range:
    """The range for which the layers at the front of a canonical network are made: pixels 0 to 255, or 0 to 1."""
    front = front_of(network, tensor)
    return BYTES if front is not None and np.abs(front.gain).max() < SMALL_GAIN else UNIT_RANGE


def front_of(network: tf_keras.Model, tensor: tf.Tensor) -> Affine | None:
    """The Rescaling or Normalization, by now Affine, that alone reads an input, perhaps after augmentation."""
    while True:
        readers = [node.layer for node in tensor._keras_history.layer.outbound_nodes]
        readers = [layer for layer in readers if layer in network.layers]
        if len(readers) != 1:
            return None
        if isinstance(readers[0], Affine):
            return readers[0]
        if kind_of(readers[0]) not in PASSING or readers[0].weights:
            return None
        tensor = readers[0].output


def _checked(pair: object) -> Range:
    """A pair of numbers as a range that contains 0, which paddings stand for."""
    numbers = list(pair) if isinstance(pair, Sequence | np.ndarray) and not isinstance(pair, str) else []
    if len(numbers) != 2 or not all(isinstance(each, Real) and isfinite(each) for each in numbers):
        raise UserError(f"quantize: input_range must be two numbers (low, high), such as (-1, 1), not {pair!r}")
    low, high = map(float, numbers)
    if low >= high:
        raise UserError(f"quantize: input_range: the first number must be the smaller one, not {pair!r}")
    return min(low, 0.0), max(high, 0.0)


def check_inside(values: np.ndarray, declared: Range, where: str) -> None:
    """Raise UserError in the name of `where` if values leave the declared range, or are not numbers."""
    (low, high), slack = declared, TOLERANCE * (declared[1] - declared[0])
    lowest, highest = float(values.min()), float(values.max())
    if not (lowest >= low - slack and highest <= high + slack):
        example = ", such as images / 255," if declared == UNIT_RANGE else ""
        raise UserError(
            f"{where}: data are from {lowest:g} to {highest:g}, the network takes {low:g} to {high:g}. Pass what model.fit "
            f"takes{example} or input_range=(low, high) to quantize"
        )
