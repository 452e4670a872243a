"""The runs of a study: all of a small one, else those that are not done; what failed, and why."""

from collections.abc import Iterable

from pipeline.reporting import words
from pipeline.reporting.blocks import Block, Paragraph, Table
from pipeline.reporting.read import mapping, number
from pipeline.reporting.study_numbers import StudyNumbers
from pipeline.reporting.study_words import arm_name, condition_name
from pipeline.study.results import Result, Results

MOST_LISTED = 60


def run_blocks(results: Results, numbers: StudyNumbers) -> Iterable[Block]:
    """A row a run; every failure with what the run said."""
    shown = results.cells
    if len(shown) > MOST_LISTED:
        shown = tuple(cell for cell in shown if not cell.scores)
        yield Paragraph(
            f"{len(results.cells) - len(shown)} of {len(results.cells)} runs are done: results.csv has a row for each."
            + " Not done:" * bool(shown)
        )
    several = len(results.conditions) > 1
    head = ("variant", *["condition"] * several, "seed", "fold", "state", numbers.terms.short)
    head += ("wrong labels memorised", "int8 file", "time", "folder")
    if shown:
        yield Table(head, tuple(_row(cell, numbers, several) for cell in shown))
    for cell in results.cells:
        if cell.state == "failed":
            yield Paragraph(f"{cell.run} failed: {(cell.message or 'it left no message').rstrip('.')}.", "warning")


def _row(cell: Result, numbers: StudyNumbers, several: bool) -> tuple[str, ...]:
    size = number(mapping(cell.verification, "size_bytes"), "int8")
    return (
        arm_name(cell.variant, cell.setting),
        *[condition_name(cell.condition)] * several,
        str(cell.seed),
        words.NOT_APPLICABLE if cell.fold is None else str(cell.fold),
        cell.state,
        words.percent(number(cell.scores, *numbers.terms.score)),
        words.or_dash(words.percent(number(cell.scores, "train_noisy_fit"))),
        words.or_dash(words.kilobytes(size)),
        words.or_dash(words.duration(number(cell.scores, "seconds"))),
        cell.run,
    )
