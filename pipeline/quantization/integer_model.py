"""What the device computes: a network as INT8 tensors and integer operations (NumPy only)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from pipeline.data.batches import image_batches
from pipeline.models.graph import UNIT_RANGE, Range
from pipeline.quantization.feed import codes_of
from pipeline.quantization.integer_ops import run_operation

Arrays = np.ndarray | tuple[np.ndarray, ...]  # of one input or output, or of several


@dataclass(frozen=True)
class Tensor:
    """An INT8 activation tensor: value = (code - zero_point) * scale. `shape` has no batch axis; `bits` are in use."""

    name: str
    shape: tuple[int, ...]
    scale: np.float32
    zero_point: int
    bits: int


@dataclass(frozen=True)
class Weights:
    """Weight codes in TFLite's layout, one scale per output channel, bias at scale s_in * s_w.

    codes: int8 in steps of `spacing`, CONV_2D (O, h, w, I / groups), TRANSPOSE_CONV (O, h, w, I), DEPTHWISE_CONV_2D
    (1, h, w, O), FULLY_CONNECTED (O, I).
    scales: float32 (O,). bias: int32 (O,). `bits` before spacing: a 4-bit code has spacing 1 (-7..7) or 18 (-126..126).
    """

    codes: np.ndarray
    scales: np.ndarray
    bias: np.ndarray
    bits: int
    spacing: int = 1


@dataclass(frozen=True)
class Operation:
    """One TFLite builtin operation; `name` is the layer it comes from."""

    kind: str
    name: str
    inputs: tuple[str, ...]
    output: str
    options: dict = field(default_factory=dict)
    weights: Weights | None = None


@dataclass(frozen=True)
class IntegerModel:
    """The specification that Keras evaluation, TFLite files and verification share.

    `inputs`, `outputs`: names of tensors. An example of a network with several inputs is a tuple of arrays, one for each;
    so is the result of a network with several outputs.
    `names`: of the outputs for the user; empty for a network with one. `finals`: by output the operation of floats,
    "SOFTMAX" or "LOGISTIC", that a file ends in after the logits, or None; empty ends in the logits. `ranges`: by input
    the lowest and highest value; empty: 0 to 1.
    """

    tensors: dict[str, Tensor]
    operations: list[Operation]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    names: tuple[str, ...] = ()
    finals: tuple[str | None, ...] = ()
    ranges: tuple[Range, ...] = ()

    def codes(self, examples: Arrays) -> Arrays:
        """The codes int8 of examples, uint8 or float32 (N, ...): see `feed`."""
        ranges = self.ranges or (UNIT_RANGE,) * len(self.inputs)
        tensors = [self.tensors[name] for name in self.inputs]
        pairs = zip(listed(examples), tensors, ranges, strict=True)
        return unlisted([codes_of(array, tensor.scale, tensor.zero_point, pair) for array, tensor, pair in pairs])

    def trace(self, codes: Arrays) -> Iterator[tuple[Operation, np.ndarray]]:
        """Run input codes int8 (B, ...) and yield every operation with its output codes int8 (B, ...).

        Arithmetic and rounding are XNNPACK's, exact in integers (see `integer_ops`).
        """
        values = dict(zip(self.inputs, listed(codes), strict=True))
        last_use = {name: index for index, operation in enumerate(self.operations) for name in operation.inputs}
        for index, operation in enumerate(self.operations):
            inputs = [values[name] for name in operation.inputs]
            tensors = [self.tensors[name] for name in operation.inputs]
            result = run_operation(operation, inputs, tensors, self.tensors[operation.output])
            values[operation.output] = result
            yield operation, result
            for name in operation.inputs:
                if last_use[name] == index:
                    values.pop(name, None)

    def run(self, codes: Arrays) -> Arrays:
        """Output codes int8 (B, ..., K) for input codes int8 (B, ...)."""
        found = {
            operation.output: result for operation, result in self.trace(codes) if operation.output in self.outputs
        }
        return unlisted([found[name] for name in self.outputs])

    def predict(self, examples: Arrays) -> Arrays:
        """Logits float32 (N, ..., K) for examples, uint8 or float32 (N, ...): see `feed`."""
        examples = listed(examples)
        parts = [
            listed(self.run(self.codes(unlisted([each[batch] for each in examples]))))
            for batch in image_batches(largest(examples).shape)
        ]
        return unlisted(
            [self._values(name, pieces) for name, pieces in zip(self.outputs, zip(*parts, strict=True), strict=True)]
        )

    def _values(self, name: str, pieces: Sequence[np.ndarray]) -> np.ndarray:
        output = self.tensors[name]
        return (np.concatenate(pieces).astype(np.float32) - output.zero_point) * output.scale


def listed(arrays: Arrays) -> list[np.ndarray]:
    """The arrays of all inputs or outputs; a network with one has an array instead of a tuple."""
    return list(arrays) if isinstance(arrays, list | tuple) else [arrays]


def unlisted(arrays: Sequence[np.ndarray]) -> Arrays:
    """The only array, or a tuple of several: the reverse of `listed`."""
    return arrays[0] if len(arrays) == 1 else tuple(arrays)


def first(arrays: Arrays, count: int) -> Arrays:
    """Only the first `count` examples."""
    return unlisted([array[:count] for array in listed(arrays)])


def largest(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """The array with the most numbers per example."""
    return max(arrays, key=lambda array: array[:1].size)
