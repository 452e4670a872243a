"""Charts as an SVG file of its own, with the report's light colours written into it."""

import re
from collections.abc import Sequence

from pipeline.reporting.blocks import KeyEntry
from pipeline.reporting.html import STYLE, SWATCHES
from pipeline.reporting.svg import text_at

GAP, KEY_LINE, SWATCH = 24, 20, 30
WIDEST = 960  # pixels of panels side by side
SIZE = re.compile(r'<svg viewBox="0 0 ([\d.]+) ([\d.]+)"')
CHART_RULE = re.compile(
    r"^(?:svg|\.(?:grid|base|line|band|bar|dot|faint|diamond|whisker|label|mark|open|leader|front|beside)\b).*$",
    re.MULTILINE,
)
VARIABLE = re.compile(r"(--\w+): ([^;]+);")


def picture(panels: Sequence[str], key: Sequence[KeyEntry] = (), columns: int = 1) -> str:
    """The panels (inline svg) in rows of `columns` above the key, in one SVG document."""
    y, parts, width = GAP / 2, [], 0.0
    for start in range(0, len(panels), columns):
        x, deepest = GAP / 2, 0.0
        for panel in panels[start : start + columns]:
            wide, high = _size(panel)
            parts.append(panel.replace("<svg ", f'<svg x="{x}" y="{y}" width="{wide}" height="{high}" ', 1))
            x, deepest = x + wide + GAP, max(deepest, high)
        y, width = y + deepest + GAP, max(width, x - GAP / 2)
    for entry in key:
        parts += _key_line(entry, y)
        y += KEY_LINE
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {y}" width="{width}" height="{y}">\n'
        f"<style>\n{_style()}\n</style>\n"
        f'<rect width="100%" height="100%" fill="#ffffff"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def columns_of(panels: Sequence[str]) -> int:
    """How many of the panels fit beside one another."""
    widest = max(_size(panel)[0] for panel in panels)
    return max(1, min(len(panels), int((WIDEST + GAP) // (widest + GAP))))


def _size(panel: str) -> tuple[float, float]:
    found = SIZE.match(panel)
    return float(found[1]), float(found[2])


def _key_line(entry: KeyEntry, y: float) -> list[str]:
    swatch = SWATCHES[entry.shape].format(css=entry.css)
    return [
        f'<g transform="translate({GAP / 2} {y - 6:.1f})">{swatch}</g>',
        text_at("end", GAP / 2 + SWATCH, y + 4, entry.text),
    ]


def _style() -> str:
    css = STYLE.read_text(encoding="utf-8")
    light = dict(VARIABLE.findall(css[: css.index("@media")]))
    rules = "\n".join(CHART_RULE.findall(css))
    return "text { font-family: sans-serif; }\n" + re.sub(r"var\((--\w+)\)", lambda match: light[match[1]], rules)
