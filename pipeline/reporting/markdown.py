"""A report as Markdown for terminals, diffs and code hosts; pictures become their numbers, beside those that are files."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from pipeline.reporting.blocks import Block, Code, Document, Figure, Paragraph, Section, Table, Verdict

SPECIAL = re.compile(r"([\\`*\[\]<>|~]|(?<!\w)_|_(?!\w)|^#)")


def render(document: Document) -> str:
    """The whole document."""
    tiles = Table(("", "", ""), tuple((tile.label, f"{tile.value}", tile.detail) for tile in document.tiles))
    parts = [
        f"# {text(document.title)}",
        text(document.subtitle),
        *_verdict(document.verdict),
        _table(tiles),
        *(part for section in document.sections for part in _section(section)),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def text(words: str) -> str:
    """Text on one line with Markdown's special letters escaped."""
    return SPECIAL.sub(r"\\\1", " ".join(words.split()))


def _verdict(verdict: Verdict) -> Iterable[str]:
    yield f"**{text(verdict.headline)}**"
    yield "\n".join(f"- {text(failure)}" for failure in verdict.failures)
    yield text(verdict.text)
    yield "\n".join(f"- {text(point)}" for point in verdict.points)
    yield from (f"> **Careful:** {text(warning)}" for warning in verdict.warnings)


def _section(section: Section) -> Iterable[str]:
    yield f"## {text(section.title)}"
    yield from (BLOCKS[type(block)](block) for block in section.blocks)


def _paragraph(paragraph: Paragraph) -> str:
    return f"**{text(paragraph.text)}**" if paragraph.kind == "warning" else text(paragraph.text)


def _code(code: Code) -> str:
    longest = max((len(run) for run in re.findall("`+", code.text)), default=0)
    fence = "`" * max(3, longest + 1)
    head = f"{text(code.summary)}\n\n" if code.summary else ""
    return f"{head}{fence}\n{code.text}\n{fence}"


def _table(table: Table) -> str:
    rule = ("---", *("---:",) * (len(table.head) - 1)) if len(table.head) > 3 else ("---",) * len(table.head)
    foot = [tuple(f"**{text(cell)}**" for cell in row) for row in table.foot]
    rows = [tuple(map(text, row)) for row in (table.head, *table.rows)]
    return "\n".join(map(_row, (rows[0], rule, *rows[1:], *foot)))


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _figure(figure: Figure) -> str:
    if figure.numbers is None:
        return ""
    key = "; ".join(f"{entry.css}: {entry.text}" for entry in figure.key if entry.shape == "line")
    image = f"![{figure.file}]({figure.file})" if figure.file else ""
    parts = (image, text(figure.caption), text(key), _table(figure.numbers))
    return "\n\n".join(part for part in parts if part)


BLOCKS: Mapping[type[Block], Callable[..., str]] = {Paragraph: _paragraph, Table: _table, Figure: _figure, Code: _code}
