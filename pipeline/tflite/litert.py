"""Run TFLite files on examples with the LiteRT interpreter (no TensorFlow)."""

import time

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from pipeline.errors import UserError
from pipeline.models.graph import Range
from pipeline.quantization.feed import codes_of, values_of
from pipeline.quantization.integer_model import Arrays, listed, unlisted
from pipeline.tflite.metadata import ranges_in

KERNELS = {"xnnpack": OpResolverType.AUTO, "builtin": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES}


class LiteRtModel:
    """One TFLite file with batch 1; `kernels`: "xnnpack" (the default on phones, desktop and web) or "builtin"."""

    def __init__(self, content: bytes, kernels: str = "xnnpack", threads: int = 1):
        try:
            self._interpreter = Interpreter(
                model_content=content, experimental_op_resolver_type=KERNELS[kernels], num_threads=threads
            )
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise UserError(f"not a TFLite file that LiteRT can run: {str(error).splitlines()[0]}") from error
        self.ranges = ranges_in(content)
        self._inputs = self._interpreter.get_input_details()
        self.input_shapes = [tuple(map(int, each["shape"])) for each in self._inputs]
        self.input_type = np.dtype(self._inputs[0]["dtype"]).name
        self.outputs = self._interpreter.get_output_details()

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of the only input, with the batch of 1."""
        (shape,) = self.input_shapes
        return shape

    def run(self, examples: Arrays) -> list[np.ndarray]:
        """All outputs, each (N, ...) in the type of the file, for examples, uint8 or float32 (N, ...): see `feed`."""
        inputs = self._encode(examples)
        rows = [self._invoke([array[index : index + 1] for array in inputs]) for index in range(len(inputs[0]))]
        return [np.concatenate(column) for column in zip(*rows, strict=True)]

    def logits(self, examples: Arrays) -> Arrays:
        """The outputs as float32 (N, ..., K) for examples as `run` takes them."""
        return unlisted([_values(*pair) for pair in zip(self.run(examples), self.outputs, strict=True)])

    def latency_ms(self, example: Arrays, runs: int) -> np.ndarray:
        """Milliseconds of `runs` single invocations (runs,) on one example, without its batch axis."""
        self._set(self._encode(unlisted([array[None] for array in listed(example)])))
        times = np.empty(runs)
        for index in range(runs):
            start = time.perf_counter()
            self._interpreter.invoke()
            times[index] = (time.perf_counter() - start) * 1e3
        return times

    def _encode(self, examples: Arrays) -> list[np.ndarray]:
        return [_encoded(*each) for each in zip(listed(examples), self._inputs, self.ranges, strict=True)]

    def _set(self, inputs: list[np.ndarray]) -> None:
        for detail, array in zip(self._inputs, inputs, strict=True):
            self._interpreter.set_tensor(detail["index"], array)

    def _invoke(self, inputs: list[np.ndarray]) -> list[np.ndarray]:
        self._set(inputs)
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(output["index"]) for output in self.outputs]


def _encoded(array: np.ndarray, detail: dict, declared: Range) -> np.ndarray:
    """An array in the type of the file's input."""
    if detail["dtype"] == np.int8:
        return codes_of(array, *detail["quantization"], declared)
    return values_of(array, declared)


def _values(output: np.ndarray, detail: dict) -> np.ndarray:
    """An output of a file as float32."""
    if output.dtype == np.float32:
        return output
    scale, zero_point = detail["quantization"]
    return (output.astype(np.float32) - zero_point) * np.float32(scale)
