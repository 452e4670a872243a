"""What each variant changes at every action unit, at the usual condition."""

from collections.abc import Iterator

from pipeline.au_intervals import Difference
from pipeline.reporting.blocks import Block, Figure, Paragraph, Table
from pipeline.reporting.interval_plot import IntervalRow, Layout, interval_plot, interval_range
from pipeline.reporting.series_style import styles
from pipeline.reporting.study_curves import standing_cells, usual_condition
from pipeline.reporting.study_difference import paired_difference
from pipeline.reporting.study_figure_words import competing, gain_cell, not_done, of_settings, paired_by
from pipeline.reporting.study_numbers import StudyNumbers, paired
from pipeline.reporting.study_words import at
from pipeline.study.results import Results

LAYOUT = Layout(width=220, names=50, right=10)
MEAN = "mean"
CAPTION = (
    "Difference in F1 to {reference}{where}, in points: mean over runs paired by {paired}, n = {n} pairs; bars: 95 % t "
    "interval, without a correction for {many} comparisons, of which about one in twenty is off zero by chance alone. "
    "Filled: the interval leaves out zero."
)


def unit_blocks(results: Results, numbers: StudyNumbers) -> Iterator[Block]:
    """One panel a variant on one scale; nothing for a study on classes."""
    if not numbers.multilabel:
        return
    others = [name for name in competing(results) if name != results.reference]
    found = {name: _differences(results, numbers, name) for name in others}
    found = {name: rows for name, rows in found.items() if any(each.mean is not None for each in rows.values())}
    where = at(usual_condition(results))
    if not found:
        yield Paragraph(f"No variant shares a run that is done{where} with {results.reference}.", "note")
        return
    look = styles(results)
    rows = {name: [_row(unit, each, look[name].css) for unit, each in own.items()] for name, own in found.items()}
    limits = interval_range([row for own in rows.values() for row in own])
    panels = tuple(interval_plot(name, "F1 points", own, limits, LAYOUT) for name, own in rows.items())
    counts = sorted({each.pairs for own in found.values() for each in own.values() if each.pairs})
    n = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    many = sum(each.mean is not None for own in found.values() for each in own.values())
    caption = CAPTION.format(reference=results.reference, where=where, paired=paired_by(results), n=n, many=many)
    caption += of_settings(results, numbers) + not_done(name for name in others if name not in found)
    yield Figure(caption, panels, numbers=_table(found), size="medium")


def _differences(results: Results, numbers: StudyNumbers, variant: str) -> dict[str, Difference]:
    """By action unit, and of their mean."""
    cells, reference = (
        standing_cells(results, numbers, name, usual_condition(results)) for name in (variant, results.reference)
    )
    paths = {unit.removeprefix("AU"): ("metrics", "f1", unit) for unit in numbers.units} | {MEAN: numbers.terms.score}
    return {name: paired_difference(paired(cells, *path), paired(reference, *path)) for name, path in paths.items()}


def _row(unit: str, each: Difference, css: str) -> IntervalRow:
    mean, low, high = (None if end is None else 100 * end for end in (each.mean, each.low, each.high))
    clear = low is not None and not low <= 0 <= high
    name = unit if unit == MEAN else f"AU{unit}"
    return IntervalRow(name, mean, low, high, css, "dot" if clear else "ring", absent="undefined")


def _table(found: dict[str, dict[str, Difference]]) -> Table:
    units = list(next(iter(found.values())))
    rows = tuple(
        (unit if unit == MEAN else f"AU{unit}", *(gain_cell(own[unit]) for own in found.values())) for unit in units
    )
    return Table(("", *found), rows)
