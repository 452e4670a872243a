"""The section on variants tuned alike: what noisy validation chooses, differences to the reference, the leader's margins."""

from collections.abc import Iterable

from pipeline.reporting import words
from pipeline.reporting.blocks import Block, Paragraph, Table
from pipeline.reporting.study_figure_words import paired_by
from pipeline.reporting.study_numbers import ArmNumbers, StudyNumbers
from pipeline.reporting.study_settings import SettingNumbers, VariantSettings
from pipeline.reporting.study_tables import difference_table, margin_table
from pipeline.reporting.study_tuned import Tuned
from pipeline.reporting.study_words import condition_name
from pipeline.study.results import Results

CHOICES = (
    "Which settings one would have chosen, and {test} in % there. By validation: in every run, of equal {pair}, the "
    "setting with the best {val} on held-out labels as noisy as the training's, of equal ones the first; so the "
    "intervals below hold the luck of choosing too. A setting at an end of its list may not be the best there is. By "
    "the test set: not to be had, and optimistic, as the largest of several."
)
STOPPED = "{variant}: the runs of {reference} at the epoch, of those validated, with the best {val}, chosen like the settings."


def tuned_blocks(
    results: Results, numbers: StudyNumbers, tuned: Tuned | None, settings: tuple[VariantSettings, ...]
) -> Iterable[Block]:
    """The settings chosen, and the comparison there, once there are runs to choose from at every condition."""
    if not settings:
        return
    if tuned is None:
        yield Paragraph("Variants are tuned once the runs of all their settings are done for a seed.", "note")
        return
    terms = numbers.terms
    val = terms.val_key.replace("val_", "validation ").replace("f1", "F1")
    yield Paragraph(CHOICES.format(test=terms.test, pair=paired_by(results), val=val))
    yield _choices(results, numbers, tuned, settings)
    if tuned.is_reference:
        yield Paragraph("Validation chooses the reference settings: the differences are those below.")
        return
    yield Paragraph(
        f"Difference to {numbers.reference} at the settings chosen, in points, 95 % t interval in brackets:"
    )
    yield difference_table(tuned.numbers)
    for row in tuned.numbers.conditions[0].rows[len(results.variants) :]:
        yield Paragraph(STOPPED.format(variant=words.capitalised(row.variant), reference=numbers.reference, val=val))
    if margins := margin_table(tuned.numbers):
        yield Paragraph("How far the leader is ahead of the others, likewise, not adjusted for their number:")
        yield margins


def _choices(results: Results, numbers: StudyNumbers, tuned: Tuned, settings: tuple[VariantSettings, ...]) -> Table:
    head = ("variant", "condition", "reference setting", "by validation", "by the test set (optimistic)")
    rows = []
    for each in (found for found in settings if results.competes(found.variant)):
        for place, best in enumerate(each.best_in_hindsight()):
            plain, chosen = (study.conditions[place].row(each.variant) for study in (numbers, tuned.numbers))
            name = condition_name(results.conditions[place]) or words.NOT_APPLICABLE
            rows.append((each.variant, name, *(_chosen(found) for found in (plain, chosen, best))))
    return Table(head, tuple(rows))


def _chosen(found: ArmNumbers | SettingNumbers | None) -> str:
    if found is None or found.score is None:
        return words.MISSING
    return f"{found.setting}: {words.hundredths(found.score.mean)}"
