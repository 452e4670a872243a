"""The section on settings: what each reaches, gains over its method's reference and over the study's, sensitivity."""

from collections.abc import Callable, Iterable

from pipeline.au_intervals import Difference
from pipeline.reporting import words
from pipeline.reporting.blocks import Block, Paragraph, Table
from pipeline.reporting.study_contest import in_points, signed
from pipeline.reporting.study_numbers import StudyNumbers
from pipeline.reporting.study_sensitivity import DEFINITION
from pipeline.reporting.study_setting_words import sensitivity_words
from pipeline.reporting.study_settings import SettingNumbers, VariantSettings
from pipeline.reporting.study_words import condition_name
from pipeline.study.results import Results


def setting_blocks(results: Results, numbers: StudyNumbers, settings: tuple[VariantSettings, ...]) -> Iterable[Block]:
    """A table of sensitivities, then every variant's settings by condition."""
    drawn = any(each.sensitivity for each in settings)  # then the figure before has said what it is
    yield Paragraph("Sensitivities as defined above:" if drawn else DEFINITION)
    yield _sensitivities(settings)
    for each in settings:
        yield from _variant(results, numbers, each)


def _sensitivities(settings: tuple[VariantSettings, ...]) -> Table:
    head = (
        "variant",
        "sensitivity (95 % bootstrap)",
        "without its farthest setting",
        "range",
        "by chance alone",
        "settings",
        "conditions",
        "pairs of runs",
    )
    return Table(head, tuple(_sensitivity_row(each) for each in settings))


def _sensitivity_row(each: VariantSettings) -> tuple[str, ...]:
    found = each.sensitivity
    if found is None:
        return (
            each.variant,
            words.MISSING,
            *(words.NOT_APPLICABLE,) * 3,
            str(len(each.rows)),
            words.NOT_APPLICABLE,
            "0",
        )
    chance = words.NOT_APPLICABLE if found.chance is None else f"{words.hundredths(found.chance)} points"
    numbers = (str(found.settings), str(found.conditions), str(found.pairs))
    far = words.NOT_APPLICABLE
    if each.farthest:
        far = f"{words.hundredths(each.farthest[1])} points ({each.farthest[0]})"
    return (each.variant, sensitivity_words(found), far, f"{words.hundredths(found.range)} points", chance, *numbers)


def _variant(results: Results, numbers: StudyNumbers, each: VariantSettings) -> Iterable[Block]:
    without = ""
    if each.left_out:
        without = f" Its sensitivity is without {words.listing(each.left_out)}: no seed has them at every condition."
    yield Paragraph(
        f"{words.capitalised(each.variant)}, reference {each.reference}: {numbers.terms.test} in %, mean ± standard "
        f"deviation, n.{without}"
    )
    yield _table(results, each, _score)
    yield Paragraph(f"Relative gain over {each.reference}, run by run in % of its score, 95 % t interval:")
    yield _table(results, each, lambda cell: _relative(cell.gain), skipped=each.reference)
    if each.variant != results.reference:
        yield Paragraph(f"Gain over {results.reference} in points, 95 % t interval:")
        yield _table(results, each, lambda cell: _points(cell.over_reference))


def _table(results: Results, each: VariantSettings, show: Callable[[SettingNumbers], str], skipped: str = "") -> Table:
    """Settings by conditions, the reference setting below unless it is `skipped`."""
    head = ("setting", *(condition_name(condition) or "score" for condition in results.conditions))
    rows = [
        (row[0].setting, *(show(cell) if cell.wanted else words.NOT_APPLICABLE for cell in row))
        for row in each.rows
        if row[0].setting != skipped
    ]
    return Table(head, tuple(rows))


def _score(cell: SettingNumbers) -> str:
    if cell.score is None:
        return words.MISSING
    deviation = "" if cell.score.deviation is None else f" ± {words.hundredths(cell.score.deviation)}"
    n = f"{cell.score.n}" + f" of {cell.wanted}" * (cell.score.n < cell.wanted)
    return f"{words.hundredths(cell.score.mean)}{deviation}, n {n}"


def _relative(gain: Difference) -> str:
    return f"{signed(gain.mean)} %{_interval(gain)}" if gain.mean is not None else words.MISSING


def _points(difference: Difference) -> str:
    return signed(difference.mean) + _interval(difference) if difference.mean is not None else words.MISSING


def _interval(difference: Difference) -> str:
    return "" if difference.pairs < 2 else f" ({in_points(difference)})"
