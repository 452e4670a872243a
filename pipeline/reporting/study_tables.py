"""Tables of scores: Table 1 of one condition as in the paper, and all variants by all conditions."""

from collections.abc import Callable, Iterable, Sequence

from pipeline.au_intervals import Difference
from pipeline.reporting import words
from pipeline.reporting.blocks import Block, Paragraph, Table
from pipeline.reporting.paper_table import paper_table
from pipeline.reporting.read import number
from pipeline.reporting.study_contest import Contest, contests, in_points, margin, ranking, signed
from pipeline.reporting.study_headline import MOST_SHOWN
from pipeline.reporting.study_numbers import ArmNumbers, ConditionNumbers, StudyNumbers
from pipeline.reporting.study_words import condition_name
from pipeline.reporting.summary import Spread, spread
from pipeline.reporting.undefined import in_a_sentence, undefined_reasons
from pipeline.study.results import Results

PAPER = (
    "The paper's Table 1: BP4D, InceptionV3, mean of five runs. Its numbers and those of another data set or another "
    "network are not to be compared, only what each method changes."
)


def score_blocks(results: Results, numbers: StudyNumbers) -> Iterable[Block]:
    """Scores of all variants; of action units a table like the paper's for every condition."""
    ours = "Ours: mean" if numbers.multilabel else "Mean"
    units = "seeds" if results.folds == (None,) else "seeds and folds"
    several, n = len(numbers.conditions) > 1, _equal_n(numbers)
    counted = f"n = {n} everywhere" if several and n else "n: runs done"
    yield Paragraph(
        f"{ours} {numbers.terms.short} of the runs, ± standard deviation over {units}, {counted}. In %, "
        f"{numbers.terms.right} test labels."
    )
    if several:
        yield by_condition(numbers)
    if not several or numbers.multilabel:
        for table in numbers.conditions:
            if several:
                yield Paragraph(f"{words.capitalised(condition_name(table.condition))}:")
            yield our_table(results, numbers, table)
    if numbers.multilabel:
        yield from (Paragraph(PAPER), paper_table())
        yield from _all_deviations(numbers)
    for reason, where in _undefined(results).items():
        yield Paragraph(in_a_sentence(reason, where), "warning")


def _equal_n(numbers: StudyNumbers) -> int | None:
    """How many runs are done of every arm that has any to do, None if they differ."""
    rows = [row for table in numbers.conditions for row in table.rows if row.wanted]
    counts = {row.score.n if row.score and row.score.n == row.wanted else None for row in rows}
    return counts.pop() if len(counts) == 1 else None


def by_condition(numbers: StudyNumbers) -> Table:
    """Variants by conditions; below them what does not compete, each condition's leader and who is level with it."""
    show_n = _equal_n(numbers) is None
    rows, foot = _matrix(numbers, lambda row: _score(row, show_n))
    found = contests(numbers)
    foot.append(("leader", *(_leader(contest, numbers) for contest in found)))
    if any(contest.level for contest in found):
        foot.append(("not clearly behind", *(", ".join(contest.level) or words.NOT_APPLICABLE for contest in found)))
    return oriented(numbers, rows, foot)


def _matrix(numbers: StudyNumbers, show: Callable[[ArmNumbers], str]) -> tuple[list, list]:
    """The texts of competing variants by conditions, and of those that do not compete."""
    found = [[table.row(row.variant) for table in numbers.conditions] for row in numbers.conditions[0].rows]
    rows = [(each[0].competes, (each[0].variant, *map(show, each))) for each in found]
    return [row for competes, row in rows if competes], [row for competes, row in rows if not competes]


def oriented(numbers: StudyNumbers, rows: Sequence[tuple], foot: Sequence[tuple]) -> Table:
    """Conditions as columns, or as rows where they are many."""
    names = tuple(condition_name(table.condition) or "points" for table in numbers.conditions)
    if len(names) <= MOST_SHOWN:
        return Table(("variant", *names), tuple(rows), tuple(foot))
    head, *turned = zip(("condition", *names), *rows, *foot, strict=True)
    return Table(head, tuple(turned))


