"""Rows of marks with their intervals on one horizontal scale."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.reporting.chart_frame import tick_texts
from pipeline.reporting.markers import Marker, marker
from pipeline.reporting.svg import Scale, canvas, text_at, ticks

TOP, ROW, BOTTOM = 26, 20, 40
MARGIN = 0.05


@dataclass(frozen=True)
class IntervalRow:
    """A value with its interval (None: not known) and a second value to hold it against; `absent` stands for no value."""

    name: str
    value: float | None
    low: float | None
    high: float | None
    css: str
    marker: Marker = "dot"
    beside: float | None = None
    absent: str = "missing"


@dataclass(frozen=True)
class Layout:
    """Pixels of a plot: its width and what of it the names take."""

    width: float = 440
    names: float = 120
    right: float = 12


def interval_range(rows: Sequence[IntervalRow]) -> tuple[float, float] | None:
    """The range of all rows, 0 included; None if no row has a value."""
    found = (each for row in rows for each in (row.value, row.low, row.high, row.beside))
    ends = [end for end in found if end is not None]
    if not ends:
        return None
    low, high = min(0.0, *ends), max(0.0, *ends)
    margin = MARGIN * (high - low) or 1.0
    return (low - margin if low < 0 else 0.0), (high + margin if high > 0 else 0.0)


def interval_plot(
    title: str, name: str, rows: Sequence[IntervalRow], limits: tuple[float, float], layout: Layout = Layout()
) -> str:
    """The plot as inline svg; `name` says what the horizontal axis means."""
    base = TOP + ROW * len(rows)
    end = layout.width - layout.right
    across = Scale(*limits, layout.names, end)
    steps = ticks(*limits, most=5)
    parts = [text_at("title", 0, 14, title)]
    for step, words in zip(steps, tick_texts(steps), strict=True):
        parts.append(f'<path class="grid" d="M{across(step):.1f} {TOP}V{base}"/>')
        parts.append(text_at("tick", across(step), base + 17, words, "middle"))
    parts.append(f'<path class="base" d="M{across(0):.1f} {TOP}V{base}"/>')
    parts.append(text_at("axis", (layout.names + end) / 2, base + 35, name, "middle"))
    for index, row in enumerate(rows):
        parts += _row(row, TOP + ROW * (index + 0.5), across, layout)
    return canvas(layout.width, base + BOTTOM, title, parts)


def _row(row: IntervalRow, y: float, across: Scale, layout: Layout) -> list[str]:
    parts = [text_at("tick", layout.names - 8, y + 4, row.name, "end")]
    if row.value is None:
        return [*parts, text_at("axis", layout.names + 8, y + 4, row.absent)]
    if row.low is not None and row.high is not None:
        low, high = (min(max(end, across.low), across.high) for end in (row.low, row.high))
        parts.append(f'<path class="whisker {row.css}" d="M{across(low):.1f} {y:.1f}H{across(high):.1f}"/>')
    if row.beside is not None:
        parts.append(f'<path class="beside" d="M{across(row.beside):.1f} {y - 6:.1f}v12"/>')
    return [*parts, marker(row.marker, row.css, across(row.value), y)]
