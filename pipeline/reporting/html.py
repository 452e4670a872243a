"""A report as one self-contained HTML page: no script, no request, readable without colour."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from pathlib import Path

from pipeline.reporting.blocks import Block, Code, Document, Figure, KeyEntry, Paragraph, Section, Table, Tile, Verdict
from pipeline.reporting.words import MISSING, NOT_APPLICABLE

STYLE = Path(__file__).with_name("report.css")
SYMBOLS = {"pass": "✓", "fail": "✗", "unverified": "?", "unfinished": "…"}
CELL_CLASSES = {"PASS": "good", "FAIL": "bad", MISSING: "absent", NOT_APPLICABLE: "absent"}
SWATCHES = {
    "line": '<path class="line {css}" d="M1 6H21"/>',
    "dashed": '<path class="line dashed {css}" d="M1 6H21"/>',
    "dot": '<circle class="dot {css}" cx="11" cy="6" r="4"/>',
    "diamond": '<path class="diamond {css}" d="M11 1l5 5l-5 5l-5 -5Z"/>',
}
UNIT = re.compile(r"(?<=\d) (?=(?:%|kB|ms|points|h|min|s)(?!\w))|(?<=\d) (?=to )|(?<=\d to) (?=[\d+−])")


def render(document: Document) -> str:
    """The whole page."""
    title = escape(document.title)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>
{STYLE.read_text(encoding="utf-8")}</style>
</head>
<body>
<main>
<header>
<h1>{title}</h1>
<p class="subtitle">{text(document.subtitle)}</p>
</header>
{_verdict(document.verdict)}
<ul class="tiles">
{_join(map(_tile, document.tiles))}
</ul>
<nav aria-label="Sections">
{_join(f'<a href="#{section.anchor}">{text(section.title)}</a>' for section in document.sections)}
</nav>
{_join(map(_section, document.sections))}
</main>
</body>
</html>
"""


def text(words: str) -> str:
    """Escaped text in which a number does not part from its unit, nor a range in two."""
    return UNIT.sub("\u00a0", escape(words))


def _join(parts: Iterable[str]) -> str:
    return "\n".join(parts)


def _verdict(verdict: Verdict) -> str:
    symbol = SYMBOLS[verdict.state]
    return _join(
        (
            f'<section class="verdict {verdict.state}">',
            f'<p class="headline"><span aria-hidden="true">{symbol}</span> {text(verdict.headline)}</p>',
            _list("failures", verdict.failures),
            f'<p class="lead">{text(verdict.text)}</p>' if verdict.text else "",
            _list("points", verdict.points),
            *(f'<p class="warning">{text(warning)}</p>' for warning in verdict.warnings),
            "</section>",
        )
    )


def _list(css: str, items: Iterable[str]) -> str:
    found = _join(f"<li>{text(item)}</li>" for item in items)
    return f'<ul class="{css}">\n{found}\n</ul>' if found else ""


def _tile(tile: Tile) -> str:
    label, value, detail = text(tile.label), text(tile.value), text(tile.detail)
    return f'<li class="tile {tile.state}"><span>{label}</span><strong>{value}</strong><span>{detail}</span></li>'


def _section(section: Section) -> str:
    blocks = _join(BLOCKS[type(block)](block) for block in section.blocks)
    return f'<section id="{section.anchor}">\n<h2>{text(section.title)}</h2>\n{blocks}\n</section>'


def _paragraph(paragraph: Paragraph) -> str:
    return f'<p class="{paragraph.kind}">{text(paragraph.text)}</p>'


def _code(code: Code) -> str:
    body = f"<pre>{escape(code.text)}</pre>"
    return _details(code.summary, body) if code.summary else body


def _details(summary: str, body: str) -> str:
    return f"<details>\n<summary>{text(summary)}</summary>\n{body}\n</details>"


def _table(table: Table) -> str:
    head = "".join(f'<th scope="col">{text(cell)}</th>' for cell in table.head)
    parts = [f"<thead><tr>{head}</tr></thead>", f"<tbody>\n{_rows(table.rows)}\n</tbody>"]
    if table.foot:
        parts.append(f"<tfoot>\n{_rows(table.foot)}\n</tfoot>")
    body = _join(parts if any(table.head) else parts[1:])
    css = "pairs" if len(table.head) <= 2 else "wide dense" if len(table.head) > 9 else "wide"
    return f'<div class="scroll" tabindex="0"><table class="{css}">\n{body}\n</table></div>'


def _rows(rows: Sequence[Sequence[str]]) -> str:
    return _join(f'<tr><th scope="row">{text(row[0])}</th>{"".join(map(_cell, row[1:]))}</tr>' for row in rows)


def _cell(cell: str) -> str:
    css = CELL_CLASSES.get(cell)
    return f'<td class="{css}">{text(cell)}</td>' if css else f"<td>{text(cell)}</td>"


def _figure(figure: Figure) -> str:
    key = _join(map(_key_entry, figure.key))
    return _join(
        (
            "<figure>",
            f'<ul class="key">\n{key}\n</ul>' if key else "",
            f'<div class="panels {figure.size}">\n{_join(figure.panels)}\n</div>',
            f"<figcaption>{text(figure.caption)}</figcaption>",
            _details("The numbers", _table(figure.numbers)) if figure.numbers else "",
            "</figure>",
        )
    )


def _key_entry(entry: KeyEntry) -> str:
    swatch = SWATCHES[entry.shape].format(css=entry.css)
    return f'<li><svg viewBox="0 0 22 12" aria-hidden="true">{swatch}</svg>{text(entry.text)}</li>'


BLOCKS: Mapping[type[Block], Callable[..., str]] = {Paragraph: _paragraph, Table: _table, Figure: _figure, Code: _code}
