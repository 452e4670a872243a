"""Sentences on settings: which were compared, which would have been better, which method hangs least on them."""

from collections.abc import Iterable

from pipeline.reporting import words
from pipeline.reporting.study_numbers import ConditionNumbers, StudyNumbers
from pipeline.reporting.study_sensitivity import FEWEST_PAIRS, Sensitivity
from pipeline.reporting.study_settings import Choice, SettingNumbers, VariantSettings, least_sensitive
from pipeline.reporting.study_words import arm_name, at
from pipeline.study.results import Condition, Results

MOST_SHOWN = 4  # conditions


def setting_sentences(results: Results, numbers: StudyNumbers, settings: tuple[VariantSettings, ...]) -> Iterable[str]:
    """Nothing for a study without settings."""
    if not settings:
        return
    named = [arm_name(each.variant, each.reference) for each in settings]
    yield f"Compared at one setting each, chosen beforehand: {words.listing(named)}."
    yield from _better(results, numbers, settings)
    yield from _least(results, numbers, settings)


def _better(results: Results, numbers: StudyNumbers, settings: tuple[VariantSettings, ...]) -> Iterable[str]:
    """Settings with which another result than that of the comparison could be reported; for few conditions."""
    if len(results.conditions) > MOST_SHOWN:
        return
    competing = [each for each in settings if results.competes(each.variant)]
    found = [(table, _choices(competing, table.condition)) for table in numbers.conditions]
    better = [text for table, choices in found if choices and (text := _beyond(table, choices))]
    if better:
        yield f"Another setting reaches more: {'; '.join(better)}. Chosen by the test set such a best is optimistic."
    elif any(choices for _, choices in found):
        yield "No other setting reaches more than the best of these."


def _choices(settings: list[VariantSettings], condition: Condition) -> list[tuple[str, Choice]]:
    return [(each.variant, choice) for each in settings for choice in each.choices() if choice.condition == condition]


def _beyond(table: ConditionNumbers, choices: list[tuple[str, Choice]]) -> str:
    """The best of all settings, if it is above all that compete, and the one that validation would have chosen."""
    variant, choice = max(choices, key=lambda each: each[1].best.score.mean)
    if choice.best.score.mean <= max(row.score.mean for row in table.competing if row.score):
        return ""
    known = [(name, each.validated) for name, each in choices if each.validated]
    name, validated = max(known, key=lambda each: each[1].validation.mean, default=("", None))
    chosen = f"; noisy validation chooses {_reached(name, validated)}" if validated else ""
    return f"{_reached(variant, choice.best)}{at(table.condition)}{chosen}"


def _reached(variant: str, found: SettingNumbers) -> str:
    return f"{arm_name(variant, found.setting)} {words.percent(found.score.mean)}"


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
