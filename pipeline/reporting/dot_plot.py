"""Dot plots: one row a variant, every run a small dot, their mean a large one with its standard deviation."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.reporting.summary import Spread
from pipeline.reporting.svg import Scale, canvas, text_at, ticks

WIDTH, NAME_WIDTH, VALUE_WIDTH = 520, 168, 84
TOP, ROW, BOTTOM = 34, 30, 28


@dataclass(frozen=True)
class DotRow:
    """The values of one variant's runs, or `absent` to say why there are none; `css` names the colour."""

    name: str
    values: Spread | None
    css: str
    absent: str = "missing"


def dot_plot(title: str, rows: Sequence[DotRow], reference: float | None = None) -> str:
    """A plot of at least one value; a line goes down from `reference`."""
    across = _scale(rows)
    base = TOP + ROW * len(rows)
    parts = [text_at("title", 0, 14, title), *_axis(across, base)]
    if reference is not None:
        parts.append(f'<path class="line baseline dashed" d="M{across(reference):.1f} {TOP}V{base}"/>')
    for index, row in enumerate(rows):
        parts += _row(row, TOP + ROW * (index + 0.5), across)
    return canvas(WIDTH, base + BOTTOM, title, parts)


def _scale(rows: Sequence[DotRow]) -> Scale:
    ends = [end for row in rows if row.values for end in (row.values.low, row.values.high, *_whisker(row.values))]
    margin = 0.06 * (max(ends) - min(ends)) or 1.0
    return Scale(min(ends) - margin, max(ends) + margin, NAME_WIDTH, WIDTH - VALUE_WIDTH)


def _whisker(values: Spread) -> tuple[float, float]:
    half = values.deviation or 0.0
    return values.mean - half, values.mean + half


def _axis(across: Scale, base: float) -> list[str]:
    steps = ticks(across.low, across.high)
    digits = 0 if all(abs(step - round(step)) < 1e-9 for step in steps) else 1
    shapes = [f'<path class="base" d="M{NAME_WIDTH} {base}H{WIDTH - VALUE_WIDTH}"/>']
    for step in steps:
        shapes.append(f'<path class="grid" d="M{across(step):.1f} {TOP}V{base}"/>')
        shapes.append(text_at("tick", across(step), base + 17, f"{step:.{digits}f}", "middle"))
    return shapes


def _row(row: DotRow, y: float, across: Scale) -> list[str]:
    name = text_at("tick", NAME_WIDTH - 10, y + 4, row.name, "end")
    if row.values is None:
        return [name, text_at("axis", NAME_WIDTH + 6, y + 4, row.absent)]
    low, high = map(across, _whisker(row.values))
    mean = across(row.values.mean)
    return [
        name,
        *(
            f'<circle class="faint {row.css}" cx="{across(value):.1f}" cy="{y:.1f}" r="3"/>'
            for value in row.values.values
        ),
        f'<path class="whisker" d="M{low:.1f} {y:.1f}H{high:.1f}"/>',
        f'<circle class="dot {row.css}" cx="{mean:.1f}" cy="{y:.1f}" r="5.5"/>',
        text_at("value", WIDTH - VALUE_WIDTH + 10, y + 4, f"{row.values.mean:.1f}"),
    ]
