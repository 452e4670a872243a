"""Charts of several series over a numeric axis: bands or whiskers, marks, labels at the ends of the curves."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from pipeline.reporting.chart_frame import Frame, spread_labels
from pipeline.reporting.markers import Marker, marker
from pipeline.reporting.series import Point, Series, common_range
from pipeline.reporting.svg import Scale, canvas, text_at, ticks

LABEL_GAP, LETTER, BESIDE = 15, 7.0, 26
LONGEST_LABEL = 22
MOST_MARKS = 16  # values of x whose points are marked one by one
DODGE = 4.0  # most pixels between the whiskers of two series
CROWDED = 0.5  # share of the distance between two values of x that their whiskers take at most


@dataclass(frozen=True)
class Rule:
    """A horizontal line at a value of its own."""

    value: float
    css: str


@dataclass(frozen=True)
class Spot:
    """A single marked point on top of the curves."""

    x: float
    y: float
    css: str
    marker: Marker


@dataclass(frozen=True)
class Axes:
    """What the two axes of a chart mean; `x_ticks` are the places of numbers (default: round ones)."""

    title: str
    unit: str
    x_name: str
    x_ticks: tuple[float, ...] = ()


def frame_for(groups: Iterable[Sequence[Series]], width: float = 440, height: float = 300) -> Frame:
    """A plot area that leaves room for the labels of all these charts."""
    labels = [[short_label(series.label) for series in group if series.label and series.known] for group in groups]
    longest = max((len(label) for group in labels for label in group), default=0)
    tallest = LABEL_GAP * max((len(group) for group in labels), default=0)
    right = BESIDE + LETTER * longest if longest else 14
    return Frame(width, max(height, 92 + tallest), left=44, right=right, top=50, bottom=42)


def short_label(words: str) -> str:
    """A label that fits beside a chart."""
    return words if len(words) <= LONGEST_LABEL else f"{words[: LONGEST_LABEL - 1].rstrip(' ,')}…"


def xy_chart(
    axes: Axes,
    series: Sequence[Series],
    limits: tuple[float, float] | None = None,
    rules: Sequence[Rule] = (),
    spots: Sequence[Spot] = (),
    frame: Frame | None = None,
) -> str:
    """The chart as inline svg; at least one series has a known point."""
    frame = frame or frame_for([series])
    up = frame.up(*(limits or common_range([series])))
    xs = sorted({point.x for each in series for point in each.points})
    dodge = _dodge(series, xs, frame)
    inset = 4 + dodge * len(series) / 2
    across = Scale(xs[0], xs[-1], frame.left + inset, frame.end - inset)
    wanted = axes.x_ticks or [step for step in ticks(xs[0], xs[-1]) if step == int(step)]
    shapes = [
        f'<path class="line {rule.css}" d="M{frame.left:g} {up(rule.value):.1f}H{frame.end:g}"/>' for rule in rules
    ]
    if up.low < 0 < up.high:
        shapes.append(f'<path class="base" d="M{frame.left:g} {up(0):.1f}H{frame.end:g}"/>')
    shapes += _curves(series, xs, across, up, dodge)
    parts = [
        text_at("title", 0, 14, axes.title),
        text_at("axis", 0, 34, axes.unit),
        *frame.horizontal_grid(up),
        *frame.horizontal_axis(across, [step for step in wanted if xs[0] <= step <= xs[-1]], axes.x_name),
        *frame.clipped(shapes),
        *(marker(spot.marker, spot.css, across(spot.x), up(spot.y)) for spot in spots if up.low <= spot.y <= up.high),
        *_end_labels(series, xs[-1], up, frame),
    ]
    return canvas(frame.width, frame.height, axes.title, parts)


def _dodge(series: Sequence[Series], xs: Sequence[float], frame: Frame) -> float:
    """Pixels by which the whiskers of neighbouring series are moved apart."""
    wide = sum(each.interval == "whisker" for each in series)
    if wide < 2 or len(xs) < 2:
        return DODGE if wide > 1 else 0.0
    nearest = min(after - before for before, after in pairwise(xs))
    pixels = nearest / (xs[-1] - xs[0]) * (frame.end - frame.left)
    return min(DODGE, CROWDED * pixels / wide)


def _curves(series: Sequence[Series], xs: Sequence[float], across: Scale, up: Scale, dodge: float) -> Iterable[str]:
    """All intervals and above them all curves; those with whiskers each moved to the side by a multiple of `dodge`."""
    wide = [index for index, each in enumerate(series) if each.interval == "whisker"]
    middle = (len(wide) - 1) / 2
    placed = []
    for index, each in enumerate(series):
        aside = dodge * (wide.index(index) - middle) if index in wide else 0.0
        placed.append((each, Scale(across.low, across.high, across.start + aside, across.end + aside)))
    for each, own in placed:
        yield from _intervals(each, own, up)
    for each, own in placed:
        yield from _curve(each, own, up)
        yield from _marks(each, own, up, xs)


def _intervals(series: Series, across: Scale, up: Scale) -> Iterable[str]:
    for stretch in series.stretches:
        wide = [point for point in stretch if point.low is not None]
        if series.interval == "band" and len(wide) > 1:
            there = "L".join(f"{across(point.x):.1f} {up(point.high):.1f}" for point in wide)
            back = "L".join(f"{across(point.x):.1f} {up(point.low):.1f}" for point in reversed(wide))
            yield f'<path class="band {series.css}" d="M{there}L{back}Z"/>'
        elif series.interval != "none":
            for point in wide:
                x = across(point.x)
                yield f'<path class="whisker {series.css}" d="M{x:.1f} {up(point.low):.1f}V{up(point.high):.1f}"/>'


def _curve(series: Series, across: Scale, up: Scale) -> Iterable[str]:
    for stretch in series.stretches:
        if len(stretch) > 1:
            path = "L".join(f"{across(point.x):.1f} {up(point.mean):.1f}" for point in stretch)
            yield f'<path class="line {series.css}" d="M{path}"/>'


def _marks(series: Series, across: Scale, up: Scale, xs: Sequence[float]) -> Iterable[str]:
    """A mark on every point where these are few, else on lone points and where a curve ends before the others."""

    def marked(point: Point, alone: bool) -> bool:
        ends_early = point is series.known[-1] and point.x < xs[-1]
        return alone or (series.marker is not None and (len(xs) <= MOST_MARKS or ends_early))

    for stretch in series.stretches:
        for point in stretch:
            if marked(point, len(stretch) == 1):
                yield marker(series.marker or "dot", series.css, across(point.x), up(point.mean))


def _end_labels(series: Sequence[Series], last: float, up: Scale, frame: Frame) -> Iterable[str]:
    """Labels with the series' mark before them, and a thin line from its last point if that is at the edge."""
    labelled = [each for each in series if each.label and each.known]
    ends = [max(frame.top, min(frame.base, up(each.known[-1].mean))) for each in labelled]
    for each, end, y in zip(labelled, ends, spread_labels(ends, frame.top, frame.base, LABEL_GAP), strict=True):
        x = frame.end + 16
        if each.known[-1].x == last:
            yield f'<path class="leader {each.css}" d="M{frame.end:.1f} {end:.1f}L{x - 6:.1f} {y:.1f}"/>'
        yield marker(each.marker or "dot", each.css, x, y, 3.4)
        yield text_at("end", x + 8, y + 4, short_label(each.label))
