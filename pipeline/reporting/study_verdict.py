"""What a reader of a study's report sees first: the headline, the story in numbers, warnings, tiles."""

from collections.abc import Iterable

from pipeline.au_intervals import Difference
from pipeline.reporting import words
from pipeline.reporting.blocks import Tile, Verdict
from pipeline.reporting.study_contest import (
    MOST_SHOWN,
    brief,
    headline,
    in_points,
    is_clear,
    lead,
    ranking,
    signed,
    where,
    with_interval,
)
from pipeline.reporting.study_memorised import memorised_sentences
from pipeline.reporting.study_numbers import ArmNumbers, ConditionNumbers, StudyNumbers
from pipeline.reporting.study_search import best_trial, search_headline, search_sentences, search_tiles
from pipeline.reporting.study_setting_words import setting_sentences
from pipeline.reporting.study_settings import VariantSettings
from pipeline.reporting.study_words import at, condition_name, condition_names
from pipeline.study.results import Results


def judge_study(results: Results, numbers: StudyNumbers, settings: tuple[VariantSettings, ...]) -> Verdict:
    """The verdict on a study, whatever of it is done."""
    missing = [cell for cell in results.cells if not cell.scores]
    failed = sum(cell.state == "failed" for cell in missing)
    warnings = []
    if missing:
        of_them = f", {failed} of them failed" if failed else ""
        warnings.append(
            f"{len(missing)} of {len(results.cells)} runs are missing{of_them}: every number is without them."
        )
    grid = results.search.kind == "grid"
    sentences = [
        *_scores(numbers),
        *_leads(results, numbers),
        *(setting_sentences(results, numbers, settings) if grid else search_sentences(results, numbers)),
        *_worse(numbers),
        *memorised_sentences(numbers),
        *_apart(numbers),
    ]
    return Verdict(
        state="unfinished" if missing else "pass" if _is_clear(results, numbers) else "unverified",
        headline=headline(numbers) if grid else search_headline(results, numbers),
        text=" ".join(sentences) or _silent(results, numbers),
        warnings=tuple(warnings),
    )


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
    ranked = [ranking(table)[:2] for table in numbers.conditions if len(ranking(table)) > 1]
    beaten = [best for best, _ in ranked if best.variant != numbers.reference]
    if beaten:
        return any(map(is_clear, beaten))
    return bool(ranked) and all(
        second.difference.low is not None and second.difference.high < 0 for _, second in ranked
    )


def _scores(numbers: StudyNumbers) -> Iterable[str]:
    if len(numbers.conditions) > 1:
        return
    known = sorted(ranking(numbers.conditions[0]), key=lambda row: -row.score.mean)
    if known:
        listed = ", ".join(f"{row.variant} {words.percent(row.score.mean)}" for row in known)
        yield f"Mean {numbers.terms.test} in order: {listed}."


def _leads(results: Results, numbers: StudyNumbers) -> Iterable[str]:
    """Whether a winner is ahead of the next best, where that is another question than whether it beats the reference."""
    found = [(table, lead(results, numbers, table)) for table in numbers.conditions]
    open_ones = [
        (table, difference)
        for table, difference in found
        if difference and numbers.reference not in [row.variant for row in ranking(table)[:2]]
    ]
    clear = [each for each in open_ones if each[1].low is not None and each[1].low > 0]
    unclear = [each for each in open_ones if each not in clear]
    if clear:
        yield f"Ahead of the next best beyond the 95 % interval: {_listed(clear, numbers)}."
    if unclear:
        yield f"Not clearly ahead of the next best: {_listed(unclear, numbers)}."


