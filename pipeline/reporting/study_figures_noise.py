"""The paper's Figure 2: gain over the reference, and score, against an axis of the conditions; one curve a variant."""

from collections.abc import Iterator

from pipeline.reporting import words
from pipeline.reporting.blocks import Block, Figure, Paragraph, Table
from pipeline.reporting.series import Point, Series, common_range, is_cut
from pipeline.reporting.series_style import Style, styles
from pipeline.reporting.study_curves import (
    gain_point,
    numeric_axis,
    other_conditions,
    rows_along,
    score_point,
)
from pipeline.reporting.study_figure_words import (
    axis_name,
    competing,
    counted,
    gain_cell,
    not_done,
    of_settings,
    paired_by,
    score_cell,
    value_text,
)
from pipeline.reporting.study_figures_paper import paper_blocks
from pipeline.reporting.study_numbers import ArmNumbers, StudyNumbers
from pipeline.reporting.study_words import condition_name
from pipeline.reporting.xy_chart import Axes, frame_for, xy_chart
from pipeline.study.results import Condition, Results


def noise_blocks(results: Results, numbers: StudyNumbers) -> Iterator[Block]:
    """A figure for every point of the other axes, and the paper's curves where they fit; nothing without a numeric axis."""
    axis = numeric_axis(results)
    for rest in other_conditions(results, axis) if axis else ():
        yield _figure(results, numbers, axis, rest)
        yield from paper_blocks(results, numbers, axis, rest)


def _figure(results: Results, numbers: StudyNumbers, axis: str, rest: Condition) -> Block:
    rows = rows_along(results, numbers, axis, rest)
    look = styles(results)
    others = [name for name in competing(results) if name != results.reference]
    score = [_series(name, look[name], [score_point(x, row.score) for x, row in found]) for name, found in rows.items()]
    gain = [_series(name, look[name], [gain_point(x, row.difference) for x, row in rows[name]]) for name in others]
    score, gain = ([each for each in series if each.known] for series in (score, gain))
    where = f", {condition_name(rest)}" if rest else ""
    if not score:
        return Paragraph(f"No run is done yet{where}.", "note")
    x_axis = axis_name(axis), tuple(x for x, _ in rows[results.reference])
    frame, limits = frame_for([score, gain]), common_range([gain], (0.0, 1.0))
    panels = []
    if gain:
        axes = Axes(f"(a) Gain over {results.reference}", f"{numbers.terms.short} points{where}", *x_axis)
        panels.append(xy_chart(axes, gain, limits, frame=frame))
    axes = Axes(f"(b) {words.capitalised(numbers.terms.test)}", f"%{where}", *x_axis)
    panels.append(xy_chart(axes, score, common_range([score], within=(0.0, 100.0)), frame=frame))
    return Figure(
        _caption(results, numbers, gain, score, is_cut(gain, limits)),
        tuple(panels),
        numbers=_table(results, rows, axis),
    )


def _series(name: str, style: Style, points: list[Point]) -> Series:
    return Series(name, style.css, tuple(points), style.marker, "whisker")


def _caption(results: Results, numbers: StudyNumbers, gain: list[Series], score: list[Series], cut: bool) -> str:
    parts = []
    if gain:
        parts.append(
            f"(a) Mean difference to {results.reference}, paired by {paired_by(results)}; bars: its 95 % t interval, "
            f"n = {counted(gain)} pairs a point{', cut at the edge where they are longer' if cut else ''}."
        )
    parts.append(f"(b) Mean; bars: standard deviation, n = {counted(score)} runs a point.")
    parts.append(
        "Points of one value stand side by side so that their bars can be told apart; a gap is a run that is not done."
    )
    absent = (name for name in competing(results) if name not in {each.label for each in score})
    return " ".join(parts) + of_settings(results, numbers) + not_done(absent)


def _table(results: Results, rows: dict[str, list[tuple[float, ArmNumbers]]], axis: str) -> Table:
    head = ("", *(value_text(axis, x) for x, _ in rows[results.reference]))
    gains = [
        (f"{name}, gain", *(gain_cell(row.difference) for _, row in found))
        for name, found in rows.items()
        if name != results.reference and results.competes(name)
    ]
    scores = [(f"{name}, score", *(score_cell(row.score) for _, row in found)) for name, found in rows.items()]
    return Table(head, (*gains, *scores))
