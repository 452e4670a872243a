"""The action unit network: one face crop in, one probability an action unit out."""

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from pipeline.au_metrics import probabilities
from pipeline.detect.sidecar import ShippedModel
from pipeline.errors import UserError

TYPES = {"float32": np.float32, "int8": np.int8, "uint8": np.uint8}


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
        for problem in _problems(model, inputs, self._outputs):
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
    """What goes into the network for each of the 256 values of a pixel: pixel / 255, quantized as the file says."""
    values = np.arange(256, dtype=np.float32) * np.float32(1 / 255)
    scale, zero_point = details["quantization"]
    if details["dtype"] == np.float32:
        return values
    limits = np.iinfo(details["dtype"])
    codes = np.rint(values.astype(np.float64) / scale) + zero_point
    return np.clip(codes, limits.min, limits.max).astype(details["dtype"])


def _problems(model: ShippedModel, inputs: list[dict], outputs: list[dict]) -> list[str]:
    sidecar = model.sidecar
    if len(inputs) != 1 or len(outputs) != 1:
        return [f"{len(inputs)} inputs and {len(outputs)} outputs instead of one each"]
    shape, classes = inputs[0]["shape"].tolist(), outputs[0]["shape"].tolist()
    kind, (scale, zero_point) = inputs[0]["dtype"], inputs[0]["quantization"]
    problems = []
    if shape != [1, *sidecar.crop.shape]:
        problems.append(f"its input is {shape}, not {[1, *sidecar.crop.shape]}")
    if classes != [1, len(sidecar.labels)]:
        problems.append(f"its output is {classes}, not {[1, len(sidecar.labels)]}")
    if kind != TYPES.get(sidecar.input_type):
        problems.append(f"its input is {np.dtype(kind).name}, not {sidecar.input_type}")
    elif kind != np.float32 and (
        not np.isclose(scale, sidecar.input_scale, 1e-5) or zero_point != sidecar.input_zero_point
    ):
        problems.append(f"its input has scale {scale:g} and zero point {zero_point}")
    return problems
