"""Layers that Keras lacks: reproducible dropout, zero padding of channels, numbers for each channel, slices."""

import zlib

import tensorflow as tf
import tf_keras


def name_seed(seed: int, name: str) -> int:
    """A 31-bit seed from `seed` and a layer's name, the same in every process."""
    return zlib.crc32(f"{seed}:{name}".encode()) & 0x7FFFFFFF


@tf_keras.utils.register_keras_serializable("nibble")
class SeededDropout(tf_keras.layers.Layer):
    """Inverted dropout whose mask is a function of (`seed`, layer name, `step`) only, so a resumed run repeats it.

    y = x * keep / (1 - rate), keep ~ Bernoulli(1 - rate); identity unless `training` and the attribute `enabled`
    (read when the graph is traced). The training loop adds 1 to `step` after each batch and restores it on resume.

    `step` (int64 scalar) is not a weight of the layer: the training loop restores it from the step number, and a
    network has the same weights, and so the same weight files, with and without dropout.
    """

    def __init__(self, rate: float, seed: int, **kwargs):
        super().__init__(**kwargs)
        self.rate = rate
        self.seed = seed
        self.enabled = True
        # Keras turns every variable assigned to an attribute into a weight; object.__setattr__ avoids that.
        # Tracking it lets SavedModel, which also traces training, find it.
        object.__setattr__(self, "step", tf.Variable(0, dtype=tf.int64, trainable=False, name=f"{self.name}_step"))
        self._track_trackable(self.step, "step")

    def call(self, inputs: tf.Tensor, training=None) -> tf.Tensor:
        """Inputs and outputs (B, ...)."""
        if training is None or not self.enabled or self.rate == 0:
            return inputs
        return tf.__internal__.smart_cond.smart_cond(training, lambda: self._dropped(inputs), lambda: inputs)

    def _dropped(self, inputs: tf.Tensor) -> tf.Tensor:
        seed = tf.stack([tf.constant(name_seed(self.seed, self.name), tf.int64), self.step.read_value()])
        keep = tf.random.stateless_uniform(tf.shape(inputs), seed, dtype=inputs.dtype) >= self.rate
        return tf.where(keep, inputs / (1 - self.rate), tf.zeros_like(inputs))

    def compute_output_shape(self, input_shape):
        """The input's shape."""
        return input_shape

    def get_config(self) -> dict:
        """Keras's configuration of the layer."""
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}


def dropout_layers(model: tf_keras.Model) -> list[SeededDropout]:
    """The SeededDropout layers of `model` by name, those inside wrappers and nested models too."""
    found = [module for module in model.submodules if isinstance(module, SeededDropout)]
    return sorted(found, key=lambda layer: layer.name)


@tf_keras.utils.register_keras_serializable("nibble")
class PadChannels(tf_keras.layers.Layer):
    """Adds `before` and `after` zero channels to an image (B, H, W, C).

    Option A shortcuts of He et al. 2016, "Deep Residual Learning for Image Recognition", sec. 3.3.
    """

    def __init__(self, before: int, after: int, **kwargs):
        super().__init__(**kwargs)
        self.before = before
        self.after = after

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Inputs (B, H, W, C), outputs (B, H, W, before + C + after)."""
        return tf.pad(inputs, [[0, 0], [0, 0], [0, 0], [self.before, self.after]])

    def compute_output_shape(self, input_shape):
        """(B, H, W, before + C + after)."""
        return tf.TensorShape([*input_shape[:-1], input_shape[-1] + self.before + self.after])

    def get_config(self) -> dict:
        """Keras's configuration of the layer."""
        return {**super().get_config(), "before": self.before, "after": self.after}


@tf_keras.utils.register_keras_serializable("nibble")
class Affine(tf_keras.layers.Layer):
    """y = x * gain + shift with constants for each channel: Rescaling, Normalization and arithmetic with numbers.

    Like the gain and shift of a batch norm they are variables, `gamma` and `beta` (C,), but never trained.
    """

    def __init__(self, gain: list[float], shift: list[float], **kwargs):
        super().__init__(**{**kwargs, "trainable": False})
        self.gain, self.shift = list(map(float, gain)), list(map(float, shift))

    def build(self, input_shape):
        """One number for all channels is repeated."""
        self.gamma, self.beta = (
            self.add_weight(
                name=name,
                shape=input_shape[-1:],
                trainable=False,
                initializer=lambda shape, dtype, v=values: tf.broadcast_to(tf.constant(v, dtype), shape),
            )
            for name, values in (("gamma", self.gain), ("beta", self.shift))
        )
        super().build(input_shape)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Inputs and outputs (B, ..., C)."""
        return inputs * self.gamma + self.beta

    def compute_output_shape(self, input_shape):
        """The input's shape."""
        return input_shape

    def get_config(self) -> dict:
        """Keras's configuration of the layer."""
        return {**super().get_config(), "gain": self.gain, "shift": self.shift}


@tf_keras.utils.register_keras_serializable("nibble")
class ChannelScale(tf_keras.layers.Layer):
    """y = x * gamma with a trained factor for each channel (C,): the slopes of a PReLU."""

    def __init__(self, regularizer=None, constraint=None, **kwargs):
        super().__init__(**kwargs)
        self.regularizer = tf_keras.regularizers.get(regularizer)
        self.constraint = tf_keras.constraints.get(constraint)

    def build(self, input_shape):
        """Factors of 1."""
        self.gamma = self.add_weight(
            "gamma", input_shape[-1:], initializer="ones", regularizer=self.regularizer, constraint=self.constraint
        )
        super().build(input_shape)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Inputs and outputs (B, ..., C)."""
        return inputs * self.gamma

    def compute_output_shape(self, input_shape):
        """The input's shape."""
        return input_shape

    def get_config(self) -> dict:
        """Keras's configuration of the layer."""
        rules = {
            "regularizer": tf_keras.regularizers.serialize(self.regularizer),
            "constraint": tf_keras.constraints.serialize(self.constraint),
        }
        return {**super().get_config(), **rules}


@tf_keras.utils.register_keras_serializable("nibble")
class Slice(tf_keras.layers.Layer):
    """Places `begin`, `begin + strides`, ..., `size` of them, along every axis but the batch."""

    def __init__(self, begin: list[int], size: list[int], strides: list[int], **kwargs):
        super().__init__(**kwargs)
        self.begin, self.size, self.strides = list(begin), list(size), list(strides)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Inputs (B, ...), outputs (B, *size)."""
        parts = zip(self.begin, self.size, self.strides, strict=True)
        return inputs[
            (slice(None), *(slice(begin, begin + (size - 1) * step + 1, step) for begin, size, step in parts))
        ]

    def compute_output_shape(self, input_shape):
        """(B, *size)."""
        return tf.TensorShape([input_shape[0], *self.size])

    def get_config(self) -> dict:
        """Keras's configuration of the layer."""
        return {**super().get_config(), "begin": self.begin, "size": self.size, "strides": self.strides}
