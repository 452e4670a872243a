"""How figures look: colours, markers and sizes, and matplotlib figures as inline SVG that is the same for the same numbers.

Make a figure and its SVG inside `drawing()`; matplotlib is imported there, pyplot never.
"""

import hashlib
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH, HEIGHT = 380, 250  # of a panel, in pixels: as wide as a phone, and as text sizes are meant
# Name: colour on a light page, on a dark page. Series colours follow Okabe and Ito 2008, darkened or lightened until
# each has a contrast of at least 3 to 1 with the page.
COLOURS = {
    "ink": ("#1b1f24", "#e8eaed"),
    "soft": ("#5b6570", "#a3adb8"),
    "rule": ("#d9dde2", "#39414a"),
    "page": ("#fffffe", "#14171a"),
    "method": ("#0072b2", "#56b4e9"),
    "baseline": ("#c65102", "#f0933a"),
    "float": ("#8a929b", "#7d8792"),
    "s1": ("#00805c", "#35c49a"),
    "s2": ("#a8508a", "#e29bc8"),
    "s3": ("#a87300", "#e8c53d"),
    "s4": ("#4a525b", "#d7dbe0"),
    "s5": ("#3596cf", "#8ea2ff"),
    "s6": ("#8b1e3f", "#ff7f9f"),
}
INK, SOFT, RULE, PAGE = (COLOURS[name][0] for name in ("ink", "soft", "rule", "page"))
RC = {
    "svg.fonttype": "none",
    "svg.hashsalt": "nibble",
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib: the layout is the same everywhere
    "font.size": 11.5,
    "axes.titlesize": 13,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 11.5,
    "xtick.labelsize": 11,
    "ytick.labelsize": 11,
    "text.color": INK,
    "axes.labelcolor": SOFT,
    "axes.edgecolor": SOFT,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "xtick.major.size": 3,
    "ytick.major.size": 0,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": RULE,
    "grid.linewidth": 0.8,
    "lines.linewidth": 2.0,
}
NOISE = re.compile(  # the last: fonts are those of the page
    r"<!--.*?-->|<metadata>.*?</metadata>|<defs>\s*<style.*?</style>\s*</defs>| transform=\"rotate\(-0 [^\"]*\""
    r"|\n\s*(?=<)| font-family: [^;\"]+;?",
    re.DOTALL,
)


@dataclass(frozen=True)
class Series:
    """How one series is drawn: a name in COLOURS, a marker of matplotlib, and its dashes (on, off, ...; () is solid)."""

    name: str
    marker: str
    dashes: tuple[float, ...] = ()

    @property
    def colour(self) -> str:
        """The colour to give to matplotlib; on the page it follows light and dark mode."""
        return COLOURS[self.name][0]

    @property
    def linestyle(self) -> str | tuple:
        """The `linestyle` to give to matplotlib."""
        return (0, self.dashes) if self.dashes else "-"


METHOD, REFERENCE = Series("method", "o"), Series("baseline", "s", (5, 2))
SERIES = (
    METHOD,
    Series("s1", "^", (6, 2)),
    Series("s2", "D", (2, 1.5)),
    Series("s3", "v", (6, 2, 1.5, 2)),
    Series("s4", "P", (4, 1.5)),
    Series("s5", "X", (1.5, 1.5)),
    Series("s6", "*", (8, 2, 1.5, 2, 1.5, 2)),
)


def series(index: int) -> Series:
    """The style of the `index`-th of several methods; the reference has REFERENCE. After the last, they begin again."""
    return SERIES[index % len(SERIES)]


@contextmanager
def drawing() -> Iterator[None]:
    """A block (or, as `@drawing()`, a function) in which matplotlib draws in the style of the reports."""
    from matplotlib import rc_context

    with rc_context(RC):
        yield


