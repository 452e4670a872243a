"""The section on action units: every metric of each, against clean and noisy labels, and beside the baseline's."""

from collections.abc import Callable
from dataclasses import dataclass

from pipeline.au_intervals import bootstrap_f1
from pipeline.reporting import words
from pipeline.reporting.bars import Bar, bar_chart
from pipeline.reporting.blocks import Block, Figure, Paragraph, Section, Table
from pipeline.reporting.read import Run, SeedRun, mapping, number, sequence
from pipeline.reporting.summary import compare, spread
from pipeline.reporting.terms import is_multilabel, terms

UNDEFINED = "undefined"
COUNTS = 4  # true positives, false positives, false negatives, true negatives
NOTE = (
    "In %, MCC and AUC times 100. All present: F1 of calling every face present. Tuned: with thresholds chosen on "
    "noisy validation labels. Interval: 95 %, bootstrap over test subjects with the counts of all seeds and folds "
    "added up. Difference: mean over pairs of equal seed and fold, in points. Several runs: the mean of those in which "
    "the metric is defined."
)


@dataclass(frozen=True)
class Column:
    """One column of metrics; `mean` is the key of their mean, empty if there is none."""

    head: str
    key: str
    mean: str = ""


BASE = (Column("base rate", "base_rate"), Column("F1, all present", "f1_all_positive", "f1_all_positive_mean"))
REACHED = (
    Column("F1 tuned", "f1_tuned", "f1_tuned_mean"),
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
    intervals = subject_intervals(run.finished)
    blocks: list[Block] = [_figure(run, units, intervals), _right_table(run, units, intervals), Paragraph(NOTE, "note")]
    if any(mapping(seed.scores, "metrics_noisy") for seed in run.finished):
        columns = (BASE[0], F1, *REACHED)
        blocks += [Paragraph("Against the noisy labels of the same test images:"), _table(run, units, columns)]
    return blocks + _undefined(run)


def subject_intervals(seeds: tuple[SeedRun, ...]) -> dict:
    """`bootstrap_f1` of the subjects of all runs, their counts added up; empty if a run has recorded none."""
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
    return bootstrap_f1(pooled) if whole else {}


def _is_counts(value: object) -> bool:
    return isinstance(value, list) and len(value) == COUNTS and all(isinstance(entry, int) for entry in value)


def _right_table(run: Run, units: tuple[str, ...], intervals: dict) -> Table:
    right = (*BASE, F1)
    head = ["action unit", *(column.head for column in right), "95 % interval", *(column.head for column in REACHED)]
    head += ["baseline F1", "difference"] * (run.baseline is not None) + ["wrong labels memorised"]

    def row(name: str, path: Callable[[Column], tuple[str, ...]], interval: object, memorised: tuple[str, ...]):
        f1 = compare(run, *path(F1))
        cells = [name, *(_cell(run, path(column)) for column in right), _interval(interval)]
        cells += [_cell(run, path(column)) for column in REACHED]
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
    caption = "Means over the runs; whiskers are the 95 % intervals over test subjects."
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
    """Every reason why a metric does not exist, with the runs it is of."""
    reasons: dict[str, list[str]] = {}
    for seed in run.finished:
        for reason in sequence(seed.scores, "undefined"):
            reasons.setdefault(str(reason), []).append(seed.name)
    return [Paragraph(f"Undefined, {reason} ({', '.join(names)}).", "warning") for reason, names in reasons.items()]
