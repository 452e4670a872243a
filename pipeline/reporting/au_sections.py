"""The section on action units: every metric of each, against clean and noisy labels, and beside the baseline's."""

from collections.abc import Callable
from dataclasses import dataclass

from pipeline.au_intervals import bootstrap_f1
from pipeline.reporting import words
from pipeline.reporting.bars import Bar, bar_chart
from pipeline.reporting.blocks import Block, Figure, Paragraph, Section, Table
from pipeline.reporting.labels import has_noise, training_labels
from pipeline.reporting.read import Run, SeedRun, mapping, number
from pipeline.reporting.summary import compare, spread
from pipeline.reporting.terms import is_multilabel, terms
from pipeline.reporting.undefined import NO_VALIDATION, in_a_sentence, undefined_reasons

UNDEFINED = "undefined"
COUNTS = 4  # true positives, false positives, false negatives, true negatives
NOTE = (
    "In %, MCC and AUC times 100. All present: F1 of calling every face present. Tuned: with thresholds chosen on "
    "validation labels. Threshold: a probability, the lowest to the highest of several runs. Difference: mean over pairs "
    "of equal seed and fold, in points. Several runs: the mean of those in which the metric is defined."
)
INTERVAL = (
    "Interval: 95 %, of the counts of all seeds and folds pooled (not of the mean), bootstrap over {n} test subjects."
)
NO_INTERVAL = "No interval: {n} test subjects are too few for a bootstrap over subjects (at least {least})."
FEWEST_SUBJECTS = 8
MARK = " †"
MARKED = "† Tuned thresholds are no better than calling every face present."


@dataclass(frozen=True)
class Column:
    """One column of metrics; `mean` is the key of their mean, empty if there is none."""

    head: str
    key: str
    mean: str = ""


BASE = (Column("base rate", "base_rate"), Column("F1, all present", "f1_all_positive", "f1_all_positive_mean"))
TUNED = Column("F1 tuned", "f1_tuned", "f1_tuned_mean")
REACHED = (
    TUNED,
    Column("balanced accuracy", "balanced_accuracy", "balanced_accuracy_mean"),
    Column("MCC", "mcc", "mcc_mean"),
    Column("AUC", "auc", "auc_mean"),
)
F1 = Column("F1 at 0.5", "f1", "f1_mean")


def au_sections(run: Run) -> tuple[Section, ...]:
    """The section, for runs on action units only."""
    return (Section("units", "Action units", tuple(_blocks(run))),) if is_multilabel(run) else ()


def unit_names(run: Run) -> tuple[str, ...]:
    """The action units of a run's scores, in their order."""
    return tuple(dict.fromkeys(name for seed in run.finished for name in mapping(seed.scores, "metrics", "f1")))


def _blocks(run: Run) -> list[Block]:
    units = unit_names(run)
    if not units:
        return [Paragraph("No run has recorded scores of action units yet.", "note")]
    counts = pooled_counts(run.finished)
    intervals = bootstrap_f1(counts) if len(counts) >= FEWEST_SUBJECTS else {}
    table = _right_table(run, units, intervals)
    blocks: list[Block] = [_figure(run, units, intervals), table, Paragraph(_note(table, len(counts)), "note")]
    if has_noise(run) and any(mapping(seed.scores, "metrics_noisy") for seed in run.finished):
        columns, against = (BASE[0], F1, *REACHED), training_labels(run)
        blocks += [Paragraph(f"Against the {against} labels of the same test images:"), _table(run, units, columns)]
    return blocks + _undefined(run)


def _note(table: Table, subjects: int) -> str:
    marked = any(cell.endswith(MARK) for row in (*table.rows, *table.foot) for cell in row)
    interval = INTERVAL if subjects >= FEWEST_SUBJECTS else NO_INTERVAL
    parts = [NOTE, interval.format(n=subjects, least=FEWEST_SUBJECTS) if subjects else "", MARKED if marked else ""]
    return " ".join(filter(None, parts))


def pooled_counts(seeds: tuple[SeedRun, ...]) -> dict[str, dict[str, list[int]]]:
    """TP, FP, FN, TN by subject and unit, those of all runs added up; empty if a run has recorded none."""
    pooled: dict[str, dict[str, list[int]]] = {}
    for seed in seeds:
        counted = mapping(seed.scores, "subject_counts")
        if not counted:
            return {}
        for subject, units in counted.items():
            for name, counts in mapping(units).items():
                if not _is_counts(counts):
                    return {}
                before = pooled.setdefault(subject, {}).setdefault(name, [0] * COUNTS)
                pooled[subject][name] = [a + b for a, b in zip(before, counts, strict=True)]
    whole = len({frozenset(units) for units in pooled.values()}) == 1
    return pooled if whole else {}


def _is_counts(value: object) -> bool:
    return isinstance(value, list) and len(value) == COUNTS and all(isinstance(entry, int) for entry in value)


