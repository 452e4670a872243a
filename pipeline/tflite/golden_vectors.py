"""Golden vectors: inputs with the expected outputs of every file, shipped so that other machines can be checked.

The inputs are synthetic, since those of the data may be licensed and show people.
"""

import base64
from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from pipeline.quantization.integer_model import Arrays, unlisted
from pipeline.tflite.described_inputs import Input, golden_input
from pipeline.tflite.litert import LiteRtModel
from pipeline.tflite.metadata import names_in
from pipeline.tflite.probabilities import logits_file
from pipeline.tflite.ship import facts_of_bytes

COUNT = 8
SEED, MAX_CHANNELS = 2303, 4
FORMAT = 1
CELLS = (2, 3, 5, 9, 16)  # colour patches in a row, coarse to fine
FLOAT_TOLERANCE = 1e-3  # per logit of the float file, since sums of floats depend on their order
RELATIVE_TOLERANCE = 1e-5  # of the largest output, where that is more
PROBABILITY_TOLERANCE = 1e-5  # of exact logits: the exponentials of floats differ in their last bits
PACKED, UNPACKED = "model_int4.tflite", "model_int8.tflite"


def golden_vectors(contents: Mapping[str, bytes], inputs: Sequence[Input]) -> dict:
    """The content of golden_vectors.json for the files {name: content} of a network.

    `outputs` (COUNT, ..., K), several in a list, are computed by LiteRT with XNNPACK, in the type of the file. For the
    packed file they are those of the int8 file, which has the same codes: LiteRT's kernels for packed convolutions round
    twice, others once.
    """
    arrays = [golden_images(COUNT, each.shape, number) for number, each in enumerate(inputs)]
    examples = unlisted(arrays)
    return {
        "format": FORMAT,
        "input": golden_input(inputs),
        "images": [unlisted([base64.b64encode(array[n].tobytes()).decode() for array in arrays]) for n in range(COUNT)],
        "files": {name: _expected(name, contents, examples) for name in sorted(contents)},
    }


def golden_images(count: int, shape: tuple[int, ...], number: int = 0) -> np.ndarray:
    """uint8 (count, ...) for input `number`, always the same: images (H, W, C) of up to 4 channels are coarse to fine colour
    patches with some noise, everything else is random."""
    rng = np.random.default_rng([SEED, number] if number else SEED)
    if len(shape) == 3 and shape[-1] <= MAX_CHANNELS:
        return np.stack([_patches(rng, CELLS[index % len(CELLS)], shape) for index in range(count)])
    return rng.integers(0, 256, (count, *shape)).astype(np.uint8)


def output_grid(content: bytes, number: int = 0) -> tuple[float, int] | None:
    """Scale and zero point of the codes of one of a file's outputs; None for one that is computed in float."""
    graph = schema.ModelT.InitFromPackedBuf(content, 0).subgraphs[0]
    index = graph.outputs[number]
    if graph.tensors[index].type == schema.TensorType.FLOAT32:
        index = next(operator.inputs[0] for operator in graph.operators if index in operator.outputs)
    grid = graph.tensors[index].quantization
    return None if grid is None or grid.scale is None else (float(grid.scale[0]), int(grid.zeroPoint[0]))


def _patches(rng: np.random.Generator, cells: int, shape: tuple[int, int, int]) -> np.ndarray:
    height, width, channels = shape
    coarse = rng.uniform(0, 255, (cells, cells, channels)).astype(np.float32)
    smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR).reshape(shape)
    return np.clip(smooth + rng.normal(0, 8, shape), 0, 255).astype(np.uint8)


def _tolerance(content: bytes, outputs: list[np.ndarray]) -> float:
    if all(output_grid(content, number) is not None for number in range(len(outputs))):
        return 0
    if any(output_grid(logits_file(content), number) is None for number in range(len(outputs))):
        return max(FLOAT_TOLERANCE, RELATIVE_TOLERANCE * max(float(np.abs(values).max()) for values in outputs))
    return PROBABILITY_TOLERANCE


def _expected(name: str, contents: Mapping[str, bytes], examples: Arrays) -> dict:
    source = UNPACKED if name == PACKED and UNPACKED in contents else name
    outputs = LiteRtModel(contents[source]).run(examples)
    grids = [output_grid(contents[name], number) for number in range(len(outputs))]
    facts = {
        "type": str(outputs[0].dtype),
        "sha256": facts_of_bytes(contents[name])["sha256"],
        "must_match": name != PACKED,
        "tolerance": _tolerance(contents[name], outputs),
        "outputs": unlisted([values.tolist() for values in outputs]),
    }
    if len(outputs) > 1:
        return facts | {"names": names_in(contents[name])[1]}
    return facts if grids[0] is None else facts | {"scale": grids[0][0], "zero_point": grids[0][1]}
