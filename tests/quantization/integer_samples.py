"""Integer networks of one operation, run by our integer arithmetic and by LiteRT."""

import math
from dataclasses import replace

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
    return IntegerModel(tensors, [*copies, operation], (inputs[0].name,), (output.name,))


def litert(model: IntegerModel, codes: np.ndarray, kernels: str = "xnnpack", packed_int4: bool = False) -> np.ndarray:
    """The output codes (B, ...) of the network's file, one image at a time."""
    content = write_tflite(model, False, packed_int4, "test")
    interpreter = Interpreter(model_content=content, experimental_op_resolver_type=KERNELS[kernels])
    interpreter.allocate_tensors()
    source, sink = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    rows = []
    for row in codes:
        interpreter.set_tensor(source, row[None])
        interpreter.invoke()
        rows.append(interpreter.get_tensor(sink))
    return np.concatenate(rows)


def pair(operation: Operation, inputs: list[Tensor], output: Tensor) -> IntegerModel:
    """A network of one operation on tensors of any shapes, cut from one vector and brought onto their grids."""
    source = replace(inputs[0], name="both", shape=(sum(math.prod(item.shape) for item in inputs),))
    tensors, operations, start = {"both": source, output.name: output}, [], 0
    for item in inputs:
        cut, shaped, size = f"{item.name}/cut", f"{item.name}/shaped", math.prod(item.shape)
        tensors[cut], tensors[shaped] = (
            replace(source, name=name, shape=shape) for name, shape in ((cut, (size,)), (shaped, item.shape))
        )
        tensors[item.name] = item
        operations.append(Operation("SLICE", cut, ("both",), cut, {"begin": (start,)}))
        operations.append(Operation("RESHAPE", shaped, (cut,), shaped))
        operations.append(Operation("QUANTIZE", item.name, (shaped,), item.name))
        start += size
    return IntegerModel(tensors, [*operations, operation], ("both",), (output.name,))


def check_pair(kind: str, inputs: list[Tensor], output: Tensor, options: dict, seed: int = 0) -> np.ndarray:
    """As `check`, with inputs that are independent of each other."""
    operation = Operation(kind, "op", tuple(item.name for item in inputs), output.name, options)
    return agreeing(pair(operation, inputs, output), seed)


def agreeing(model: IntegerModel, seed: int = 0) -> np.ndarray:
    """The output codes for random input codes, after comparing them with LiteRT's."""
    codes = np.random.default_rng(seed).integers(-128, 128, (6, *model.tensors[model.inputs[0]].shape)).astype(np.int8)
    expected = model.run(codes)
    np.testing.assert_array_equal(expected, litert(model, codes))
    return expected


def check(kind: str, inputs: list[Tensor], output: Tensor, options: dict, weights=None, seed: int = 0) -> np.ndarray:
    """The output codes, after comparing them with LiteRT's."""
    operation = Operation(kind, "op", tuple(item.name for item in inputs), output.name, options, weights)
    return agreeing(single(operation, inputs, output), seed)
