"""Networks with several inputs and outputs, and with shared layers: no code differs from LiteRT's."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from tf_keras import Input, Model, Sequential, layers

from pipeline import UserError, calibrate, convert, load, quantize, verify
from pipeline.quantization.device_network import DeviceNetwork
from pipeline.quantization.integer_model import listed, unlisted
from pipeline.tflite.exactness import layer_mismatches, stored_differently
from pipeline.tflite.litert import LiteRtModel
from pipeline.tflite.metadata import names_in

SHAPE = (9, 10, 3)


def conv(x, filters: int = 6, **options):
    return layers.Conv2D(filters, 3, padding="same", **options)(x)


def pooled(x):
    return layers.GlobalAveragePooling2D()(x)


def encoder() -> Sequential:
    body = [layers.Conv2D(6, 3), layers.BatchNormalization(), layers.ReLU(), layers.GlobalAveragePooling2D()]
    return Sequential([Input(SHAPE), *body, layers.Dense(5)], name="encoder")


def two_outputs():
    image = Input(SHAPE)
    x = pooled(conv(image, activation="relu"))
    return Model(image, [layers.Dense(4, activation="softmax", name="kind")(x), layers.Dense(1, name="age")(x)])


def outputs_by_name():
    image = Input(SHAPE)
    x = pooled(conv(image, activation="relu"))
    return Model(image, {"kind": layers.Dense(4, activation="softmax")(x), "age": layers.Dense(1)(x)})


def outputs_inside():
    """Outputs that other layers read: of a convolution before its ReLU, a ReLU, a gate and a concatenation."""
    image = Input(SHAPE)
    x = conv(image)
    r = layers.ReLU()(x)
    gate = conv(x, activation="sigmoid")
    both = layers.Concatenate()([r, layers.Multiply()([x, gate])])
    return Model(image, [x, r, gate, both, layers.Dense(3)(pooled(both))])


def one_output_twice():
    image = Input(SHAPE)
    y = layers.Dense(3)(pooled(conv(image)))
    return Model(image, [y, y])


def two_inputs():
    left, right = Input(SHAPE, name="left"), Input((8, 6, 1), name="right")
    x = layers.Concatenate()([pooled(conv(left, activation="relu")), pooled(conv(right, activation="relu"))])
    return Model([left, right], layers.Dense(4)(x))


def inputs_by_name():
    left, right = Input(SHAPE, name="left"), Input(SHAPE, name="right")
    return Model({"a": left, "b": right}, layers.Dense(4)(pooled(conv(layers.Add()([conv(left), conv(right)])))))


def siamese():
    left, right, shared = Input(SHAPE, name="left"), Input(SHAPE, name="right"), encoder()
    return Model([left, right], layers.Dense(2)(layers.Subtract()([shared(left), shared(right)])))


def two_embeddings():
    left, right, shared = Input(SHAPE, name="left"), Input(SHAPE, name="right"), encoder()
    return Model([left, right], [shared(left), shared(right)])


def shared_layers():
    image = Input(SHAPE)
    convolution, norm, relu = layers.Conv2D(3, 3, padding="same"), layers.BatchNormalization(), layers.ReLU()
    x = relu(norm(convolution(relu(norm(convolution(image))))))
    return Model(image, layers.Dense(4)(pooled(x)))


def shared_convolution_only():
    image = Input(SHAPE)
    convolution = layers.Conv2D(3, 3, padding="same", name="shared")
    x = layers.ReLU()(layers.BatchNormalization()(convolution(image)))
    return Model(image, layers.Dense(4)(pooled(layers.BatchNormalization()(convolution(x)))))


def shared_poolings():
    image = Input(SHAPE)
    average, largest = layers.AveragePooling2D(2, 1, "same"), layers.MaxPooling2D(2, 1, "same")
    return Model(image, layers.Dense(4)(pooled(average(largest(conv(average(largest(conv(image)))))))))


NETWORKS = (
    *(two_outputs, outputs_by_name, outputs_inside, one_output_twice, two_inputs, inputs_by_name, siamese),
    *(two_embeddings, shared_layers, shared_convolution_only, shared_poolings),
)
FOLDED = (siamese, two_embeddings, shared_layers)


def trained(network: Model, batch_norm: str) -> tuple[Model, tuple]:
    """The network quantized and trained for two steps, and uint8 examples."""
    random, model = np.random.default_rng(0), quantize(network, batch_norm=batch_norm)
    examples = [random.integers(0, 256, (16, *tensor.shape[1:])).astype(np.uint8) for tensor in model.inputs]
    targets = [random.random((16, *tensor.shape[1:])).astype(np.float32) for tensor in model.outputs]
    inputs = tf.nest.pack_sequence_as(model.input, [part / np.float32(255) for part in examples])
    model.compile("sgd", "mse")
    model.fit(inputs, tf.nest.pack_sequence_as(model.output, targets), batch_size=8, verbose=0)
    return model, tuple(examples)


@pytest.mark.parametrize(
    ("build", "batch_norm"), [*((build, "keep") for build in NETWORKS), *((build, "fold") for build in FOLDED)]
)
def test_no_code_differs(build, batch_norm: str, tmp_path):
    tf_keras.utils.set_random_seed(0)
    network = build()
    model, examples = trained(network, batch_norm)
    converted = convert(model, tmp_path, float32=False)
    integer, content = converted.integer_model, converted.files["int8"].read_bytes()
    different = layer_mismatches(integer, content, unlisted([part[:4] for part in examples]))
    assert different and not any(different.values()), different
    assert not stored_differently(content, integer, packed_int4=False)
    results = listed(integer.predict(unlisted(examples)))
    device = listed(DeviceNetwork(integer).forward(unlisted(examples)))
    files = listed(LiteRtModel(content).logits(unlisted(examples)))
    assert len(results) == len(network.outputs)
    for ours, device_result, file_result in zip(results, device, files, strict=True):
        np.testing.assert_array_equal(device_result, ours)
        np.testing.assert_array_equal(file_result, ours)
        assert len(np.unique(ours)) > 1
    check_saved(model, integer, examples, tmp_path)


def check_saved(model: Model, integer, examples: tuple, folder) -> None:
    """A saved and loaded model gives the same integer model."""
    model.save(folder / "model.keras")
    again = convert(load(folder / "model.keras"), folder, float32=False).integer_model
    for first, second in zip(
        listed(integer.predict(unlisted(examples))), listed(again.predict(unlisted(examples))), strict=True
    ):
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("build", [two_outputs, two_inputs, outputs_by_name, inputs_by_name, siamese])
def test_signatures_have_the_users_names(build, tmp_path):
    tf_keras.utils.set_random_seed(0)
    network = build()
    model, examples = trained(network, "keep")
    outputs = sorted(network.output) if isinstance(network.output, dict) else network.output_names
    assert model.input_names == network.input_names
    assert len(model.outputs) == 1 or model.output_names == network.output_names
    for path in convert(model, tmp_path).files.values():
        runner = tf.lite.Interpreter(str(path)).get_signature_runner()
        expected = {*outputs} if len(outputs) > 1 else {"output"}
        assert set(runner.get_output_details()) == expected
        expected = {*network.input_names} if len(examples) > 1 else {"image"}
        assert set(runner.get_input_details()) == expected
        named = {name: part[:1] / np.float32(255) for name, part in zip(network.input_names, examples, strict=True)}
        results = runner(**(named if len(examples) > 1 else {"image": examples[0][:1] / np.float32(255)}))
        values = listed(LiteRtModel(path.read_bytes()).logits(unlisted([part[:1] for part in examples])))
        for name, value in zip(outputs if len(outputs) > 1 else ["output"], values, strict=True):
            np.testing.assert_allclose(results[name], value, atol=1e-6)  # two interpreters, also for floats


def test_losses_by_output_name_also_after_loading(tmp_path):
    tf_keras.utils.set_random_seed(0)
    model, (images,) = trained(two_outputs(), "keep")
    model.compile("sgd", {"kind": "sparse_categorical_crossentropy", "age": "mse"})
    targets = {"kind": np.arange(16) % 4, "age": np.linspace(0, 1, 16)}
    model.fit(images / np.float32(255), targets, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = load(tmp_path / "model.keras")
    expected = model.evaluate(images / np.float32(255), targets, verbose=0)
    np.testing.assert_allclose(loaded.evaluate(images / np.float32(255), targets, verbose=0), expected, rtol=1e-5)


def test_a_shared_layer_keeps_one_kernel(tmp_path):
    tf_keras.utils.set_random_seed(0)
    network = shared_convolution_only()
    model, _ = trained(network, "keep")
    assert len(model.trainable_variables) == len(network.trainable_variables)
    converted = convert(model, tmp_path, float32=False)
    first, second = (each for each in converted.integer_model.operations if each.name.startswith("shared."))
    np.testing.assert_array_equal(first.weights.codes, second.weights.codes)


def test_folding_a_shared_layer_with_several_batch_norms():
    with pytest.raises(UserError, match=r"'shared'.*batch_norm: keep"):
        quantize(shared_convolution_only(), batch_norm="fold")


def test_an_input_that_is_also_an_output():
    image = Input(SHAPE, name="picture")
    with pytest.raises(UserError, match=r"'picture'.*also an output"):
        quantize(Model(image, [image, layers.Dense(2)(pooled(image))]))


@pytest.mark.parametrize("ends", [("softmax", None), (None, "softmax"), ("softmax", "sigmoid"), ("softmax", "softmax")])
def test_probabilities_of_the_outputs_that_end_in_them(ends: tuple, tmp_path):
    tf_keras.utils.set_random_seed(0)
    image = Input(SHAPE)
    x = pooled(conv(image, activation="relu"))
    network = Model(image, [layers.Dense(4, activation=end, name=f"o{number}")(x) for number, end in enumerate(ends)])
    model, (images,) = trained(network, "keep")
    converted = convert(model, tmp_path, outputs="probabilities")
    for path in converted.files.values():
        for end, values in zip(ends, LiteRtModel(path.read_bytes()).logits(images), strict=True):
            if end == "softmax":
                np.testing.assert_allclose(values.sum(axis=1), 1, atol=1e-5)
            assert values.shape == (16, 4) and (end is None or (values >= 0).all())
    assert verify(model, converted, images)["float_tensors"] == []


@pytest.mark.parametrize("names", [("image", "p"), ("p", "image"), ("image", "output")])
def test_outputs_called_as_the_only_input(names: tuple, tmp_path):
    tf_keras.utils.set_random_seed(0)
    image = Input(SHAPE)
    x = pooled(conv(image, activation="relu"))
    network = Model(image, [layers.Dense(2 + number, name=name)(x) for number, name in enumerate(names)])
    model, (images,) = trained(network, "keep")
    for path in convert(model, tmp_path).files.values():
        results = tf.lite.Interpreter(str(path)).get_signature_runner()(image=images[:1] / np.float32(255))
        assert {name: value.shape for name, value in results.items()} == {names[0]: (1, 2), names[1]: (1, 3)}


def test_outputs_in_nested_dicts_have_the_names_of_their_layers(tmp_path):
    image = Input(SHAPE)
    x = pooled(conv(image))
    first, second, third = (layers.Dense(units, name=name)(x) for units, name in ((3, "kind"), (2, "size"), (1, "age")))
    model = quantize(Model(image, {"a": {"b": first, "c": second}, "d": third}))
    inputs = np.random.default_rng(0).random((8, *SHAPE)).astype(np.float32)
    model(inputs, training=True)
    for path in convert(model, tmp_path).files.values():
        assert names_in(path.read_bytes())[1] == ["kind", "size", "age"]
        assert [values.shape for values in LiteRtModel(path.read_bytes()).logits(inputs)] == [(8, 3), (8, 2), (8, 1)]


def test_inputs_with_different_numbers_of_examples():
    model = quantize(two_inputs())
    with pytest.raises(UserError, match=r"the inputs have 16, 4 examples"):
        calibrate(model, (np.zeros((16, *SHAPE), np.float32), np.zeros((4, 8, 6, 1), np.float32)))
