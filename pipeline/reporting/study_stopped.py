"""What every method would have reached had it also stopped early, read off the curves of its runs."""

from collections.abc import Iterable, Iterator, Mapping

from pydantic import TypeAdapter, ValidationError

from pipeline.methods import AnyMethod, EarlyStopping
from pipeline.reporting import words
from pipeline.reporting.blocks import Block, Paragraph, Table
from pipeline.reporting.read import Json, number
from pipeline.reporting.study_contest import brief
from pipeline.reporting.study_curves import standing_cells
from pipeline.reporting.study_difference import paired_difference
from pipeline.reporting.study_numbers import StudyNumbers
from pipeline.reporting.study_tables import oriented
from pipeline.reporting.summary import spread
from pipeline.selection import Selection, selection_rule
from pipeline.study.results import Condition, Pair, Result, Results

STOPPING = "early_stopping"
METHODS = TypeAdapter(list[AnyMethod])
STOPPED = (
    "Had every method also stopped by the rule of {rival}, on noisy validation labels: the score of the same runs at the "
    "epoch that the rule chooses, mean in %; in brackets the difference to {rival} in points, paired, with its 95 % t "
    "interval. Stopping changes nothing before it, so no run is needed for this."
)


def stopped_blocks(results: Results, numbers: StudyNumbers, rival: str) -> Iterator[Block]:
    """The table of variants by conditions; nothing without the rule or without curves to apply it to."""
    rule = _rule_of(results, rival)
    if rule is None:
        return
    own = {id(table): _scores(results, numbers, rival, table.condition, rule) for table in numbers.conditions}
    rows = []
    for name in [row.variant for row in numbers.conditions[0].competing if row.variant != rival]:
        found = [_scores(results, numbers, name, table.condition, rule) for table in numbers.conditions]
        if any(found):
            pairs = zip(found, numbers.conditions, strict=True)
            rows.append((name, *(_cell(scores, own[id(table)]) for scores, table in pairs)))
    if rows:
        yield Paragraph(STOPPED.format(rival=rival))
        yield _table(numbers, rival, own, rows)


def _table(numbers: StudyNumbers, rival: str, own: Mapping[int, dict[Pair, float]], rows: list[tuple]) -> Table:
    alone = (rival, *(_mean(own[id(table)]) for table in numbers.conditions))
    if len(numbers.conditions) == 1:
        return Table(("variant", numbers.terms.metric), (alone, *rows))
    return oriented(numbers, [alone, *rows], ())


def _cell(scores: Mapping[Pair, float], rival: Mapping[Pair, float]) -> str:
    """`75.1 (−1.2, −6.4 to +3.9)`."""
    if scores and scores == rival:
        return f"{_mean(scores)} (the same)"
    difference = paired_difference(scores, rival)
    return _mean(scores) + (f" ({brief(difference)})" if difference.mean is not None else "")


def _mean(scores: Mapping[Pair, float]) -> str:
    values = spread(scores.values())
    return words.MISSING if values is None else words.hundredths(values.mean)


def _scores(
    results: Results, numbers: StudyNumbers, variant: str, condition: Condition, rule: EarlyStopping
) -> dict[Pair, float]:
    return stopped_scores(standing_cells(results, numbers, variant, condition), rule, numbers.terms.test_key)


def stopped_scores(cells: Iterable[Result], rule: EarlyStopping, key: str) -> dict[Pair, float]:
    """The numbers at `key` of the epochs that the rule chooses, by seed and fold, of the cells that are done."""
    found = {cell.pair: _stopped(cell, rule, key) for cell in cells if cell.scores}
    return {pair: value for pair, value in found.items() if value is not None}


def _stopped(cell: Result, rule: EarlyStopping, key: str) -> float | None:
    """The score at the epoch the rule chooses of a run's curve; None without a validation metric or a score there."""
    selection, history = _selection(cell.config, rule), cell.history()
    if selection is None or not any(map(rule.is_measured, history)):
        return None
    last = next((end for end in range(1, len(history)) if selection.is_over(history[:end])), len(history))
    chosen = selection.epoch(history[:last])
    return next((number(line, key) for line in history if line["epoch"] == chosen), None)


def _selection(config: Json, rule: EarlyStopping) -> Selection | None:
    """The rule with the epochs it may not choose, while the run's own methods still change the network."""
    try:
        methods = METHODS.validate_python(config.get("methods", []))
    except ValidationError:
        return None
    epochs = number(config, "train", "epochs")
    return None if epochs is None else Selection(rule, selection_rule(methods, int(epochs)).unsettled)


def _rule_of(results: Results, rival: str) -> EarlyStopping | None:
    """The rule as the rival's runs had it."""
    for cell in results.cells:
        if cell.variant == rival and cell.config:
            try:
                methods = METHODS.validate_python(cell.config.get("methods", []))
            except ValidationError:
                return None
            return next((method for method in methods if isinstance(method, EarlyStopping)), None)
    return None
