"""Bar charts: file sizes and latencies as horizontal bars, weight codes as small histograms."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.reporting.svg import Scale, canvas, text_at

WIDTH, ROW, NAME_WIDTH, VALUE_WIDTH, TOP = 440, 30, 66, 124, 28
CELL_WIDTH, CELL_HEIGHT, CELL_TOP, CELL_BASE = 200, 112, 36, 94


@dataclass(frozen=True)
class Bar:
    """One bar with the text behind it; `low` and `high` draw a whisker."""

    name: str
    value: float
    text: str
    css: str
    low: float | None = None
    high: float | None = None


def bar_chart(title: str, bars: Sequence[Bar]) -> str:
    """Horizontal bars from zero, each with its name before and its value behind it."""
    longest = max(max(bar.value, bar.high or 0.0) for bar in bars)
    across = Scale(0, longest, NAME_WIDTH, WIDTH - VALUE_WIDTH)
    height = TOP + ROW * len(bars)
    parts = [part for row, bar in enumerate(bars) for part in _bar(bar, TOP + ROW * row, across)]
    return canvas(WIDTH, height, title, [text_at("title", 0, 14, title), *parts])


def _bar(bar: Bar, y: float, across: Scale) -> list[str]:
    middle, end = y + ROW / 2, across(bar.value)
    shape = f"M{NAME_WIDTH} {y + 5:.1f}H{end:.1f}v{ROW - 10}H{NAME_WIDTH}Z"
    parts = [
        text_at("tick", NAME_WIDTH - 8, middle + 4, bar.name, "end"),
        f'<path class="bar {bar.css}" d="{shape}"/>',
    ]
    if bar.low is not None and bar.high is not None:
        parts.append(f'<path class="whisker" d="M{across(bar.low):.1f} {middle:.1f}H{across(bar.high):.1f}"/>')
        end = max(end, across(bar.high))
    return [*parts, text_at("value", end + 8, middle + 4, bar.text)]


def histogram(name: str, detail: str, codes: Mapping[int, int], top_code: int) -> str:
    """One bar a weight code from -top_code to top_code; `detail` is the line under the layer's name."""
    across = Scale(-top_code - 0.5, top_code + 0.5, 2, CELL_WIDTH - 2)
    up = Scale(0, max(codes.values(), default=0) or 1, CELL_BASE, CELL_TOP)
    width = (across(1) - across(0)) * (0.82 if top_code <= 15 else 1)
    bars = "".join(
        f"M{across(code) - width / 2:.1f} {CELL_BASE}V{up(number):.1f}h{width:.2f}V{CELL_BASE}Z"
        for code, number in sorted(codes.items())
        if number > 0
    )
    parts = [
        text_at("label", 2, 12, name),
        text_at("axis", 2, 27, detail),
        f'<path class="bar method" d="{bars}"/>',
        f'<path class="base" d="M0 {CELL_BASE}H{CELL_WIDTH}"/>',
        text_at("tick", 2, CELL_BASE + 14, f"−{top_code}"),
        text_at("tick", across(0), CELL_BASE + 14, "0", "middle"),
        text_at("tick", CELL_WIDTH - 2, CELL_BASE + 14, f"{top_code}", "end"),
    ]
    return canvas(CELL_WIDTH, CELL_HEIGHT, f"Weight codes of {name}, {detail}", parts)
