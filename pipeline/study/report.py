"""Write results.csv, timings.csv, report.html, report.md and figures of a study: a pure function of its folder."""

from collections.abc import Collection, Sequence
from pathlib import Path

from pipeline.reporting import html, markdown
from pipeline.reporting.blocks import Document, Section
from pipeline.reporting.picture import picture
from pipeline.reporting.study_csv import write_tables
from pipeline.reporting.study_figures import figure_files, figure_sections, is_figure_file
from pipeline.reporting.study_numbers import StudyNumbers, study_numbers
from pipeline.reporting.study_sections import study_panels, study_sections
from pipeline.reporting.study_settings import variant_settings
from pipeline.reporting.study_tuned import tune
from pipeline.reporting.study_verdict import judge_study, study_tiles
from pipeline.reporting.study_words import at
from pipeline.reporting.words import listing
from pipeline.run_files import write_text
from pipeline.study.best import BEST
from pipeline.study.results import STUDY_TEXT, Results, read_results

PICTURE = "table1.svg"


def write_study_report(folder: Path) -> None:
    """Write all of them from what the folder holds; missing cells are named as missing.

    Raises UserError if `folder` is not a study, RunFailed if the disk is full.
    """
    results = read_results(folder)
    numbers = study_numbers(results)
    text = (folder / STUDY_TEXT).read_text(encoding="utf-8")
    figures = figure_sections(results, numbers)
    document = compose_study(results, numbers, figures, text, (folder / BEST).is_file())
    write_tables(results, folder)
    write_text(folder / "report.html", html.render(document))
    write_text(folder / "report.md", markdown.render(document))
    pictures = figure_files(figures)
    if panels := study_panels(numbers):
        pictures[PICTURE] = picture(panels)
    for name, svg in pictures.items():
        write_text(folder / name, svg)
    _remove_older(folder, pictures)


def _remove_older(folder: Path, written: Collection[str]) -> None:
    """Pictures of an earlier report that this one does not have."""
    for path in folder.glob("*.svg"):
        if path.name not in written and (path.name == PICTURE or is_figure_file(path.name)):
            path.unlink()


def compose_study(
    results: Results, numbers: StudyNumbers, figures: Sequence[Section], config_text: str, best_file: bool
) -> Document:
    """The report on a study, still independent of its format."""
    settings = variant_settings(results, numbers)
    tuned = tune(results, numbers)
    return Document(
        title=results.name,
        subtitle=f"{len(results.variants)} variants, {_units(results)}",
        verdict=judge_study(results, numbers, tuned, settings),
        tiles=study_tiles(results, numbers, tuned),
        sections=study_sections(results, numbers, tuned, settings, figures, config_text, best_file),
    )


def _units(results: Results) -> str:
    """Such as `5 settings, 3 conditions and 2 seeds`; a single condition by its name."""
    folds = [fold for fold in results.folds if fold is not None]
    settings = sum(len(found) for found in results.settings.values() if len(found) > 1)
    conditions = len(results.conditions) if len(results.conditions) > 1 else 0
    counted = (("setting", settings), ("condition", conditions), ("seed", len(results.seeds)), ("fold", len(folds)))
    parts = [f"{n} {name}{'s' * (n > 1)}" for name, n in counted if n]
    return listing(parts) + (at(results.conditions[0]) if conditions == 0 else "")
