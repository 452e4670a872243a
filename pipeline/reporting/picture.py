"""Charts as an SVG file of its own, with the report's light colours written into it."""

import re
from collections.abc import Sequence

from pipeline.reporting.html import STYLE

GAP = 24
SIZE = re.compile(r'<svg viewBox="0 0 ([\d.]+) ([\d.]+)"')
CHART_RULE = re.compile(r"^(?:svg|\.(?:grid|base|line|band|bar|dot|faint|diamond|whisker|label)\b).*$", re.MULTILINE)
VARIABLE = re.compile(r"(--\w+): ([^;]+);")


def picture(panels: Sequence[str]) -> str:
    """The panels (inline svg) below one another in one SVG document."""
    y, parts, width = GAP / 2, [], 0.0
    for panel in panels:
        size = SIZE.match(panel)
        wide, high = float(size[1]), float(size[2])
        parts.append(panel.replace("<svg ", f'<svg x="{GAP / 2}" y="{y}" width="{wide}" height="{high}" ', 1))
        y, width = y + high + GAP, max(width, wide)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width + GAP} {y}" width="{width + GAP}" height="{y}">\n'
        f"<style>\n{_style()}\n</style>\n"
        f'<rect width="100%" height="100%" fill="#ffffff"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _style() -> str:
    css = STYLE.read_text(encoding="utf-8")
    light = dict(VARIABLE.findall(css[: css.index("@media")]))
    rules = "\n".join(CHART_RULE.findall(css))
    return "text { font-family: sans-serif; }\n" + re.sub(r"var\((--\w+)\)", lambda match: light[match[1]], rules)
