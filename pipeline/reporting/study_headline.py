"""The first line of a study's report: which variant leads where, over whom, and how sure that is."""

from collections.abc import Iterable, Sequence

from pipeline.au_intervals import Difference
from pipeline.reporting import words
from pipeline.reporting.study_contest import (
    ALIKE,
    Contest,
    brief,
    by_place,
    contests,
    in_points,
    is_above,
    ranking,
    shared,
    signed,
    where,
)
from pipeline.reporting.study_numbers import ArmNumbers, ConditionNumbers, StudyNumbers
from pipeline.reporting.study_words import condition_names

MOST_SHOWN = 6  # conditions with an interval each in the headline


def headline(numbers: StudyNumbers) -> str:
    """Which variant leads where, by how much over the reference, how sure, and whom it is not clearly ahead of."""
    compared = [contest for contest in contests(numbers) if len(ranking(contest.table)) > 1]
    if not compared:
        return _nothing(numbers)
    if len(numbers.conditions) == 1:
        return _one_condition(numbers, compared[0])
    led = [contest for contest in compared if contest.leader]
    sentences = [
        *_leaders(led, numbers),
        *level_sentences(led, numbers),
        *_none_above([contest for contest in compared if not contest.leader], numbers, alone=not led),
    ]
    tables = [contest.table for contest in compared]
    if absent := [table for table in numbers.conditions if table not in tables]:
        sentences.append(f"No comparison yet at {where(absent, numbers)}.")
    return " ".join(sentences)


def _nothing(numbers: StudyNumbers) -> str:
    done = dict.fromkeys(row.variant for table in numbers.conditions for row in ranking(table))
    if not done:
        return f"No result yet: no run of {numbers.reference} is done, or none beside it."
    if numbers.comparisons == 0:
        return f"No comparison: no other variant competes with {numbers.reference}."
    return f"No comparison yet: only {words.listing(list(done))} is done."


def _one_condition(numbers: StudyNumbers, contest: Contest) -> str:
    if contest.leader is None:
        nearest = contest.nearest
        found = f"the highest is {nearest.variant}, {_with_interval(nearest.difference)}"
        alone = " One pair proves nothing." * (nearest.difference.pairs == 1)
        return f"No variant is clearly above {numbers.reference}; {found}.{alone}"
    change = f"{words.points(contest.leader.difference.mean)} over {numbers.reference}"
    sentences = [f"{contest.leader.variant} {contest.verb}: {change}.", _how_sure_of_one(contest.leader, numbers)]
    return " ".join([*sentences, *level_sentences([contest], numbers)])


def _with_interval(difference: Difference) -> str:
    """`+12.2 points (95 % interval +10.1 to +14.3, 3 pairs)`."""
    change = words.points(difference.mean)
    if difference.low is None:
        return f"{change} ({ALIKE})" if difference.pairs > 1 else f"{change} (one pair of runs)"
    return f"{change} (95 % interval {in_points(difference)}, {difference.pairs} pairs)"


def _how_sure_of_one(leader: ArmNumbers, numbers: StudyNumbers) -> str:
    interval = f"95 % interval {in_points(leader.difference)}, {leader.difference.pairs} pairs"
    if not is_above(leader.adjusted):
        adjusted = f"{in_points(leader.adjusted)} counting all {numbers.comparisons} comparisons"
        return f"Likely but not certain ({interval}; {adjusted})."
    also = f", also counting all {numbers.comparisons} comparisons" if numbers.comparisons > 1 else ""
    return f"Hardly chance ({interval}{also}), were the pairs independent; but they share test {shared(numbers)}."


def _leaders(led: Sequence[Contest], numbers: StudyNumbers) -> Iterable[str]:
    """`quantization leads at noise 20 % (+3.1, +0.5 to +5.7) and 40 % (...); dropout is best at ...: points over ...`"""
    if not led:
        return
    grouped: dict[str, list[Contest]] = {}
    for contest in led:
        grouped.setdefault(contest.leader.variant, []).append(contest)
    shown = _each if len(numbers.conditions) <= MOST_SHOWN else _span
    parts = [
        f"{name} {'leads' if any(contest.level for contest in won) else 'is best'} at {shown(won, numbers)}"
        for name, won in grouped.items()
    ]
    yield f"{'; '.join(parts)}: {_unit([contest.leader for contest in led], numbers)}."
    if numbers.comparisons > 1:
        yield _how_sure(led, numbers)


def level_sentences(led: Sequence[Contest], numbers: StudyNumbers) -> Iterable[str]:
    """`Not clearly behind the leader: pruning (at noise 20 % to 80 %).`"""
    found: dict[str, list[ConditionNumbers]] = {}
    for contest in led:
        for variant in contest.level:
            found.setdefault(variant, []).append(contest.table)
    if found:
        yield f"Not clearly behind the leader: {by_place(found, numbers)}."


def _each(won: Sequence[Contest], numbers: StudyNumbers) -> str:
    names = condition_names([contest.table.condition for contest in won])
    shown = [f"{name} ({brief(contest.leader.difference)})" for name, contest in zip(names, won, strict=True)]
    return words.listing(shown)


def _span(won: Sequence[Contest], numbers: StudyNumbers) -> str:
    means = [contest.leader.difference.mean for contest in won]
    span = signed(min(means)) + (f" to {signed(max(means))}" if len(means) > 1 else "")
    return f"{where([contest.table for contest in won], numbers)} ({span})"


def _unit(rows: Iterable[ArmNumbers], numbers: StudyNumbers) -> str:
    """`points over baseline, 95 % intervals, 3 pairs of runs each`."""
    counts = sorted({row.difference.pairs for row in rows})
    number = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    if counts == [1]:
        return f"points over {numbers.reference}, one pair of runs each, which proves nothing"
    intervals = ", 95 % intervals" * (len(numbers.conditions) <= MOST_SHOWN)
    return f"points over {numbers.reference}{intervals}, {number} pairs of runs each"


def _how_sure(led: Sequence[Contest], numbers: StudyNumbers) -> str:
    """Where the leader's gain holds when all comparisons of the study are counted."""
    holds = [contest.table for contest in led if is_above(contest.leader.adjusted)]
    fails = [contest.table for contest in led if contest.table not in holds]
    start = f"Counting all {numbers.comparisons} comparisons"
    if not holds:
        return f"{start} it may be chance{' each' if len(led) > 1 else ''}."
    if not fails:
        return f"{start} this holds too."
    return f"{start} this holds at {where(holds, numbers)}, and may be chance at {where(fails, numbers)}."


def _none_above(others: Sequence[Contest], numbers: StudyNumbers, alone: bool) -> Iterable[str]:
    """`No variant is clearly above baseline at noise 0 % (highest: dropout +0.1, −2.3 to +2.4).`

    `alone`: nothing before has said the unit.
    """
    if not others:
        return
    names = condition_names([contest.table.condition for contest in others])
    listed = [f"{name} (highest: {_highest(contest, alone)})" for name, contest in zip(names, others, strict=True)]
    tables = [contest.table for contest in others]
    shown = words.listing(listed) if len(numbers.conditions) <= MOST_SHOWN else where(tables, numbers)
    unit = f": {_unit([contest.nearest for contest in others], numbers)}" if alone else ""
    yield f"No variant is clearly above {numbers.reference} at {shown}{unit}."


def _highest(contest: Contest, alone: bool) -> str:
    difference = contest.nearest.difference
    single = ", one pair" if difference.pairs == 1 and not alone else ""
    return f"{contest.nearest.variant} {brief(difference)}{single}"
