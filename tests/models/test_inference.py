"""Logits batch by batch."""

import numpy as np
import pytest

from pipeline.data.batches import MAX_IMAGES, MAX_PIXELS, images_at_once
from pipeline.models.inference import compile_forward, logits_in_batches
from tests.training.training_samples import tiny_network

IMAGES = np.random.default_rng(0).integers(0, 256, (MAX_IMAGES + 7, 8, 8, 1), dtype=np.uint8)


@pytest.mark.parametrize("count", [0, 1, MAX_IMAGES, MAX_IMAGES + 7])
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


@pytest.mark.parametrize(("side", "count"), [(8, MAX_IMAGES), (64, 256), (299, 11), (2000, 1)])
def test_larger_images_come_in_smaller_batches(side: int, count: int):
    assert images_at_once(side, side) == count
    assert count == 1 or count * side**2 <= MAX_PIXELS
