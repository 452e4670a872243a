"""The sections of a study's report: the table beside the paper's, differences, picture, runs, configuration."""

from collections.abc import Iterable

from pipeline.reporting import words
from pipeline.reporting.blocks import Block, Code, Figure, KeyEntry, Paragraph, Section, Table
from pipeline.reporting.dot_plot import DotRow, dot_plot
from pipeline.reporting.paper_table import paper_table
from pipeline.reporting.read import mapping, number
from pipeline.reporting.study_numbers import StudyNumbers, VariantNumbers
from pipeline.reporting.study_verdict import in_points
from pipeline.reporting.summary import Spread, spread
from pipeline.reporting.undefined import in_a_sentence, undefined_reasons
from pipeline.study.results import Results

PAPER = (
    "The paper's Table 1: BP4D, InceptionV3, mean of five runs. Its numbers and those of another data set or another "
    "network are not to be compared, only what each method changes."
)
DIFFERENCES = (
    "Difference: the mean over runs of equal seed and fold, in points; interval: Student's t over these pairs. "
    "Runs of one fold share their test subjects, so it is rather too narrow for a claim about other people. "
)
COMPARISONS = (
    "Of many comparisons some look significant by chance: the adjusted interval (Bonferroni) holds for all together."
)


def study_sections(results: Results, numbers: StudyNumbers, config_text: str) -> tuple[Section, ...]:
    """All sections; each says what is missing."""
    return (
        Section("table", "Table 1", tuple(_tables(results, numbers))),
        Section("differences", f"Differences to {numbers.reference}", tuple(_differences(numbers))),
        Section("plot", "Result and memorisation", tuple(_plots(numbers))),
        Section("runs", "Runs", tuple(_runs(results, numbers))),
        Section(
            "configuration", "Configuration", (Code(results.command), Code(config_text.rstrip("\n"), "study.yaml"))
        ),
    )


def _tables(results: Results, numbers: StudyNumbers) -> Iterable[Block]:
    count = f"standard deviation over seeds and folds, n: runs done. In %, {numbers.terms.right} test labels."
    yield Paragraph(f"Ours: mean {numbers.terms.short} of the runs, ± {count}")
    yield our_table(results, numbers)
    if numbers.multilabel:
        yield from (Paragraph(PAPER), paper_table())
        yield Paragraph("Standard deviations of ours, in points:")
        yield Table(_head(numbers), tuple(_deviations(row) for row in numbers.rows))
    for reason, where in _undefined(results).items():
        yield Paragraph(in_a_sentence(reason, where), "warning")


def our_table(results: Results, numbers: StudyNumbers) -> Table:
    """Variants by action units and mean, as in the paper; below it what does not compete."""
    foot = [_row(row) for row in numbers.apart]
    if numbers.multilabel:
        foot.append(_all_present(results, numbers))
    return Table(_head(numbers), tuple(_row(row) for row in numbers.competing), tuple(foot))


def _head(numbers: StudyNumbers) -> tuple[str, ...]:
    last = "avg" if numbers.multilabel else numbers.terms.metric
    return ("variant", *(unit.removeprefix("AU") for unit in numbers.units), last, "n")


def _row(row: VariantNumbers) -> tuple[str, ...]:
    done = row.score.n if row.score else 0
    n = str(done) if done == row.wanted else f"{done} of {row.wanted}"
    return (row.name, *map(_mean, row.units.values()), _with_deviation(row.score), n)


def _mean(values: Spread | None) -> str:
    return words.MISSING if values is None else words.hundredths(values.mean)


def _with_deviation(values: Spread | None) -> str:
    if values is None or values.deviation is None:
        return _mean(values)
    return f"{_mean(values)} ± {words.hundredths(values.deviation)}"


def _deviations(row: VariantNumbers) -> tuple[str, ...]:
    spreads = (*row.units.values(), row.score)
    cells = [
        words.NOT_APPLICABLE if each is None or each.deviation is None else words.hundredths(each.deviation)
        for each in spreads
    ]
    return (row.name, *cells, str(row.score.n if row.score else 0))


def _all_present(results: Results, numbers: StudyNumbers) -> tuple[str, ...]:
    """F1 of calling every unit present, of the test parts of all runs."""
    done = [cell for cell in results.cells if cell.scores]
    units = [spread(number(cell.scores, "metrics", "f1_all_positive", unit) for cell in done) for unit in numbers.units]
    mean = spread(number(cell.scores, "metrics", "f1_all_positive_mean") for cell in done)
    return ("all present", *map(_mean, units), _mean(mean), words.NOT_APPLICABLE)


