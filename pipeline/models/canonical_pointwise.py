"""Layers that treat every number alone, from sums, products and ReLU: bounded and sloped activations, larger and smaller."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf
import tf_keras

from pipeline.errors import UserError
from pipeline.models.canonical_rules import activated, of_one_rank, plus
from pipeline.models.graph import MIN_SLOPE
from pipeline.models.layers import Affine, ChannelScale

if TYPE_CHECKING:
    from pipeline.models.canonical import Site

LAYERS = tf_keras.layers


def kept(site: "Site", *args, **kwargs):
    """The layer as it is."""
    return site.same()(*args, **kwargs)


def leaky_relu(site: "Site", x: tf.Tensor) -> tf.Tensor:
    """LeakyReLU; slopes that devices do not have become products."""
    return leaking(site, x, float(site.original.alpha))


def leaking(site: "Site", x: tf.Tensor, slope: float) -> tf.Tensor:
    """max(x, 0) + slope * min(x, 0)."""
    if slope == 0:
        return activated(site, x, "relu", "")
    if MIN_SLOPE <= slope <= 1:
        return site.new(LAYERS.LeakyReLU, alpha=slope)(x)
    return _sloped(site, x, site.new(Affine, "slope", gain=[slope], shift=[0.0]))


def prelu(site: "Site", x: tf.Tensor) -> tf.Tensor:
    """PReLU with one slope for each channel: max(x, 0) - slope * max(-x, 0)."""
    layer = site.original
    (slopes,) = layer.get_weights()
    if slopes.size != slopes.shape[-1]:
        axes = list(range(1, slopes.ndim))
        raise UserError(f"layer '{layer.name}' (PReLU): a slope for each place; set shared_axes={axes}")
    options = {"regularizer": layer.alpha_regularizer, "constraint": layer.alpha_constraint}
    return _sloped(site, x, site.like(ChannelScale, options, [slopes.reshape(-1)], "slope"))


def _sloped(site: "Site", x: tf.Tensor, slope: Callable) -> tf.Tensor:
    negated = site.new(Affine, "negated", gain=[-1.0], shift=[0.0])(x)
    negative = site.new(LAYERS.ReLU, "negative")(negated)
    return site.new(LAYERS.Subtract)([site.new(LAYERS.ReLU, "positive")(x), slope(negative)])


def difference(site: "Site", inputs: list[tf.Tensor]) -> tf.Tensor:
    """Subtract."""
    return site.same()(of_one_rank(site, inputs))


def average(site: "Site", inputs: list[tf.Tensor]) -> tf.Tensor:
    """Average of any number of tensors: their sum, times 1 / number."""
    total, *rest = of_one_rank(site, inputs)
    for number, other in enumerate(rest, 2):
        total = site.new(LAYERS.Add, f"sum_{number}")([total, other])
    return site.new(Affine, gain=[1 / len(inputs)], shift=[0.0])(total)


def larger(site: "Site", inputs: list[tf.Tensor]) -> tf.Tensor:
    """Maximum of any number of tensors, each time as x + max(y - x, 0)."""
    return _chosen(site, inputs, lambda x, y: [y, x], LAYERS.Add)


def smaller(site: "Site", inputs: list[tf.Tensor]) -> tf.Tensor:
    """Minimum of any number of tensors, each time as x - max(x - y, 0)."""
    return _chosen(site, inputs, lambda x, y: [x, y], LAYERS.Subtract)


def _chosen(site: "Site", inputs: list[tf.Tensor], order: Callable, join: type) -> tf.Tensor:
    x, *rest = of_one_rank(site, inputs)
    for number, y in enumerate(rest, 2):
        last = "" if number == len(inputs) else f"first_{number}"
        excess = site.new(LAYERS.Subtract, f"difference_{number}")(order(x, y))
        x = site.new(join, last)([x, site.new(LAYERS.ReLU, f"excess_{number}")(excess)])
    return x


def clipped(site: "Site", x: tf.Tensor, lowest: float, highest: float | None) -> tf.Tensor:
    """x between two numbers: a bounded ReLU, moved by the lower one."""
    bound = None if highest is None else highest - lowest
    relu = site.new(LAYERS.ReLU, "bounded" if lowest else "", max_value=bound)
    if not lowest:
        return relu(x)
    return plus(site, relu(plus(site, x, -lowest)), lowest)


def center_crop(site: "Site", x: tf.Tensor) -> tf.Tensor:
    """CenterCrop of images that are large enough: what is left and right of the middle is cut off."""
    layer = site.original
    spare = np.subtract(x.shape[1:3], (layer.height, layer.width)) if len(x.shape) == 4 else [-1]
    if min(spare) < 0:
        raise UserError(f"layer '{layer.name}' (CenterCrop): of {tuple(x.shape[1:])}, which is smaller than the crop")
    cut = tuple((int(pixels) // 2, int(pixels) - int(pixels) // 2) for pixels in spare)
    return site.new(LAYERS.Cropping2D, cropping=cut)(x)


POINTWISE_RULES = {
    "LeakyReLU": leaky_relu,
    "PReLU": prelu,
    "Subtract": difference,
    "Average": average,
    "Maximum": larger,
    "Minimum": smaller,
    "CenterCrop": center_crop,
}
