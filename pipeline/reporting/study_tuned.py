"""The comparison with all variants tuned alike: each at the setting that noisy validation chooses, condition by condition."""

from dataclasses import dataclass, replace

from pipeline.reporting.study_numbers import ArmNumbers, ConditionNumbers, StudyNumbers, condition_numbers, paired
from pipeline.reporting.study_settings import VariantSettings
from pipeline.reporting.summary import spread
from pipeline.study.results import Condition, Results


@dataclass(frozen=True)
class Tuned:
    """`numbers` at the chosen settings; `overall`: at each condition the arm that validation takes of all that compete.

    `is_reference`: whether the settings chosen are the reference settings, everywhere.
    """

    numbers: StudyNumbers
    overall: tuple[ArmNumbers, ...]
    is_reference: bool


def tune(results: Results, numbers: StudyNumbers, settings: tuple[VariantSettings, ...]) -> Tuned | None:
    """The comparison at the settings chosen; None for a study without settings, or without all runs that choosing needs."""
    choices = [_chosen(results, settings, condition) for condition in results.conditions]
    if not settings or None in choices:
        return None
    own = (numbers.terms, numbers.units, numbers.comparisons)
    tables = tuple(
        condition_numbers(results, chosen, condition, *own)
        for chosen, condition in zip(choices, results.conditions, strict=True)
    )
    overall = tuple(_overall(results, numbers, table) for table in tables)
    if None in overall:
        return None
    same = all(chosen == results.reference_settings for chosen in choices)
    return Tuned(replace(numbers, conditions=tables), overall, same)


def _chosen(results: Results, settings: tuple[VariantSettings, ...], condition: Condition) -> dict[str, str] | None:
    """The setting of every variant at a condition, None unless validation can choose for all that have several."""
    chosen = dict(results.reference_settings)
    for each in settings:
        found = next((choice for choice in each.choices() if choice.condition == condition), None)
        if found is None or found.validated is None:
            return None
        chosen[each.variant] = found.validated.setting
    return chosen


def _overall(results: Results, numbers: StudyNumbers, table: ConditionNumbers) -> ArmNumbers | None:
    """Of the arms that compete the one with the best mean on noisy validation labels; None unless it is known of all."""
    reached: list[tuple[float, ArmNumbers]] = []
    for row in table.competing:
        cells = results.select(row.variant, row.setting, table.condition)
        known = spread(paired(cells, numbers.terms.val_key).values())
        if known is None or known.n < row.wanted:
            return None
        reached.append((known.mean, row))
    return max(reached, key=lambda each: each[0])[1]
