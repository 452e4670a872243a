"""The sections of a study's report: scores, differences, settings or trials, figures, method, runs, configuration."""

from collections.abc import Iterable, Sequence

from pipeline.config_yaml import dump
from pipeline.reporting import words
from pipeline.reporting.blocks import Block, Code, Figure, KeyEntry, Paragraph, Section, Table
from pipeline.reporting.dot_plot import DotRow, dot_plot
from pipeline.reporting.study_contest import in_points
from pipeline.reporting.study_figure_words import of_settings
from pipeline.reporting.study_method import method_blocks
from pipeline.reporting.study_numbers import ArmNumbers, ConditionNumbers, StudyNumbers
from pipeline.reporting.study_runs import run_blocks
from pipeline.reporting.study_search import OBJECTIVES, trial_blocks
from pipeline.reporting.study_setting_sections import setting_blocks
from pipeline.reporting.study_settings import VariantSettings
from pipeline.reporting.study_tables import difference_table, margin_table, score_blocks
from pipeline.reporting.study_tuned import Tuned
from pipeline.reporting.study_tuned_sections import tuned_blocks
from pipeline.reporting.study_words import arm_name, condition_name
from pipeline.reporting.summary import Spread
from pipeline.study.results import Results

DIFFERENCES = (
    "Difference: the mean over runs of equal seed and fold, in points; interval: Student's t over these pairs. {shared}"
)
SHARED_PEOPLE = (
    "Runs of one fold share their test subjects, so it is rather too narrow for a claim about other people. "
)
COMPARISONS = (
    "Of many comparisons some look significant by chance: the adjusted interval (Bonferroni) holds for all together."
)
DOTS = "Small dots: single runs; large ones: means; bars: standard deviations."
BEST_FILE = (
    "best.yaml in this folder is the variant and setting with the best mean {objective} over all runs, as an experiment of "
    "its own: python -m pipeline.run --config best.yaml {what}."
)


def study_sections(
    results: Results,
    numbers: StudyNumbers,
    tuned: Tuned | None,
    settings: tuple[VariantSettings, ...],
    figures: Sequence[Section],
    config_text: str,
    best_file: bool,
) -> tuple[Section, ...]:
    """All sections; each says what is missing. `best_file`: whether best.yaml is there."""
    table1 = len(numbers.conditions) == 1 and numbers.multilabel
    sections = [
        Section(
            "table", "Table 1" if table1 else "Results", (*_chosen(results, numbers), *score_blocks(results, numbers))
        )
    ]
    if own := tuple(tuned_blocks(results, numbers, tuned, settings)):
        sections.insert(0, Section("tuned", "Each variant tuned by noisy validation", own))
    if results.search.kind != "grid":
        sections.insert(0, Section("trials", "Trials", tuple(trial_blocks(results, numbers))))
    sections.append(
        Section("differences", f"Differences to {numbers.reference}", tuple(_differences(results, numbers)))
    )
    if len(numbers.conditions) == 1:
        sections.append(Section("plot", "Result and memorisation", tuple(_plots(results, numbers))))
    shown = [section for section in figures if _applies(section, results, settings)]
    if settings:
        own = Section("settings", "Settings", tuple(setting_blocks(results, numbers, settings)))
        shown.insert(sum(section.anchor in ("figure2", "figure3") for section in shown), own)
    sections += shown
    sections.append(Section("method", "How this was measured", tuple(method_blocks(results, numbers))))
    sections.append(Section("runs", "Runs", tuple(run_blocks(results, numbers))))
    sections.append(Section("configuration", "Configuration", tuple(_configuration(results, config_text, best_file))))
    return tuple(sections)


def _applies(section: Section, results: Results, settings: tuple[VariantSettings, ...]) -> bool:
    """Whether the study asks what a figure answers: against noise, of settings."""
    return {"figure2": bool(results.axes), "figure3": bool(settings)}.get(section.anchor, True)


def _chosen(results: Results, numbers: StudyNumbers) -> Iterable[Block]:
    """At which setting each variant stands in the tables of the comparison."""
    named = [arm_name(variant, setting) for variant, setting in numbers.chosen.items() if setting]
    if named:
        how = "its reference setting" if results.search.kind == "grid" else "its best setting by validation"
        yield Paragraph(f"Each variant stands here at {how}: {words.listing(named)}.")


def _differences(results: Results, numbers: StudyNumbers) -> Iterable[Block]:
    several = len(numbers.conditions) > 1
    if several:
        yield Paragraph("In points, 95 % t interval in brackets:")
        yield difference_table(numbers)
        if results.search.kind == "grid" and (margins := margin_table(numbers)):
            yield Paragraph("How far each condition's leader is ahead of the others, likewise:")
            yield margins
    for table in numbers.conditions:
        if several:
            yield Paragraph(f"{words.capitalised(condition_name(table.condition))}:")
        yield _details(numbers, table)
    shared = SHARED_PEOPLE * numbers.multilabel
    yield Paragraph(DIFFERENCES.format(shared=shared) + COMPARISONS * (numbers.comparisons > 1), "note")