def _listed(found: list[tuple[ConditionNumbers, Difference]], numbers: StudyNumbers) -> str:
    """`noise 40 % (quantization over dropout +4.4, +2.8 to +5.9) and 80 % (...)`."""
    tables = [table for table, _ in found]
    over = [f"{best.variant} over {second.variant}" for best, second in (ranking(table)[:2] for table in tables)]
    if len(numbers.conditions) == 1:
        return f"{over[0]} {with_interval(found[0][1])}"
    if len(numbers.conditions) > MOST_SHOWN:
        return where(tables, numbers)
    shown = zip(condition_names([table.condition for table in tables]), over, found, strict=True)
    return words.listing([f"{name} ({both} {brief(difference)})" for name, both, (_, difference) in shown])


def _worse(numbers: StudyNumbers) -> Iterable[str]:
    """Variants whose interval is below zero, those of the same conditions together."""
    worse: dict[str, list[ConditionNumbers]] = {}
    for table in numbers.conditions:
        for row in ranking(table):
            if row.difference.high is not None and row.difference.high < 0:
                worse.setdefault(row.variant, []).append(table)
    together: dict[str, list[str]] = {}
    for variant, tables in worse.items():
        together.setdefault(where(tables, numbers), []).append(variant)
    if worse:
        named = [words.listing(variants) + f" (at {place})" * bool(place) for place, variants in together.items()]
        yield f"Below {numbers.reference} with 95 % confidence: {'; '.join(named)}."


def _apart(numbers: StudyNumbers) -> Iterable[str]:
    if len(numbers.conditions) > MOST_SHOWN:
        return
    for row in numbers.conditions[0].apart:
        found = [(table, table.row(row.variant).score) for table in numbers.conditions]
        shown = [words.percent(score.mean) + at(table.condition) for table, score in found if score]
        if shown:
            yield f"For comparison, {row.variant}: {words.listing(shown)}."


def study_tiles(results: Results, numbers: StudyNumbers) -> tuple[Tile, ...]:
    """Each competing variant's score, or with conditions each condition's winner, and how many runs are done."""
    done = sum(bool(cell.scores) for cell in results.cells)
    if results.search.kind != "grid":
        tiles = search_tiles(results, numbers)
    elif len(numbers.conditions) == 1:
        tiles = [_variant_tile(row, numbers) for row in numbers.conditions[0].competing]
    else:
        tiles = [_condition_tile(table, numbers) for table in numbers.conditions]
    return (*tiles, Tile("runs done", f"{done} of {len(results.cells)}", ""))


def _variant_tile(row: ArmNumbers, numbers: StudyNumbers) -> Tile:
    if row.score is None:
        return Tile(row.variant, words.MISSING, "no run is done", "missing")
    if row.variant == numbers.reference:
        return Tile(row.variant, words.percent(row.score.mean), "the reference")
    interval = in_points(row.difference)
    detail = words.points(row.difference.mean) + (f" ({interval})" if interval != words.NOT_APPLICABLE else "")
    state = "plain"
    if row.difference.low is not None and not row.difference.low <= 0 <= row.difference.high:
        state = "good" if row.difference.mean > 0 else "bad"
    return Tile(row.variant, words.percent(row.score.mean), detail, state)


def _condition_tile(table: ConditionNumbers, numbers: StudyNumbers) -> Tile:
    """The gain of a condition's winner; the words below it, as names of variants may be long."""
    label, ranked = f"best at {condition_name(table.condition)}", ranking(table)
    if len(ranked) < 2:
        return Tile(label, words.MISSING, "no comparison yet", "missing")
    best, second = ranked[:2]
    if best.variant == numbers.reference:
        return Tile(label, "none", f"no variant beats {best.variant}; {second.variant} {_gain(second)}")
    if not is_clear(best):
        return Tile(label, "unclear", f"{best.variant} {_gain(best)}")
    return Tile(label, signed(best.difference.mean), f"points, {best.variant} ({in_points(best.difference)})", "good")


def _gain(row: ArmNumbers) -> str:
    interval = "one pair" if row.difference.pairs < 2 else in_points(row.difference)
    return f"{words.points(row.difference.mean)} ({interval})"
