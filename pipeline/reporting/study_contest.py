"""Who leads at each condition of a study, and whom the leader is not clearly ahead of."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pipeline.au_intervals import Difference
from pipeline.reporting import words
from pipeline.reporting.study_difference import paired_difference
from pipeline.reporting.study_numbers import ArmNumbers, ConditionNumbers, StudyNumbers
from pipeline.reporting.study_words import conditions_listed

ALIKE = "no interval, all pairs alike"


@dataclass(frozen=True)
class Contest:
    """One condition: its leader, the highest mean of those clearly above the reference, and its margin over each other.

    `nearest`: of the variants other than the reference the one with the highest mean; None where nothing is compared.
    """

    table: ConditionNumbers
    nearest: ArmNumbers | None
    leader: ArmNumbers | None
    margins: Mapping[str, Difference]

    @property
    def level(self) -> list[str]:
        """The variants that the leader is not clearly ahead of."""
        return [name for name, margin in self.margins.items() if not is_above(margin)]

    @property
    def verb(self) -> str:
        """What the leader does: `is best` only where it is clearly ahead of all others."""
        return "leads" if self.level else "is best"


def contests(numbers: StudyNumbers) -> list[Contest]:
    """One for every condition, in the order of the study."""
    return [_contest(numbers, table) for table in numbers.conditions]


def _contest(numbers: StudyNumbers, table: ConditionNumbers) -> Contest:
    others = [row for row in ranking(table) if row.variant != numbers.reference]
    leader = next((row for row in others if is_above(row.difference)), None)
    beaten = [row for row in others if row is not leader] if leader else []
    margins = {row.variant: margin(leader, row) for row in beaten}
    return Contest(table, others[0] if others else None, leader, margins)


def margin(leader: ArmNumbers, other: ArmNumbers) -> Difference:
    """By how much an arm beats another, over the runs both have."""
    return paired_difference(leader.scores, other.scores)


def ranking(table: ConditionNumbers) -> list[ArmNumbers]:
    """The competing variants that share runs with the reference, by their mean difference to it, best first."""
    known = [row for row in table.competing if row.difference.mean is not None]
    return sorted(known, key=lambda row: -row.difference.mean)


def is_above(difference: Difference) -> bool:
    """Whether its 95 % interval is above zero."""
    return difference.low is not None and difference.low > 0


def is_below(difference: Difference) -> bool:
    """Whether its 95 % interval is below zero."""
    return difference.high is not None and difference.high < 0


def in_points(difference: Difference) -> str:
    """The interval as `+0.4 to +2.1`, why there is none, or a dash for fewer than two pairs."""
    if difference.low is None:
        return ALIKE if difference.pairs > 1 else words.NOT_APPLICABLE
    return f"{signed(difference.low)} to {signed(difference.high)}"


def signed(share: float | None) -> str:
    """A difference in points without the word."""
    return words.points(share).removesuffix(" points")


def brief(difference: Difference) -> str:
    """`+12.2, +10.1 to +14.3`, in points."""
    interval = "" if difference.pairs < 2 else f", {in_points(difference)}"
    return signed(difference.mean) + interval


def where(tables: Iterable[ConditionNumbers], numbers: StudyNumbers) -> str:
    """The conditions of `tables`, at least one, among those of the study."""
    return conditions_listed([table.condition for table in tables], [table.condition for table in numbers.conditions])


def by_place(found: Mapping[str, list[ConditionNumbers]], numbers: StudyNumbers) -> str:
    """`dropout and pruning (at noise 20 % and 40 %); quantization (at noise 80 %)`: variants of equal places together."""
    together: dict[str, list[str]] = {}
    for variant, tables in found.items():
        together.setdefault(where(tables, numbers), []).append(variant)
    return "; ".join(words.listing(variants) + f" (at {place})" * bool(place) for place, variants in together.items())


def shared(numbers: StudyNumbers) -> str:
    """What the runs of a pair, and pairs among themselves, are tested on alike."""
    return "subjects" if numbers.multilabel else "images"
