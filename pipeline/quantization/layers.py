"""Keras layers that quantization adds to the training graph."""

import tensorflow as tf
import tf_keras

from pipeline.quantization import tfmot
from pipeline.quantization.quantizers import KernelQuantizer
from pipeline.quantization.tfmot import deserialize_keras_object, deserialize_layer, serialize_keras_object


class QuantizeTensor(tf_keras.layers.Layer):
    """Rounds its input: an input of the network, one call of a shared layer, or a coarser copy of an activation.

    The layer after the first input carries the `recipe` of the whole quantized model (`model_access.recipe_for`), so that a
    saved model can be converted, pruned or continued after loading.
    """

    def __init__(self, quantizer, recipe: dict[str, str] | None = None, **kwargs):
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


class QuantizeWrapperV2(tfmot.QuantizeWrapperV2):
    """TF-MOT's wrapper, but with the kernel of a frozen layer frozen, and every weight once.

    The name of the class is part of weight files, so it is that of TF-MOT's.
    """

    def build(self, input_shape):
        super().build(input_shape)
        self._trainable_weights[:] = [kernel for kernel, _, _ in self._weight_vars]

    @property
    def trainable_weights(self):
        """The trainable weights of the layer; none while it is frozen."""
        return super().trainable_weights if self.trainable else []

    @property
    def non_trainable_weights(self):
        """The other weights of the layer, among them the kernel while it is frozen."""
        frozen = [] if self.trainable else self._trainable_weights
        return self._dedup_weights(frozen + super().non_trainable_weights)


class FoldedBatchNorm(tf_keras.layers.Layer):
    """Linear layer and batch norm as one: training quantizes the *folded* kernel W * gamma / sigma.

    Training folds the statistics of the batch, inference and a frozen batch norm the moving ones (Jacob et al. 2018,
    sec. 3.2). A bias of the linear layer is part of the mean that batch norm subtracts again, so it is not trained.
    """

    def __init__(self, linear, batch_norm, bits: int, per_channel: bool = True, **kwargs):
        super().__init__(**kwargs)
        self.linear, self.batch_norm = linear, batch_norm
        depthwise = isinstance(linear, tf_keras.layers.DepthwiseConv2D)
        transposed = isinstance(linear, tf_keras.layers.Conv2DTranspose)
        self.quantizer = KernelQuantizer(bits, per_channel, depthwise, transposed)
        self.kernel_name = "depthwise_kernel" if depthwise else "kernel"

    moving_mean = property(lambda self: self.batch_norm.moving_mean)
    moving_variance = property(lambda self: self.batch_norm.moving_variance)
    momentum = property(lambda self: self.batch_norm.momentum)

    @property
    def trainable_weights(self):
        """The trainable weights of the parts that are not frozen, except the linear layer's bias."""
        return [weight for weight in super().trainable_weights if id(weight) not in self._fixed()]

    @property
    def non_trainable_weights(self):
        """The non-trainable weights of both parts, the linear layer's bias, and its kernel while it is frozen."""
        fixed = [weight for weight in super().trainable_weights if id(weight) in self._fixed()]
        return self._dedup_weights(super().non_trainable_weights + fixed)

    def _fixed(self) -> set[int]:
        """The ids of weights that the linear layer calls trainable and training leaves alone."""
        return {id(self.linear.bias)} if self.linear.trainable else {id(self.linear.bias), id(self.kernel)}

    def build(self, input_shape):
        if not self.linear.built:
            self.linear.build(input_shape)
        if not self.batch_norm.built:
            self.batch_norm.build(self.linear.compute_output_shape(input_shape))
        self.kernel = getattr(self.linear, self.kernel_name)
        super().build(input_shape)

    def call(self, inputs, training=None):
        of_batch = training and self.batch_norm.trainable
        mean, variance = self._statistics(inputs) if of_batch else (self.moving_mean, self.moving_variance)
        gain = tf.math.rsqrt(variance + self.batch_norm.epsilon)
        if self.batch_norm.scale:
            gain *= self.batch_norm.gamma
        kernel = self.kernel * self._by_output(gain)
        return self._linear(inputs, self.quantizer(kernel, training, {})) + self._offset(mean, gain)

    def _by_output(self, gain):
        """The gain (O,) shaped to multiply the kernel."""
        if self.quantizer.transposed:
            return gain[:, None]
        return tf.reshape(gain, self.kernel.shape[2:]) if self.quantizer.depthwise else gain

    def _offset(self, mean, gain):
        """The part of bias and batch norm that is not in the folded kernel, (C,)."""
        bias = tf.stop_gradient(self.linear.bias) if self.linear.use_bias else 0.0
        beta = self.batch_norm.beta if self.batch_norm.center else 0.0
        return beta + (bias - mean) * gain

    def _statistics(self, inputs):
        """Mean (with the bias) and variance (C,) of this batch's float outputs; updates the moving ones."""
        outputs = self._linear(inputs, self.kernel)
        mean, variance = tf.nn.moments(outputs, list(range(len(outputs.shape) - 1)))
        if self.linear.use_bias:
            mean += tf.stop_gradient(self.linear.bias)
        for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + tf.stop_gradient(batch) * (1 - self.momentum))
        return mean, variance

    def _linear(self, inputs, kernel):
        """The linear layer without its bias and with this kernel."""
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

    def get_build_config(self):
        """None: a loaded layer is built by the wrapper around it, which must not find weights yet."""
        return None

    def get_config(self):
        parts = {name: tf_keras.layers.serialize(getattr(self, name)) for name in ("linear", "batch_norm")}
        quantizer = {"bits": self.quantizer.bits, "per_channel": self.quantizer.per_channel}
        return {**super().get_config(), **parts, **quantizer}

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        parts = {key: deserialize_layer(config.pop(key), use_legacy_format=False) for key in ("linear", "batch_norm")}
        return cls(**parts, **config)
