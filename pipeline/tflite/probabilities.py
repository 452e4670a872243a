"""Files that end in probabilities: the logits inside of them, and what their last operation should make of these."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from pipeline.quantization.integer_model import Arrays, first
from pipeline.tflite.litert import LiteRtModel
from pipeline.tflite.write import pack

OPERATIONS = {"softmax": "SOFTMAX", "sigmoid": "LOGISTIC"}  # by the activation that the network ends in
COMPARED = 100  # examples
LARGEST_DIFFERENCE = 1e-5


def logits_file(content: bytes) -> bytes:
    """A copy of a TFLite file, without signatures, that ends before a last SOFTMAX or LOGISTIC of floats; else the file."""
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    graph = model.subgraphs[0]
    finals = {index: operator for index in graph.outputs if (operator := _final(model, index))}
    if not finals:
        return content
    graph.operators = [operator for operator in graph.operators if operator not in finals.values()]
    graph.outputs = [finals[index].inputs[0] if index in finals else index for index in graph.outputs]
    model.signatureDefs = []
    return pack(model)


def _final(model, index: int):
    """The operator of floats that makes probabilities in tensor `index`, if one does."""
    graph = model.subgraphs[0]
    codes = [getattr(schema.BuiltinOperator, kind) for kind in OPERATIONS.values()]
    made = next((operator for operator in graph.operators if index in operator.outputs), None)
    if made is None or graph.tensors[index].type != schema.TensorType.FLOAT32:
        return None
    return made if model.operatorCodes[made.opcodeIndex].builtinCode in codes else None


def probability_difference(content: bytes, examples: Arrays, finals: tuple[str | None, ...]) -> float:
    """The largest difference between a file's outputs and what `finals` make of its logits on some examples (N, ...)."""
    some = first(examples, COMPARED)
    pairs = zip(LiteRtModel(content).run(some), LiteRtModel(logits_file(content)).run(some), finals, strict=True)
    return max(float(np.abs(found - probabilities(logits, kind)).max()) for found, logits, kind in pairs if kind)


def probabilities(logits: np.ndarray, kind: str) -> np.ndarray:
    """The softmax over the last axis, or the sigmoid, of logits (N, ..., K) in float64."""
    logits = logits.astype(np.float64)
    if kind == "sigmoid":
        return 1 / (1 + np.exp(-logits))
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)
