"""The few SVG parts every chart needs: a canvas, text, a scale, round tick values."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from typing import Literal


@dataclass(frozen=True)
class Scale:
    """A linear map from [low, high] to pixels [start, end]."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """The pixel of `value`; the middle if the range is empty."""
        if self.high == self.low:
            return (self.start + self.end) / 2
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers within [low, high], at most `most` of them."""
    if high <= low:
        return [low]
    raw = (high - low) / (most - 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * 0.999999)
    return [index * step for index in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def canvas(width: float, height: float, title: str, parts: Iterable[str]) -> str:
    """A complete inline svg; `title` is what a screen reader says."""
    label, body = escape(title, quote=True), "\n".join(parts)
    return f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{label}">\n{body}\n</svg>'


def text_at(css: str, x: float, y: float, words: str, anchor: Literal["start", "middle", "end"] = "start") -> str:
    """A line of text with its baseline at y."""
    where = "" if anchor == "start" else f' text-anchor="{anchor}"'
    return f'<text class="{css}" x="{x:.1f}" y="{y:.1f}"{where}>{escape(words)}</text>'
