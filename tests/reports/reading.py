"""Read a report back: its Markdown tables by caption, its sections, its drawings."""

import re
from pathlib import Path
from xml.etree import ElementTree

from pipeline.reports import write_report
from tests.reports.html_check import HtmlCheck

Rows = dict[str, dict[str, str]]  # first cell, head: cell


def written(run: Path) -> str:
    """The Markdown report, after checking that the page is well-formed."""
    write_report(run)
    assert HtmlCheck((run / "report.html").read_text()).problems == []
    return (run / "report.md").read_text()


def table(markdown: str, caption: str) -> Rows:
    """The rows of the table under `caption`, which may be its beginning."""
    lines = markdown.splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith(caption) and "|" not in line)
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip().strip("*") for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
    head, _, *body = rows
    assert {len(row) for row in body} <= {len(head)}
    return {row[0]: dict(zip(head, row, strict=True)) for row in body}


def tiles(markdown: str) -> dict[str, tuple[str, str]]:
    """Value and detail of each headline number."""
    block = markdown.partition("|  |  |  |\n")[2].partition("\n\n")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in block.splitlines()[1:]]
    return {label: (value, detail) for label, value, detail in rows}


def verdict(markdown: str) -> str:
    """All above the headline numbers."""
    return markdown.partition("\n\n|  |")[0]


def section(markdown: str, title: str) -> str:
    """The text of a section."""
    return markdown.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def drawings(page: str) -> list[ElementTree.Element]:
    """Every figure's panel, parsed as XML."""
    return [ElementTree.fromstring(svg) for svg in re.findall(r'<svg viewBox="[^"]+" stroke.*?</svg>', page, re.DOTALL)]
