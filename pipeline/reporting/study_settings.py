"""What the settings of each variant reach, against its reference setting and against the study's reference."""

from collections.abc import Iterable
from dataclasses import dataclass

from pipeline.au_intervals import Difference
from pipeline.reporting.read import number
from pipeline.reporting.study_difference import paired_difference, paired_gain
from pipeline.reporting.study_numbers import StudyNumbers, paired
from pipeline.reporting.study_sensitivity import Sensitivity, clearly_less, complete, cube, farthest, sensitivity_of
from pipeline.reporting.summary import Spread, spread
from pipeline.study.results import Condition, Results


@dataclass(frozen=True)
class SettingNumbers:
    """A setting at one condition: `gain` is relative to the reference setting, `over_reference` in shares of 1."""

    setting: str
    condition: Condition
    wanted: int
    score: Spread | None
    gain: Difference
    over_reference: Difference


@dataclass(frozen=True)
class VariantSettings:
    """A variant with more than one setting: a row a setting, in it a number a condition."""

    variant: str
    reference: str
    rows: tuple[tuple[SettingNumbers, ...], ...]
    sensitivity: Sensitivity | None
    farthest: tuple[str, float] | None  # the setting that adds most to the sensitivity, and the sensitivity without it
    left_out: tuple[str, ...]  # of the sensitivity: settings without a whole pair of runs

    def best_in_hindsight(self) -> tuple[SettingNumbers | None, ...]:
        """The best on the test set at every condition; None where a setting lacks a run."""
        columns = zip(*self.rows, strict=True)
        return tuple(max(each, key=lambda cell: cell.score.mean) if _whole(each) else None for each in columns)


def variant_settings(results: Results, numbers: StudyNumbers) -> tuple[VariantSettings, ...]:
    """Those of all variants with more than one setting, of a grid; a search has trials instead."""
    if results.search.kind != "grid":
        return ()
    return tuple(_of(results, numbers, variant) for variant in results.variants if len(results.settings[variant]) > 1)


def least_sensitive(results: Results, numbers: StudyNumbers, found: Iterable[VariantSettings]) -> tuple[str, list[str]]:
    """The competing variant of the lowest sensitivity, and those that are clearly more sensitive; "" if none is known."""
    known = [each for each in found if each.sensitivity and results.competes(each.variant)]
    if not known:
        return "", []
    least = min(known, key=lambda each: each.sensitivity.value)
    others = [each.variant for each in known if each is not least]
    return least.variant, [other for other in others if _clearly_less(results, numbers, least.variant, other)]


def _clearly_less(results: Results, numbers: StudyNumbers, variant: str, other: str) -> bool:
    (mine, my_settings, my_pairs), (theirs, their_settings, their_pairs) = (
        _complete(results, numbers, name) for name in (variant, other)
    )
    conditions = tuple(range(len(results.conditions)))
    pairs = tuple(pair for pair in my_pairs if pair in their_pairs)
    if not pairs:
        return False
    return clearly_less(cube(mine, my_settings, conditions, pairs), cube(theirs, their_settings, conditions, pairs))


def _of(results: Results, numbers: StudyNumbers, variant: str) -> VariantSettings:
    table, settings, pairs = _complete(results, numbers, variant)
    conditions = tuple(range(len(results.conditions)))
    scores = cube(table, settings, conditions, pairs) if len(settings) > 1 and pairs else None
    far = None if scores is None or len(settings) < 3 else farthest(scores)
    return VariantSettings(
        variant=variant,
        reference=results.reference_settings[variant],
        rows=tuple(
            tuple(_numbers(results, numbers, variant, setting, condition) for condition in results.conditions)
            for setting in results.settings[variant]
        ),
        sensitivity=None if scores is None else sensitivity_of(scores),
        farthest=far and (settings[far[0]], far[1]),
        left_out=tuple(setting for setting in results.settings[variant] if setting not in settings),
    )


def _complete(results: Results, numbers: StudyNumbers, variant: str) -> tuple[dict, tuple, tuple]:
    """Scores by (setting, number of the condition, pair), and the settings and pairs that are complete."""
    table = {
        (cell.setting, results.conditions.index(cell.condition), cell.pair): number(cell.scores, *numbers.terms.score)
        for cell in results.select(variant)
    }
    table = {key: value for key, value in table.items() if value is not None}
    pairs = tuple(dict.fromkeys(pair for *_, pair in table))
    conditions = tuple(range(len(results.conditions)))
    return table, *complete(table, tuple(results.settings[variant]), conditions, pairs)


def _numbers(
    results: Results, numbers: StudyNumbers, variant: str, setting: str, condition: Condition
) -> SettingNumbers:
    terms = numbers.terms
    own, reference, overall = (
        results.select(name, point, condition)
        for name, point in (
            (variant, setting),
            (variant, results.reference_settings[variant]),
            (results.reference, results.reference_settings[results.reference]),
        )
    )
    scores = paired(own, *terms.score)
    return SettingNumbers(
        setting=setting,
        condition=condition,
        wanted=len(own),
        score=spread(scores.values()),
        gain=paired_gain(scores, paired(reference, *terms.score)),
        over_reference=paired_difference(scores, paired(overall, *terms.score)),
    )


def _whole(column: Iterable[SettingNumbers]) -> bool:
    return all(each.score and each.score.n == each.wanted for each in column)
