"""Series for the figures of a study: along an axis of its conditions, and over the epochs at one condition."""

import itertools
from collections.abc import Iterable, Mapping, Sequence

from pipeline.au_intervals import Difference
from pipeline.reporting.read import number
from pipeline.reporting.series import Point
from pipeline.reporting.study_difference import paired_difference
from pipeline.reporting.study_numbers import ArmNumbers, StudyNumbers
from pipeline.reporting.summary import Spread, spread
from pipeline.study.results import Condition, Pair, Result, Results

RATE = "noise.rate"
USUAL_RATE = 0.4  # at which curves over the epochs are shown
History = Mapping[Pair, Sequence[Mapping]]  # lines of metrics.jsonl by seed and fold
ByEpoch = Mapping[int, Mapping[Pair, float]]  # a number by epoch, and by seed and fold


def numeric_axis(results: Results) -> str | None:
    """The axis of a figure against the conditions: of numbers, at least two; label noise before others."""
    axes = [
        key
        for key, values in results.axes.items()
        if len(values) > 1 and all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    ]
    return min(axes, key=lambda key: (not key.startswith("noise."), axes.index(key)), default=None)


def other_conditions(results: Results, axis: str) -> list[Condition]:
    """Every point of the axes but `axis`, [{}] if there is no other."""
    others = {key: values for key, values in results.axes.items() if key != axis}
    return [dict(zip(others, point, strict=True)) for point in itertools.product(*others.values())]


def shown_value(axis: str, value: float) -> float:
    """A value of an axis as it stands at a chart: shares in per cent."""
    return round(100 * value, 6) if axis == RATE else value


def rows_along(
    results: Results, numbers: StudyNumbers, axis: str, rest: Condition
) -> dict[str, list[tuple[float, ArmNumbers]]]:
    """By variant, what it reaches at each value of `axis`, the other axes being at `rest`."""
    at = {value: {key: value if key == axis else rest[key] for key in results.axes} for value in results.axes[axis]}
    found = {value: next(each for each in numbers.conditions if each.condition == at[value]) for value in sorted(at)}
    return {
        name: [(shown_value(axis, value), each.row(name)) for value, each in found.items()] for name in results.variants
    }


def usual_condition(results: Results) -> Condition:
    """Where the curves over the epochs are shown: the noise rate nearest 40 %, else the highest number; {} without axes."""
    return {key: _usual(key, values) for key, values in results.axes.items()}


def _usual(key: str, values: Sequence) -> object:
    if key == RATE:
        return min(values, key=lambda rate: (abs(rate - USUAL_RATE), rate))
    if all(isinstance(value, int | float) for value in values):
        return max(values)
    return values[0]


def score_point(x: float, values: Spread | None) -> Point:
    """The mean in % with its standard deviation; a gap if there is no value."""
    if values is None:
        return Point(x, None)
    mean, half = 100 * values.mean, None if values.deviation is None else 100 * values.deviation
    return Point(x, mean, None if half is None else mean - half, None if half is None else mean + half, values.n)


def gain_point(x: float, gain: Difference) -> Point:
    """The mean difference in points with its 95 % t interval; a gap if there is no pair."""
    low, high = (None if end is None else 100 * end for end in (gain.low, gain.high))
    return Point(x, None if gain.mean is None else 100 * gain.mean, low, high, gain.pairs)


def scores_by_pair(cells: Iterable[Result], numbers: StudyNumbers) -> dict[Pair, float]:
    """The study's metric in [0, 1] by seed and fold, of the cells that are done and have it."""
    found = {cell.pair: number(cell.scores, *numbers.terms.score) for cell in cells}
    return {pair: value for pair, value in found.items() if value is not None}


def standing_cells(results: Results, numbers: StudyNumbers, variant: str, condition: Condition) -> tuple[Result, ...]:
    """The cells of a variant at its chosen setting and at a condition."""
    setting = numbers.chosen[variant]
    return () if setting is None else results.select(variant, setting, condition)


def done_histories(
    results: Results, numbers: StudyNumbers, variant: str, condition: Condition
) -> dict[Pair, list[dict]]:
    """The epochs of a variant's cells at a condition that are done and have recorded any."""
    cells = standing_cells(results, numbers, variant, condition)
    found = {cell.pair: cell.history() for cell in cells if cell.scores}
    return {pair: lines for pair, lines in found.items() if lines}


def by_epoch(lines: History, *path: str, whole: bool = False) -> ByEpoch:
    """The numbers at `path` of the lines; `whole`: only of epochs for which every run has one."""
    values: dict[int, dict[Pair, float]] = {}
    for pair, own in lines.items():
        for line in own:
            value = number(line, *path)
            if value is not None:
                values.setdefault(int(line["epoch"]), {})[pair] = value
    return {epoch: found for epoch, found in sorted(values.items()) if not whole or len(found) == len(lines)}


def gains_by_epoch(values: ByEpoch, reference: ByEpoch) -> tuple[Point, ...]:
    """The paired gain at every epoch both have been evaluated at."""
    return tuple(
        gain_point(epoch, paired_difference(found, reference[epoch]))
        for epoch, found in values.items()
        if epoch in reference
    )


def raw_point(epoch: float, found: Mapping[Pair, float], factor: float = 1.0) -> Point:
    """The mean over the pairs with their standard deviation, times `factor`."""
    values = spread(factor * value for value in found.values())
    half = values.deviation
    low, high = (None, None) if half is None else (values.mean - half, values.mean + half)
    return Point(epoch, values.mean, low, high, values.n)
