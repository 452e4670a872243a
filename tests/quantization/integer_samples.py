"""Integer networks of one operation, run by our integer arithmetic and by LiteRT."""

import numpy as np

from pipeline.quantization.integer_model import IntegerModel, Operation, Tensor
from pipeline.tflite.litert import KERNELS, Interpreter
from pipeline.tflite.write import write_tflite


def tensor(name: str, shape: tuple, scale: float, zero_point: int, bits: int = 8) -> Tensor:
    return Tensor(name, shape, np.float32(scale), zero_point, bits)


def single(operation: Operation, inputs: list[Tensor], output: Tensor) -> IntegerModel:
    """A network of one operation; its second input is made from the first by QUANTIZE."""
    tensors = {item.name: item for item in (*inputs, output)}
    copies = [Operation("QUANTIZE", item.name, (inputs[0].name,), item.name) for item in inputs[1:]]
    return IntegerModel(tensors, [*copies, operation], inputs[0].name, output.name)


def litert(model: IntegerModel, codes: np.ndarray, kernels: str = "xnnpack") -> np.ndarray:
    """The output codes (B, ...) of the network's file, one image at a time."""
    content = write_tflite(model, False, False, "test")
    interpreter = Interpreter(model_content=content, experimental_op_resolver_type=KERNELS[kernels])
    interpreter.allocate_tensors()
    source, sink = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    rows = []
    for row in codes:
        interpreter.set_tensor(source, row[None])
        interpreter.invoke()
        rows.append(interpreter.get_tensor(sink))
    return np.concatenate(rows)


def check(kind: str, inputs: list[Tensor], output: Tensor, options: dict, weights=None, seed: int = 0) -> np.ndarray:
    """The output codes, after comparing them with LiteRT's."""
    operation = Operation(kind, "op", tuple(item.name for item in inputs), output.name, options, weights)
    model = single(operation, inputs, output)
    codes = np.random.default_rng(seed).integers(-128, 128, (6, *inputs[0].shape)).astype(np.int8)
    expected = model.run(codes)
    np.testing.assert_array_equal(expected, litert(model, codes))
    return expected
