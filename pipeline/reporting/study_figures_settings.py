"""The paper's Figure 3: what the settings of a variant change against its reference setting, and its sensitivity."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from pipeline.reporting.blocks import Block, Figure, Paragraph, Table
from pipeline.reporting.interval_plot import IntervalRow, interval_plot, interval_range
from pipeline.reporting.markers import MARKERS
from pipeline.reporting.series import Series, common_range, is_cut
from pipeline.reporting.series_style import Style, styles
from pipeline.reporting.study_curves import gain_point, numeric_axis, other_conditions, shown_value
from pipeline.reporting.study_figure_words import (
    axis_name,
    counted,
    gain_cell,
    not_done,
    paired_by,
    points_of,
    setting_label,
    value_text,
)
from pipeline.reporting.study_numbers import StudyNumbers
from pipeline.reporting.study_sensitivity import DEFINITION, FEWEST_PAIRS
from pipeline.reporting.study_settings import SettingNumbers, VariantSettings, variant_settings
from pipeline.reporting.study_words import condition_name
from pipeline.reporting.xy_chart import Axes, frame_for, xy_chart
from pipeline.study.results import Condition, Results

FEWEST_T_PAIRS = 3  # two pairs have an interval 13 times as wide as their standard error


def settings_blocks(results: Results, numbers: StudyNumbers) -> Iterator[Block]:
    """Small multiples on one scale, one a variant, and the sensitivities; nothing where no variant has settings."""
    found = variant_settings(results, numbers)
    axis = numeric_axis(results)
    for rest in other_conditions(results, axis) if found and axis else ():
        yield _gains(results, found, axis, rest)
    if found:
        yield _sensitivity(results, found)


def _gains(results: Results, found: Sequence[VariantSettings], axis: str, rest: Condition) -> Block:
    look, where = styles(results), f", {condition_name(rest)}" if rest else ""
    panels = [(each, _series(results, each, look[each.variant], axis, rest)) for each in found]
    panels = [(each, known) for each, series in panels if (known := [one for one in series if one.known])]
    if not panels:
        return Paragraph(f"No setting is done beside the reference setting of its variant{where}.", "note")
    groups = [series for _, series in panels]
    limits, frame = common_range(groups, (0.0,)), frame_for(groups, height=240)
    x_axis = axis_name(axis), tuple(shown_value(axis, value) for value in sorted(results.axes[axis]))
    axes = [Axes(each.variant, f"gain relative to {each.reference} (%){where}", *x_axis) for each, _ in panels]
    charts = [xy_chart(each, group, limits, frame=frame) for each, group in zip(axes, groups, strict=True)]
    every = [series for group in groups for series in group]
    caption = (
        "Change of the score relative to that of the variant's reference setting, in % of it: mean over runs paired by "
        f"{paired_by(results)}, n = {counted(every)} a point, one scale for all panels; the reference is the line at 0. "
        + _bars(every, is_cut(every, limits))
        + not_done([each.variant for each in found if each.variant not in {known.variant for known, _ in panels}])
    )
    return Figure(caption, tuple(charts), numbers=_table(found, axis, rest))


def _bars(series: Sequence[Series], cut: bool) -> str:
    if all(point.low is None for each in series for point in each.known):
        return f"No bars: the intervals in the table are of fewer than {FEWEST_T_PAIRS} pairs."
    return f"Bars: 95 % t interval{', cut at the edge where they are longer' if cut else ''}."


def _along(row: Sequence[SettingNumbers], axis: str, rest: Condition) -> list[tuple[float, SettingNumbers]]:
    """The numbers of a setting by the value of `axis`, the other axes being at `rest`."""
    kept = [each for each in row if {key: value for key, value in each.condition.items() if key != axis} == rest]
    return sorted(((shown_value(axis, each.condition[axis]), each) for each in kept), key=lambda pair: pair[0])


def _series(results: Results, found: VariantSettings, style: Style, axis: str, rest: Condition) -> list[Series]:
    others = [row for row in found.rows if row[0].setting != found.reference]
    series = []
    for index, row in enumerate(others):
        points = [gain_point(x, each.gain) for x, each in _along(row, axis, rest)]
        few = all(point.n < FEWEST_T_PAIRS for point in points)
        label = setting_label(row[0].setting, results.settings[found.variant][row[0].setting])
        kind = "none" if few else "whisker"
        if few:
            points = [replace(point, low=None, high=None) for point in points]
        series.append(
            Series(label, f"{style.css} d{index % len(MARKERS)}", tuple(points), MARKERS[index % len(MARKERS)], kind)
        )
    return series


def _table(found: Sequence[VariantSettings], axis: str, rest: Condition) -> Table:
    rows, head = [], ()
    for each in found:
        for row in each.rows:
            along = _along(row, axis, rest)
            head = ("gain in % [95 % interval]", *(value_text(axis, x) for x, _ in along))
            is_reference = row[0].setting == each.reference
            cells = ("reference" if is_reference else gain_cell(numbers.gain) for _, numbers in along)
            rows.append((f"{each.variant}, {row[0].setting}", *cells))
    return Table(head, tuple(rows))


def _sensitivity(results: Results, found: Sequence[VariantSettings]) -> Block:
    """One number a method."""
    look = styles(results)
    rows = []
    for each in found:
        value, style = each.sensitivity, look[each.variant]
        if value is None:
            rows.append(IntervalRow(each.variant, None, None, None, style.css, absent="no complete pair of runs"))
            continue
        low, high = value.interval or (None, None)
        ends = (None if end is None else 100 * end for end in (value.value, low, high))
        chance = None if value.chance is None else 100 * value.chance
        rows.append(IntervalRow(each.variant, *ends, style.css, style.marker, chance))
    limits = interval_range(rows)
    if limits is None:
        return Paragraph("Sensitivity needs two settings of a method with a pair of runs at every condition.", "note")
    title = "Sensitivity to the settings"
    plot = interval_plot(title, "standard deviation over settings (points)", rows, limits)
    bars = "Bars: 95 % bootstrap over the pairs of runs" + (
        "." if any(row.low is not None for row in rows) else f"; there is none for fewer than {FEWEST_PAIRS} pairs."
    )
    return Figure(f"{DEFINITION} Upright stroke: by chance alone. {bars}", (plot,), (), _sensitivity_table(found))


def _sensitivity_table(found: Sequence[VariantSettings]) -> Table:
    rows = []
    for each in found:
        value = each.sensitivity
        if value is None:
            rows.append((each.variant, *("missing",) * 5))
            continue
        interval = (
            "–" if value.interval is None else f"{points_of(value.interval[0])} to {points_of(value.interval[1])}"
        )
        rows.append(
            (each.variant, points_of(value.value), interval, points_of(value.range), points_of(value.chance),
             f"{value.settings} settings, {value.conditions} conditions, {value.pairs} pairs")
        )  # fmt: skip
    return Table(("", "sensitivity (points)", "95 % interval", "range", "by chance alone", "of"), tuple(rows))
