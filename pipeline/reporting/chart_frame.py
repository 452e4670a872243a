"""The plot area of a chart: where it lies, its grid, its axes, and what is cut at its edge."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from pipeline.reporting.svg import Scale, text_at, ticks


@dataclass(frozen=True)
class Frame:
    """A canvas of width x height pixels and the margins around its plot area."""

    width: float
    height: float
    left: float
    right: float
    top: float
    bottom: float

    @property
    def end(self) -> float:
        """The right edge of the plot area."""
        return self.width - self.right

    @property
    def base(self) -> float:
        """The lower edge of the plot area."""
        return self.height - self.bottom

    def up(self, low: float, high: float) -> Scale:
        """The vertical scale of values in [low, high]."""
        return Scale(low, high, self.base, self.top)

    def horizontal_grid(self, up: Scale) -> list[str]:
        """A line and a number at every round value."""
        steps = ticks(up.low, up.high)
        shapes = []
        for step, words in zip(steps, tick_texts(steps), strict=True):
            shapes.append(f'<path class="grid" d="M{self.left:g} {up(step):.1f}H{self.end:g}"/>')
            shapes.append(text_at("tick", self.left - 7, up(step) + 4, words, "end"))
        return shapes

    def horizontal_axis(self, across: Scale, steps: Sequence[float], name: str) -> list[str]:
        """The base line with `steps` below it and the axis' name below them."""
        texts = zip(steps, tick_texts(steps), strict=True)
        return [
            f'<path class="base" d="M{self.left:g} {self.base:g}H{self.end:g}"/>',
            *(text_at("tick", across(step), self.base + 17, words, "middle") for step, words in texts),
            text_at("axis", (self.left + self.end) / 2, self.base + 36, name, "middle"),
        ]

    def clipped(self, shapes: Iterable[str]) -> list[str]:
        """An inner svg that cuts what leaves the plot area."""
        x, y = self.left, self.top - 2
        width, height = self.end - self.left + 4, self.base - self.top + 4
        box = f"{x:g} {y:g} {width:g} {height:g}"
        return [
            f'<svg x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" viewBox="{box}">',
            *shapes,
            "</svg>",
        ]


def tick_texts(steps: Sequence[float]) -> list[str]:
    """Numbers with as many decimals as tell them apart."""
    gaps = [after - before for before, after in pairwise(steps)]
    digits = max(0, -math.floor(math.log10(min(gaps)) + 1e-9)) if gaps else 1
    if all(abs(step - round(step)) < 1e-9 for step in steps):
        digits = 0
    return [f"{step + 0.0:.{digits}f}".replace("-", "−") for step in steps]


def round_range(low: float, high: float) -> tuple[float, float]:
    """A range with round ends around [low, high]."""
    margin = 0.04 * (high - low) or 0.5
    bottom = max(0.0, low - margin) if low >= 0 else low - margin
    steps = ticks(bottom, high + margin)
    width = steps[1] - steps[0] if len(steps) > 1 else 2 * margin
    return math.floor(bottom / width) * width, math.ceil((high + margin) / width) * width


def spread_labels(heights: Sequence[float], top: float, bottom: float, gap: float) -> list[float]:
    """Move label heights apart to at least `gap` pixels, order kept, inside [top, bottom] if they fit."""
    order = sorted(range(len(heights)), key=lambda index: heights[index])
    placed = list(heights)
    for before, index in pairwise(order):
        placed[index] = max(placed[index], placed[before] + gap)
    ceiling = bottom
    for index in reversed(order):
        placed[index] = max(top, min(placed[index], ceiling))
        ceiling = placed[index] - gap
    return placed
