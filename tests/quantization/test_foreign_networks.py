"""Networks as people write them: quantized, trained a little, converted, and not one code differs from LiteRT's."""

import numpy as np
import pytest
import tf_keras
from tf_keras import Sequential, layers

from pipeline import calibrate, convert, quantize
from pipeline.quantization.device import device_arithmetic
from pipeline.quantization.device_network import DeviceNetwork
from pipeline.quantization.lowering import lower
from pipeline.tflite.exactness import layer_mismatches

SHAPE, CLASSES = (12, 14, 3), 4
IMAGES = np.random.default_rng(0).integers(0, 256, (16, *SHAPE)).astype(np.uint8)


def conv(x, filters: int = 6, **options):
    return layers.Conv2D(filters, 3, padding="same", **options)(x)


def head(x):
    return layers.Dense(CLASSES, activation="softmax")(layers.GlobalAveragePooling2D()(x))


def gate(x):
    """Squeeze and excite (Hu et al. 2018)."""
    small = layers.Conv2D(3, 1, activation="relu")(layers.GlobalAveragePooling2D(keepdims=True)(x))
    return layers.Multiply()([x, layers.Conv2D(x.shape[-1], 1, activation="sigmoid")(small)])


def two_of_one(x):
    x = conv(x)
    return layers.Add()([x, layers.ReLU()(x)])


def hard_swish(x):
    x = conv(x)
    return x * (layers.ReLU(6.0)(x + 3.0) * (1 / 6))


BODIES = {
    "relu inside": lambda x: conv(conv(x, activation="relu"), activation="relu6"),
    "sigmoid": lambda x: conv(conv(x, activation="sigmoid"), activation="relu"),
    "tanh": lambda x: conv(conv(x, activation="tanh"), activation="relu"),
    "swish": lambda x: conv(conv(x, activation="swish")),
    "hard sigmoid": lambda x: conv(conv(x, activation="hard_sigmoid")),
    "hard swish by hand": lambda x: conv(hard_swish(x)),
    "squeeze and excite": lambda x: conv(gate(conv(x, activation="relu"))),
    "squeeze and excite, signed": lambda x: conv(gate(conv(x))),
    "separable": lambda x: layers.SeparableConv2D(5, 3, activation="relu")(conv(x)),
    "rescaling": lambda x: conv(layers.Rescaling(2.0, -1.0)(x), activation="relu"),
    "normalization": lambda x: conv(layers.Normalization(mean=[0.4, 0.5, 0.6], variance=[0.1, 0.2, 0.3])(x)),
    "relu after pooling": lambda x: conv(layers.ReLU()(layers.MaxPooling2D()(conv(x)))),
    "relu of one of two": lambda x: conv(two_of_one(x)),
    "elu": lambda x: conv(conv(x, activation="elu")),
    "gelu": lambda x: conv(conv(x, activation="gelu")),
    "leaky relu": lambda x: conv(layers.LeakyReLU(0.2)(conv(x))),
    "relu with a slope": lambda x: conv(layers.ReLU(negative_slope=0.3)(conv(x))),
    "difference": lambda x: conv(conv(x) - conv(x)),
    "sum with one pixel": lambda x: conv(layers.Add()([conv(x), layers.GlobalAveragePooling2D(keepdims=True)(conv(x))])),
    "upsampling": lambda x: conv(layers.UpSampling2D(2)(conv(x))),
    "bilinear upsampling": lambda x: conv(layers.UpSampling2D((2, 3), interpolation="bilinear")(conv(x))),
    "rows and columns exchanged": lambda x: conv(layers.Permute((2, 1, 3))(conv(x))),
    "dense on maps": lambda x: layers.Dense(5, activation="relu")(conv(x, activation="relu")),
    "transposed": lambda x: layers.Conv2DTranspose(5, 3, 2, "same", activation="relu")(conv(x, activation="relu")),
    "transposed, small kernel, batch norm": lambda x: conv(
        layers.ReLU()(layers.BatchNormalization()(layers.Conv2DTranspose(5, 2, 3, "valid")(conv(x, activation="relu"))))
    ),
    "crop": lambda x: conv(layers.Cropping2D(((1, 2), (0, 1)))(conv(x))),
    "groups": lambda x: conv(conv(x), groups=2, activation="relu"),
    "sum of three": lambda x: conv(layers.Add()([conv(x), conv(x), conv(x)])),
    "sigmoid in a concatenation": lambda x: conv(layers.Concatenate()([conv(x, activation="sigmoid"), conv(x)])),
    "nested": lambda x: Sequential([layers.Conv2D(6, 3, activation="swish"), layers.BatchNormalization()])(conv(x)),
    "augmentation": lambda x: conv(layers.RandomFlip()(layers.GaussianNoise(0.1)(x)), activation="relu"),
}  # fmt: skip


