"""Label noise for classes: uniform resampling as in the paper, pair flips, and any transition matrix."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.errors import UserError
from pipeline.runs.sampling import count_of, stream


@dataclass(frozen=True)
class NoisyLabels:
    """Labels int64 (N,) to train on, and where they differ from the true ones, bool (N,)."""

    labels: np.ndarray
    corrupted: np.ndarray


def corrupt(labels: np.ndarray, classes: int, noise: Any, seed: int) -> NoisyLabels:
    """Corrupt the true `labels` int64 (N,) of K `classes` as the config section `noise` says.

    Depends on its arguments only, so every method meets the same noise. At one seed the examples that a lower rate of
    `uniform` or `pair_flip` changes are among those of a higher rate.

    Raises:
        UserError: a transition matrix that is not K x K.
    """
    labels = np.asarray(labels, dtype=np.int64)
    draws = stream("noise", seed)
    match noise.kind:
        case "none":
            noisy = labels.copy()
        case "uniform":
            noisy = _uniform(labels, classes, noise.rate, draws)
        case "pair_flip":
            noisy = _pair_flip(labels, classes, noise.rate, draws)
        case "matrix":
            noisy = _by_matrix(labels, classes, noise.matrix, draws)
        case kind:
            raise UserError(f"noise.kind: {kind!r} is unknown; use none, uniform, pair_flip or matrix")
    return NoisyLabels(noisy, noisy != labels)


def _uniform(labels: np.ndarray, classes: int, rate: float, draws: np.random.Generator) -> np.ndarray:
    """Exactly floor(N * rate) labels resampled uniformly over all K classes, the true one included (paper, sec. 3.1)."""
    touched = draws.permutation(len(labels))[: count_of(len(labels), rate)]
    noisy = labels.copy()
    noisy[touched] = draws.integers(classes, size=len(labels))[: len(touched)]
    return noisy


def _pair_flip(labels: np.ndarray, classes: int, rate: float, draws: np.random.Generator) -> np.ndarray:
    """Exactly floor(N * rate) labels k turned into k + 1 mod K."""
    touched = draws.permutation(len(labels))[: count_of(len(labels), rate)]
    noisy = labels.copy()
    noisy[touched] = (noisy[touched] + 1) % classes
    return noisy


def _by_matrix(labels: np.ndarray, classes: int, matrix: list[list[float]], draws: np.random.Generator) -> np.ndarray:
    """Each label sampled from the column of its true class.

    matrix[s][y] = P(label=s | true_label=y), so columns sum to 1 (cleanlab's convention).
    """
    widths = {len(row) for row in matrix}
    if len(matrix) != classes or widths != {classes}:
        shape = f"{len(matrix)} x {'/'.join(str(width) for width in sorted(widths))}"
        raise UserError(
            f"noise.matrix: the data has {classes} classes, so the matrix must be {classes} x {classes}, "
            f"not {shape}; row s, column y is P(label=s | true_label=y)"
        )
    cumulative = np.cumsum(np.asarray(matrix, dtype=np.float64), axis=0)
    cumulative /= cumulative[-1]  # exactly 1 at the end: a draw below 1 never passes the last possible class
    return (draws.random(len(labels))[:, None] >= cumulative.T[labels]).sum(axis=1)
