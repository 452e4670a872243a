"""Which variants memorise clearly fewer or more of the wrong training labels than the reference."""

from collections.abc import Iterable

from pipeline.reporting import words
from pipeline.reporting.study_numbers import ArmNumbers, StudyNumbers
from pipeline.reporting.study_words import at


def memorised_sentences(numbers: StudyNumbers) -> Iterable[str]:
    """Of the last condition where it is known: with axes in rising order the noisiest."""
    for table in reversed(numbers.conditions):
        compared = [row for row in table.competing if row.memorised_difference.mean is not None]
        others = [row for row in compared if row.variant != numbers.reference]
        if others:
            verb = "reproduced" if any(row.unseen for row in compared) else "memorised"
            clear = _clearly_memorised(others)
            than = f" than by {_share(table.row(numbers.reference))}, 95 % intervals"
            found = clear + than if clear else f"no clear difference to {numbers.reference} in memorisation"
            yield f"Wrong training labels {verb}{at(table.condition)}: {found}."
            return


def _clearly_memorised(rows: list[ArmNumbers]) -> str:
    """The variants whose interval of the difference to the reference is all below or all above zero."""
    known = sorted(
        (row for row in rows if row.memorised_difference.low is not None), key=lambda row: row.memorised.mean
    )
    fewer = [_share(row) for row in known if row.memorised_difference.high < 0]
    more = [_share(row) for row in known if row.memorised_difference.low > 0]
    parts = [f"{word} by {words.listing(named)}" for word, named in (("fewer", fewer), ("more", more)) if named]
    return ", ".join(parts)


def _share(row: ArmNumbers) -> str:
    """What a network gets wrong of people it never saw, it gets wrong without memorising."""
    unseen = f"; {words.percent(row.unseen.mean)} of unseen people's" if row.unseen else ""
    return f"{row.variant} ({words.percent(row.memorised.mean)}{unseen})"
