"""Weighted sums of large layers, compiled by Numba: one thread, and only the layers that count."""

import numpy as np
from numba import njit

NEGLIGIBLE = np.float32(0.005)


@njit(cache=True, fastmath=True)
def add_weighted(total: np.ndarray, weights: np.ndarray, layers: np.ndarray) -> None:
    """Add weights (L,) times layers (L, N, M) to `total` (N, M), all float32; weights below NEGLIGIBLE count as 0."""
    for layer in range(len(weights)):
        weight = weights[layer]
        if weight > NEGLIGIBLE:
            for row in range(total.shape[0]):
                for column in range(total.shape[1]):
                    total[row, column] += weight * layers[layer, row, column]
