"""Keras layers that the quantized training graph adds to the user's."""

import tensorflow as tf
import tf_keras
from tensorflow_model_optimization.python.core.quantization.keras.utils import (
    deserialize_keras_object,
    deserialize_layer,
    serialize_keras_object,
)

from pipeline.quantization.quantizers import KernelQuantizer


class QuantizeTensor(tf_keras.layers.Layer):
    """Rounds the tensor that passes through it: the network's input, or a coarser copy of an activation.

    The layer behind the input carries the `recipe` of the whole quantized model (plain network and settings), so that a
    saved model can be converted, pruned or continued after loading.
    """

    def __init__(self, quantizer, recipe: dict | None = None, **kwargs):
        super().__init__(**kwargs)
        self.quantizer, self.recipe = quantizer, recipe

    def build(self, input_shape):
        self.quantizer_vars = self.quantizer.build(input_shape, "output", self)
        super().build(input_shape)

    def call(self, inputs, training=None):
        return self.quantizer(inputs, bool(training), self.quantizer_vars)

    def get_config(self):
        return {**super().get_config(), "quantizer": serialize_keras_object(self.quantizer), "recipe": self.recipe}

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        quantizer = deserialize_keras_object(config.pop("quantizer"), module_objects=globals(), custom_objects=None)
        return cls(quantizer=quantizer, **config)


class FoldedBatchNorm(tf_keras.layers.Layer):
    """Linear layer and batch norm as one: the *folded* kernel W * gamma / sigma is what is quantized in training.

    Training folds the statistics of the batch, inference the moving ones (Jacob et al. 2018, sec. 3.2).
    """

    def __init__(self, linear, batch_norm, bits: int, per_channel: bool = True, **kwargs):
        super().__init__(**kwargs)
        self.linear, self.batch_norm = linear, batch_norm
        depthwise = isinstance(linear, tf_keras.layers.DepthwiseConv2D)
        self.quantizer = KernelQuantizer(bits, per_channel, depthwise)
        self.kernel_name = "depthwise_kernel" if depthwise else "kernel"

    moving_mean = property(lambda self: self.batch_norm.moving_mean)
    moving_variance = property(lambda self: self.batch_norm.moving_variance)
    momentum = property(lambda self: self.batch_norm.momentum)

    def build(self, input_shape):
        if not self.linear.built:
            self.linear.build(input_shape)
        if not self.batch_norm.built:
            self.batch_norm.build(self.linear.compute_output_shape(input_shape))
        self.kernel = getattr(self.linear, self.kernel_name)
        super().build(input_shape)

    def call(self, inputs, training=None):
        mean, variance = self._statistics(inputs) if training else (self.moving_mean, self.moving_variance)
        gain = self.batch_norm.gamma * tf.math.rsqrt(variance + self.batch_norm.epsilon)
        kernel = self.kernel * tf.reshape(gain, self.kernel.shape[2:]) if self.quantizer.depthwise else self.kernel * gain
        offset = self.batch_norm.beta - mean * gain
        return self._linear(inputs, self.quantizer(kernel, training, {})) + offset

    def _statistics(self, inputs):
        outputs = self._linear(inputs, self.kernel)
        mean, variance = tf.nn.moments(outputs, list(range(len(outputs.shape) - 1)))
        for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + tf.stop_gradient(batch) * (1 - self.momentum))
        return mean, variance

    def _linear(self, inputs, kernel):
        """The linear layer without its bias (batch norm would remove it again) and with this kernel."""
        original = getattr(self.linear, self.kernel_name)
        bias, self.linear.use_bias = self.linear.use_bias, False
        setattr(self.linear, self.kernel_name, kernel)
        try:
            return self.linear.call(inputs)
        finally:
            setattr(self.linear, self.kernel_name, original)
            self.linear.use_bias = bias

    def compute_output_shape(self, input_shape):
        return self.linear.compute_output_shape(input_shape)

    def get_config(self):
        parts = {"linear": tf_keras.layers.serialize(self.linear), "batch_norm": tf_keras.layers.serialize(self.batch_norm)}
        quantizer = {"bits": self.quantizer.bits, "per_channel": self.quantizer.per_channel}
        return {**super().get_config(), **parts, **quantizer}

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        parts = {key: deserialize_layer(config.pop(key), use_legacy_format=False) for key in ("linear", "batch_norm")}
        return cls(**parts, **config)
