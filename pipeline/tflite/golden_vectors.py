"""Golden vectors: test images with the expected outputs of every file, shipped so that other machines can be checked.

The images are synthetic, since those of the data may be licensed and show people.
"""

import base64
from collections.abc import Mapping

import cv2
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from pipeline.tflite.litert import LiteRtModel
from pipeline.tflite.ship import facts_of_bytes

COUNT = 8
FORMAT = 1
CELLS = (2, 3, 5, 9, 16)  # colour patches in a row, coarse to fine
FLOAT_TOLERANCE = 1e-3  # per logit of the float file, since sums of floats depend on their order
PACKED, UNPACKED = "model_int4.tflite", "model_int8.tflite"


def golden_vectors(contents: Mapping[str, bytes], shape: tuple[int, int, int]) -> dict:
    """The content of golden_vectors.json for the files {name: content} of a network for images (H, W, C).

    `outputs` (COUNT, K) are computed by LiteRT with XNNPACK, in the type of the file. For the packed file they are those
    of the int8 file, which has the same codes: LiteRT's kernels for packed convolutions round twice, others once.
    """
    images = golden_images(COUNT, shape)
    return {
        "format": FORMAT,
        "input": {"height_width_channels": list(shape), "encoding": "base64 of uint8, row by row, RGB or grey"},
        "images": [base64.b64encode(image.tobytes()).decode() for image in images],
        "files": {name: _expected(name, contents, images) for name in sorted(contents)},
    }


def golden_images(count: int, shape: tuple[int, int, int]) -> np.ndarray:
    """Images uint8 (count, H, W, C) of coarse to fine colour patches with some noise, always the same."""
    rng = np.random.default_rng(2303)
    return np.stack([_patches(rng, CELLS[number % len(CELLS)], shape) for number in range(count)])


def output_grid(content: bytes) -> tuple[float, int] | None:
    """Scale and zero point of the codes of a file's first output; None for a float file."""
    graph = schema.ModelT.InitFromPackedBuf(content, 0).subgraphs[0]
    index = graph.outputs[0]
    if graph.tensors[index].type == schema.TensorType.FLOAT32:
        index = next(operator.inputs[0] for operator in graph.operators if index in operator.outputs)
    grid = graph.tensors[index].quantization
    return None if grid is None or grid.scale is None else (float(grid.scale[0]), int(grid.zeroPoint[0]))


def _patches(rng: np.random.Generator, cells: int, shape: tuple[int, int, int]) -> np.ndarray:
    height, width, channels = shape
    coarse = rng.uniform(0, 255, (cells, cells, channels)).astype(np.float32)
    smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR).reshape(shape)
    return np.clip(smooth + rng.normal(0, 8, shape), 0, 255).astype(np.uint8)


def _expected(name: str, contents: Mapping[str, bytes], images: np.ndarray) -> dict:
    grid = output_grid(contents[name])
    source = UNPACKED if name == PACKED and UNPACKED in contents else name
    outputs = LiteRtModel(contents[source]).run(images)[0]
    facts = {
        "type": str(outputs.dtype),
        "sha256": facts_of_bytes(contents[name])["sha256"],
        "must_match": name != PACKED,
        "tolerance": FLOAT_TOLERANCE if grid is None else 0,
        "outputs": outputs.tolist(),
    }
    return facts if grid is None else facts | {"scale": grid[0], "zero_point": grid[1]}
