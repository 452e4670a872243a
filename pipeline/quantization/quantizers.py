"""The paper's quantizers as TF-MOT `Quantizer`s with straight-through gradients, and their QuantizeConfig."""

import tensorflow as tf
import tf_keras

from pipeline.models.input_range import TOLERANCE
from pipeline.quantization.feed import grid_of
from pipeline.quantization.grid import Grid, weight_top_code
from pipeline.quantization.tfmot import (
    QuantizeConfig,
    Quantizer,
    QuantizeRegistry,
    deserialize_keras_object,
    serialize_keras_object,
)

RANGE_NAME = "activation_range"


def straight_through(function, x):
    """`function(x)` forward, the identity backward: dL/dx = dL/dy (paper sec. 2.2; Bengio et al. 2013)."""

    @tf.custom_gradient
    def op(x):
        return function(x), lambda dy: dy

    return op(tf.convert_to_tensor(x))


def round_to_grid(weights: tf.Tensor, bits: int, axes: list[int]) -> tf.Tensor:
    """round(W / s) * s with s = max|W| / (2^(bits-1) - 1) over `axes`; any shape, same shape back (paper sec. 2.2)."""
    scale = tf.reduce_max(tf.abs(weights), axis=axes, keepdims=True) / weight_top_code(bits)
    return tf.round(tf.math.divide_no_nan(weights, scale)) * scale


def fake_quantize(x: tf.Tensor, limit: tf.Tensor, grid: Grid) -> tf.Tensor:
    """Round x of any shape to `grid` with step limit / top code, saturating at its lowest and highest code."""
    if grid.low == 0 and grid.uses_all_codes:
        return tf.quantization.fake_quant_with_min_max_vars(x, 0.0, limit, num_bits=grid.bits)
    if grid.low == -128:
        return tf.quantization.fake_quant_with_min_max_vars(x, limit * (-128 / 127), limit, num_bits=8)
    return tf.quantization.fake_quant_with_min_max_vars(x, -limit, limit, num_bits=grid.bits, narrow_range=True)


class KernelQuantizer(Quantizer):
    """Weights: one scale per output channel (or per tensor), always from the current weights (paper sec. 2.2)."""

    def __init__(self, bits: int, per_channel: bool = True, depthwise: bool = False, transposed: bool = False):
        self.bits, self.per_channel, self.depthwise, self.transposed = bits, per_channel, depthwise, transposed
        self.enabled = True

    def build(self, tensor_shape, name, layer):
        """No state: the scale follows from the weights."""
        return {}

    def reduction_axes(self, rank: int) -> list[int]:
        """The axes of a kernel of this rank that share one scale: a depthwise kernel (h, w, I, M), a transposed (h, w, O, I)."""
        if self.transposed and self.per_channel:
            return [axis for axis in range(rank) if axis != rank - 2]
        channel_axes = (2 if self.depthwise else 1) if self.per_channel else 0
        return list(range(rank - channel_axes))

    def __call__(self, inputs, training, weights, **kwargs):
        """Quantized weights, same shape as `inputs`."""
        if not self.enabled:
            return inputs
        axes = self.reduction_axes(len(inputs.shape))
        return straight_through(lambda w: round_to_grid(w, self.bits, axes), inputs)

    def get_config(self):
        layout = {"depthwise": self.depthwise, "transposed": self.transposed}
        return {"bits": self.bits, "per_channel": self.per_channel, **layout}


class ActivationQuantizer(Quantizer):
    """Activations: scale of this batch in training, exponential moving average in inference (paper sec. 2.2).

    `in_training=False` only observes the range in training: tensors that are not the input of a layer (sums, logits)
    are rounded on the device but not in the paper's training graph. While `observing` is set (read when a graph is
    traced), inference too takes the scale of its batch (`calibrate`).
    """

    def __init__(
        self,
        bits: int,
        signed: bool,
        unsigned_range: bool = False,
        in_training: bool = True,
        ema_momentum: float = 0.99,
        limit: float | None = None,
    ):
        self.grid = Grid.of(bits, signed, unsigned_range)
        self.signed, self.unsigned_range, self.in_training = signed, unsigned_range, in_training
        self.ema_momentum, self.limit = ema_momentum, limit
        self.enabled, self.observing = True, False

    def build(self, tensor_shape, name, layer):
        """A scalar: moving average of the largest magnitude, 0 before the first batch; or the fixed `limit`."""
        start = tf_keras.initializers.Constant(self.limit or 0.0)
        return {RANGE_NAME: layer.add_weight(f"{name}_{RANGE_NAME}", shape=(), initializer=start, trainable=False)}

    def __call__(self, inputs, training, weights, **kwargs):
        """Quantized activations, same shape as `inputs`."""
        average = weights[RANGE_NAME]
        if not training:
            if self.observing and self.limit is None:
                average.assign(self._batch_limit(inputs))
            return self.on_device(inputs, average) if self.enabled else inputs
        if self.limit is None:
            limit = self._batch_limit(tf.stop_gradient(inputs))
            seen = tf.where(average > 0, average * self.ema_momentum + limit * (1 - self.ema_momentum), limit)
            average.assign(seen)
        else:
            limit = tf.constant(self.limit)
            average.assign(limit)  # a re-estimation of statistics begins at 0
        if not (self.enabled and self.in_training):
            return inputs
        return straight_through(lambda x: fake_quantize(x, limit, self.grid), inputs)

    def on_device(self, x: tf.Tensor, limit: tf.Tensor) -> tf.Tensor:
        """The value that the device stores for x of any shape if the top code of the grid means `limit`."""
        return fake_quantize(x, limit, self.grid)

    def _batch_limit(self, x):
        largest = tf.reduce_max(x)
        if self.signed:
            largest = tf.maximum(largest, -tf.reduce_min(x))
        return tf.maximum(largest, 1e-6)

    def get_config(self):
        return {
            "bits": self.grid.bits,
            "signed": self.signed,
            "unsigned_range": self.unsigned_range,
            "in_training": self.in_training,
            "ema_momentum": self.ema_momentum,
            "limit": self.limit,
        }