def _score(row: ArmNumbers, show_n: bool) -> str:
    """`58.3 ± 1.2`, with `n 2 of 3` where the numbers of runs differ."""
    if not row.wanted:
        return words.NOT_APPLICABLE  # the study asks for none
    done = row.score.n if row.score else 0
    if not done:
        return words.MISSING
    return _with_deviation(row.score) + (f", n {done}" + f" of {row.wanted}" * (done < row.wanted)) * show_n


def _leader(contest: Contest, numbers: StudyNumbers) -> str:
    if len(ranking(contest.table)) < 2:
        return words.MISSING
    return contest.leader.variant if contest.leader else f"none clearly above {numbers.reference}"


def difference_table(numbers: StudyNumbers) -> Table:
    """Differences to the reference with their intervals, variants by conditions."""
    rows, foot = _matrix(numbers, _difference)
    return oriented(numbers, [row for row in rows if row[0] != numbers.reference], foot)


def margin_table(numbers: StudyNumbers) -> Table | None:
    """The leader's margin over every other variant with its interval, variants by conditions; None without a leader."""
    found = contests(numbers)
    if not any(contest.leader for contest in found):
        return None
    names = [row.variant for row in numbers.conditions[0].competing if row.variant != numbers.reference]
    rows = [(name, *(_margin(contest.margins.get(name)) for contest in found)) for name in names]
    foot = [(row.variant, *(_apart(contest, row.variant) for contest in found)) for row in numbers.conditions[0].apart]
    return oriented(numbers, [("leader", *(_leader(contest, numbers) for contest in found)), *rows], foot)


def _apart(contest: Contest, variant: str) -> str:
    """The leader against what does not compete."""
    return _margin(margin(contest.leader, contest.table.row(variant)) if contest.leader else None)


def _margin(found: Difference | None) -> str:
    if found is None:  # the leader itself, or none leads
        return words.NOT_APPLICABLE
    return words.MISSING if found.mean is None else _with_interval(found)


def _with_interval(difference: Difference) -> str:
    interval = "" if difference.pairs < 2 else f" ({in_points(difference)})"
    return signed(difference.mean) + interval


def _difference(row: ArmNumbers) -> str:
    if not row.wanted:
        return words.NOT_APPLICABLE  # the study asks for none
    if row.difference.mean is None:
        return words.MISSING
    return _with_interval(row.difference)


def our_table(results: Results, numbers: StudyNumbers, table: ConditionNumbers) -> Table:
    """Variants by action units and mean, as in the paper; below it what does not compete."""
    foot = [_row(row) for row in table.apart]
    if numbers.multilabel:
        foot.append(_all_present(results, numbers, table))
    return Table(_head(numbers), tuple(_row(row) for row in table.competing), tuple(foot))


def _head(numbers: StudyNumbers) -> tuple[str, ...]:
    last = "avg" if numbers.multilabel else numbers.terms.metric
    return ("variant", *(unit.removeprefix("AU") for unit in numbers.units), last, "n")


def _row(row: ArmNumbers) -> tuple[str, ...]:
    done = row.score.n if row.score else 0
    n = str(done) if done == row.wanted else f"{done} of {row.wanted}"
    return (row.variant, *map(_mean, row.units.values()), _with_deviation(row.score), n)


def _mean(values: Spread | None) -> str:
    return words.MISSING if values is None else words.hundredths(values.mean)


def _with_deviation(values: Spread | None) -> str:
    if values is None or values.deviation is None:
        return _mean(values)
    return f"{_mean(values)} ± {words.hundredths(values.deviation)}"


def _all_deviations(numbers: StudyNumbers) -> Iterable[Block]:
    for table in numbers.conditions:
        where = f", {condition_name(table.condition)}" if table.condition else ""
        yield Paragraph(f"Standard deviations of ours, in points{where}:")
        yield Table(_head(numbers), tuple(_deviations(row) for row in table.rows))


def _deviations(row: ArmNumbers) -> tuple[str, ...]:
    spreads = (*row.units.values(), row.score)
    cells = [
        words.NOT_APPLICABLE if each is None or each.deviation is None else words.hundredths(each.deviation)
        for each in spreads
    ]
    return (row.variant, *cells, str(row.score.n if row.score else 0))


def _all_present(results: Results, numbers: StudyNumbers, table: ConditionNumbers) -> tuple[str, ...]:
    """F1 of calling every unit present, of the test parts of all runs."""
    done = [cell for cell in results.select(condition=table.condition) if cell.scores]
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
