"""Series of points for charts: means with their intervals, gaps where a number is missing, and a range for them all."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from pipeline.reporting.markers import Marker

MARGIN = 0.05  # of the range of values, above and below them
CUT = 0.4  # how far intervals may widen the range, as a share of the range of the means


@dataclass(frozen=True)
class Point:
    """One value of a series with its interval; a mean of None is a gap, a low of None has no interval."""

    x: float
    mean: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0


@dataclass(frozen=True)
class Series:
    """One curve; `css` names its colour and dash, `label` stands at its end ("": nowhere)."""

    label: str
    css: str
    points: tuple[Point, ...]
    marker: Marker | None = None
    interval: Literal["band", "whisker", "none"] = "band"

    @property
    def known(self) -> tuple[Point, ...]:
        """The points that are not gaps."""
        return tuple(point for point in self.points if point.mean is not None)

    @property
    def stretches(self) -> list[list[Point]]:
        """The points between gaps."""
        return [list(points) for known, points in groupby(self.points, lambda point: point.mean is not None) if known]


def common_range(
    groups: Iterable[Sequence[Series]], also: Sequence[float] = (), within: tuple[float, float] | None = None
) -> tuple[float, float]:
    """One vertical range for several charts, inside `within`; an interval far outside of all means is cut off."""
    points = [(point, series.interval != "none") for group in groups for series in group for point in series.known]
    means = [point.mean for point, _ in points] + list(also)
    ends = [end for point, drawn in points if drawn for end in (point.low, point.high) if end is not None]
    room = CUT * (max(means) - min(means)) or abs(means[0]) * 0.1 or 1.0
    low = max(min([*means, *ends]), min(means) - room)
    high = min(max([*means, *ends]), max(means) + room)
    margin = MARGIN * (high - low) or 0.5
    low, high = max(0.0, low - margin) if low >= 0 else low - margin, high + margin
    return (low, high) if within is None else (max(low, within[0]), min(high, within[1]))


def is_cut(series: Iterable[Series], limits: tuple[float, float]) -> bool:
    """Whether an interval leaves the range."""
    points = [point for each in series if each.interval != "none" for point in each.known if point.low is not None]
    return any(point.low < limits[0] or point.high > limits[1] for point in points)
