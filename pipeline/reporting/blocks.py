"""What a report consists of, independent of HTML and Markdown."""

from dataclasses import dataclass, field
from typing import Literal

VerdictState = Literal["pass", "fail", "unverified", "unfinished"]


@dataclass(frozen=True)
class Paragraph:
    """One paragraph of plain text; `kind` decides how loud it is."""

    text: str
    kind: Literal["plain", "note", "warning"] = "plain"


@dataclass(frozen=True)
class Table:
    """A table of ready-made texts; the first column names the row, `foot` holds totals or limits."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    foot: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class KeyEntry:
    """One entry of a figure's key: the CSS class of its swatch, the swatch's shape, what it stands for."""

    css: str
    shape: Literal["line", "dashed", "dot", "diamond"]
    text: str


@dataclass(frozen=True)
class Figure:
    """SVG panels under a common key, with the plotted numbers as a table for readers without the picture.

    `file`: the name of the same picture beside the report, if it is written there.
    """

    caption: str
    panels: tuple[str, ...]
    key: tuple[KeyEntry, ...] = ()
    numbers: Table | None = None
    size: Literal["normal", "small", "medium"] = "normal"
    file: str = ""


@dataclass(frozen=True)
class Code:
    """Text shown as it is; collapsed under `summary` if that is given."""

    text: str
    summary: str = ""


Block = Paragraph | Table | Figure | Code


@dataclass(frozen=True)
class Section:
    """A titled part of the report; `anchor` is its address inside the page."""

    anchor: str
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Tile:
    """One headline number with its comparison underneath."""

    label: str
    value: str
    detail: str
    state: Literal["plain", "good", "bad", "missing"] = "plain"


@dataclass(frozen=True)
class Verdict:
    """What the reader learns first: a loud one-line state, every failure, the story in numbers or points, and warnings."""

    state: VerdictState
    headline: str
    text: str = ""
    points: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Document:
    """The whole report."""

    title: str
    subtitle: str
    verdict: Verdict
    tiles: tuple[Tile, ...]
    sections: tuple[Section, ...] = field(default=())