def _undefined(results: Results) -> dict[str, list[str]]:
    """Why a metric does not exist, with the runs it is of."""
    reasons: dict[str, list[str]] = {}
    for cell in results.cells:
        for reason in undefined_reasons(cell.scores, cell.config):
            reasons.setdefault(reason, []).append(cell.run.partition("/")[2].rpartition("-")[0])
    return reasons


def _differences(numbers: StudyNumbers) -> Iterable[Block]:
    several = numbers.comparisons > 1
    head = ["variant", "difference", "95 % interval"]
    head += [f"adjusted for {numbers.comparisons} comparisons"] * several + ["pairs", "wrong labels memorised"]
    if numbers.multilabel:
        head += ["wrong labels of unseen people", "F1, noisy test labels"]
    others = [row for row in numbers.rows if row.name != numbers.reference]
    rows = [_difference_row(row, numbers) for row in others if row.competes]
    foot = [_difference_row(row, numbers) for row in others if not row.competes]
    reference = next(row for row in numbers.rows if row.name == numbers.reference)
    yield Table(tuple(head), (_difference_row(reference, numbers), *rows), tuple(foot))
    yield Paragraph(DIFFERENCES + COMPARISONS * several, "note")


def _difference_row(row: VariantNumbers, numbers: StudyNumbers) -> tuple[str, ...]:
    shares = (row.memorised, row.unseen, row.noisy) if numbers.multilabel else (row.memorised,)
    shown = (words.NOT_APPLICABLE if share is None else words.percent(share.mean) for share in shares)
    return (row.name, *_compared(row, numbers), *shown)


def _compared(row: VariantNumbers, numbers: StudyNumbers) -> tuple[str, ...]:
    """Difference, intervals and pairs; dashes for the reference itself."""
    several = numbers.comparisons > 1
    if row.name == numbers.reference:
        return (words.NOT_APPLICABLE,) * (3 + several)
    adjusted = in_points(row.adjusted) if row.competes else words.NOT_APPLICABLE
    difference = words.or_dash(words.points(row.difference.mean))
    return (difference, in_points(row.difference), *[adjusted] * several, str(row.difference.pairs))


def _plots(numbers: StudyNumbers) -> Iterable[Block]:
    panels = study_panels(numbers)
    if not panels:
        yield Paragraph("No run is done yet.", "note")
        return
    key = (
        KeyEntry("baseline", "dot", f"{numbers.reference} (the line: its mean)"),
        KeyEntry("method", "dot", "other variants"),
        *([KeyEntry("neutral", "dot", "does not compete")] if numbers.apart else []),
    )
    yield Figure("Small dots: single runs; large ones: means; bars: standard deviations.", tuple(panels), key)


def study_panels(numbers: StudyNumbers) -> list[str]:
    """The result and the memorised share of each variant as pictures, those that have been measured."""
    shown = [
        (f"{words.capitalised(numbers.terms.test)} (%)", "score"),
        ("Wrong training labels memorised (%)", "memorised"),
    ]
    panels = []
    for title, field in shown:
        rows = [_dots(row, getattr(row, field), numbers) for row in numbers.rows]
        if any(row.values for row in rows):
            reference = next(row.values for row in rows if row.name == numbers.reference)
            panels.append(dot_plot(title, rows, reference.mean if reference else None))
    return panels


def _dots(row: VariantNumbers, values: Spread | None, numbers: StudyNumbers) -> DotRow:
    percent = Spread(tuple(100 * value for value in values.values)) if values else None
    absent = "nothing to memorise" if numbers.terms.right == "clean" else "unknown"
    css = "baseline" if row.name == numbers.reference else "method" if row.competes else "neutral"
    return DotRow(row.name, percent, css, absent if row.score else "missing")


def _runs(results: Results, numbers: StudyNumbers) -> Iterable[Block]:
    head = (
        "variant",
        "seed",
        "fold",
        "state",
        numbers.terms.short,
        "wrong labels memorised",
        "int8 file",
        "time",
        "folder",
    )
    rows = []
    for cell in results.cells:
        size = number(mapping(cell.verification, "size_bytes"), "int8")
        numbers_of_cell = (
            words.percent(number(cell.scores, *numbers.terms.score)),
            words.or_dash(words.percent(number(cell.scores, "train_noisy_fit"))),
            words.or_dash(words.kilobytes(size)),
            words.or_dash(words.duration(number(cell.scores, "seconds"))),
        )
        fold = words.NOT_APPLICABLE if cell.fold is None else str(cell.fold)
        rows.append((cell.variant, str(cell.seed), fold, cell.state, *numbers_of_cell, cell.run))
    yield Table(head, tuple(rows))
    for cell in results.cells:
        if cell.state == "failed":
            yield Paragraph(f"{cell.run} failed: {cell.message or 'it left no message'}.", "warning")
