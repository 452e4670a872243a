"""Crops of rendered faces for benchmarks of networks."""

import numpy as np

from tests.web.web_page import face

PERSONS = 20
MARGIN = 1 / 8  # of the crop, which is taken from a slightly larger image


def rendered_crops(count: int, size: int = 64) -> np.ndarray:
    """Smiling faces of PERSONS persons as crops uint8 (count, size, size, 3)."""
    margin = round(MARGIN * size)
    images = [face(number % PERSONS, size + 2 * margin, smile=number / count) for number in range(count)]
    return np.stack(images)[:, margin:-margin, margin:-margin]
