"""Who won at each condition of a study, and how sure that is, in one headline."""

from collections.abc import Iterable, Sequence
from typing import Literal

from pipeline.au_intervals import Difference
from pipeline.reporting import words
from pipeline.reporting.study_difference import paired_difference
from pipeline.reporting.study_numbers import ArmNumbers, ConditionNumbers, StudyNumbers, paired
from pipeline.reporting.study_words import condition_names, conditions_listed
from pipeline.study.results import Results

Sureness = Literal["sure", "likely", "chance", "alike", "one pair"]
SURENESS: dict[Sureness, str] = {
    "sure": "hardly chance",
    "likely": "likely but not certain",
    "chance": "may be chance",
    "alike": "all pairs alike, which gives no interval",
    "one pair": "one pair of runs only, so it may be chance",
}
ALIKE = "no interval, all pairs alike"
MOST_SHOWN = 6  # conditions with an interval each in the headline


def ranking(table: ConditionNumbers) -> list[ArmNumbers]:
    """The competing variants that share runs with the reference, by their mean difference to it, best first."""
    known = [row for row in table.competing if row.difference.mean is not None]
    return sorted(known, key=lambda row: -row.difference.mean)


def sureness(row: ArmNumbers) -> Sureness:
    """How sure it is that an arm above the reference is better; `likely` only counting no other comparison."""
    if row.difference.low is None:
        return "alike" if row.difference.pairs > 1 else "one pair"
    if row.difference.low <= 0:
        return "chance"
    return "sure" if row.adjusted.low > 0 else "likely"


def lead(results: Results, numbers: StudyNumbers, table: ConditionNumbers) -> Difference | None:
    """By how much the best beats the next, over the runs both have; None unless there are two."""
    ranked = ranking(table)[:2]
    if len(ranked) < 2:
        return None
    found = (results.select(row.variant, row.setting, table.condition) for row in ranked)
    return paired_difference(*(paired(cells, *numbers.terms.score) for cells in found))


def in_points(difference: Difference) -> str:
    """The interval as `+0.4 to +2.1`, why there is none, or a dash for fewer than two pairs."""
    if difference.low is None:
        return ALIKE if difference.pairs > 1 else words.NOT_APPLICABLE
    return f"{signed(difference.low)} to {signed(difference.high)}"


def signed(share: float | None) -> str:
    """A difference in points without the word."""
    return words.points(share).removesuffix(" points")


def headline(numbers: StudyNumbers) -> str:
    """Which variant won where, by how much over the reference, and how sure."""
    tables = [table for table in numbers.conditions if len(ranking(table)) > 1]
    if not tables:
        return _nothing(numbers)
    if len(numbers.conditions) == 1:
        return _one_condition(numbers, tables[0])
    beaten = [table for table in tables if not _is_reference_best(numbers, table)]
    clear = [table for table in beaten if is_clear(ranking(table)[0])]
    sentences = [
        *_winners(clear, numbers),
        *_unclear([table for table in beaten if table not in clear], numbers, alone=not clear),
        *_unbeaten([table for table in tables if table not in beaten], numbers),
    ]
    if absent := [table for table in numbers.conditions if table not in tables]:
        sentences.append(f"No comparison yet at {where(absent, numbers)}.")
    return " ".join(sentences)


def is_clear(row: ArmNumbers) -> bool:
    """Whether the 95 % interval of an arm's gain over the reference is above zero."""
    return sureness(row) in ("sure", "likely")


def where(tables: Iterable[ConditionNumbers], numbers: StudyNumbers) -> str:
    """The conditions of `tables`, at least one, among those of the study."""
    return conditions_listed([table.condition for table in tables], [table.condition for table in numbers.conditions])


def _nothing(numbers: StudyNumbers) -> str:
    done = dict.fromkeys(row.variant for table in numbers.conditions for row in ranking(table))
    if not done:
        return f"No result yet: no run of {numbers.reference} is done, or none beside it."
    if numbers.comparisons == 0:
        return f"No comparison: no other variant competes with {numbers.reference}."
    return f"No comparison yet: only {words.listing(list(done))} is done."


def _is_reference_best(numbers: StudyNumbers, table: ConditionNumbers) -> bool:
    return ranking(table)[0].variant == numbers.reference


def _one_condition(numbers: StudyNumbers, table: ConditionNumbers) -> str:
    best, second = ranking(table)[:2]
    if best.variant == numbers.reference:
        return f"No variant beats {best.variant}; the next is {second.variant}, {with_interval(second.difference)}."
    change = words.points(best.difference.mean)
    start = f"{best.variant} is best:" if is_clear(best) else f"No clear winner: {best.variant}"
    return f"{start} {change} over {numbers.reference}. {_sentence(best, numbers)}"


def with_interval(difference: Difference) -> str:
    """`+12.2 points (95 % interval +10.1 to +14.3, 3 pairs)`."""
    change = words.points(difference.mean)
    if difference.low is None:
        return f"{change} ({ALIKE})" if difference.pairs > 1 else f"{change} (one pair of runs)"
    return f"{change} (95 % interval {in_points(difference)}, {difference.pairs} pairs)"


