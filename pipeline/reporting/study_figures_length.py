"""Gain against training length: what a method is worth if training ends at an epoch, early stopping as the rival."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import fmean

from pipeline.reporting import words
from pipeline.reporting.blocks import Block, Figure, KeyEntry, Paragraph
from pipeline.reporting.chart_frame import Frame
from pipeline.reporting.read import number
from pipeline.reporting.series import Series, common_range, is_cut
from pipeline.reporting.series_style import Style, method_names, styles
from pipeline.reporting.study_curves import (
    ByEpoch,
    by_epoch,
    done_histories,
    gain_point,
    gains_by_epoch,
    raw_point,
    scores_by_pair,
    standing_cells,
    usual_condition,
)
from pipeline.reporting.study_difference import paired_difference
from pipeline.reporting.study_figure_words import (
    competing,
    counted,
    epoch_table,
    not_done,
    of_settings,
    one_decimal,
    paired_by,
)
from pipeline.reporting.study_figures_loss import emphasised
from pipeline.reporting.study_figures_stale import stale_blocks
from pipeline.reporting.study_numbers import StudyNumbers
from pipeline.reporting.study_stopped import STOPPING, stopped_blocks
from pipeline.reporting.study_words import at
from pipeline.reporting.xy_chart import Axes, Rule, Spot, frame_for, xy_chart
from pipeline.study.results import Pair, Results


@dataclass(frozen=True)
class Rival:
    """A variant that stops early: its scores in [0, 1] and the epochs it chose, by seed and fold."""

    variant: str
    scores: Mapping[Pair, float]
    epochs: Mapping[Pair, float]


def length_blocks(results: Results, numbers: StudyNumbers) -> Iterator[Block]:
    """Score and paired gain by epoch, then every gain for itself."""
    condition = usual_condition(results)
    lines = {name: done_histories(results, numbers, name, condition) for name in competing(results)}
    values = {name: by_epoch(found, numbers.terms.test_key, whole=True) for name, found in lines.items()}
    values = {name: found for name, found in values.items() if found}
    if not values:
        yield Paragraph(f"No run that is done{at(condition)} has recorded test scores by epoch.", "note")
        return
    rival = _rival(results, numbers)
    scores, gains = _scores(results, values), _gains(results, values, rival)
    yield _figure(results, numbers, scores, gains, rival)
    yield from stale_blocks(
        results, numbers, lines, next((each for each in gains if rival and each.label == rival.variant), None)
    )
    if rival:
        yield from stopped_blocks(results, numbers, rival.variant)


def _rival(results: Results, numbers: StudyNumbers) -> Rival | None:
    """The first variant whose only method is early stopping, if a run of it is done."""
    condition = usual_condition(results)
    for name in results.variants:
        if method_names(results, name) == (STOPPING,) and results.competes(name):
            cells = standing_cells(results, numbers, name, condition)
            scores = scores_by_pair(cells, numbers)
            epochs = {cell.pair: number(cell.scores, "epoch_selected") for cell in cells if cell.pair in scores}
            return Rival(name, scores, epochs) if scores and None not in epochs.values() else None
    return None


def _scores(results: Results, values: Mapping[str, ByEpoch]) -> list[Series]:
    look, loud = styles(results), emphasised(results)
    return [
        Series(
            name, look[name].css, tuple(raw_point(epoch, each, 100.0) for epoch, each in found.items()),
            look[name].marker, "band" if name in loud else "none",
        )
        for name, found in values.items()
    ]  # fmt: skip


def _gains(results: Results, values: Mapping[str, ByEpoch], rival: Rival | None) -> list[Series]:
    """The paired gain of every variant over the reference at the same epoch; the rival's of the weights it kept."""
    reference = values.get(results.reference, {})
    look, loud = styles(results), emphasised(results)
    found = []
    for name, own in values.items():
        if name == results.reference:
            continue
        points = _kept(rival, reference) if rival and rival.variant == name else gains_by_epoch(own, reference)
        found.append(Series(name, look[name].css, points, look[name].marker, "band" if name in loud else "none"))
    return [each for each in found if each.known]


def _kept(rival: Rival, reference: ByEpoch) -> tuple:
    """Its scores over the reference at every epoch from the last it chose."""
    last = max(rival.epochs.values())
    return tuple(
        gain_point(epoch, paired_difference(rival.scores, found)) for epoch, found in reference.items() if epoch >= last
    )


def _figure(
    results: Results, numbers: StudyNumbers, scores: list[Series], gains: list[Series], rival: Rival | None
) -> Figure:
    frame = frame_for([scores, gains], height=310)
    panels, captions = zip(
        _score_panel(results, numbers, scores, rival, frame),
        *([_gain_panel(results, numbers, gains, rival, frame)] if gains else []),
        strict=True,
    )
    absent = (name for name in competing(results) if name not in {each.label for each in scores})
    columns = {f"score: {each.label}": each for each in scores} | {f"gain: {each.label}": each for each in gains}
    key = _key(rival, styles(results)[rival.variant]) if rival else ()
    return Figure(
        " ".join(captions) + of_settings(results, numbers) + not_done(absent),
        panels,
        key,
        epoch_table(columns, one_decimal),
    )


def _score_panel(
    results: Results, numbers: StudyNumbers, scores: list[Series], rival: Rival | None, frame: Frame
) -> tuple[str, str]:
    """The panel and what its caption says."""
    rules, spots = [], []
    if rival:
        css = styles(results)[rival.variant].css
        rules = [Rule(100 * fmean(rival.scores.values()), f"{css} rival")]
        spots = [Spot(rival.epochs[pair], 100 * score, css, "diamond") for pair, score in rival.scores.items()]
    limits = common_range([scores], [spot.y for spot in spots] + [rule.value for rule in rules], (0.0, 100.0))
    axes = Axes(f"(a) {words.capitalised(numbers.terms.test)}", f"%{at(usual_condition(results))}", "epoch")
    where = at(usual_condition(results))
    caption = (
        f"(a) Mean over n = {counted(scores)} runs{where}; bands, and brackets in the numbers: standard deviation."
    )
    return xy_chart(axes, scores, limits, rules, spots, frame), caption


def _gain_panel(
    results: Results, numbers: StudyNumbers, gains: list[Series], rival: Rival | None, frame: Frame
) -> tuple[str, str]:
    """The panel and what its caption says."""
    limits = common_range([gains], (0.0,))
    unit = f"{numbers.terms.short} points{at(usual_condition(results))}, at the same epoch"
    axes = Axes(f"(b) Gain over {results.reference}", unit, "epoch")
    caption = (
        f"(b) Mean difference at the same epoch, paired by {paired_by(results)}, n = {counted(gains)} pairs; band, and "
        f"brackets in the numbers: 95 % t interval{', cut at the edge' if is_cut(gains, limits) else ''}."
    )
    if rival and rival.variant in {each.label for each in gains}:
        caption += (
            f" {words.capitalised(rival.variant)} in (b): the weights it kept, from the last epoch it chose, against the "
            "reference trained on to each epoch; a method above this line beats it."
        )
    return xy_chart(axes, gains, limits, frame=frame), caption


def _key(rival: Rival, style: Style) -> tuple[KeyEntry, ...]:
    return (
        KeyEntry(f"{style.css} rival", "dashed", f"mean score of {rival.variant}"),
        KeyEntry(style.css, "diamond", f"epoch and score that {rival.variant} chose, one a run"),
    )
