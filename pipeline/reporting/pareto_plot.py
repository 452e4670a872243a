"""Score against cost on a logarithmic scale: what no other point beats in both is joined."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipeline.reporting.chart_frame import Frame, round_range
from pipeline.reporting.markers import Marker, marker
from pipeline.reporting.svg import Scale, canvas, text_at
from pipeline.reporting.xy_chart import LETTER, short_label

LINE, SIDE, MARK = 15, 26, 7  # pixels: a line of the key, beside it, around a mark
STEPS = (1, 2, 5)
PLACES = ((1, 0), (1, -1), (1, 1), (-1, 0), (-1, -1), (-1, 1), (0, -1), (0, 1), (1, -2), (1, 2), (-1, -2), (-1, 2))


@dataclass(frozen=True)
class CostPoint:
    """An arm: its cost > 0, its score with a standard deviation (None: unknown), and a label of its own ("": none)."""

    cost: float
    score: float
    deviation: float | None
    css: str
    marker: Marker
    label: str = ""


def front(points: Sequence[CostPoint]) -> list[CostPoint]:
    """The points that none beats: no other costs at most as much and scores at least as well, one of them truly."""

    def beaten(point: CostPoint) -> bool:
        return any(
            other.cost <= point.cost and other.score >= point.score
            and (other.cost < point.cost or other.score > point.score)
            for other in points
        )  # fmt: skip

    return sorted((point for point in points if not beaten(point)), key=lambda point: (point.cost, point.score))


def pareto_plot(
    title: str, unit: str, cost_name: str, points: Sequence[CostPoint], key: Sequence[tuple[str, str, Marker]]
) -> str:
    """The plot as inline svg; `key` lists (name, css, mark) of the variants, at least one point."""
    longest = max(len(short_label(name)) for name, _, _ in key)
    frame = Frame(440, max(300, 92 + LINE * len(key)), 44, SIDE + LETTER * longest, 50, 42)
    ends = [point.score + sign * (point.deviation or 0.0) for point in points for sign in (-1, 1)]
    up = frame.up(*round_range(min(ends), max(ends)))
    across = _log_scale([point.cost for point in points], frame)
    parts = [
        text_at("title", 0, 14, title),
        text_at("axis", 0, 34, unit),
        *frame.horizontal_grid(up),
        *_cost_axis(across, frame, cost_name),
        *_joined(front(points), across, up),
        *_marks(points, across, up),
        *_labels(points, across, up, frame),
        *_key(key, frame),
    ]
    return canvas(frame.width, frame.height, title, parts)


def _log_scale(costs: Sequence[float], frame: Frame) -> Scale:
    low, high = math.log10(min(costs)), math.log10(max(costs))
    margin = max(0.12 * (high - low), 0.05)
    return Scale(low - margin, high + margin, frame.left, frame.end)


def _cost_axis(across: Scale, frame: Frame, name: str) -> Iterator[str]:
    yield f'<path class="base" d="M{frame.left:g} {frame.base:g}H{frame.end:g}"/>'
    yield text_at("axis", (frame.left + frame.end) / 2, frame.base + 36, name, "middle")
    last = -math.inf
    for step in _round_costs(across):
        x, label = across(math.log10(step)), f"{step:,.10g}"
        if x - last >= LETTER * len(label) + 8:
            yield f'<path class="grid" d="M{x:.1f} {frame.top:g}V{frame.base:g}"/>'
            yield text_at("tick", x, frame.base + 17, label, "middle")
            last = x


def _round_costs(across: Scale) -> list[float]:
    """1, 2 and 5 times powers of ten within the scale; finer steps where these are too few."""
    powers = range(math.floor(across.low), math.ceil(across.high) + 1)
    for digits in (STEPS, tuple(range(1, 10)), tuple(tenth / 10 for tenth in range(10, 100))):
        found = [digit * 10.0**power for power in powers for digit in digits]
        found = [step for step in found if across.low <= math.log10(step) <= across.high]
        if len(found) >= 3:
            return found
    return found


def _place(point: CostPoint, across: Scale, up: Scale) -> tuple[float, float]:
    return across(math.log10(point.cost)), up(point.score)


def _joined(points: Sequence[CostPoint], across: Scale, up: Scale) -> Iterator[str]:
    if len(points) > 1:
        path = "L".join("{:.1f} {:.1f}".format(*_place(point, across, up)) for point in points)
        yield f'<path class="front" d="M{path}"/>'


def _marks(points: Sequence[CostPoint], across: Scale, up: Scale) -> Iterator[str]:
    for point in points:
        x, _ = _place(point, across, up)
        if point.deviation:
            low, high = up(point.score - point.deviation), up(point.score + point.deviation)
            yield f'<path class="whisker {point.css}" d="M{x:.1f} {low:.1f}V{high:.1f}"/>'
    for point in points:
        yield marker(point.marker, point.css, *_place(point, across, up), 4.6)


def _labels(points: Sequence[CostPoint], across: Scale, up: Scale, frame: Frame) -> Iterator[str]:
    """Labels beside their marks, where they hit neither a mark nor each other; one that finds no place is left out."""
    taken = [_box(*_place(point, across, up)) for point in points]
    for point in points:
        x, y = _place(point, across, up)
        width = LETTER * len(point.label)
        for aside, down in PLACES if point.label else ():
            left = x + MARK + 2 if aside > 0 else x - MARK - 2 - width if aside < 0 else x - width / 2
            middle = y + down * (LINE if not aside else 11)
            box = (left, middle - 7, left + width, middle + 7)
            inside = frame.left < box[0] and box[2] < frame.end and frame.top < box[1] and box[3] < frame.base
            if inside and not any(_overlap(box, other) for other in taken):
                taken.append(box)
                if abs(down) > 1:
                    yield f'<path class="leader" d="M{x:.1f} {y:.1f}L{left if aside > 0 else left + width:.1f} {middle:.1f}"/>'
                yield text_at("end", left, middle + 4, point.label)
                break


def _box(x: float, y: float) -> tuple[float, float, float, float]:
    return x - MARK, y - MARK, x + MARK, y + MARK


def _overlap(one: tuple, other: tuple) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _key(key: Sequence[tuple[str, str, Marker]], frame: Frame) -> Iterator[str]:
    for index, (name, css, shape) in enumerate(key):
        y = frame.top + 6 + LINE * index
        yield marker(shape, css, frame.end + 14, y, 3.8)
        yield text_at("end", frame.end + 22, y + 4, short_label(name))
