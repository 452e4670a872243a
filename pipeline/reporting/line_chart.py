"""Line charts over epochs, with bands and direct labels; colours are CSS classes, so light, dark and print differ."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from pipeline.reporting.summary import Curve
from pipeline.reporting.svg import Scale, canvas, text_at, ticks

WIDTH, HEIGHT = 440, 272
LEFT, RIGHT, TOP, BOTTOM = 44, 84, 50, 42
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
    margin = 0.04 * (high - low) or 0.5
    bottom = max(0.0, low - margin) if low >= 0 else low - margin
    step = ticks(bottom, high + margin)
    width = step[1] - step[0] if len(step) > 1 else 2 * margin
    return math.floor(bottom / width) * width, math.ceil((high + margin) / width) * width


def spread_labels(heights: Sequence[float], top: float, bottom: float) -> list[float]:
    """Move label heights apart to at least LABEL_GAP pixels, order kept, inside [top, bottom] if they fit."""
    order = sorted(range(len(heights)), key=lambda index: heights[index])
    placed = list(heights)
    for before, index in pairwise(order):
        placed[index] = max(placed[index], placed[before] + LABEL_GAP)
    ceiling = bottom
    for index in reversed(order):
        placed[index] = max(top, min(placed[index], ceiling))
        ceiling = placed[index] - LABEL_GAP
    return placed


def line_chart(
    title: str, unit: str, lines: Sequence[Line], marks: Sequence[Mark] = (), limits: tuple[float, float] | None = None
) -> str:
    """A chart of curves over epochs: `unit` names the vertical axis, `limits` fixes its range; at least one line."""
    low, high = limits or value_range([line.curve for line in lines])
    last = max(line.curve.epochs[-1] for line in lines)
    across = Scale(min(line.curve.epochs[0] for line in lines), last, LEFT + 4, WIDTH - RIGHT)
    up = Scale(low, high, HEIGHT - BOTTOM, TOP)
    parts = [
        text_at("title", 0, 14, title),
        text_at("axis", 0, 34, unit),
        *_horizontal_grid(up),
        *_epoch_axis(across),
        *_clipped([shape for line in lines for shape in _draw_line(line, across, up)]),
        *(_draw_mark(mark, across, up) for mark in marks),
        *_end_labels(lines, across, up),
        *_cut_note(lines, high),
    ]
    return canvas(WIDTH, HEIGHT, title, parts)


def _horizontal_grid(up: Scale) -> list[str]:
    steps = ticks(up.low, up.high)
    digits = max(0, -math.floor(math.log10(steps[1] - steps[0]) + 1e-9)) if len(steps) > 1 else 1
    shapes = []
    for step in steps:
        y = up(step)
        shapes.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>')
        shapes.append(text_at("tick", LEFT - 7, y + 4, f"{step:.{digits}f}", "end"))
    return shapes


def _epoch_axis(across: Scale) -> list[str]:
    base = HEIGHT - BOTTOM
    steps = [step for step in ticks(across.low, across.high, most=8) if step == int(step)]
    labels = [text_at("tick", across(step), base + 17, f"{step:.0f}", "middle") for step in steps]
    name = text_at("axis", (LEFT + WIDTH - RIGHT) / 2, base + 36, "epoch", "middle")
    return [f'<path class="base" d="M{LEFT} {base}H{WIDTH - RIGHT}"/>', *labels, name]


def _clipped(shapes: Sequence[str]) -> list[str]:
    """An inner svg cuts what leaves the plot area."""
    x, y, width, height = LEFT, TOP - 2, WIDTH - RIGHT - LEFT + 4, HEIGHT - TOP - BOTTOM + 4
    frame = f'<svg x="{x}" y="{y}" width="{width}" height="{height}" viewBox="{x} {y} {width} {height}">'
    return [frame, *shapes, "</svg>"]


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
    ends = [max(TOP, min(HEIGHT - BOTTOM, up(line.curve.mean[-1]))) for line in labelled]
    heights = spread_labels(ends, TOP, HEIGHT - BOTTOM)
    return [
        text_at(f"label {line.css}", across(line.curve.epochs[-1]) + 9, y + 4, line.label)
        for line, y in zip(labelled, heights, strict=True)
    ]


def _cut_note(lines: Sequence[Line], high: float) -> list[str]:
    top = max(max(line.curve.high) for line in lines)
    if top <= high:
        return []
    return [text_at("axis", WIDTH - RIGHT, 34, f"axis cut, highest {top:.3g}", "end")]
