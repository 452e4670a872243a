"""Sentences on settings: which were compared, which would have been better, which method hangs least on them."""

from collections.abc import Iterable

from pipeline.reporting import words
from pipeline.reporting.study_headline import headline
from pipeline.reporting.study_numbers import StudyNumbers
from pipeline.reporting.study_sensitivity import FEWEST_PAIRS, Sensitivity
from pipeline.reporting.study_settings import VariantSettings, least_sensitive
from pipeline.reporting.study_tuned import Tuned
from pipeline.reporting.study_words import arm_name, at
from pipeline.study.results import Results

MOST_TOLD = 4  # conditions of which the text tells choices; the tables hold all


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
        yield [f"At one setting each, chosen beforehand ({listed}): {headline(numbers)}"]
    if tuned is not None and len(results.conditions) <= MOST_TOLD:
        yield [*_free(tuned), *_hindsight(results, tuned, settings)]
    yield _least(results, numbers, settings)


def _free(tuned: Tuned) -> Iterable[str]:
    found = [
        f"{words.percent(free.score.mean)}{at(table.condition)} ({free.arms})"
        for table, free in zip(tuned.numbers.conditions, tuned.free, strict=True)
        if free
    ]
    if found:
        yield f"Free to choose the variant too, noisy validation reaches {words.listing(found)}."


def _hindsight(results: Results, tuned: Tuned, settings: tuple[VariantSettings, ...]) -> Iterable[str]:
    """Settings that reach more than all that validation chooses: known from the test set only."""
    best = [(each.variant, each.best_in_hindsight()) for each in settings if results.competes(each.variant)]
    better = []
    for place, table in enumerate(tuned.numbers.conditions):
        known = [(variant, found[place]) for variant, found in best if found[place]]
        variant, top = max(known, key=lambda each: each[1].score.mean, default=("", None))
        if top and top.score.mean > max(row.score.mean for row in table.competing if row.score):
            better.append(f"{arm_name(variant, top.setting)} {words.percent(top.score.mean)}{at(table.condition)}")
    if better:
        yield f"In hindsight another setting reaches more: {words.listing(better)}; chosen by the test set it is optimistic."


def _least(results: Results, numbers: StudyNumbers, settings: tuple[VariantSettings, ...]) -> Iterable[str]:
    shown = [each for each in settings if each.sensitivity and results.competes(each.variant)]
    known = {each.variant: each.sensitivity for each in shown}
    if len(known) < 2:
        return
    least, clear = least_sensitive(results, numbers, settings)
    unclear = [variant for variant in known if variant != least and variant not in clear]
    ordered = sorted(known, key=lambda variant: known[variant].value)
    without = {each.variant: without_farthest(each) for each in shown}
    listed = "; ".join(f"{variant} {sensitivity_words(known[variant])}{without[variant]}" for variant in ordered)
    start, pairs = f"Sensitivity to settings, least first: {listed}", min(each.pairs for each in known.values())
    if pairs < FEWEST_PAIRS:
        yield f"{start}. With {pairs} pair{'s' * (pairs > 1)} of runs this has no interval: a description, no claim."
    else:
        yield f"{start}; {least} {_against(clear, unclear)}."


def _against(clear: list[str], unclear: list[str]) -> str:
    parts = [f"is clearly less sensitive than {words.listing(clear)}"] if clear else ["is"]
    parts += [f"not clearly less sensitive than {words.listing(unclear)}"] if unclear else []
    return (", but " if clear else " ").join(parts)


def without_farthest(each: VariantSettings) -> str:
    """` (4.0 without W2/A2)`; empty for fewer than three settings."""
    return f" ({words.hundredths(each.farthest[1])} without {each.farthest[0]})" if each.farthest else ""


def sensitivity_words(found: Sensitivity) -> str:
    """`1.2 points (0.9 to 1.5)`."""
    value = f"{words.hundredths(found.value)} points"
    if found.interval is None:
        return value
    low, high = map(words.hundredths, found.interval)
    return f"{value} ({low} to {high})"
