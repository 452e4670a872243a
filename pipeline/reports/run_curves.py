"""Figures over the epochs, all trainings of the run beside its baseline: loss, memorisation, accuracy or F1."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pipeline.reports import numbers as say
from pipeline.reports.load import Run, column
from pipeline.reports.render import Figure, KeyEntry, Section, Table, Text
from pipeline.reports.style import METHOD, REFERENCE, Series, drawing, figure_svg, new_axes
from pipeline.reports.terms import counted, is_multilabel, method_names, terms, training_labels, wrong_labels

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ARMS = {"run": METHOD, "baseline": REFERENCE}
NAMES = {"run": "this run", "baseline": "baseline"}
NUMBER_ROWS = 8
OUTLIER_FACTOR = 4  # above nine of ten values
SHARE = "share of labels (%)"
DOTTED = Series("soft", "D", (1.5, 2))
BESIDE = {"train_loss": "training objective (with augmentation and penalties)",
          "moving.": "same weights, moving batch-norm statistics"}  # fmt: skip
CAPTIONS = {
    "clean": "Model selection sees the noisy validation labels only; the clean test labels show what the network is worth.",
    "given": "Validation and test subjects are measured against the annotators' labels, which may be wrong.",
}
NOTHING_WRONG = {
    "none": "The training labels are clean: there are no wrong labels to memorise.",
    "unknown": "The true labels are unknown, so nothing can be counted as memorised.",
}


@dataclass(frozen=True)
class Panel:
    """One chart: the column of the epochs' table it shows, and one drawn behind it in pale dots (`beside`)."""

    title: str
    key: str
    beside: str = ""


def curve_sections(run: Run) -> Iterator[Section]:
    """Loss, memorisation and the metric over the epochs."""
    named, labels = terms(run), training_labels(run)
    loss = (
        Panel(f"Training loss, {labels} labels", "train_eval_loss", "train_loss"),
        Panel(f"Test loss, {named.right} labels", "test_loss"),
    )
    memorised = (
        Panel("Wrong training labels reproduced", "train_noisy_fit"),
        Panel("Correct training labels reproduced", "train_clean_fit"),
    )
    metric = [
        Panel(f"{labels.capitalize()} validation labels", named.val_key, f"moving.{named.val_key}"),
        Panel(f"{named.right.capitalize()} test labels", named.test_key, f"moving.{named.test_key}"),
    ]
    if is_multilabel(run) and wrong_labels(run) == "some":
        metric.append(Panel(f"{labels.capitalize()} test labels", "test_noisy_f1"))
    rising = "A test loss that rises while the training loss falls is memorisation."
    yield Section("loss", "Loss", (curves(run, loss, named.unit, rising),))
    known = NOTHING_WRONG.get(wrong_labels(run))
    notes = (Text(known, "note"),) if known else ()
    yield Section("memorisation", "Memorisation", (*notes, curves(run, memorised, SHARE, "")))
    yield Section(
        "accuracy", say.capitalised(named.metric), (curves(run, metric, f"{named.metric} (%)", CAPTIONS[named.right]),)
    )


@drawing()
def curves(run: Run, panels: Sequence[Panel], unit: str, caption: str) -> Figure | Text:
    """Panels on one vertical scale with a key and their numbers; those that no epoch has recorded are left out.

    An outlier far above nearly all values is cut off, and the panel says so.
    """
    factor = 100 if unit.endswith("(%)") else 1
    keys = {key for panel in panels for key in (panel.key, panel.beside) if key}
    spreads = {(arm, key): factor * _spread(run, arm, key) for arm in ARMS for key in keys}
    panels = [panel for panel in panels if any(len(spreads[arm, panel.key]) for arm in ARMS)]
    if not panels:
        return Text("No epoch has recorded this yet.", "note")
    shown = {
        (arm, key): spreads[arm, key] for panel in panels for key in (panel.key, panel.beside) if key for arm in ARMS
    }
    limits = (0.0, 100.0) if unit == SHARE else _limits(pd.concat(shown.values()).to_numpy().ravel())
    svgs = []
    for panel in panels:
        marks = _results(run) if panel.key == terms(run).test_key else {}
        own = {(arm, key): frame for (arm, key), frame in shown.items() if key in (panel.key, panel.beside)}
        svgs.append(panel_svg(panel, unit, limits, own, marks))
    return Figure(caption, tuple(svgs), tuple(_key(run, panels, shown)), _numbers(panels, shown, unit))


Spreads = dict[tuple[str, str], pd.DataFrame]  # arm, column of the epochs' table
Points = tuple[pd.Series, pd.Series]  # epochs, values


