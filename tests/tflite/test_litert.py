"""Running files: images in, logits out, on both kinds of kernels; times of single calls."""

import numpy as np
import pytest

from pipeline.errors import UserError
from pipeline.quantization.lowering import lower
from pipeline.tflite.litert import LiteRtModel
from pipeline.tflite.verify import LATENCY_ROUNDS, measure_latency
from pipeline.tflite.write import write_tflite
from tests.quantization.quantization_samples import CLASSES, images, padded_stride, quantized


@pytest.fixture(scope="module")
def integer_model():
    return lower(quantized(padded_stride)).integer_model


@pytest.fixture(scope="module")
def content(integer_model) -> bytes:
    return write_tflite(integer_model, True, False, "test")


def test_logits_are_those_of_the_integer_model(integer_model, content: bytes):
    batch = images(7)
    np.testing.assert_array_equal(LiteRtModel(content).logits(batch), integer_model.predict(batch))


def test_builtin_kernels_are_other_kernels(content: bytes):
    batch = images(40)
    builtin = LiteRtModel(content, "builtin").logits(batch)
    assert builtin.shape == (40, CLASSES) and np.any(builtin != LiteRtModel(content).logits(batch))


@pytest.mark.parametrize("wrong", [b"", b"TFL3", b"no TFLite file at all, but long enough to look like one" * 9])
def test_files_that_are_no_tflite_files(wrong: bytes):
    with pytest.raises(UserError, match="not a TFLite file that LiteRT can run"):
        LiteRtModel(wrong)


def test_a_truncated_file(content: bytes):
    with pytest.raises(UserError, match="not a TFLite file that LiteRT can run"):
        LiteRtModel(content[: len(content) // 2])


@pytest.mark.parametrize("runs", [1, 7, 30])
def test_latency_of_several_files(content: bytes, runs: int):
    found = measure_latency({"one": content, "other": content}, images(1)[0], runs)
    assert list(found) == ["one", "other"]
    for summary in found.values():
        assert 0 < summary["p10"] <= summary["median"] <= summary["p90"]
        assert summary["runs"] == LATENCY_ROUNDS * max(runs // LATENCY_ROUNDS, 1)
