"""What the device computes: a network as INT8 tensors and integer operations (NumPy only)."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from pipeline.data.batches import image_batches
from pipeline.quantization.integer_ops import run_operation


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

    codes: int8, CONV_2D (O, h, w, I), DEPTHWISE_CONV_2D (1, h, w, O), FULLY_CONNECTED (O, I), in steps of `spacing`.
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
    """The specification that Keras evaluation, TFLite files and verification share."""

    tensors: dict[str, Tensor]
    operations: list[Operation]
    input: str
    output: str

    def trace(self, codes: np.ndarray) -> Iterator[tuple[Operation, np.ndarray]]:
        """Run input codes int8 (B, H, W, C) and yield every operation with its output codes int8 (B, ...).

        Arithmetic and rounding are XNNPACK's, exact in integers (see `integer_ops`).
        """
        values = {self.input: codes}
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

    def run(self, codes: np.ndarray) -> np.ndarray:
        """Output codes int8 (B, K) for input codes int8 (B, H, W, C)."""
        ((_, result),) = deque(self.trace(codes), maxlen=1)
        return result

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Logits float32 (N, K) for uint8 images (N, H, W, C)."""
        output = self.tensors[self.output]
        parts = [self.run(pixel_codes(images[batch])) for batch in image_batches(images.shape)]
        return (np.concatenate(parts).astype(np.float32) - output.zero_point) * output.scale


def pixel_codes(images: np.ndarray) -> np.ndarray:
    """INT8 codes of uint8 images of any shape: pixel / 255 with zero point -128, so code = pixel - 128."""
    return (images.astype(np.int16) - 128).astype(np.int8)
