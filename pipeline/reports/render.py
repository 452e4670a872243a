"""What a report consists of, and how it becomes a self-contained REPORT page and a Markdown file (jinja2 templates)."""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import pandas as pd

from pipeline.reports.numbers import DASH, MISSING
from pipeline.reports.style import COLOURS, Series, palette_css
from pipeline.runs.files import write_text
from pipeline.runs.names import REPORT

MARKDOWN = "report.md"
STYLE = Path(__file__).with_name("report.css")
TEMPLATES = Path(__file__).with_name("templates")
VerdictState = Literal["pass", "fail", "chance", "unverified", "unfinished"]
UNIT = re.compile(r"(?<=\d) (?=(?:%|kB|ms|points|h|min|s)(?!\w))|(?<=\d) (?=to )|(?<=\d to) (?=[\d+−])")
SPECIAL = re.compile(r"([\\`*\[\]<>|~]|(?<!\w)_|_(?!\w)|^#)")  # letters with a meaning in Markdown
MARKER_PATHS = {
    "o": "M7 6a4 4 0 1 0 8 0a4 4 0 1 0 -8 0",
    "s": "M7.5 2.5h7v7h-7Z",
    "^": "M11 1.5l4.5 8h-9Z",
    "v": "M11 10.5l4.5 -8h-9Z",
    "D": "M11 1l5 5l-5 5l-5 -5Z",
    "P": "M9.5 1.5h3v3h3v3h-3v3h-3v-3h-3v-3h3Z",
    "X": "M8 1.5l3 2.5l3 -2.5l2 2l-3 2.5l3 2.5l-2 2l-3 -2.5l-3 2.5l-2 -2l3 -2.5l-3 -2.5Z",
    "*": "M11 0.5l1.6 3.6l3.9 0.4l-2.9 2.6l0.9 3.9l-3.5 -2l-3.5 2l0.9 -3.9l-2.9 -2.6l3.9 -0.4Z",
}


@dataclass(frozen=True)
class Text:
    """One paragraph; `kind` decides how loud it is."""

    text: str
    kind: Literal["plain", "note", "warning"] = "plain"


@dataclass(frozen=True)
class Table:
    """A table of ready-made texts; the first column names the row, `foot` holds totals or limits.

    `folded` tables are closed in REPORT until the reader opens them.
    """

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    foot: tuple[tuple[str, ...], ...] = ()
    folded: bool = False

    @classmethod
    def of(cls, caption: str, frame: pd.DataFrame, foot: int = 0, folded: bool = False) -> "Table":
        """The table of a frame of texts: its index names the rows, the last `foot` of them are the foot.

        What is missing (NaN, None, MISSING) becomes a dash.
        """
        texts = frame.astype(object).where(frame.notna(), DASH).astype(str).replace(MISSING, DASH)
        rows = tuple((str(name), *cells) for name, *cells in texts.itertuples(name=None))
        cut = len(rows) - foot
        return cls(caption, (frame.index.name or "", *map(str, frame.columns)), rows[:cut], rows[cut:], folded)


@dataclass(frozen=True)
class KeyEntry:
    """One entry of a figure's key: what a series stands for, and whether it is drawn as a line, markers or both."""

    text: str
    series: Series
    shape: Literal["line", "marker", "hollow", "both"] = "line"


@dataclass(frozen=True)
class Figure:
    """SVG panels (of `style.figure_svg`) under a common key, with the plotted numbers as a table.

    `file` names the same picture beside the report, if it is written there; `size` is how small the panels may get.
    """

    caption: str
    panels: tuple[str, ...]
    key: tuple[KeyEntry, ...] = ()
    numbers: Table | None = None
    file: str = ""
    size: Literal["normal", "small", "wide"] = "normal"


@dataclass(frozen=True)
class Code:
    """Text shown as it is; folded under `summary` if that is given."""

    text: str
    summary: str = ""


@dataclass(frozen=True)
class Section:
    """A titled part of the report; `anchor` is its address inside the page."""

    anchor: str
    title: str
    blocks: tuple[Text | Table | Figure | Code, ...]


@dataclass(frozen=True)
class Tile:
    """One headline number with its comparison underneath."""

    label: str
    value: str
    detail: str
    state: Literal["plain", "good", "bad", "missing"] = "plain"


@dataclass(frozen=True)
class Verdict:
    """What the reader learns first: a one-line state, every failure, a short summary, and warnings."""

    state: VerdictState
    headline: str
    summary: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Page:
    """The whole report."""

    title: str
    subtitle: str
    verdict: Verdict
    tiles: tuple[Tile, ...]
    sections: tuple[Section, ...]


def write_page(page: Page, folder: Path) -> None:
    """Write report.html and report.md into `folder`; raises UserError or RunFailed where that is not possible."""
    write_text(folder / REPORT, html(page))
    write_text(folder / MARKDOWN, markdown(page))


def html(page: Page) -> str:
    """The report as one page that requests nothing: no script, inline CSS and SVG."""
    from markupsafe import Markup, escape

    environment = _environment(autoescape=True)
    environment.filters["glue"] = lambda words: Markup(UNIT.sub("\u00a0", str(escape(words))))
    style = palette_css() + "\n" + STYLE.read_text(encoding="utf-8")
    names = {"colours": COLOURS, "markers": MARKER_PATHS}
    return environment.get_template("page.html.j2").render(page=page, style=style, **names).lstrip()


def markdown(page: Page) -> str:
    """The report for terminals and code hosts: figures by their files and numbers."""
    environment = _environment(autoescape=False)
    environment.filters |= {"md": escaped, "fence": _fence}
    text = environment.get_template("page.md.j2").render(page=page)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def escaped(words: str) -> str:
    """Text on one line with Markdown's special letters escaped."""
    return SPECIAL.sub(r"\\\1", " ".join(words.split()))


@cache
def _environment(autoescape: bool):
    """The templates, compiled once in a process: a study writes its report again and again."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=autoescape,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.tests["kind"] = lambda block, name: type(block).__name__ == name
    return environment


def _fence(text: str) -> str:
    """A fence of Markdown that the text does not contain."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    return "`" * max(3, longest + 1)
