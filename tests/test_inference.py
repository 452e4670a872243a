"""Logits batch by batch."""

import numpy as np
import pytest

from pipeline.inference import BATCH, compile_forward, logits_in_batches
from tests.training_samples import tiny_network

IMAGES = np.random.default_rng(0).integers(0, 256, (BATCH + 7, 8, 8, 1), dtype=np.uint8)


@pytest.mark.parametrize("count", [0, 1, BATCH, BATCH + 7])
def test_logits_of_any_number_of_images(count):
    model = tiny_network(dropout=0.5)
    logits = logits_in_batches(compile_forward(model), IMAGES[:count])
    assert (logits.shape, logits.dtype) == ((count, 3), np.float32)
    if count:
        np.testing.assert_allclose(logits, model(IMAGES[:count] / np.float32(255), training=False), atol=1e-5)


def test_something_can_happen_between_batches():
    calls = []
    logits_in_batches(compile_forward(tiny_network()), IMAGES, lambda: calls.append(1))
    assert len(calls) == 2
