"""The gain of each method by epoch, and what stale batch-norm statistics would have claimed."""

from collections.abc import Iterator, Mapping

from pipeline.reporting.blocks import Block, Figure, KeyEntry
from pipeline.reporting.chart_frame import Frame
from pipeline.reporting.series import Point, Series, common_range, is_cut
from pipeline.reporting.series_style import styles
from pipeline.reporting.study_curves import ByEpoch, by_epoch, gains_by_epoch, usual_condition
from pipeline.reporting.study_figure_words import counted, epoch_table, of_settings, one_decimal, paired_by
from pipeline.reporting.study_figures_loss import emphasised
from pipeline.reporting.study_numbers import StudyNumbers
from pipeline.reporting.study_words import at
from pipeline.reporting.xy_chart import Axes, xy_chart
from pipeline.study.results import Pair, Results

FRAME = Frame(width=220, height=196, left=38, right=10, top=46, bottom=40)
MOVING, REESTIMATED = "moving", "reestimate"
ONE_KIND = "The runs recorded one kind of batch-norm statistics only (train.log_both_statistics: true records both)."
BOTH = (
    "Solid: statistics of batch norm and activations estimated anew for the weights of the epoch. Dashed: what their "
    "moving averages, which lag behind the weights, would have claimed, for method and reference alike."
)
Lines = Mapping[str, Mapping[Pair, list]]


def stale_blocks(results: Results, numbers: StudyNumbers, lines: Lines, rival: Series | None) -> Iterator[Block]:
    """One panel a method on one scale: gain with its interval, with both kinds of statistics, and the rival's line."""
    reference = kinds(lines.get(results.reference, {}), numbers.terms.test_key)
    groups = {}
    for name, found in lines.items():
        if name != results.reference and not (rival and rival.label == name):
            own = kinds(found, numbers.terms.test_key)
            if group := _group(own, reference, styles(results)[name].css):
                groups[name] = group
    if not groups:
        return
    extra = [Series("", f"{rival.css} rival", rival.points, None, "none")] if rival else []
    shown = {name: [*extra, *group] for name, group in groups.items()}
    limits = common_range(shown.values(), (0.0,))
    axes = (f"{numbers.terms.short} points", "epoch")
    panels = tuple(xy_chart(Axes(name, *axes), group, limits, frame=FRAME) for name, group in shown.items())
    solid = [group[-1] for group in groups.values()]
    cut = " Bands are cut at the edge." if is_cut(solid, limits) else ""
    both = any(len(group) > 1 for group in groups.values())
    caption = (
        f"Gain over {results.reference} at the same epoch{at(usual_condition(results))}: mean difference paired by "
        f"{paired_by(results)}, n = {counted(solid)} pairs; band: 95 % t interval.{cut} {BOTH if both else ONE_KIND}"
    )
    key = [KeyEntry("neutral", "dashed", "the same weights, moving statistics")] if both else []
    if rival:
        key.append(KeyEntry(f"{rival.css} rival", "dashed", f"{rival.label}: the weights it kept"))
    yield Figure(
        caption + of_settings(results, numbers) + _claims(groups, emphasised(results)[-1]),
        panels,
        tuple(key),
        epoch_table(_columns(groups), one_decimal),
        "medium",
    )


def kinds(lines: Mapping[Pair, list], key: str) -> dict[str, ByEpoch]:
    """The values at `key` with re-estimated ("reestimate") and with moving statistics, where recorded."""
    nested = {kind: by_epoch(lines, kind, key, whole=True) for kind in (MOVING, REESTIMATED)}
    top = by_epoch(lines, key, whole=True)
    if nested[REESTIMATED]:
        return {REESTIMATED: nested[REESTIMATED], MOVING: top}
    return {REESTIMATED: top, MOVING: nested[MOVING]}


def _group(own: Mapping[str, ByEpoch], reference: Mapping[str, ByEpoch], css: str) -> list[Series]:
    """The dashed curve first, if there is one, then the solid one."""
    stale, honest = (gains_by_epoch(own[kind], reference[kind]) for kind in (MOVING, REESTIMATED))
    found = [Series("", f"{css} dashed", stale, None, "none"), Series("", f"{css} solid", honest)]
    return [each for each in found if each.known] if found[-1].known else []


def _columns(groups: Mapping[str, list[Series]]) -> dict[str, Series]:
    columns = {}
    for name, group in groups.items():
        columns[f"{name}, re-estimated"] = group[-1]
        if len(group) > 1:
            columns[f"{name}, moving"] = group[0]
    return columns


def _claims(groups: Mapping[str, list[Series]], loud: str) -> str:
    """What both kinds of statistics say of `loud` at the last epoch, and where they are furthest apart."""
    both = {
        name: [(point, honest) for point in group[0].known for honest in group[-1].known if honest.x == point.x]
        for name, group in groups.items()
        if len(group) > 1
    }
    pairs = [(name, *pair) for name, found in both.items() for pair in found]
    if not pairs:
        return ""
    last = [(loud, *both[loud][-1])] if both.get(loud) else []
    widest = max(pairs, key=lambda each: abs(each[1].mean - each[2].mean))
    claims = [
        f" {what}, {name} at epoch {stale.x:g}: {_claim(stale)} by moving averages, {_claim(honest)} anew."
        for what, (name, stale, honest) in (*(("At the end", each) for each in last), ("Furthest apart of all", widest))
    ]
    return "".join(claims)


def _claim(point: Point) -> str:
    """`+9.7 (−5.7 to +25.2)`, in points."""
    interval = "" if point.low is None else f" ({_points(point.low)} to {_points(point.high)})"
    return _points(point.mean) + interval


def _points(value: float) -> str:
    return f"{value:+.1f}".replace("-", "−")
