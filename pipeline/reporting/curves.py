"""Figures over the epochs: loss, memorisation, accuracy or F1."""

from collections.abc import Iterator

from pipeline.reporting.blocks import Figure, KeyEntry, Table
from pipeline.reporting.labels import has_noise, training_labels
from pipeline.reporting.line_chart import Line, Mark, line_chart, value_range
from pipeline.reporting.naming import BASELINE, method_name, short_name, unit_noun, unit_word
from pipeline.reporting.read import Run, number
from pipeline.reporting.summary import Curve, curve
from pipeline.reporting.terms import is_multilabel, terms
from pipeline.reporting.words import NOT_APPLICABLE, plain

NUMBER_ROWS = 8
METRIC_CAPTIONS = {
    "clean": "Noisy validation is what a user without clean labels sees; clean test is what the network is worth.",
    "given": "Validation and test subjects are measured against the annotators' labels, whatever these are worth.",
}


def runs(run: Run) -> Iterator[tuple[Run, str, str]]:
    """(run, colour class, label) of the run and, if there is one, its baseline."""
    yield run, "method", short_name(run)
    if run.baseline:
        yield run.baseline, "baseline", BASELINE


def key_of_runs(run: Run) -> list[KeyEntry]:
    """Which colour is which network, and over how many seeds the band goes."""
    names = {"method": method_name(run) or "this run, no method", "baseline": "baseline, no method"}
    entries = []
    for each, css, _ in runs(run):
        n = sum(bool(seed.epochs) for seed in each.seeds)
        over = f", mean and range of {unit_word(each, n)}" if n > 1 else ", one seed"
        entries.append(KeyEntry(css, "line", names[css] + over))
    return entries


def lines_of(run: Run, *path: str, factor: float = 1.0, variant: str = "") -> list[Line]:
    """The curves of one quantity, of the run and of its baseline; a `variant` of another quantity is dashed."""
    found = [(curve(each, *path, factor=factor), css, label) for each, css, label in runs(run)]
    return [Line(values, css, label, variant) for values, css, label in found if values]


def loss_figure(run: Run) -> Figure | None:
    """Training and test loss (paper Fig. 1), or None if no epoch has recorded any."""
    train, objective = lines_of(run, "train_eval_loss"), lines_of(run, "train_loss", variant="training objective")
    panels = {
        f"Training loss, {training_labels(run)} labels": objective + train,
        f"Test loss, {terms(run).right} labels": lines_of(run, "test_loss"),
    }
    key = key_of_runs(run)
    if objective:
        key.append(KeyEntry("neutral", "dashed", "training objective (training mode, penalties included)"))
    caption = "Falling training loss with rising test loss is memorisation."
    return _figure(panels, terms(run).unit, caption, key)


def memorisation_figure(run: Run) -> Figure | None:
    """Shares of wrong and of right training labels reproduced, or None if neither was recorded."""
    panels = {
        "Wrong training labels reproduced": lines_of(run, "train_noisy_fit", factor=100),
        "Right training labels reproduced": lines_of(run, "train_clean_fit", factor=100),
    }
    caption = "A network that resists the noise learns the right labels and reproduces few of the wrong ones."
    return _figure(panels, "share of labels (%)", caption, key_of_runs(run), limits=(0.0, 100.0))


def metric_figure(run: Run) -> Figure | None:
    """Noisy validation and clean test accuracy (or F1) with result, oracle and moving statistics; None if not recorded."""
    named = terms(run)
    validation, test = (_with_moving(run, key) for key in (named.val_key, named.test_key))
    title = f"{named.right.capitalize()} test labels"
    panels = {f"{training_labels(run).capitalize()} validation labels": validation, title: test}
    if is_multilabel(run) and has_noise(run):
        panels[f"{training_labels(run).capitalize()} test labels"] = lines_of(run, "test_noisy_f1", factor=100)
    marks = {title: result_marks(run)}
    key = key_of_runs(run)
    if any(line.variant for line in validation + test):
        key.append(KeyEntry("neutral", "dashed", "same weights with moving statistics"))
    if marks[title]:
        key.append(KeyEntry("neutral", "dot", f"the result of each {unit_noun(run)}"))
        key.append(
            KeyEntry("neutral", "diamond", f"oracle: best test epoch of each {unit_noun(run)}, never the result")
        )
    return _figure(panels, f"{named.metric} (%)", METRIC_CAPTIONS[named.right], key, marks=marks)


def _with_moving(run: Run, key: str) -> list[Line]:
    dashed = lines_of(run, "moving", key, factor=100, variant="moving statistics")
    return dashed + lines_of(run, key, factor=100)


def result_marks(run: Run) -> list[Mark]:
    """Each seed's selected epoch (dot) and its best test epoch (diamond)."""
    marks, named = [], terms(run)
    for each, css, _ in runs(run):
        for seed in each.finished:
            chosen = number(seed.scores, "epoch_selected"), number(seed.scores, *named.score)
            oracle = number(seed.scores, "oracle", "epoch"), number(seed.scores, "oracle", named.test_key)
            for (epoch, value), shape in ((oracle, "diamond"), (chosen, "dot")):
                if epoch is not None and value is not None:
                    marks.append(Mark(epoch, 100 * value, css, shape))
    return marks


def _figure(
    panels: dict[str, list[Line]],
    unit: str,
    caption: str,
    key: list[KeyEntry],
    limits: tuple[float, float] | None = None,
    marks: dict[str, list[Mark]] | None = None,
) -> Figure | None:
    """Panels (title -> lines) on one vertical axis; panels without lines are left out."""
    panels = {title: lines for title, lines in panels.items() if lines}
    if not panels:
        return None
    every = [line for lines in panels.values() for line in lines]
    limits = limits or value_range([line.curve for line in every])
    charts = [line_chart(title, unit, lines, (marks or {}).get(title, ()), limits) for title, lines in panels.items()]
    return Figure(caption, tuple(charts), tuple(key), _numbers(panels))


def _numbers(panels: dict[str, list[Line]]) -> Table:
    columns = [(title, line) for title, lines in panels.items() for line in lines]
    head = [f"{title}: {', '.join(filter(None, (line.label, line.variant)))}" for title, line in columns]
    epochs = sorted({epoch for _, line in columns for epoch in line.curve.epochs})
    kept = sorted({epochs[round(i * (len(epochs) - 1) / (NUMBER_ROWS - 1))] for i in range(NUMBER_ROWS)})
    rows = [(str(epoch), *(_value(line.curve, epoch) for _, line in columns)) for epoch in kept]
    return Table(("epoch", *head), tuple(rows))


def _value(values: Curve, epoch: int) -> str:
    if epoch not in values.epochs:
        return NOT_APPLICABLE
    at = values.epochs.index(epoch)
    mean, low, high = values.mean[at], values.low[at], values.high[at]
    return plain(mean) if low == high else f"{plain(mean)} ({plain(low)} to {plain(high)})"
