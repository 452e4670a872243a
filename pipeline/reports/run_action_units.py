"""Action units: every metric of each, against clean and noisy labels, beside the baseline's, with intervals."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from pipeline.action_units.intervals import bootstrap_f1
from pipeline.reports import numbers as say
from pipeline.reports.load import Run, column, mapping
from pipeline.reports.render import Figure, KeyEntry, Table, Text
from pipeline.reports.run_results import compare
from pipeline.reports.run_verdict import undefined_metrics
from pipeline.reports.style import REFERENCE, Series, bar_chart
from pipeline.reports.terms import terms, training_labels, wrong_labels

COUNTS = 4  # true positives, false positives, false negatives, true negatives
MIN_SUBJECTS = 8  # for a bootstrap over subjects
MEAN = "mean"
MEMORISED = "train_noisy_fit_per_au"
REACHED = {"balanced accuracy": "balanced_accuracy", "MCC": "mcc", "AUC": "auc"}  # head: key of scores.json
NOTE = (
    "In %; MCC and AUC times 100. All present: F1 of predicting every action unit as present. Tuned: with thresholds "
    "chosen on validation labels, drawn towards 0.5 the fewer subjects there are; a range is over the trainings. "
    "Difference: mean over pairs of equal seed and fold, in points. Several trainings: the mean of those in which the "
    "metric is defined."
)
INTERVAL = " Interval: 95 % bootstrap over {n} test subjects, of the counts of all trainings pooled (not of the mean)."
NO_INTERVAL = " No interval: {n} test subjects are too few for a bootstrap over subjects (at least {least})."
MARKED = " † Tuned thresholds are no better than predicting every action unit as present."


def action_units(run: Run) -> Iterator[Text | Figure | Table]:
    """The F1 of every action unit as a figure, all its metrics as tables, and which are undefined."""
    names = list(dict.fromkeys(name for scores in run.finished["scores"] for name in mapping(scores, "metrics", "f1")))
    if not names:
        yield Text("No training has recorded scores of action units yet.", "note")
        return
    counts = pooled_counts(run)
    found = bootstrap_f1(counts) if len(counts) >= MIN_SUBJECTS else {}
    intervals = {name: ends for name, ends in mapping(found, "f1").items() if ends}
    if panels := _panels(run, names, intervals):
        key = [KeyEntry("this run", Series("method", "s"), "marker"), KeyEntry("baseline", REFERENCE, "hollow")]
        whiskers = "; whiskers: 95 % intervals over test subjects" if intervals else ""
        yield Figure(f"Means over the trainings{whiskers}.", panels, tuple(key) if run.baseline else ())
    if found.get("f1_mean"):
        intervals[MEAN] = found["f1_mean"]
    table = _table(run, names, {name: " to ".join(map(say.hundredths, ends)) for name, ends in intervals.items()})
    yield Table.of(f"Test subjects, {terms(run).right} labels", table, foot=1)
    interval = (INTERVAL if found else NO_INTERVAL).format(n=len(counts), least=MIN_SUBJECTS) if counts else ""
    marked = MARKED if table["F1 tuned"].str.contains("†").any() else ""
    yield Text(NOTE + interval + marked, "note")
    if wrong_labels(run) == "some" and any(mapping(scores, "metrics_noisy") for scores in run.finished["scores"]):
        keys = {"base rate": "base_rate", "F1 at 0.5": "f1", "F1 tuned": "f1_tuned", **REACHED}
        noisy = {head: _cells(run, names, "metrics_noisy", key) for head, key in keys.items()}
        frame = pd.DataFrame(noisy).rename_axis("action unit")
        yield Table.of(f"The same test images, {training_labels(run)} labels", frame, foot=1)
    for reason, trainings in undefined_metrics(run).items():
        yield Text(f"Undefined, {reason} ({', '.join(trainings)}).", "warning")


def pooled_counts(run: Run) -> dict[str, dict[str, list[int]]]:
    """TP, FP, FN, TN by subject and action unit, added up over all trainings; empty if one has recorded none."""
    pooled: dict[str, dict[str, list[int]]] = {}
    for scores in run.finished["scores"]:
        counted = mapping(scores, "subject_counts")
        if not counted or not all(map(_are_counts, counted.values())):
            return {}
        for subject, labels in counted.items():
            before = pooled.setdefault(subject, dict.fromkeys(labels, [0] * COUNTS))
            if set(before) != set(labels):
                return {}
            pooled[subject] = {
                name: [a + b for a, b in zip(before[name], labels[name], strict=True)] for name in labels
            }
    return pooled if len({frozenset(labels) for labels in pooled.values()}) == 1 else {}


def _are_counts(labels: object) -> bool:
    rows = labels.values() if isinstance(labels, dict) else [None]
    return all(isinstance(row, list) and len(row) == COUNTS and all(isinstance(n, int) for n in row) for row in rows)


def _path(name: str, *path: str) -> tuple[str, ...]:
    """Where a number lies in scores.json: that of one action unit, or their mean."""
    *outer, key = path
    if key == MEMORISED:
        return (*outer, "train_noisy_fit") if name == MEAN else (*outer, key, name)
    return (*outer, f"{key}_mean") if name == MEAN else (*outer, key, name)


def _means(run: Run, names: Sequence[str], *path: str) -> pd.Series:
    """The mean over the trainings by action unit and of their mean; NaN where none has recorded it."""
    columns = {name: ".".join(("scores", *_path(name, *path))) for name in (*names, MEAN)}
    return pd.Series({name: column(run.own, key).mean() for name, key in columns.items()}, dtype=float)


def _cells(run: Run, names: Sequence[str], *path: str) -> pd.Series:
    """`_means` times 100; `undefined` where scores.json says null."""
    texts = _means(run, names, *path).map(say.hundredths)
    is_null = [".".join(("scores", *_path(name, *path))) in run.own for name in texts.index]
    return texts.mask((texts == say.MISSING) & np.array(is_null), "undefined")


def _table(run: Run, names: Sequence[str], intervals: dict[str, str]) -> pd.DataFrame:
    """A row an action unit, and their mean, of texts."""
    frame = pd.DataFrame({"base rate": _cells(run, names, "metrics", "base_rate")}).rename_axis("action unit")
    frame["F1, all present"] = _cells(run, names, "metrics", "f1_all_positive")
    frame["F1 at 0.5"] = _cells(run, names, "metrics", "f1")
    frame["95 % interval"] = pd.Series(intervals, dtype=object)
    tuned, trivial = (_means(run, names, "metrics", key) for key in ("f1_tuned", "f1_all_positive"))
    frame["F1 tuned"] = _cells(run, names, "metrics", "f1_tuned").where(~(tuned <= trivial), lambda texts: texts + " †")
    frame["threshold"] = [_threshold(column(run.own, f"scores.thresholds.{name}")) for name in frame.index]
    for head, key in REACHED.items():
        frame[head] = _cells(run, names, "metrics", key)
    if run.baseline:
        f1 = {name: compare(run, *_path(name, "metrics", "f1")) for name in frame.index}
        frame["baseline F1"] = [say.hundredths(each.baseline.mean) if each.baseline else None for each in f1.values()]
        frame["difference"] = [
            say.points(each.difference.mean, "") if each.difference else None for each in f1.values()
        ]
    frame["wrong labels memorised"] = _means(run, names, MEMORISED).map(say.hundredths)
    return frame


def _threshold(values: pd.Series) -> str:
    """`0.4`, or the lowest and the highest of the trainings."""
    return " to ".join(dict.fromkeys(map(say.plain, (values.min(), values.max()))))


def _panels(run: Run, names: Sequence[str], intervals: dict[str, list[float]]) -> tuple[str, ...]:
    panels = []
    titles = {
        f"F1, {terms(run).right} test labels (%)": ("metrics", "f1"),
        "Wrong training labels memorised (%)": (MEMORISED,),
    }
    for title, path in titles.items():
        bars = pd.DataFrame({"value": 100 * _means(run, names, *path)[names]})
        bars["text"] = bars["value"].map("{:.1f}".format)
        if path[-1] == "f1":
            ends = pd.DataFrame.from_dict(intervals, "index", columns=["low", "high"], dtype=float)
            bars = bars.join(100 * ends)
        if run.baseline:
            bars["baseline"] = 100 * _means(run.baseline, names, *path)[names]
        bars = bars[bars["value"].notna()]
        if bars["value"].any():
            panels.append(bar_chart(title, bars))
    return tuple(panels)
