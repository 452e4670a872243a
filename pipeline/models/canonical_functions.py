"""TensorFlow functions called on tensors of a network, and slices of them, as the layers that compute the same."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf
import tf_keras

from pipeline.errors import UserError
from pipeline.models.activations import FUNCTIONS, unwanted_axis
from pipeline.models.canonical_pointwise import clipped, larger, leaking, smaller
from pipeline.models.canonical_rules import activated, is_symbolic, several, times
from pipeline.models.canonical_sequences import as_image, channelwise, image_before
from pipeline.models.layers import Slice

if TYPE_CHECKING:
    from pipeline.models.canonical import Site

LAYERS = tf_keras.layers


def activation(site: "Site", x: tf.Tensor, name: str | None = None) -> tf.Tensor:
    """tf.nn.relu, tf.sigmoid and other functions that are an activation."""
    return activated(site, x, FUNCTIONS[site.function], "")


def silu(site: "Site", x: tf.Tensor, beta: float = 1.0) -> tf.Tensor:
    """tf.nn.silu, which is tf.nn.swish."""
    if beta != 1:
        raise UserError(f"layer '{site.original.name}' (tf.nn.silu): beta={beta}; only 1")
    return activated(site, x, "swish", "")


def gelu(site: "Site", x: tf.Tensor, approximate: bool = False, name: str | None = None) -> tf.Tensor:
    """tf.nn.gelu, exact."""
    if approximate:
        raise UserError(f"layer '{site.original.name}' (tf.nn.gelu): approximate=True; only False")
    return activated(site, x, "gelu", "")


def leaky_relu(site: "Site", x: tf.Tensor, alpha: float = 0.2, name: str | None = None) -> tf.Tensor:
    """tf.nn.leaky_relu."""
    return leaking(site, x, float(alpha))


def softmax(site: "Site", x: tf.Tensor, axis: int | None = -1, name: str | None = None) -> tf.Tensor:
    """tf.nn.softmax over the last axis."""
    if unwanted_axis(axis, site.output_shape):
        raise UserError(f"layer '{site.original.name}' (tf.nn.softmax): only over the last axis, not {axis}")
    return activated(site, x, "softmax", "")


def negative(site: "Site", x: tf.Tensor, name: str | None = None) -> tf.Tensor:
    """-x."""
    return times(site, x, -1.0)


def magnitude(site: "Site", x: tf.Tensor, name: str | None = None) -> tf.Tensor:
    """|x|, which is max(x, 0) + -1 * min(x, 0)."""
    return leaking(site, x, -1.0)


def square(site: "Site", x: tf.Tensor, name: str | None = None) -> tf.Tensor:
    """x * x."""
    return site.new(LAYERS.Multiply)([x, x])


def power(site: "Site", x: tf.Tensor, y: object, name: str | None = None) -> tf.Tensor:
    """x ** 2."""
    if is_symbolic(y) or y != 2:
        raise UserError(f"layer '{site.original.name}' (tf.pow): only x ** 2")
    return square(site, x)


def maximum(site: "Site", x: tf.Tensor, y: object, name: str | None = None) -> tf.Tensor:
    """tf.maximum of two tensors, or of a tensor and a number."""
    if is_symbolic(x) and is_symbolic(y):
        return larger(site, [x, y])
    tensor, number = (x, y) if is_symbolic(x) else (y, x)
    return clipped(site, tensor, _number(site, number), None)


def minimum(site: "Site", x: tf.Tensor, y: object, name: str | None = None) -> tf.Tensor:
    """tf.minimum of two tensors."""
    if not (is_symbolic(x) and is_symbolic(y)):
        raise UserError(
            f"layer '{site.original.name}' (tf.minimum): of a number; use tf.clip_by_value with both bounds"
        )
    return smaller(site, [x, y])


def clip(
    site: "Site", x: tf.Tensor, clip_value_min: float, clip_value_max: float, name: str | None = None
) -> tf.Tensor:
    """tf.clip_by_value between two numbers."""
    low, high = _number(site, clip_value_min), _number(site, clip_value_max)
    if low > high:
        raise UserError(
            f"layer '{site.original.name}' (tf.clip_by_value): from {low:g} to {high:g}; exchange the bounds"
        )
    return clipped(site, x, low, high)


def _number(site: "Site", value: object) -> float:
    if is_symbolic(value) or np.ndim(value):
        raise UserError(f"layer '{site.original.name}' (tf.{site.function}): bounds must be single numbers")
    return float(value)


def add_n(site: "Site", inputs: list[tf.Tensor], name: str | None = None) -> tf.Tensor:
    """tf.add_n."""
    return several(site, inputs, LAYERS.Add)


def concat(site: "Site", values: list[tf.Tensor], axis: int, name: str | None = None) -> tf.Tensor:
    """tf.concat along any axis but the batch."""
    rank = len(site.output_shape)
    return site.new(LAYERS.Concatenate, axis=axis % rank - rank)(values)


def reshape(site: "Site", x: tf.Tensor, *args, **kwargs) -> tf.Tensor:
    """tf.reshape, tf.expand_dims and tf.squeeze of each example."""
    return _shaped(site, x, site.output_shape)


def _shaped(site: "Site", x: tf.Tensor, shape: tuple, role: str = "") -> tf.Tensor:
    """The examples of x in this shape, whose first entry is the batch."""
    if shape[0] is not None or None in shape[1:] or math.prod(shape[1:]) != math.prod(x.shape[1:]):
        raise UserError(f"layer '{site.original.name}' (tf.{site.function}): gives {shape}; the batch must stay apart")
    before = image_before(x)
    return site.new(LAYERS.Reshape, role, target_shape=tuple(shape[1:]))(x if before is None else before)


def reduction(average: bool) -> Callable:
    """tf.reduce_mean or tf.reduce_max over height and width of images, or over the places of sequences."""
    kind = LAYERS.GlobalAveragePooling2D if average else LAYERS.GlobalMaxPooling2D

    def rule(site: "Site", x: tf.Tensor, axis=None, keepdims: bool = False, name: str | None = None) -> tf.Tensor:
        rank = len(x.shape)
        axes = sorted(each % rank for each in np.ravel([] if axis is None else axis))
        if axes != list(range(1, rank - 1)) or rank not in (3, 4):
            where = "height and width of images, or the places of sequences"
            raise UserError(f"layer '{site.original.name}' (tf.{site.function}): over axes {axis}; only {where}")
        pooled = site.new(kind, keepdims=bool(keepdims))(as_image(site, x) if rank == 3 else x)
        return _shaped(site, pooled, (None, *pooled.shape[2:]), "sequence") if rank == 3 and keepdims else pooled

    return rule


def resize(site: "Site", x: tf.Tensor, size: object, method: str = "bilinear", *args, **kwargs) -> tf.Tensor:
    """tf.image.resize to a fixed size, which is what a Resizing layer does."""
    if args or kwargs or len(x.shape) != 4 or is_symbolic(size):
        raise UserError(f"layer '{site.original.name}' (tf.image.resize): only of images, by a fixed size and method")
    height, width = map(int, size)
    return site.new(LAYERS.Resizing, height=height, width=width, interpolation=method)(x)


def transpose(site: "Site", x: tf.Tensor, perm=None, name=None, conjugate: bool = False) -> tf.Tensor:
    """tf.transpose of each example."""
    order = list(range(len(x.shape)))[::-1] if perm is None else list(perm)
    if order[0] != 0:
        raise UserError(f"layer '{site.original.name}' (tf.transpose): perm={order}; the batch must stay first")
    return site.new(LAYERS.Permute, dims=tuple(order[1:]))(x)


def identity(site: "Site", x: tf.Tensor, *args, **kwargs) -> tf.Tensor:
    """tf.identity, and tf.cast to float32."""
    if site.call.outputs.dtype != "float32":
        raise UserError(f"layer '{site.original.name}' (tf.{site.function}): of numbers that are not float32")
    return x


def split(
    site: "Site", x: tf.Tensor, num_or_size_splits: object, axis: int = 0, num=None, name: str | None = None
) -> list[tf.Tensor]:
    """tf.split into equal parts, or parts of the given sizes."""
    axis, sizes = axis % len(x.shape), num_or_size_splits
    parts = list(sizes) if np.ndim(sizes) else [x.shape[axis] // sizes] * sizes
    starts = np.cumsum([0, *parts[:-1]])
    spans = [slice(int(start), int(start + size)) for start, size in zip(starts, parts, strict=True)]
    return [_cut(site, x, {axis: span}, f"part_{number}") for number, span in enumerate(spans, 1)]


def sliced(site: "Site", x: tf.Tensor, spec: object) -> tf.Tensor:
    """x[:, 1:3, ::2, 0] and the like: a Slice, and a Reshape where axes go or come."""
    spec, spans, axis = list(spec) if isinstance(spec, tuple | list) else [spec], {}, 0
    for number, part in enumerate(spec):
        if part is Ellipsis:
            axis = len(x.shape) - sum(each is not None for each in spec[number + 1 :])
            continue
        if part is not None:
            spans[axis] = _span(part)
            axis += 1
    if spans.get(0, slice(None)) != slice(None):
        raise UserError(f"layer '{site.original.name}': a slice of the batch; only of each example")
    result = _cut(site, x, {axis: span for axis, span in spans.items() if axis}, "")
    shape = site.output_shape
    return result if tuple(result.shape) == shape else _shaped(site, result, shape, "reshaped")


def _span(part: object) -> slice:
    """A slice of an index or of Keras's record of a slice."""
    if isinstance(part, dict):
        return slice(part["start"], part["stop"], part["step"])
    return part if isinstance(part, slice) else slice(int(part), int(part) + 1 or None)