def panel_svg(
    panel: Panel,
    unit: str,
    limits: tuple[float, float],
    shown: Spreads,
    marks: dict[str, tuple[Points, Points]],
) -> str:
    """One panel; `marks` has each arm's epochs that were used (filled) and its best test epochs (hollow)."""
    figure, axes = new_axes(panel.title)
    _draw(axes, panel, shown)
    for arm, (used, best) in marks.items():
        colour = ARMS[arm].colour
        axes.scatter(*best, s=34, marker="D", facecolors="none", edgecolors=colour, linewidths=1.4, zorder=3)
        axes.scatter(*used, s=34, marker="o", color=colour, zorder=3)
    highest = max(shown[arm, panel.key]["max"].max() for arm in ARMS if len(shown[arm, panel.key]))
    if highest > limits[1]:
        axes.annotate(f"axis cut, highest {highest:.3g}", (1, 0.98), xycoords="axes fraction", ha="right", va="top")
    axes.set(xlabel="epoch", ylabel=unit, ylim=limits)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.margins(x=0.02)
    return figure_svg(figure, f"{panel.title}, {unit}")


def _spread(run: Run, arm: str, key: str) -> pd.DataFrame:
    """`mean`, `min` and `max` of a quantity over the trainings that recorded it, by epoch."""
    rows = run.epochs["arm"] == arm
    epochs = run.epochs.loc[rows, "epoch"].astype(int)
    return column(run.epochs, key)[rows].groupby(epochs).agg(["mean", "min", "max"]).dropna()


def _limits(values: np.ndarray) -> tuple[float, float]:
    """A vertical range with a margin; what lies far above nine of ten values is left out."""
    low, typical, high = np.quantile(values, [0, 0.9, 1])
    if low >= 0 and high > OUTLIER_FACTOR * typical > 0:
        high = 1.5 * typical
    margin = 0.05 * (high - low) or 0.5
    return max(low - margin, 0.0 if low >= 0 else -np.inf), high + margin


def _draw(axes: "Axes", panel: Panel, shown: Spreads) -> None:
    """The mean over the trainings of each arm, its range as a band, and the curve behind it as dots."""
    for arm, series in ARMS.items():
        behind, found = shown.get((arm, panel.beside)), shown[arm, panel.key]
        if behind is not None:
            dots = {"alpha": 0.8, "linewidth": 1.3, "linestyle": DOTTED.linestyle}
            axes.plot(behind.index, behind["mean"], color=series.colour, **dots)
        marker = series.marker if len(found) == 1 else None
        axes.plot(found.index, found["mean"], color=series.colour, linestyle=series.linestyle, marker=marker)
        if (found["max"] > found["min"]).any():
            axes.fill_between(found.index, found["min"], found["max"], color=series.colour, alpha=0.18, linewidth=0)


def _results(run: Run) -> dict[str, tuple[Points, Points]]:
    """By arm: the epoch of each training that was used and its best test epoch, with their results in percent."""
    named, found = terms(run), {}
    for arm in ARMS:
        rows = run.table[run.table["arm"] == arm]
        used = column(rows, "scores.epoch_selected"), 100 * column(rows, ".".join(("scores", *named.score)))
        best = column(rows, "scores.oracle.epoch"), 100 * column(rows, f"scores.oracle.{named.test_key}")
        found[arm] = used, best
    return found


def _key(run: Run, panels: Sequence[Panel], shown: Spreads) -> Iterator[KeyEntry]:
    names = {"run": method_names(run) or "this run, no method", "baseline": "baseline, no method"}
    for arm, series in ARMS.items():
        n = run.epochs.loc[run.epochs["arm"] == arm, "training"].nunique()
        over = f", mean and range of {counted(run, n)}" if n > 1 else ", one training"
        if n:
            yield KeyEntry(names[arm] + over, series)
    for start, text in BESIDE.items():
        if any(key.startswith(start) and len(frame) for (_, key), frame in shown.items()):
            yield KeyEntry(text, DOTTED)
    if any(panel.key == terms(run).test_key for panel in panels) and len(run.finished):
        yield KeyEntry("epoch used", Series("soft", "o"), "marker")
        yield KeyEntry("best test epoch (oracle, never a result)", DOTTED, "hollow")


def _numbers(panels: Sequence[Panel], shown: Spreads, unit: str) -> Table:
    """A few epochs of what is drawn, as `mean (smallest to largest)`."""
    heads = {panel.key: panel.title for panel in panels}
    heads |= {panel.beside: f"{panel.title} (dotted)" for panel in panels if panel.beside}
    texts = {
        f"{heads[key]}, {NAMES[arm]}": pd.Series([_value(*row) for row in frame.itertuples(index=False)], frame.index)
        for (arm, key), frame in shown.items()
        if len(frame)
    }
    frame = pd.DataFrame(texts).sort_index().rename_axis("epoch")
    kept = np.linspace(0, len(frame) - 1, NUMBER_ROWS).round().astype(int)
    caption = f"{say.capitalised(unit)}: mean (range over trainings) at some epochs"
    return Table.of(caption, frame.iloc[np.unique(kept)], folded=True)


def _value(mean: float, low: float, high: float) -> str:
    return say.plain(mean) if low == high else f"{say.plain(mean)} ({say.plain(low)} to {say.plain(high)})"
