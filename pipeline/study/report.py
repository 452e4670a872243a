"""Write results.csv, report.html, report.md and table1.svg of a study: a pure function of its folder."""

from pathlib import Path

from pipeline.reporting import html, markdown
from pipeline.reporting.blocks import Document
from pipeline.reporting.picture import picture
from pipeline.reporting.study_numbers import StudyNumbers, study_numbers
from pipeline.reporting.study_sections import study_panels, study_sections
from pipeline.reporting.study_verdict import judge_study, study_tiles
from pipeline.run_files import write_text
from pipeline.study.results import STUDY_TEXT, TABLE, Results, read_results, write_csv

PICTURE = "table1.svg"


def write_study_report(folder: Path) -> None:
    """Write all of them from what the folder holds; missing cells are named as missing.

    Raises UserError if `folder` is not a study, RunFailed if the disk is full.
    """
    results = read_results(folder)
    numbers = study_numbers(results)
    document = compose_study(results, numbers, (folder / STUDY_TEXT).read_text(encoding="utf-8"))
    write_csv(results, folder / TABLE)
    write_text(folder / "report.html", html.render(document))
    write_text(folder / "report.md", markdown.render(document))
    if panels := study_panels(numbers):
        write_text(folder / PICTURE, picture(panels))


def compose_study(results: Results, numbers: StudyNumbers, config_text: str) -> Document:
    """The report on a study, still independent of its format."""
    return Document(
        title=results.name,
        subtitle=f"{len(results.variants)} variants, {_units(results)}",
        verdict=judge_study(results, numbers),
        tiles=study_tiles(results, numbers),
        sections=study_sections(results, numbers, config_text),
    )


def _units(results: Results) -> str:
    seeds, folds = ({getattr(cell, key) for cell in results.cells} - {None} for key in ("seed", "fold"))
    parts = [
        f"{len(found)} {name}{'s' * (len(found) > 1)}" for name, found in (("seed", seeds), ("fold", folds)) if found
    ]
    return " and ".join(parts)
