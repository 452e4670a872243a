"""Small networks of every supported kind with random weights and statistics, for the tests of the quantization."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf
import tf_keras
from tf_keras import layers as kl

from pipeline.methods.quantization import Quantization
from pipeline.models.layers import PadChannels, SeededDropout
from pipeline.models.resnet import resnet
from pipeline.quantization.device_network import DeviceNetwork
from pipeline.quantization.integer_model import IntegerModel
from pipeline.quantization.lowering import lower
from pipeline.quantization.scheme import quantize
from pipeline.tflite.exactness import float_tensors, layer_mismatches
from pipeline.tflite.write import write_tflite

SHAPE = (12, 12, 3)
CLASSES = 5


def options(**fields) -> Quantization:
    """The quantization method with some fields changed."""
    return Quantization(**fields)


def conv(x, filters, size=3, strides=1, relu=True, norm=True, padding="same", cap=None, **arguments):
    """Convolution, batch norm, ReLU."""
    x = kl.Conv2D(filters, size, strides, padding, use_bias=not norm, **arguments)(x)
    x = kl.BatchNormalization(momentum=0.5)(x) if norm else x
    return kl.ReLU(cap)(x) if relu else x


def head(x, pool=kl.GlobalAveragePooling2D) -> tf.Tensor:
    return kl.Dense(CLASSES)(pool()(x))


def network(body: Callable, seed: int = 0) -> tf_keras.Model:
    """The functional model of `body`: input tensor -> output tensor; weights by seed, layer names count from nothing."""
    tf_keras.utils.set_random_seed(seed)
    tf_keras.backend.reset_uids()
    image = tf_keras.Input(SHAPE)
    return tf_keras.Model(image, body(image))


def residual(x):
    x = conv(x, 8)
    x = kl.ReLU()(kl.Add()([x, conv(conv(x, 8), 8, relu=False)]))
    y = conv(conv(x, 16, strides=2), 16, relu=False)
    x = PadChannels(4, 4)(kl.MaxPooling2D(1, 2)(x))
    return head(kl.ReLU()(kl.Add()([x, y])))


def projection(x):
    x = conv(x, 8)
    y = conv(conv(x, 12, strides=2), 12, relu=False)
    x = kl.ReLU()(kl.Add()([conv(x, 12, size=1, strides=2, relu=False), y]))
    return head(x)


def inverted(x):
    """MobileNetV2's block: ReLU6, depthwise, linear bottleneck, residual without ReLU; a depth multiplier."""
    x = conv(x, 6, strides=2, relu=False)
    for multiplier in (1, 2):
        y = conv(x, 12, size=1, cap=6.0)
        y = kl.DepthwiseConv2D(3, padding="same", depth_multiplier=multiplier, use_bias=False)(y)
        y = kl.ReLU(6.0)(kl.BatchNormalization(momentum=0.5)(y))
        x = kl.Add()([x, conv(y, 6, size=1, relu=False)])
    return head(x)


def inception(x):
    x = conv(x, 8)
    pooled = conv(kl.AveragePooling2D(3, 1, "same")(x), 4, size=1)
    branch = conv(conv(x, 4, size=1), 6, size=(1, 5))
    x = kl.Concatenate()([conv(x, 6), branch, pooled, kl.MaxPooling2D(3, 1, "same")(x)])
    branch = kl.MaxPooling2D(3, 2)(x)
    x = kl.Concatenate()([conv(x, 6, strides=2, padding="valid"), branch, kl.AveragePooling2D(3, 2)(x)])
    return head(x)


def dense_block(x):
    """DenseNet's block: lone batch norms on maps, every concatenation feeds the next."""
    x = conv(x, 6, relu=False)
    for _ in range(2):
        y = conv(kl.ReLU()(kl.BatchNormalization(momentum=0.5)(x)), 4, norm=False, relu=False)
        x = kl.Concatenate()([x, y])
    x = kl.ReLU()(kl.BatchNormalization(momentum=0.5)(x))
    return head(kl.AveragePooling2D(2)(conv(x, 8, size=1, relu=False)))


def dense_layers(x):
    """Dense, batch norm and ReLU in both orders: fused, and as a lone batch norm on vectors."""
    x = kl.Flatten()(conv(x, 4, strides=3, norm=False))
    x = kl.ReLU()(kl.BatchNormalization(momentum=0.5)(kl.Dense(12, use_bias=False)(x)))
    x = kl.BatchNormalization(momentum=0.5)(kl.ReLU()(kl.Dense(10)(x)))
    x = kl.ReLU(6)(kl.BatchNormalization(momentum=0.5)(kl.Dropout(0.3)(x)))
    return kl.Dense(CLASSES)(x)


def padded_stride(x):
    x = conv(kl.ZeroPadding2D(((0, 1), (1, 0)))(x), 6, strides=2, padding="valid")
    x = conv(kl.ZeroPadding2D(1)(x), 8, size=(3, 2), padding="valid", dilation_rate=2)
    return head(kl.SpatialDropout2D(0.2)(x), kl.GlobalMaxPooling2D)