def _cut(site: "Site", x: tf.Tensor, spans: dict[int, slice], role: str) -> tf.Tensor:
    """These spans of axes 1, 2, ..."""
    places = [range(size)[spans.get(axis, slice(None))] for axis, size in enumerate(x.shape[1:], 1)]
    if any(len(part) == 0 or part.step < 1 for part in places):
        raise UserError(f"layer '{site.original.name}': an empty or backward slice")
    begin, steps, sizes = ([getter(part) for part in places] for getter in (lambda p: p.start, lambda p: p.step, len))
    if sizes == list(x.shape[1:]):
        return x
    return site.new(Slice, role, begin=begin, size=sizes, strides=steps)(x)


FUNCTION_RULES = {
    **{f"TFOpLambda:{name}": channelwise(activation) for name in FUNCTIONS},
    "TFOpLambda:nn.silu": channelwise(silu),
    "TFOpLambda:nn.gelu": channelwise(gelu),
    "TFOpLambda:nn.leaky_relu": channelwise(leaky_relu),
    "TFOpLambda:nn.softmax": channelwise(softmax),
    "TFOpLambda:math.negative": channelwise(negative),
    "TFOpLambda:math.abs": channelwise(magnitude),
    "TFOpLambda:math.square": channelwise(square),
    "TFOpLambda:math.pow": channelwise(power),
    "TFOpLambda:math.maximum": channelwise(maximum),
    "TFOpLambda:math.minimum": channelwise(minimum),
    "TFOpLambda:clip_by_value": channelwise(clip),
    "TFOpLambda:math.add_n": channelwise(add_n),
    "TFOpLambda:concat": channelwise(concat),
    "TFOpLambda:reshape": reshape,
    "TFOpLambda:expand_dims": reshape,
    "TFOpLambda:compat.v1.squeeze": reshape,
    "TFOpLambda:math.reduce_mean": reduction(average=True),
    "TFOpLambda:math.reduce_max": reduction(average=False),
    "TFOpLambda:compat.v1.transpose": transpose,
    "TFOpLambda:image.resize": resize,
    "TFOpLambda:identity": identity,
    "TFOpLambda:cast": identity,
    "TFOpLambda:split": split,
    "SlicingOpLambda:__operators__.getitem": sliced,
}