class CopyQuantizer(ActivationQuantizer):
    """A coarser copy of a tensor that is already on a grid: QUANTIZE rounds halves up, and halves do occur here."""

    def on_device(self, x, limit):
        """As `ActivationQuantizer`; adds a thousandth of a fine step so that float32 does not lose the halves."""
        return fake_quantize(x + limit * 1e-6, limit, self.grid)


class PoolQuantizer(ActivationQuantizer):
    """A padded average pooling stays on its input's grid: AVERAGE_POOL_2D rounds codes half away from code 0."""

    def on_device(self, x, limit):
        """x on the grid of the pooling's input; never saturates, since averages stay within the range of the input."""
        step = limit / self.grid.top
        codes = tf.math.divide_no_nan(x, step) + self.grid.zero_point
        return (tf.sign(codes) * tf.floor(tf.abs(codes) + (0.5 + 1e-4)) - self.grid.zero_point) * step


class InputQuantizer(Quantizer):
    """An input of the network: 8 bits over the range that it takes, and an error where data leave it."""

    def __init__(self, low: float = 0.0, high: float = 1.0, name: str = "input"):
        self.low, self.high, self.name = low, high, name
        self.step, _ = grid_of((low, high))

    def build(self, tensor_shape, name, layer):
        """No state: the step follows from the range."""
        return {}

    def __call__(self, inputs, training, weights, **kwargs):
        """Inputs rounded as the device does, halves to even, same shape; InvalidArgumentError if they leave the range."""
        return straight_through(lambda x: tf.round(x * (1 / self.step)) * self.step, self._checked(inputs))

    def _checked(self, inputs: tf.Tensor) -> tf.Tensor:
        lowest, highest = tf.reduce_min(inputs), tf.reduce_max(inputs)
        slack = TOLERANCE * (self.high - self.low)
        inside = tf.logical_and(lowest >= self.low - slack, highest <= self.high + slack)
        declared = f"the network takes {self.low:g} to {self.high:g}"
        advice = "pass input_range=(low, high) to quantize, or scale the data"
        told = [f"input {self.name}: data are from", lowest, "to", highest, f"{declared}; {advice}"]
        with tf.control_dependencies([tf.debugging.Assert(inside, told)]):
            return tf.identity(inputs)

    def get_config(self):
        return {"low": self.low, "high": self.high, "name": self.name}


class LowBitQuantizeConfig(QuantizeConfig):
    """Tells TF-MOT's wrapper what to round in one layer: its kernel, its output, both or neither."""

    def __init__(self, kernel: KernelQuantizer | None = None, output: ActivationQuantizer | None = None):
        self.kernel, self.output = kernel, output

    def get_weights_and_quantizers(self, layer):
        return [(getattr(layer, _kernel_name(layer)), self.kernel)] if self.kernel else []

    def set_quantize_weights(self, layer, quantize_weights):
        if self.kernel:
            setattr(layer, _kernel_name(layer), quantize_weights[0])

    def get_activations_and_quantizers(self, layer):
        return []

    def set_quantize_activations(self, layer, quantize_activations):
        pass

    def get_output_quantizers(self, layer):
        return [self.output] if self.output else []

    def get_config(self):
        parts = {"kernel": self.kernel, "output": self.output}
        return {key: serialize_keras_object(part) if part else None for key, part in parts.items()}

    @classmethod
    def from_config(cls, config):
        return cls(**{key: _deserialized(part) if part else None for key, part in config.items()})


def _deserialized(part: dict):
    return deserialize_keras_object(part, module_objects=globals(), custom_objects=None)


def _kernel_name(layer) -> str:
    return "depthwise_kernel" if isinstance(layer, tf_keras.layers.DepthwiseConv2D) else "kernel"


class LowBitQuantizeRegistry(QuantizeRegistry):
    """An empty registry: the plan decides by layer, not by layer class."""

    def supports(self, layer):
        return False

    def get_quantize_config(self, layer):
        raise LookupError(f"layer '{layer.name}' has no QuantizeConfig in the plan")