def _sentence(best: ArmNumbers, numbers: StudyNumbers) -> str:
    interval = f"95 % interval {in_points(best.difference)}, {best.difference.pairs} pairs"
    match sureness(best):
        case "one pair":
            return "One pair of runs only: it may be chance."
        case "alike":
            return f"All {best.difference.pairs} pairs differ by the same, which gives no interval."
        case "chance":
            return f"It may be chance ({interval})."
        case "likely":
            adjusted = f"{in_points(best.adjusted)} counting all {numbers.comparisons} comparisons"
            return f"Likely but not certain ({interval}; {adjusted})."
    also = f", also counting all {numbers.comparisons} comparisons" if numbers.comparisons > 1 else ""
    return f"Hardly chance ({interval}{also}), were the pairs independent; but they share test {shared(numbers)}."


def shared(numbers: StudyNumbers) -> str:
    """What the runs of a pair, and pairs among themselves, are tested on alike."""
    return "subjects" if numbers.multilabel else "images"


def _winners(tables: Sequence[ConditionNumbers], numbers: StudyNumbers) -> Iterable[str]:
    """`quantization is best at noise 20 % (+3.1, +0.5 to +5.7) and 40 % (...); dropout at ...: points over baseline.`"""
    if not tables:
        return
    grouped: dict[str, list[ConditionNumbers]] = {}
    for table in tables:
        grouped.setdefault(ranking(table)[0].variant, []).append(table)
    shown = _each if len(numbers.conditions) <= MOST_SHOWN else _span
    verbs = [" is best", *[""] * (len(grouped) - 1)]
    parts = [f"{name}{verb} at {shown(won, numbers)}" for (name, won), verb in zip(grouped.items(), verbs, strict=True)]
    yield f"{'; '.join(parts)}: {_unit(tables, numbers)}."
    yield _how_sure(tables, numbers)


def _unclear(tables: Sequence[ConditionNumbers], numbers: StudyNumbers, alone: bool) -> Iterable[str]:
    """`No clear winner at noise 0 % (dropout +0.1, −2.3 to +2.4).`; `alone`: nothing before has said the unit."""
    if not tables:
        return
    names, best = condition_names([table.condition for table in tables]), [ranking(table)[0] for table in tables]
    listed = [f"{name} ({row.variant} {brief(row.difference)})" for name, row in zip(names, best, strict=True)]
    shown = words.listing(listed) if len(numbers.conditions) <= MOST_SHOWN else where(tables, numbers)
    unit = f": {_unit(tables, numbers)}" if alone else ""
    yield f"No clear winner at {shown}{unit}."


def _each(tables: Sequence[ConditionNumbers], numbers: StudyNumbers) -> str:
    names = condition_names([table.condition for table in tables])
    shown = [f"{name} ({brief(ranking(table)[0].difference)})" for name, table in zip(names, tables, strict=True)]
    return words.listing(shown)


def brief(difference: Difference) -> str:
    """`+12.2, +10.1 to +14.3`, in points."""
    interval = "" if difference.pairs < 2 else f", {in_points(difference)}"
    return signed(difference.mean) + interval


def _span(tables: Sequence[ConditionNumbers], numbers: StudyNumbers) -> str:
    means = [ranking(table)[0].difference.mean for table in tables]
    span = signed(min(means)) + (f" to {signed(max(means))}" if len(means) > 1 else "")
    return f"{where(tables, numbers)} ({span})"


def _unit(tables: Iterable[ConditionNumbers], numbers: StudyNumbers) -> str:
    """`points over baseline, 95 % intervals, 3 pairs of runs each`."""
    counts = sorted({ranking(table)[0].difference.pairs for table in tables})
    number = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    if counts == [1]:
        return f"points over {numbers.reference}, one pair of runs each, which proves nothing"
    intervals = ", 95 % intervals" * (len(numbers.conditions) <= MOST_SHOWN)
    return f"points over {numbers.reference}{intervals}, {number} pairs of runs each"


def _unbeaten(tables: Sequence[ConditionNumbers], numbers: StudyNumbers) -> Iterable[str]:
    if not tables:
        return
    if len(tables) == len(numbers.conditions):
        best = max((ranking(table)[1] for table in tables), key=lambda row: row.difference.mean)
        yield f"No variant beats {numbers.reference} anywhere; the nearest is {best.variant}, {with_interval(best.difference)}."
        return
    nexts = [f"{ranking(table)[1].variant} {brief(ranking(table)[1].difference)}" for table in tables]
    shown = f" (next: {'; '.join(nexts)})" if len(numbers.conditions) <= MOST_SHOWN else ""
    yield f"No variant beats {numbers.reference} at {where(tables, numbers)}{shown}."


def _how_sure(tables: Sequence[ConditionNumbers], numbers: StudyNumbers) -> str:
    levels = {level: [table for table in tables if sureness(ranking(table)[0]) == level] for level in SURENESS}
    also = f" (also counting all {numbers.comparisons} comparisons)" if numbers.comparisons > 1 else ""
    parts = []
    for level, found in levels.items():
        if found:
            place = " each" if len(found) == len(tables) > 1 else f" at {where(found, numbers)}"
            parts.append(SURENESS[level] + place + also * (level == "sure"))
    return f"{words.capitalised('; '.join(parts))}."
