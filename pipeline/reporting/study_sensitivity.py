"""How much a method's result hangs on its settings: one number a method, its sensitivity, and how sure that is."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

RESAMPLES = 2000
FEWEST_PAIRS = 5  # of three pairs 95 % of the resamples are just the range of the three

DEFINITION = (
    "Sensitivity: the standard deviation over a method's settings (n − 1) of their mean score in points, averaged over "
    "the conditions; the same whichever setting is the reference. Range: largest minus smallest mean, averaged "
    "likewise. By chance alone: the sensitivity that settings of equal worth would show with so few runs (from the "
    "residual of settings by runs). All of them depend on the grid that was chosen: a wider one spreads more."
)


@dataclass(frozen=True)
class Sensitivity:
    """Shares, not points; `interval` is the 95 % bootstrap over pairs of runs, None for fewer than FEWEST_PAIRS."""

    value: float
    range: float
    chance: float | None
    interval: tuple[float, float] | None
    settings: int
    conditions: int
    pairs: int


def sensitivity_of(scores: np.ndarray, level: float = 0.95) -> Sensitivity:
    """The sensitivity of a method from `scores` (S settings, C conditions, P pairs of seed and fold), S > 1."""
    settings, conditions, pairs = scores.shape
    means = scores.mean(axis=2)
    interval = None
    if pairs >= FEWEST_PAIRS:
        interval = tuple(np.quantile(_resampled(scores, pairs), [(1 - level) / 2, (1 + level) / 2]).tolist())
    return Sensitivity(
        value=float(_value(means)),
        range=float(np.ptp(means, axis=0).mean()),
        chance=_chance(scores) if pairs > 1 else None,
        interval=interval,
        settings=settings,
        conditions=conditions,
        pairs=pairs,
    )


def farthest(scores: np.ndarray) -> tuple[int, float]:
    """The setting of `scores` (S, C, P), S > 2, without which the sensitivity is lowest, and that sensitivity."""
    means = scores.mean(axis=2)
    left = [float(_value(np.delete(means, place, axis=0))) for place in range(len(means))]
    return int(np.argmin(left)), min(left)


def clearly_less(scores: np.ndarray, others: np.ndarray, level: float = 0.95) -> bool:
    """Whether `scores` (S, C, P) are less sensitive than `others` (S', C, P) in the bootstrap over the same P pairs."""
    pairs = scores.shape[2]
    if pairs < FEWEST_PAIRS:
        return False
    difference = _resampled(others, pairs) - _resampled(scores, pairs)
    return bool(np.quantile(difference, (1 - level) / 2) > 0)


def _value(means: np.ndarray) -> np.ndarray:
    """Of means (..., S, C)."""
    return means.std(axis=-2, ddof=1).mean(axis=-1)


def _resampled(scores: np.ndarray, pairs: int) -> np.ndarray:
    """The sensitivity of RESAMPLES draws of the P pairs with replacement, the same draws for every method."""
    drawn = np.random.default_rng(0).multinomial(pairs, np.full(pairs, 1 / pairs), size=RESAMPLES)
    return _value(np.einsum("scp,np->nsc", scores, drawn / pairs))


def _chance(scores: np.ndarray) -> float:
    """The standard error of a setting's mean, beside what the settings of a pair have in common; mean over conditions."""
    settings, _, pairs = scores.shape
    common = (
        scores.mean(axis=2, keepdims=True) + scores.mean(axis=0, keepdims=True) - scores.mean((0, 2), keepdims=True)
    )
    residual = ((scores - common) ** 2).sum(axis=(0, 2)) / ((settings - 1) * (pairs - 1))
    return float(np.sqrt(residual / pairs).mean())


def complete(table: Mapping[tuple, float], settings: tuple, conditions: tuple, pairs: tuple) -> tuple[tuple, tuple]:
    """The (settings, pairs) for which `table`, by (setting, condition, pair), holds a number at every condition.

    A setting without a single whole pair is left out, and then every pair that lacks any of the others.
    """

    def whole(setting, pair) -> bool:
        return all((setting, condition, pair) in table for condition in conditions)

    kept = tuple(setting for setting in settings if any(whole(setting, pair) for pair in pairs))
    return kept, tuple(pair for pair in pairs if kept and all(whole(setting, pair) for setting in kept))


def cube(table: Mapping[tuple, float], settings: tuple, conditions: tuple, pairs: tuple) -> np.ndarray:
    """The numbers of `table` as (S, C, P)."""
    return np.array([[[table[s, c, p] for p in pairs] for c in conditions] for s in settings])
