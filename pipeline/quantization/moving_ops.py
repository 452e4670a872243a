"""Integer operations that move codes without changing them, and the bilinear resize, in exact NumPy arithmetic.

Input and output share one grid. The signature is that of `integer_ops`.
"""

import numpy as np

BILINEAR_BITS = 11  # of a weight, as XNNPACK stores it


def pad(operation, inputs, tensors, output) -> np.ndarray:
    """PAD with the code of zero; options["paddings"]: ((before, after), ...) for every axis but the batch."""
    paddings = ((0, 0), *operation.options["paddings"])
    return np.pad(inputs[0], paddings, constant_values=np.int8(tensors[0].zero_point))


def concatenation(operation, inputs, tensors, output) -> np.ndarray:
    """CONCATENATION along options["axis"], the batch being axis 0."""
    return np.concatenate(inputs, axis=operation.options["axis"])


def reshape(operation, inputs, tensors, output) -> np.ndarray:
    """RESHAPE to (B, *output shape)."""
    return inputs[0].reshape(len(inputs[0]), *output.shape)


def transpose(operation, inputs, tensors, output) -> np.ndarray:
    """TRANSPOSE; options["permutation"]: axes from 1 on, the batch stays first, as in Keras's Permute."""
    return inputs[0].transpose(0, *operation.options["permutation"])


def crop(operation, inputs, tensors, output) -> np.ndarray:
    """SLICE or STRIDED_SLICE: the output's shape from options["begin"] on, every options["strides"]-th code."""
    strides = operation.options.get("strides", (1,) * len(output.shape))
    ends = slice_ends(operation, output)
    return inputs[0][:, *(slice(*part) for part in zip(operation.options["begin"], ends, strides, strict=True))]


def slice_ends(operation, output) -> tuple[int, ...]:
    """One past the last place that a STRIDED_SLICE reads, for every axis but the batch."""
    strides = operation.options.get("strides", (1,) * len(output.shape))
    return tuple(
        begin + (size - 1) * stride + 1
        for begin, size, stride in zip(operation.options["begin"], output.shape, strides, strict=True)
    )


def resize_nearest(operation, inputs, tensors, output) -> np.ndarray:
    """RESIZE_NEAREST_NEIGHBOR with half-pixel centers: (B, H, W, C) -> (B, H', W', C)."""
    rows, columns = (nearest(*sizes) for sizes in zip(inputs[0].shape[1:3], output.shape[:2], strict=True))
    return inputs[0][:, rows][:, :, columns]


def nearest(size: int, wanted: int) -> np.ndarray:
    """The place (wanted,) of `size` that each output place copies."""
    scale = np.float32(size) / np.float32(wanted)
    places = np.floor((np.arange(wanted, dtype=np.float32) + np.float32(0.5)) * scale).astype(int)
    return np.minimum(places, size - 1)


def resize_bilinear(operation, inputs, tensors, output) -> np.ndarray:
    """RESIZE_BILINEAR with half-pixel centers: (B, H, W, C) -> (B, H', W', C).

    Along each axis weights in 2048ths, no rounding between the axes, at the end half rounds up.
    """
    (top, bottom, down), (left, right, along) = (
        bilinear(*sizes) for sizes in zip(inputs[0].shape[1:3], output.shape[:2], strict=True)
    )
    codes, one = inputs[0].astype(np.int32), 1 << BILINEAR_BITS
    down, along = down[:, None, None], along[:, None]
    rows = codes[:, top] * (one - down) + codes[:, bottom] * down
    total = rows[:, :, left] * (one - along) + rows[:, :, right] * along
    return ((total + (1 << (2 * BILINEAR_BITS - 1))) >> (2 * BILINEAR_BITS)).astype(np.int8)


def bilinear(size: int, wanted: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The two places that each output place mixes and the weight of the second in 2048ths, each (wanted,)."""
    scale = np.float32(size) / np.float32(wanted)
    offset = np.float32(0.5) * scale - np.float32(0.5)
    places = np.clip(np.arange(wanted, dtype=np.float32) * scale + offset, 0, size - 1).astype(np.float32)
    first = places.astype(int)
    weights = np.rint((places - first.astype(np.float32)) * np.float32(1 << BILINEAR_BITS)).astype(np.int32)
    return first, np.minimum(first + 1, size - 1), weights


MOVING_OPERATIONS = {
    "PAD": pad,
    "CONCATENATION": concatenation,
    "RESHAPE": reshape,
    "TRANSPOSE": transpose,
    "SLICE": crop,
    "STRIDED_SLICE": crop,
    "RESIZE_NEAREST_NEIGHBOR": resize_nearest,
    "RESIZE_BILINEAR": resize_bilinear,
}
