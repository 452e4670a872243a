"""What a reader of a study's report sees first: the headline, the story in numbers, warnings, tiles."""

from collections.abc import Callable, Iterable

from pipeline.au_intervals import Difference
from pipeline.reporting import words
from pipeline.reporting.blocks import Tile, Verdict
from pipeline.reporting.study_contest import (
    Contest,
    by_place,
    contests,
    in_points,
    is_above,
    is_below,
    ranking,
    signed,
)
from pipeline.reporting.study_headline import MOST_SHOWN, headline
from pipeline.reporting.study_memorised import memorised_sentences
from pipeline.reporting.study_numbers import ArmNumbers, ConditionNumbers, StudyNumbers
from pipeline.reporting.study_search import best_trial, search_headline, search_sentences, search_tiles
from pipeline.reporting.study_setting_words import setting_points
from pipeline.reporting.study_settings import VariantSettings
from pipeline.reporting.study_tuned import Tuned
from pipeline.reporting.study_words import at, condition_name
from pipeline.study.results import Results

TUNED = "Each variant tuned by noisy validation: "


def judge_study(
    results: Results, numbers: StudyNumbers, tuned: Tuned | None, settings: tuple[VariantSettings, ...]
) -> Verdict:
    """The verdict on a study, whatever of it is done: on its variants tuned alike where they have settings."""
    missing = [cell for cell in results.cells if not cell.scores]
    failed = sum(cell.state == "failed" for cell in missing)
    warnings = []
    if missing:
        of_them = f", {failed} of them failed" if failed else ""
        warnings.append(
            f"{len(missing)} of {len(results.cells)} runs are missing{of_them}: every number is without them."
        )
    grid = results.search.kind == "grid"
    told = told_numbers(numbers, tuned)
    points = [
        [*_scores(told), *_above(told), *_beyond(told, "Below", is_below)],
        *(setting_points(results, numbers, tuned, settings) if grid else [search_sentences(results, numbers)]),
        memorised_sentences(told),
        _apart(told),
    ]
    shown = tuple(filter(None, map(" ".join, points)))
    first = TUNED * (told is not numbers) + headline(told) if grid else search_headline(results, numbers)
    return Verdict(
        state="unfinished" if missing else "pass" if _is_clear(results, told) else "unverified",
        headline=first,
        text="" if shown else _silent(results, numbers),
        points=shown,
        warnings=tuple(warnings),
    )


def told_numbers(numbers: StudyNumbers, tuned: Tuned | None) -> StudyNumbers:
    """The numbers that the first line and the tiles are of: tuned ones where they are others than the reference's."""
    return numbers if tuned is None or tuned.is_reference else tuned.numbers


def _silent(results: Results, numbers: StudyNumbers) -> str:
    """What is said where there is nothing to say of a comparison."""
    if any(cell.scores for cell in results.cells):
        return f"Nothing to compare with {numbers.reference}: the sections below have what was measured."
    return "Nothing has finished yet."


def _is_clear(results: Results, numbers: StudyNumbers) -> bool:
    """Whether the headline says something beyond its 95 % interval: a winner somewhere, or that nobody beats the reference."""
    if results.search.kind != "grid":
        best = best_trial(results, numbers)
        return (
            best is not None
            and best.difference.low is not None
            and not best.difference.low <= 0 <= best.difference.high
        )
    compared = [contest for contest in contests(numbers) if contest.nearest]
    if any(contest.leader for contest in compared):
        return True
    return bool(compared) and all(
        is_below(row.difference)
        for contest in compared
        for row in ranking(contest.table)
        if row.variant != numbers.reference
    )


def _scores(numbers: StudyNumbers) -> Iterable[str]:
    if len(numbers.conditions) > 1:
        return
    known = sorted(ranking(numbers.conditions[0]), key=lambda row: -row.score.mean)
    if known:
        listed = ", ".join(f"{row.variant} {words.percent(row.score.mean)}" for row in known)
        yield f"Mean {numbers.terms.test} in order: {listed}."