FOLDED = ["separable", "nested", "transposed, small kernel, batch norm"]


@pytest.mark.parametrize(
    ("name", "batch_norm"), [*((name, "keep") for name in BODIES), *((name, "fold") for name in FOLDED)]
)
def test_no_code_differs(name: str, batch_norm: str, tmp_path):
    tf_keras.utils.set_random_seed(0)
    image = tf_keras.Input(SHAPE)
    network = tf_keras.Model(image, head(BODIES[name](image)))
    quantized = quantize(network, weight_bits=4, activation_bits=4, batch_norm=batch_norm)
    quantized.compile("sgd", "sparse_categorical_crossentropy")
    quantized.fit(IMAGES / np.float32(255), np.arange(len(IMAGES)) % CLASSES, batch_size=8, verbose=0)
    converted = convert(quantized, tmp_path, float32=False)
    model = converted.integer_model
    different = layer_mismatches(model, converted.files["int8"].read_bytes(), IMAGES[:6])
    assert different and not any(different.values()), different
    logits = model.predict(IMAGES)
    np.testing.assert_array_equal(DeviceNetwork(model).forward(IMAGES).numpy(), logits)
    assert len(np.unique(logits)) > 1


def test_a_tensor_that_is_always_zero_stays_zero_on_the_device(tmp_path):
    """Its step is so small that sums far below zero would overflow XNNPACK's integers on x86."""
    image = tf_keras.Input(SHAPE)
    small = tf_keras.initializers.RandomNormal(stddev=1e-5, seed=0)
    x = layers.Conv2D(6, 3, kernel_initializer=small, bias_initializer=tf_keras.initializers.Constant(-30.0))(image)
    network = tf_keras.Model(image, head(conv(layers.ReLU(name="dead")(x))))
    quantized = quantize(network, weight_bits=8, activation_bits=8, activation_range="unsigned")
    quantized(IMAGES / np.float32(255), training=True)
    converted = convert(quantized, tmp_path, float32=False)
    content = converted.files["int8"].read_bytes()
    different = layer_mismatches(converted.integer_model, content, IMAGES[:6])
    assert converted.integer_model.tensors["dead"].zero_point == -128 and not any(different.values()), different


def test_the_training_graph_has_the_slopes_of_the_device():
    """A LeakyReLU that wrote 4 bits would have slopes of a few 256ths, up to 10 % off."""
    tf_keras.utils.set_random_seed(0)
    image = tf_keras.Input(SHAPE)
    x = conv(layers.LeakyReLU(0.2)(conv(layers.LeakyReLU(0.2)(conv(image)))))
    model = quantize(tf_keras.Model(image, layers.Dense(CLASSES)(layers.GlobalAveragePooling2D()(x))))
    calibrate(model, IMAGES / np.float32(255))
    lowered = lower(model).integer_model
    with device_arithmetic(model):
        simulated = model(IMAGES / np.float32(255), training=False).numpy()
    step = lowered.tensors[lowered.outputs[0]].scale
    assert np.abs(simulated - lowered.predict(IMAGES)).max() <= 5 * step
