"""Numbers over several seeds: mean and range, paired differences, curves, and the worst of what was verified."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import sqrt
from statistics import fmean, stdev

from pipeline.reporting.read import Json, Run, SeedRun, mapping, number, sequence
from pipeline.reporting.terms import terms

# 97.5 % quantiles of Student's t for 1, 2, ... degrees of freedom (any statistics table).
T_QUANTILES = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip


@dataclass(frozen=True)
class Spread:
    """Values of n seeds (n >= 1)."""

    values: tuple[float, ...]

    @property
    def n(self) -> int:
        """How many seeds."""
        return len(self.values)

    @property
    def mean(self) -> float:
        """Their mean."""
        return fmean(self.values)

    @property
    def low(self) -> float:
        """The smallest."""
        return min(self.values)

    @property
    def high(self) -> float:
        """The largest."""
        return max(self.values)

    @property
    def deviation(self) -> float | None:
        """Their standard deviation (n - 1), None for one seed."""
        return stdev(self.values) if self.n > 1 else None

    def interval(self) -> tuple[float, float] | None:
        """The 95 % confidence interval of the mean (Student's t), or None for one seed."""
        if self.n < 2:
            return None
        quantile = T_QUANTILES[min(self.n - 1, len(T_QUANTILES)) - 1]
        half = quantile * stdev(self.values) / sqrt(self.n)
        return self.mean - half, self.mean + half


@dataclass(frozen=True)
class Comparison:
    """One score of the run, of its baseline, and their differences seed by seed."""

    method: Spread | None
    baseline: Spread | None
    difference: Spread | None


@dataclass(frozen=True)
class Curve:
    """One quantity over the epochs: mean, smallest and largest value over the seeds that reached the epoch."""

    epochs: tuple[int, ...]
    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


def spread(values: Iterable[float | None]) -> Spread | None:
    """The values that are there, or None if there are none."""
    present = tuple(value for value in values if value is not None)
    return Spread(present) if present else None


def compare(run: Run, *path: str) -> Comparison:
    """Compare the score at `path` in `scores.json` with the baseline's, pairing seed folders of the same name."""
    ours = {seed.name: number(seed.scores, *path) for seed in run.seeds}
    theirs = {seed.name: number(seed.scores, *path) for seed in run.baseline.seeds} if run.baseline else {}
    pairs = [(value, theirs.get(name)) for name, value in ours.items()]
    differences = [a - b for a, b in pairs if a is not None and b is not None]
    return Comparison(spread(ours.values()), spread(theirs.values()), spread(differences))


def curve(run: Run | None, *path: str, factor: float = 1.0) -> Curve | None:
    """The quantity at `path` of the lines of `metrics.jsonl`, times `factor`; None if no seed has recorded it."""
    values: dict[int, list[float]] = {}
    for record in (record for seed in run.seeds for record in seed.epochs) if run else ():
        value = number(record, *path)
        if value is not None:
            values.setdefault(int(record["epoch"]), []).append(factor * value)
    if not values:
        return None
    epochs = tuple(sorted(values))
    spreads = [Spread(tuple(values[epoch])) for epoch in epochs]
    return Curve(epochs, tuple(s.mean for s in spreads), tuple(s.low for s in spreads), tuple(s.high for s in spreads))


def worst(run: Run, key: str, pick: Callable[[Iterable[float]], float]) -> float | None:
    """The worst value of `key` over all verified seeds; `pick` is `max` or `min`."""
    values = spread(number(seed.verification, key) for seed in run.verified)
    return pick(values.values) if values else None


def shipped(run: Run) -> SeedRun | None:
    """The verified seed with the best validation metric (without one: the first), whose files a user gets."""
    key = terms(run).val_key
    return max(run.verified, key=lambda seed: number(seed.scores, key) or 0.0, default=None)


def missing_seeds(run: Run) -> tuple[str, ...]:
    """The seeds the configuration asks for, or that have begun, and that have no scores."""
    begun = {seed.name for seed in run.seeds}
    seeds = [f"seed{seed}" for seed in sequence(run.config, "seeds") if isinstance(seed, int)]
    folds = [f"-fold{fold}" for fold in sequence(mapping(run.config, "data"), "folds") if isinstance(fold, int)]
    absent = [seed + fold for seed in seeds for fold in folds or [""] if seed + fold not in begun]
    return tuple(absent + [seed.name for seed in run.seeds if not seed.scores])


def layers(seed: SeedRun) -> list[Json]:
    """The layers of a verified network, in order."""
    return [layer for layer in sequence(seed.verification, "layers") if isinstance(layer, dict)]
