"""The section on variants tuned alike: what noisy validation chooses, differences to the reference, the leader's margins."""

from collections.abc import Iterable

from pipeline.reporting import words
from pipeline.reporting.blocks import Block, Paragraph, Table
from pipeline.reporting.study_numbers import StudyNumbers
from pipeline.reporting.study_settings import Choice, SettingNumbers, VariantSettings
from pipeline.reporting.study_tables import difference_table, margin_table
from pipeline.reporting.study_tuned import Tuned
from pipeline.reporting.study_words import condition_name
from pipeline.study.results import Results

CHOICES = (
    "Which setting one would have chosen. By validation: the best mean on held-out labels as noisy as the training's, "
    "its test score is honest. By the test set: not to be had, and optimistic, as the largest of several."
)


def tuned_blocks(
    results: Results, numbers: StudyNumbers, tuned: Tuned | None, settings: tuple[VariantSettings, ...]
) -> Iterable[Block]:
    """The settings one could choose where all their runs are done; the comparison where that is so of all variants."""
    choices = [(each.variant, choice) for each in settings for choice in each.choices()]
    if not choices:
        return
    yield Paragraph(f"{CHOICES} {words.capitalised(numbers.terms.test)} in %.")
    yield _choices(choices)
    if tuned is None:
        yield Paragraph("They are compared once every setting has all its runs and their validation scores.", "note")
    elif tuned.is_reference:
        yield Paragraph("Validation chooses the reference settings: the differences are those below.")
    else:
        yield Paragraph(
            f"Difference to {numbers.reference} at the settings chosen, in points, 95 % t interval in brackets:"
        )
        yield difference_table(tuned.numbers)
        if margins := margin_table(results, tuned.numbers):
            yield Paragraph("How far the leader is ahead of the others, likewise:")
            yield margins


def _choices(choices: list[tuple[str, Choice]]) -> Table:
    head = ("variant", "condition", "reference setting", "by validation", "by the test set (optimistic)")
    rows = []
    for variant, choice in choices:
        chosen = (choice.reference, choice.validated, choice.best)
        rows.append((variant, condition_name(choice.condition) or words.NOT_APPLICABLE, *map(_chosen, chosen)))
    return Table(head, tuple(rows))


def _chosen(cell: SettingNumbers | None) -> str:
    return words.NOT_APPLICABLE if cell is None else f"{cell.setting}: {words.hundredths(cell.score.mean)}"