def _right_table(run: Run, units: tuple[str, ...], intervals: dict) -> Table:
    right = (*BASE, F1)
    head = ["action unit", *(column.head for column in right), "95 % interval", *(column.head for column in REACHED)]
    head.insert(head.index(TUNED.head) + 1, "threshold")
    head += ["baseline F1", "difference"] * (run.baseline is not None) + ["wrong labels memorised"]

    def row(name: str, path: Callable[[Column], tuple[str, ...]], interval: object, memorised: tuple[str, ...]):
        f1 = compare(run, *path(F1))
        cells = [name, *(_cell(run, path(column)) for column in right), _interval(interval)]
        tuned, *reached = (_cell(run, path(column)) for column in REACHED)
        cells += [tuned + MARK * _is_trivial(run, path), _thresholds(run, name), *reached]
        if run.baseline is not None:
            change = words.or_dash(words.points(f1.difference.mean if f1.difference else None))
            cells += [_share(f1.baseline.mean if f1.baseline else None), change.removesuffix(" points")]
        share = compare(run, *memorised).method
        return (*cells, _share(share.mean if share else None))

    rows = [
        row(name, _path("metrics", name), mapping(intervals, "f1").get(name), ("train_noisy_fit_per_au", name))
        for name in units
    ]
    mean = row("mean", _path("metrics"), intervals.get("f1_mean"), ("train_noisy_fit",))
    return Table(tuple(head), tuple(rows), (mean,))


def _is_trivial(run: Run, path: Callable[[Column], tuple[str, ...]]) -> bool:
    """Whether tuned thresholds reach no more than calling every face present."""
    tuned, trivial = (
        spread(number(seed.scores, *path(column)) for seed in run.finished) for column in (TUNED, BASE[1])
    )
    return bool(tuned and trivial) and tuned.mean <= trivial.mean


def _thresholds(run: Run, unit: str) -> str:
    """`0.4`, or the lowest and the highest of the runs."""
    values = spread(number(seed.scores, "thresholds", unit) for seed in run.finished)
    if values is None:
        return words.NOT_APPLICABLE
    ends = dict.fromkeys(words.plain(value) for value in (values.low, values.high))
    return " to ".join(ends)


def _table(run: Run, units: tuple[str, ...], columns: tuple[Column, ...]) -> Table:
    """Units by columns, against the noisy labels."""
    head = ("action unit", *(column.head for column in columns))
    rows = [
        (name, *(_cell(run, _path("metrics_noisy", name)(column)) for column in columns)) for name in units
    ]  # fmt: skip
    return Table(head, tuple(rows), (("mean", *(_cell(run, _path("metrics_noisy")(column)) for column in columns)),))


def _path(metrics: str, unit: str = "") -> Callable[[Column], tuple[str, ...]]:
    """Where a column's number lies in scores.json, of one unit or of their mean."""
    return lambda column: (metrics, column.key, unit) if unit else (metrics, column.mean)


def _cell(run: Run, path: tuple[str, ...]) -> str:
    """The mean over the runs; `undefined` where scores.json says null, a dash where it says nothing."""
    values = spread(number(seed.scores, *path) for seed in run.finished)
    if values:
        return words.hundredths(values.mean)
    *outer, key = path
    return UNDEFINED if any(key in mapping(seed.scores, *outer) for seed in run.finished) else words.NOT_APPLICABLE


def _share(value: float | None) -> str:
    return words.NOT_APPLICABLE if value is None else words.hundredths(value)


def _interval(value: object) -> str:
    return (
        f"{words.hundredths(value[0])} to {words.hundredths(value[1])}"
        if isinstance(value, list)
        else words.NOT_APPLICABLE
    )


def _figure(run: Run, units: tuple[str, ...], intervals: dict) -> Figure:
    panels = [_bars(run, units, f"F1, {terms(run).right} test labels (%)", ("metrics", "f1"), mapping(intervals, "f1"))]
    panels.append(_bars(run, units, "Wrong training labels memorised (%)", ("train_noisy_fit_per_au",), {}))
    caption = "Means over the runs" + "; whiskers are the 95 % intervals over test subjects" * bool(intervals) + "."
    return Figure(caption, tuple(panel for panel in panels if panel))


def _bars(run: Run, units: tuple[str, ...], title: str, path: tuple[str, ...], intervals: dict) -> str:
    """A bar a unit; empty if none has a number."""
    bars = []
    for name in units:
        values = spread(number(seed.scores, *path, name) for seed in run.finished)
        if values:
            low, high = (100 * end for end in intervals[name]) if intervals.get(name) else (None, None)
            bars.append(Bar(name, 100 * values.mean, f"{100 * values.mean:.1f}", "method", low, high))
    return bar_chart(title, bars) if any(bar.value for bar in bars) else ""


def _undefined(run: Run) -> list[Block]:
    """Every reason why a metric does not exist, with the runs it is of; the verdict says that nobody was held out."""
    reasons: dict[str, list[str]] = {}
    for seed in run.finished:
        for reason in undefined_reasons(seed.scores, run.config):
            reasons.setdefault(reason, []).append(seed.name)
    reasons.pop(NO_VALIDATION, None)
    return [Paragraph(in_a_sentence(reason, names), "warning") for reason, names in reasons.items()]