def _above(numbers: StudyNumbers) -> Iterable[str]:
    """All variants above the reference, where more than the leaders are: of these the headline has told."""
    led = {(contest.leader.variant, id(contest.table)) for contest in contests(numbers) if contest.leader}
    found = {
        (row.variant, id(table)) for table in numbers.conditions for row in ranking(table) if is_above(row.difference)
    }
    if found - led:
        yield from _beyond(numbers, "Above", is_above)


def _beyond(numbers: StudyNumbers, side: str, is_beyond: Callable[[Difference], bool]) -> Iterable[str]:
    """Variants whose interval is beyond zero, and which stay so counting all comparisons."""
    found: dict[str, list[ConditionNumbers]] = {}
    adjusted: dict[str, list[ConditionNumbers]] = {}
    for table in numbers.conditions:
        for row in ranking(table):
            if is_beyond(row.difference):
                found.setdefault(row.variant, []).append(table)
            if is_beyond(row.adjusted):
                adjusted.setdefault(row.variant, []).append(table)
    if not found:
        return
    also = ""
    if numbers.comparisons > 1:
        counting = f"counting all {numbers.comparisons} comparisons"
        some = f"only {by_place(adjusted, numbers)}" if adjusted else "none"
        also = f", also {counting}" if adjusted == found else f". Of these {counting}: {some}"
    yield f"{side} {numbers.reference} with 95 % confidence: {by_place(found, numbers)}{also}."


def _apart(numbers: StudyNumbers) -> Iterable[str]:
    if len(numbers.conditions) > MOST_SHOWN:
        return
    for row in numbers.conditions[0].apart:
        found = [(table, table.row(row.variant).score) for table in numbers.conditions]
        shown = [words.percent(score.mean) + at(table.condition) for table, score in found if score]
        if shown:
            yield f"For comparison, {row.variant}: {words.listing(shown)}."


def study_tiles(results: Results, numbers: StudyNumbers, tuned: Tuned | None) -> tuple[Tile, ...]:
    """Each competing variant's score, or with conditions each condition's winner, and how many runs are done."""
    told = told_numbers(numbers, tuned)
    done = sum(bool(cell.scores) for cell in results.cells)
    if results.search.kind != "grid":
        tiles = search_tiles(results, numbers)
    elif len(numbers.conditions) == 1:
        tiles = [_variant_tile(row, told) for row in told.conditions[0].competing]
    else:
        tiles = [_condition_tile(contest, told) for contest in contests(told)]
    return (*tiles, Tile("runs done", f"{done} of {len(results.cells)}", ""))


def _variant_tile(row: ArmNumbers, numbers: StudyNumbers) -> Tile:
    if row.score is None:
        return Tile(row.variant, words.MISSING, "no run is done", "missing")
    if row.variant == numbers.reference:
        return Tile(row.variant, words.percent(row.score.mean), "the reference")
    if row.difference.mean is None:
        return Tile(row.variant, words.percent(row.score.mean), f"no run in common with {numbers.reference}", "missing")
    interval = in_points(row.difference)
    detail = words.points(row.difference.mean) + (f" ({interval})" if interval != words.NOT_APPLICABLE else "")
    state = "good" if is_above(row.difference) else "bad" if is_below(row.difference) else "plain"
    return Tile(row.variant, words.percent(row.score.mean), detail, state)


def _condition_tile(contest: Contest, numbers: StudyNumbers) -> Tile:
    """The gain of a condition's leader; the words below it, as names of variants may be long."""
    name, leader = condition_name(contest.table.condition), contest.leader
    if len(ranking(contest.table)) < 2:
        return Tile(f"best at {name}", words.MISSING, "no comparison yet", "missing")
    if leader is None:
        nearest = contest.nearest
        return Tile(
            f"best at {name}", "none", f"none clearly above {numbers.reference}; {nearest.variant} {_gain(nearest)}"
        )
    label = f"{'leads' if contest.level else 'best'} at {name}"
    return Tile(
        label, signed(leader.difference.mean), f"points, {leader.variant} ({in_points(leader.difference)})", "good"
    )


def _gain(row: ArmNumbers) -> str:
    interval = "one pair" if row.difference.pairs < 2 else in_points(row.difference)
    return f"{words.points(row.difference.mean)} ({interval})"
