"""What a TFLite file says of its inputs and outputs: their names, and ranges in its metadata unless all are from 0 to 1."""

import json

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from pipeline.models.graph import UNIT_RANGE, Range

NAME = "input_ranges"  # JSON: [[low, high], ...] in the order of the inputs


def add_ranges(file: schema.ModelT, ranges: tuple[Range, ...]) -> bool:
    """Put the ranges into a file that has no metadata of that name; False if there is nothing to say."""
    if all(each == UNIT_RANGE for each in ranges):
        return False
    buffer, entry = schema.BufferT(), schema.MetadataT()
    buffer.data = np.frombuffer(json.dumps(ranges).encode(), np.uint8)
    file.buffers = [*file.buffers, buffer]
    entry.name, entry.buffer = NAME, len(file.buffers) - 1
    file.metadata = [*(file.metadata or []), entry]
    return True


def names_in(content: bytes) -> tuple[list[str], list[str]]:
    """The names of a file's inputs and outputs in its signature, in the order of the file."""
    file = schema.ModelT.InitFromPackedBuf(content, 0)
    signature, graph = file.signatureDefs[0], file.subgraphs[0]
    names = [
        {entry.tensorIndex: entry.name.decode() for entry in part} for part in (signature.inputs, signature.outputs)
    ]
    return [names[0][index] for index in graph.inputs], [names[1][index] for index in graph.outputs]


def ranges_in(content: bytes) -> tuple[Range, ...]:
    """The range of every input of a TFLite file."""
    file = schema.Model.GetRootAs(content)
    for number in range(file.MetadataLength()):
        entry = file.Metadata(number)
        if entry.Name() == NAME.encode():
            text = file.Buffers(entry.Buffer()).DataAsNumpy().tobytes()
            return tuple((low, high) for low, high in json.loads(text))
    return (UNIT_RANGE,) * file.Subgraphs(0).InputsLength()
