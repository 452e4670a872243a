"""Sentences on settings: which were compared, which would have been better, which method hangs least on them."""

from collections.abc import Iterable

from pipeline.reporting import words
from pipeline.reporting.study_headline import headline
from pipeline.reporting.study_numbers import ConditionNumbers, StudyNumbers
from pipeline.reporting.study_sensitivity import FEWEST_PAIRS, Sensitivity
from pipeline.reporting.study_settings import VariantSettings, least_sensitive
from pipeline.reporting.study_tuned import Tuned
from pipeline.reporting.study_words import arm_name, at
from pipeline.study.results import Results

MOST_SHOWN = 4  # conditions


def setting_points(
    results: Results, numbers: StudyNumbers, tuned: Tuned | None, settings: tuple[VariantSettings, ...]
) -> Iterable[Iterable[str]]:
    """The sentences of each point; nothing for a study without settings."""
    if not settings:
        return
    listed = words.listing([arm_name(each.variant, each.reference) for each in settings])
    if tuned is None or tuned.is_reference:
        too = ", which noisy validation chooses too" * (tuned is not None)
        yield [f"Compared at one setting each, chosen beforehand{too}: {listed}."]
    else:
        yield [f"At one setting each, chosen beforehand ({listed}): {headline(results, numbers)}"]
    if tuned is not None and len(results.conditions) <= MOST_SHOWN:
        yield [*_overall(tuned), *_hindsight(results, tuned, settings)]
    yield _least(results, numbers, settings)


def _overall(tuned: Tuned) -> Iterable[str]:
    found = [
        arm_name(row.variant, row.setting) + f" {words.percent(row.score.mean)}" + at(table.condition)
        for table, row in zip(tuned.numbers.conditions, tuned.overall, strict=True)
    ]
    yield f"Free to choose the variant too, noisy validation takes {words.listing(found)}."


def _hindsight(results: Results, tuned: Tuned, settings: tuple[VariantSettings, ...]) -> Iterable[str]:
    """Settings that reach more than all that validation chooses: known from the test set only."""
    competing = [each for each in settings if results.competes(each.variant)]
    better = [text for table in tuned.numbers.conditions if (text := _beyond(table, competing))]
    if better:
        yield f"In hindsight another setting reaches more: {words.listing(better)}; chosen by the test set it is optimistic."


def _beyond(table: ConditionNumbers, settings: list[VariantSettings]) -> str:
    choices = [
        (each.variant, choice.best)
        for each in settings
        for choice in each.choices()
        if choice.condition == table.condition
    ]
    variant, best = max(choices, key=lambda each: each[1].score.mean)
    if best.score.mean <= max(row.score.mean for row in table.competing):
        return ""
    return f"{arm_name(variant, best.setting)} {words.percent(best.score.mean)}{at(table.condition)}"


def _least(results: Results, numbers: StudyNumbers, settings: tuple[VariantSettings, ...]) -> Iterable[str]:
    known = {each.variant: each.sensitivity for each in settings if each.sensitivity and results.competes(each.variant)}
    if len(known) < 2:
        return
    least, clear = least_sensitive(results, numbers, settings)
    unclear = [variant for variant in known if variant != least and variant not in clear]
    ordered = sorted(known, key=lambda variant: known[variant].value)
    listed = ", ".join(f"{variant} {sensitivity_words(known[variant])}" for variant in ordered)
    yield f"Sensitivity to settings, least first: {listed}; {least} {_against(clear, unclear)}."
    pairs = min(each.pairs for each in known.values())
    if pairs < FEWEST_PAIRS:
        yield f"With {pairs} pair{'s' * (pairs > 1)} of runs this has no interval: a description, no claim."
    elif pairs < 5:
        yield f"A bootstrap of {pairs} pairs is rather too sure of itself."


def _against(clear: list[str], unclear: list[str]) -> str:
    parts = [f"is clearly less sensitive than {words.listing(clear)}"] if clear else ["is"]
    parts += [f"not clearly less sensitive than {words.listing(unclear)}"] if unclear else []
    return (", but " if clear else " ").join(parts)


def sensitivity_words(found: Sensitivity) -> str:
    """`1.2 points (0.9 to 1.5)`."""
    value = f"{words.hundredths(found.value)} points"
    if found.interval is None:
        return value
    low, high = map(words.hundredths, found.interval)
    return f"{value} ({low} to {high})"
