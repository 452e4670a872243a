"""Run TFLite files on images with the LiteRT interpreter (no TensorFlow)."""

import time

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from pipeline.errors import UserError
from pipeline.quantization.integer_model import pixel_codes

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
        self._input = self._interpreter.get_input_details()[0]
        self.outputs = self._interpreter.get_output_details()

    def run(self, images: np.ndarray) -> list[np.ndarray]:
        """All outputs, each (N, ...) in the type of the file, for uint8 images (N, H, W, C)."""
        inputs = self._encode(images)
        rows = [self._invoke(inputs[index : index + 1]) for index in range(len(inputs))]
        return [np.concatenate(column) for column in zip(*rows, strict=True)]

    def logits(self, images: np.ndarray) -> np.ndarray:
        """The first output as float32 (N, K) for uint8 images (N, H, W, C)."""
        output = self.run(images)[0]
        if output.dtype == np.float32:
            return output
        scale, zero_point = self.outputs[0]["quantization"]
        return (output.astype(np.float32) - zero_point) * np.float32(scale)

    def latency_ms(self, image: np.ndarray, runs: int) -> np.ndarray:
        """Milliseconds of `runs` single invocations (runs,) on one uint8 image (H, W, C)."""
        self._interpreter.set_tensor(self._input["index"], self._encode(image[None]))
        times = np.empty(runs)
        for index in range(runs):
            start = time.perf_counter()
            self._interpreter.invoke()
            times[index] = (time.perf_counter() - start) * 1e3
        return times

    def _encode(self, images: np.ndarray) -> np.ndarray:
        if self._input["dtype"] == np.int8:
            return pixel_codes(images)
        return images.astype(np.float32) * np.float32(1 / 255)

    def _invoke(self, image: np.ndarray) -> list[np.ndarray]:
        self._interpreter.set_tensor(self._input["index"], image)
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(output["index"]) for output in self.outputs]