def _details(numbers: StudyNumbers, table: ConditionNumbers) -> Table:
    head = ["variant", "difference", "95 % interval"]
    head += [f"adjusted for {numbers.comparisons} comparisons"] * (numbers.comparisons > 1)
    head += ["pairs", "wrong labels memorised"] + ["below best epoch"] * _has_loss(numbers)
    if numbers.multilabel:
        head += ["wrong labels of unseen people", "F1, noisy test labels"]
    others = [row for row in table.rows if row.variant != numbers.reference]
    rows = [_difference_row(row, numbers) for row in others if row.competes]
    foot = [_difference_row(row, numbers) for row in others if not row.competes]
    return Table(tuple(head), (_difference_row(table.row(numbers.reference), numbers), *rows), tuple(foot))


def _has_loss(numbers: StudyNumbers) -> bool:
    """Whether any epoch but the one that counts was tested and better."""
    return any(row.lost and row.lost.high > 0 for table in numbers.conditions for row in table.rows)


def _difference_row(row: ArmNumbers, numbers: StudyNumbers) -> tuple[str, ...]:
    cells = [_share(row.memorised)]
    if _has_loss(numbers):
        cells.append(words.NOT_APPLICABLE if row.lost is None else words.points(row.lost.mean).removeprefix("+"))
    if numbers.multilabel:
        cells += [_share(row.unseen), _share(row.noisy)]
    return (row.variant, *_compared(row, numbers), *cells)


def _share(values: Spread | None) -> str:
    return words.NOT_APPLICABLE if values is None else words.percent(values.mean)


def _compared(row: ArmNumbers, numbers: StudyNumbers) -> tuple[str, ...]:
    """Difference, intervals and pairs; dashes for the reference itself."""
    several = numbers.comparisons > 1
    if row.variant == numbers.reference:
        return (words.NOT_APPLICABLE,) * (3 + several)
    adjusted = in_points(row.adjusted) if row.competes else words.NOT_APPLICABLE
    difference = words.points(row.difference.mean) if row.wanted else words.NOT_APPLICABLE
    return (difference, in_points(row.difference), *[adjusted] * several, str(row.difference.pairs))


def _plots(results: Results, numbers: StudyNumbers) -> Iterable[Block]:
    panels = study_panels(numbers)
    if not panels:
        yield Paragraph("No run is done yet.", "note")
        return
    key = (
        KeyEntry("baseline", "dot", f"{numbers.reference} (the line: its mean)"),
        KeyEntry("method", "dot", "other variants"),
        *([KeyEntry("neutral", "dot", "does not compete")] if numbers.conditions[0].apart else []),
    )
    yield Figure(DOTS + of_settings(results, numbers), tuple(panels), key)


def study_panels(numbers: StudyNumbers) -> list[str]:
    """The result and the memorised share of each variant as pictures, those measured; of a study without conditions."""
    if len(numbers.conditions) > 1:
        return []
    shown = [
        (f"{words.capitalised(numbers.terms.test)} (%)", "score"),
        ("Wrong training labels memorised (%)", "memorised"),
    ]
    table, panels = numbers.conditions[0], []
    for title, field in shown:
        rows = [_dots(row, getattr(row, field), numbers) for row in table.rows]
        if any(row.values for row in rows):
            reference = next(row.values for row in rows if row.name == numbers.reference)
            panels.append(dot_plot(title, rows, reference.mean if reference else None))
    return panels


def _dots(row: ArmNumbers, values: Spread | None, numbers: StudyNumbers) -> DotRow:
    percent = Spread(tuple(100 * value for value in values.values)) if values else None
    absent = "nothing to memorise" if numbers.terms.right == "clean" else "unknown"
    css = "baseline" if row.variant == numbers.reference else "method" if row.competes else "neutral"
    return DotRow(row.variant, percent, css, absent if row.score else "missing")


def _configuration(results: Results, config_text: str, best_file: bool) -> Iterable[Block]:
    yield Code(results.command)
    if best_file and results.search.objective:
        what = "repeats it"
        if results.axes:
            own = words.listing(list(results.axes))
            what = f"runs it at the base experiment's own {own}, not at the study's conditions"
        yield Paragraph(
            BEST_FILE.format(
                objective=OBJECTIVES[results.search.objective],
                what=what,
            )
        )
    yield Code(config_text.rstrip("\n"), "study.yaml")
    own = (cell for cell in results.cells if cell.variant == results.reference and cell.config)
    if first := next(own, None):
        where = ", ".join(filter(None, (condition_name(first.condition), f"seed {first.seed}")))
        yield Code(dump(first.config).rstrip("\n"), f"one run of {results.reference} in full ({where})")