def plain(x):
    """Convolutions with bias and without batch norm, dropout in between, poolings of every kind."""
    x = kl.MaxPooling2D(2, 2, "same")(conv(x, 7, norm=False))
    x = kl.AveragePooling2D(2, 2, "valid")(SeededDropout(0.2, 1)(conv(x, 8, norm=False, relu=False)))
    x = kl.AveragePooling2D(2, 1, "same")(conv(x, 8, norm=False, relu=False))
    x = kl.GlobalMaxPooling2D(keepdims=True)(conv(x, 8, norm=False))
    return kl.Flatten()(kl.Conv2D(CLASSES, 1)(x))


def two_stems(x):
    """The image feeds two convolutions, the pixels themselves go into a concatenation."""
    x = kl.Concatenate()([conv(x, 4), conv(x, 4, size=1), x])
    x = kl.Add()([conv(x, 6), conv(x, 6, relu=False)])
    return head(conv(x, 8))


def partial_norm(x):
    """Batch norms without scale, without shift, without both; with a bias before them."""
    for scale, center in ((False, True), (True, False), (False, False)):
        x = kl.Conv2D(6, 3, padding="same")(x)
        x = kl.ReLU()(kl.BatchNormalization(momentum=0.5, scale=scale, center=center)(x))
    return head(kl.BatchNormalization(center=False)(kl.GlobalAveragePooling2D(keepdims=True)(x)), kl.Flatten)


NETWORKS = {
    body.__name__: body for body in (
        residual, projection, inverted, inception, dense_block, dense_layers, padded_stride, plain, two_stems, partial_norm,
    )
}  # fmt: skip


def images(count: int, seed: int = 0, shape=SHAPE) -> np.ndarray:
    """uint8 images (N, H, W, C): smooth blobs of random brightness."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (count, 4, 4, shape[-1]))
    fine = np.array(tf.image.resize(coarse.astype(np.float32), shape[:2], "bilinear"))
    return np.clip(fine + rng.normal(0, 20, fine.shape), 0, 255).astype(np.uint8)


def pixels(batch: np.ndarray) -> np.ndarray:
    """uint8 images as float32 in [0, 1]."""
    return batch.astype(np.float32) * np.float32(1 / 255)


def shake(model: tf_keras.Model, seed: int = 0) -> None:
    """Random biases and batch norms of a float model, among them negative and zero gammas and dead channels."""
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        if getattr(layer, "use_bias", False):
            layer.bias.assign(rng.normal(0, 0.2, layer.bias.shape))
        if isinstance(layer, kl.BatchNormalization):
            if layer.scale:
                gamma = rng.uniform(0.5, 1.5, layer.gamma.shape) * rng.choice([-1, 1], layer.gamma.shape, p=[0.2, 0.8])
                layer.gamma.assign(np.where(np.arange(len(gamma)) == 1, 0, gamma))
            if layer.center:
                layer.beta.assign(rng.normal(0, 0.5, layer.beta.shape))
        if isinstance(layer, kl.Conv2D) and not isinstance(layer, kl.DepthwiseConv2D):
            layer.kernel.assign(layer.kernel * (np.arange(layer.filters) != 2))


def settle(model: tf_keras.Model, steps: int = 4, shape=SHAPE) -> tf_keras.Model:
    """The quantized model after some batches in training mode: statistics and activation ranges fit its weights."""
    for step in range(steps):
        model(pixels(images(32, seed=100 + step, shape=shape)), training=True)
    return model


def quantized(body: Callable, seed: int = 0, **fields) -> tf_keras.Model:
    """A quantized network with random weights and fitting statistics."""
    model = network(body, seed)
    shake(model, seed)
    return settle(quantize(model, options(**fields)))


def small_resnet(**fields) -> tf_keras.Model:
    """The project's own ResNet-8, quantized."""
    tf_keras.utils.set_random_seed(1)
    model = resnet(SHAPE, CLASSES, depth=8, width=4, batch_norm_momentum=0.5)
    shake(model)
    return settle(quantize(model, options(**fields)))


def exact(model: tf_keras.Model, batch: np.ndarray, weight_storage: str = "narrow") -> tuple[IntegerModel, np.ndarray]:
    """(integer model, logits) after no code differed between them in any layer, nor in the device network."""
    integer_model = lower(model, weight_storage).integer_model
    content = write_tflite(integer_model, False, False, "test")
    mismatches = layer_mismatches(integer_model, content, batch)
    assert mismatches and not {name: share for name, share in mismatches.items() if share}
    assert not float_tensors(content)
    logits = integer_model.predict(batch)
    np.testing.assert_array_equal(DeviceNetwork(integer_model).forward(batch).numpy(), logits)
    return integer_model, logits