def new_axes(title: str = "", width: float = WIDTH, height: float = HEIGHT) -> "tuple[Figure, Axes]":
    """A figure of one panel, in pixels, with a title; to be called in `drawing()`."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width / 72, height / 72), layout="constrained")  # an SVG has 72 units an inch
    axes = figure.add_subplot()
    if title:
        axes.set_title(title)
    return figure, axes


@drawing()
def bar_chart(title: str, bars: pd.DataFrame) -> str:
    """Horizontal bars from zero as SVG, in the order of `bars`: a row a bar, its index the name.

    Columns: `value`, `text` (written at the right); optional `low` and `high` (a whisker), `baseline` (a hollow
    square) and `colour`. Numbers that are missing are NaN and not drawn.
    """
    figure, axes = new_axes(title, height=50 + 19 * len(bars))
    bars = bars.reindex(columns=["value", "text", "low", "high", "baseline", "colour"])
    for row, bar in enumerate(bars.itertuples()):
        axes.barh(row, bar.value, height=0.62, color=bar.colour if isinstance(bar.colour, str) else METHOD.colour)
        axes.plot([bar.low, bar.high], [row, row], color=INK, linewidth=1.4)
        axes.text(1.02, row, bar.text, transform=axes.get_yaxis_transform(), va="center")
    if bars["baseline"].notna().any():
        style = {"marker": REFERENCE.marker, "facecolors": PAGE, "edgecolors": REFERENCE.colour}
        axes.scatter(bars["baseline"].astype(float), range(len(bars)), s=22, linewidths=1.5, zorder=3, **style)
    axes.set_yticks(range(len(bars)), list(bars.index), color=INK)
    axes.set(xlim=(0, None), ylim=(len(bars) - 0.5, -0.5))
    axes.grid(False)
    axes.grid(True, axis="x")
    axes.spines["left"].set_visible(True)
    return figure_svg(figure, title)


def figure_svg(figure: "Figure", label: str) -> str:
    """A figure as SVG to put into a page; `label` is what a screen reader says. To be called in `drawing()`.

    Colours become CSS variables with the light colour as fallback; ids are unique in a page of differing figures.
    """
    whole = _drawn(figure)
    view_box = re.search(r'viewBox="([^"]+)"', whole)[1]
    body = NOISE.sub("", whole[whole.index(">", whole.index("<svg")) + 1 :]).replace("xlink:href", "href")
    body = re.sub(r"<[^>]+>", lambda tag: re.sub(r"(\d\.\d\d)\d+", r"\1", tag[0]), re.sub(r"\s+", " ", body))
    body = _with_own_ids(body, label)
    for name, (light, _) in COLOURS.items():
        body = body.replace(light, f"var(--{name}, {light})")
    attributes = f'viewBox="{view_box}" stroke-linejoin="round" role="img" aria-label="{escape(label, quote=True)}"'
    return f"<svg {attributes}>{body.strip()}"


def svg_file(svg: str) -> str:
    """An SVG of `figure_svg` as a file of its own, on a page that follows light and dark mode."""
    width, height = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg).groups()
    style = f"<style>{palette_css()} text {{ font-family: system-ui, sans-serif; }}</style>"
    sheet = f'<rect width="{width}" height="{height}" style="fill: var(--page, #fff)"/>'
    start = svg.index(">") + 1
    head = svg[: start - 1].replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"')
    return f'{head} width="{width}" height="{height}">\n{style}{sheet}{svg[start:]}\n'


def palette_css() -> str:
    """The colours as CSS variables, light and dark."""
    light, dark = (" ".join(f"--{name}: {both[i]};" for name, both in COLOURS.items()) for i in (0, 1))
    return f":root {{ {light} }} @media (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}"


def _drawn(figure: "Figure") -> str:
    """The figure as matplotlib writes it, without a background; `savefig` would draw it twice."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    for patch in (figure.patch, *(axes.patch for axes in figure.axes)):
        patch.set(facecolor="none", edgecolor="none")
    buffer = io.StringIO()
    FigureCanvasSVG(figure).print_svg(buffer, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    return buffer.getvalue()


def _with_own_ids(body: str, label: str) -> str:
    """Drop ids nobody refers to; make the others this figure's own."""
    own = hashlib.sha256(f"{label}{body}".encode()).hexdigest()[:8]
    used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', body))
    body = re.sub(r' id="([^"]+)"', lambda match: f' id="{match[1]}-{own}"' if match[1] in used else "", body)
    return re.sub(r'(href="#|url\(#)([^")]+)', rf"\g<1>\g<2>-{own}", body)
