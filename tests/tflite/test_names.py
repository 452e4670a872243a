"""Tensor names: unique in every file, whatever layers and inputs are called; such files load and are exact."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import tf_keras
from ai_edge_litert import schema_py_generated as schema
from tf_keras import layers as kl

from pipeline.errors import UserError
from pipeline.quantization.scheme import quantize
from pipeline.tflite.convert import convert
from pipeline.tflite.litert import LiteRtModel
from pipeline.tflite.verify import verify

USUAL = ("c1", "r1", "c2", "add", "r2", "flat", "norm", "out")
NAMES = {
    "a layer output": ((*USUAL[:-1], "output"), "image"),
    "an input output": (USUAL, "output"),
    "slashes": (("a/c1", "a/r1", "a/b/c2", "a", "a/b", "a/b/c", "c1", "logits/out"), "in/put"),
    "TF-MOT's prefix": (
        ("quant_c1", "c1", "quant_quant_c1", "quant_add", "add", "quant_norm", "norm", "quant_out"), "quant_image",
    ),
    "what TF-MOT makes": (("c1", "quant_c1", "c2", "quant_c2", "r2", "quant_out", "norm", "out"), "quant_add"),
    "what the writer makes": (
        ("c1", "c1/kernel", "c1/bias", "norm/pixel", "norm/result", "norm/kernel", "norm", "out"), "image_2",
    ),
    "what the lowering makes": (
        ("c1", "r1", "c2", "r1_to_4_bits", "r1_to_4_bits_2", "image_quantize", "r1/unclamped", "output"), "image",
    ),
}  # fmt: skip


def network(names: tuple[str, ...], image: str) -> tf_keras.Model:
    """A residual network whose layers and input have these names."""
    tf_keras.utils.set_random_seed(3)
    made = iter(names)
    first = tf_keras.Input((8, 8, 1), name=image)
    x = kl.Conv2D(4, 3, name=next(made))(first)
    x = kl.ReLU(name=next(made))(x)
    y = kl.Conv2D(4, 3, padding="same", name=next(made))(x)
    x = kl.Add(name=next(made))([x, y])
    x = kl.ReLU(name=next(made))(x)
    x = kl.Flatten(name=next(made))(x)
    x = kl.BatchNormalization(name=next(made))(x)
    return tf_keras.Model(first, kl.Dense(3, name=next(made))(x))


def images(count: int) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (count, 8, 8, 1)).astype(np.uint8)


def tensor_names(path: Path) -> list[bytes]:
    file = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    return [tensor.name for tensor in file.subgraphs[0].tensors]


@pytest.mark.parametrize(("names", "image"), NAMES.values(), ids=NAMES)
def test_names_are_unique_and_the_files_are_exact(names, image: str, tmp_path: Path):
    batch = images(48)
    model = quantize(network(names, image))
    model(batch / np.float32(255), training=True)
    for io in ("float32", "int8"):
        converted = convert(model, tmp_path, io=io)
        for path in converted.files.values():
            assert [name for name, count in Counter(tensor_names(path)).items() if count > 1] == []
        report = verify(model, converted, batch, np.arange(48) % 3, latency_runs=10, metric_delta=100)
        assert report["failures"] == [] and report["code_mismatch"] == 0


def test_the_float_ends_keep_their_names(tmp_path: Path):
    model = quantize(network((*USUAL[:-1], "output"), "image"))
    model(images(8) / np.float32(255), training=True)
    path = convert(model, tmp_path).files["int8"]
    file = LiteRtModel(path.read_bytes())
    assert (file._inputs[0]["name"], file.outputs[0]["name"]) == ("image", "output")
    assert {b"image_2", b"output_2"} <= set(tensor_names(path))


def test_a_network_that_has_seen_no_data_is_not_converted(tmp_path: Path):
    model = quantize(network(USUAL, "image"))
    with pytest.raises(UserError, match=r"seen no data.*calibrate\(model, data\)"):
        convert(model, tmp_path)
    assert not list(tmp_path.iterdir())
    model(images(8) / np.float32(255), training=True)
    assert convert(model, tmp_path).files


def test_the_last_activation_may_have_any_name(tmp_path: Path):
    body = network(USUAL, "image")
    for name in ("image_quantize", "r1_to_4_bits", "quant_c1", "output"):
        end = kl.Activation("softmax", name=name)
        model = quantize(tf_keras.Model(body.input, end(body.output)))
        model(images(8) / np.float32(255), training=True)
        names = tensor_names(convert(model, tmp_path, int4=False, float32=False).files["int8"])
        assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", ["quantize_annotate_2", "my picture", "_picture", "picture:0"])
def test_an_input_of_which_no_layer_can_be_named_is_refused(name: str):
    with pytest.raises(UserError, match=f"an input is called '{name}'.*give it"):
        quantize(network(USUAL, name))
