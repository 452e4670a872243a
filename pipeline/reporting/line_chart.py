"""Line charts over epochs, with bands and direct labels; colours are CSS classes, so light, dark and print differ."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pipeline.reporting.chart_frame import Frame, round_range, spread_labels
from pipeline.reporting.summary import Curve
from pipeline.reporting.svg import Scale, canvas, text_at, ticks

FRAME = Frame(width=440, height=272, left=44, right=84, top=50, bottom=42)
LABEL_GAP = 15
OUTLIER_FACTOR = 4.0


@dataclass(frozen=True)
class Line:
    """A curve with its band; `css` names the colour, `label` is written at its end unless it is a (dashed) variant."""

    curve: Curve
    css: str
    label: str
    variant: str = ""


@dataclass(frozen=True)
class Mark:
    """A single point on top of the curves."""

    epoch: float
    value: float
    css: str
    shape: Literal["dot", "diamond"]


def value_range(curves: Sequence[Curve]) -> tuple[float, float]:
    """A common vertical range (low, high) with round ends; an outlier far above nearly everything is cut off."""
    values = sorted(value for curve in curves for value in (*curve.low, *curve.high))
    low, high = values[0], values[-1]
    typical = values[math.floor(0.9 * (len(values) - 1))]
    if low >= 0 and high > OUTLIER_FACTOR * typical > 0:
        high = 1.5 * typical
    return round_range(low, high)


def line_chart(
    title: str, unit: str, lines: Sequence[Line], marks: Sequence[Mark] = (), limits: tuple[float, float] | None = None
) -> str:
    """A chart of curves over epochs: `unit` names the vertical axis, `limits` fixes its range; at least one line."""
    low, high = limits or value_range([line.curve for line in lines])
    last = max(line.curve.epochs[-1] for line in lines)
    across = Scale(min(line.curve.epochs[0] for line in lines), last, FRAME.left + 4, FRAME.end)
    up = FRAME.up(low, high)
    parts = [
        text_at("title", 0, 14, title),
        text_at("axis", 0, 34, unit),
        *FRAME.horizontal_grid(up),
        *_epoch_axis(across),
        *FRAME.clipped(shape for line in lines for shape in _draw_line(line, across, up)),
        *(_draw_mark(mark, across, up) for mark in marks),
        *_end_labels(lines, across, up),
        *_cut_note(lines, high),
    ]
    return canvas(FRAME.width, FRAME.height, title, parts)


def _epoch_axis(across: Scale) -> list[str]:
    steps = [step for step in ticks(across.low, across.high, most=8) if step == int(step)]
    return FRAME.horizontal_axis(across, steps, "epoch")


def _path(epochs: Sequence[float], values: Sequence[float], across: Scale, up: Scale) -> str:
    return "L".join(f"{across(epoch):.1f} {up(value):.1f}" for epoch, value in zip(epochs, values, strict=True))


def _draw_line(line: Line, across: Scale, up: Scale) -> list[str]:
    curve, shapes = line.curve, []
    css = f"line {line.css} dashed" if line.variant else f"line {line.css}"
    if curve.low != curve.high:
        there = _path(curve.epochs, curve.high, across, up)
        back = _path(curve.epochs[::-1], curve.low[::-1], across, up)
        shapes.append(f'<path class="band {line.css}" d="M{there}L{back}Z"/>')
    if len(curve.epochs) == 1:
        shapes.append(_draw_mark(Mark(curve.epochs[0], curve.mean[0], line.css, "dot"), across, up))
    else:
        shapes.append(f'<path class="{css}" d="M{_path(curve.epochs, curve.mean, across, up)}"/>')
    return shapes


def _draw_mark(mark: Mark, across: Scale, up: Scale) -> str:
    x, y = across(mark.epoch), up(mark.value)
    if mark.shape == "dot":
        return f'<circle class="dot {mark.css}" cx="{x:.1f}" cy="{y:.1f}" r="4"/>'
    return f'<path class="diamond {mark.css}" d="M{x:.1f} {y - 5.5:.1f}l5 5.5l-5 5.5l-5 -5.5Z"/>'


def _end_labels(lines: Sequence[Line], across: Scale, up: Scale) -> list[str]:
    labelled = [line for line in lines if not line.variant]
    ends = [max(FRAME.top, min(FRAME.base, up(line.curve.mean[-1]))) for line in labelled]
    heights = spread_labels(ends, FRAME.top, FRAME.base, LABEL_GAP)
    return [
        text_at(f"label {line.css}", across(line.curve.epochs[-1]) + 9, y + 4, line.label)
        for line, y in zip(labelled, heights, strict=True)
    ]


def _cut_note(lines: Sequence[Line], high: float) -> list[str]:
    top = max(max(line.curve.high) for line in lines)
    if top <= high:
        return []
    return [text_at("axis", FRAME.end, 34, f"axis cut, highest {top:.3g}", "end")]
