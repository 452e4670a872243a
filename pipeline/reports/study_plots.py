"""The two kinds of panel in a study's report, scores against a condition or an epoch and against a cost; and its colours."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from pipeline.reports.study_load import Results, method_names
from pipeline.reports.style import (
    COLOURS,
    HEIGHT,
    METHOD,
    REFERENCE,
    SERIES,
    WIDTH,
    Series,
    drawing,
    figure_svg,
    new_axes,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LABEL_HEIGHT, FRAME_HEIGHT = 15, 70  # of a line's name, and of all above and below the axes, in pixels
DODGE = 0.008  # of the width, between points of equal x
APART = Series("float", "o", (1, 2))
METHODS = {
    "quantization": METHOD, "early_stopping": SERIES[1], "weight_decay": SERIES[2], "dropout": SERIES[3],
    "label_smoothing": SERIES[4], "pruning": SERIES[5],
}  # fmt: skip


@dataclass(frozen=True)
class Line:
    """One series: `points` has the columns mean, low and high by x, nan where unknown; `spread` is how these are drawn.

    `dots`: bars without a line that joins the means. Without a label it is not named in the chart.
    """

    label: str
    style: Series
    points: pd.DataFrame
    spread: Literal["bars", "dots", "band", "none"] = "none"
    is_pale: bool = False

    @property
    def is_known(self) -> bool:
        """Whether any point is."""
        return bool(np.isfinite(self.points["mean"]).any())


def spread_line(label: str, style: Series, mean: pd.Series, deviation: pd.Series | float, spread: str) -> Line:
    """Means by x with their standard deviations."""
    return Line(label, style, pd.DataFrame({"mean": mean, "low": mean - deviation, "high": mean + deviation}), spread)


def gain_line(label: str, style: Series, gains: pd.DataFrame, spread: str) -> Line:
    """Mean paired differences (rows as of `mean_gain`, by x) in points with their 95 % intervals."""
    points = 100 * gains[["difference", "low", "high"]].astype(float)
    return Line(label, style, points.set_axis(["mean", "low", "high"], axis=1), spread)


def looks(results: Results) -> dict[str, Series]:
    """The series style of each variant: its first method's, another free one if that is taken, in turn if all are."""
    found = {results.reference: REFERENCE}
    competing = [name for name in results.variants if results.competes(name) and name not in found]
    for name in competing:
        own = METHODS.get(next(iter(method_names(results, name)), ""))
        if own and own not in found.values():
            found[name] = own
    free = [style for style in reversed(SERIES) if style not in found.values()] or list(SERIES)
    others = [name for name in competing if name not in found]
    found |= {name: free[index % len(free)] for index, name in enumerate(others)}
    return {name: found.get(name, APART) for name in results.variants}


def emphasised(results: Results) -> tuple[str, ...]:
    """The reference and the first variant that quantizes, without one the first other that competes."""
    others = [name for name in results.variants if results.competes(name) and name != results.reference]
    quantized = [name for name in others if "quantization" in method_names(results, name)]
    return (results.reference, *(quantized or others)[:1])


def value_range(lines: Iterable[Line], *also: float, is_share: bool = False) -> tuple[float, float]:
    """Limits of a vertical axis around the means and `also`, within 0 and 100 for shares in %.

    Spreads may add as much again as the means need, then are cut off.
    """
    lines = list(lines)
    means = np.concatenate([*(line.points["mean"] for line in lines), also])
    ends = np.concatenate([*(line.points.to_numpy(float).ravel() for line in lines if line.spread != "none"), means])
    low, high = np.nanmin(means), np.nanmax(means)
    room = max(high - low, 1e-3 * max(abs(high), 1e-9))
    low, high = max(np.nanmin(ends), low - room), min(np.nanmax(ends), high + room)
    low, high = (max(low, 0.0), min(high, 100.0)) if is_share else (low, high)
    margin = 0.05 * max(high - low, 1e-9)
    return low - margin, high + margin


@drawing()
def line_panel(
    title: str, x_name: str, lines: Sequence[Line], limits: tuple[float, float], ticks: Mapping | None = None
) -> str:
    """Lines with their spreads on one vertical axis, named at their ends; `ticks` names values of x. SVG."""
    named = [line for line in lines if line.label]
    height = max(HEIGHT, FRAME_HEIGHT + LABEL_HEIGHT * len(named))
    figure, axes = new_axes(title, height=height)
    width = np.ptp([x for line in lines for x in line.points.index]) or 1.0
    barred = [line for line in lines if line.spread == "bars"]
    for line in lines:
        shift = (barred.index(line) - (len(barred) - 1) / 2) * DODGE * width if line in barred else 0.0
        _draw(axes, line, line.points.index + shift)
    if limits[0] < 0 < limits[1]:
        axes.axhline(0, color=COLOURS["soft"][0], linewidth=1, zorder=1)
    axes.set_ylim(*limits)
    axes.set_xlabel(x_name)
    if ticks is None:
        axes.xaxis.get_major_locator().set_params(integer=True)
    else:
        axes.set_xticks([*ticks], [*ticks.values()])
    if named:
        _name_ends(axes, named, LABEL_HEIGHT / (height - FRAME_HEIGHT) * (limits[1] - limits[0]))
    return figure_svg(figure, f"{title}: {', '.join(line.label for line in named)}" if named else title)


def _draw(axes: "Axes", line: Line, x: np.ndarray) -> None:
    style, points, has_bars = line.style, line.points, line.spread in ("bars", "dots")
    axes.plot(
        x, points["mean"], color=style.colour, linestyle="none" if line.spread == "dots" else style.linestyle,
        marker=style.marker if has_bars or len(points) < 2 else None, linewidth=1.3 if line.is_pale else 2.0,
        alpha=0.45 if line.is_pale else 1.0, zorder=3,
    )  # fmt: skip
    if line.spread == "band":
        axes.fill_between(x, points["low"], points["high"], color=style.colour, alpha=0.16, linewidth=0)
    if has_bars:
        axes.vlines(x, points["low"], points["high"], color=style.colour, linewidth=1.3, alpha=0.75)


def _name_ends(axes: "Axes", lines: Sequence[Line], step: float) -> None:
    """Each line's name right of the axes beside its last point, at least `step` apart."""
    low, high = axes.get_ylim()
    ends = [(line.points["mean"].dropna(), line) for line in lines]
    ends = sorted(
        [(min(max(mean.iloc[-1], low), high), mean.index[-1], line) for mean, line in ends], key=lambda end: end[0]
    )
    heights = np.array([end[0] for end in ends])
    for _ in range(100):
        for index in range(1, len(heights)):
            lacking = max(step - (heights[index] - heights[index - 1]), 0)
            heights[index - 1] -= lacking / 2
            heights[index] += lacking / 2
        heights += max(low - heights[0], 0) - max(heights[-1] - high, 0)
    beside = axes.get_yaxis_transform()
    pointer = {"arrowstyle": "-", "color": COLOURS["rule"][0], "linewidth": 1, "shrinkA": 0, "shrinkB": 3}
    for (y, x, line), height in zip(ends, heights, strict=True):
        axes.annotate("", (x, y), (1.03, height), textcoords=beside, arrowprops=pointer, annotation_clip=False)
        axes.plot(1.05, height, line.style.marker, color=line.style.colour, transform=beside, clip_on=False)
        axes.annotate(line.label, (1.08, height), xycoords=beside, va="center", annotation_clip=False)


@drawing()
def cost_panel(title: str, cost_name: str, arms: pd.DataFrame, look: Mapping[str, Series]) -> str:
    """Score against cost on a logarithmic axis; a line joins what no other beats in both. SVG.

    `arms` has a row a point: variant, cost, score and deviation (shares) and label, the last two not drawn where nan.
    """
    from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

    figure, axes = new_axes(title, height=HEIGHT + 9 * arms["variant"].nunique())
    arms = arms.assign(score=100 * arms["score"], low=100 * (arms["score"] - arms["deviation"]))
    arms["high"] = 2 * arms["score"] - arms["low"]
    best = front(arms).sort_values("cost")
    axes.plot(best["cost"], best["score"], color=COLOURS["soft"][0], linewidth=1.2)
    for variant, own in arms.groupby("variant", sort=False):
        style = look[variant]
        dot = {"color": style.colour, "markersize": 8, "markeredgecolor": COLOURS["page"][0], "zorder": 3}
        axes.vlines(own["cost"], own["low"], own["high"], color=style.colour, linewidth=1.3)
        axes.plot(own["cost"], own["score"], style.marker, label=variant, **dot)
    for arm in arms.dropna(subset="label").itertuples():
        place = {"xytext": (6, 4), "textcoords": "offset points"}
        axes.annotate(arm.label, (arm.cost, arm.score), color=COLOURS["soft"][0], fontsize=10.5, **place)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlim(arms["cost"].min() / 1.25, arms["cost"].max() * 1.5)
    axes.set_xlabel(cost_name)
    figure.legend(loc="outside lower left", ncols=2)
    return figure_svg(figure, title)


def front(arms: pd.DataFrame) -> pd.DataFrame:
    """Those that no other beats in `score` at equal or less `cost`, nor in cost at an equal or better score."""
    cost, score = arms["cost"].to_numpy(), arms["score"].to_numpy()
    cheaper, better = cost[:, None] < cost, score[:, None] > score  # the row's arm than the column's
    beats = (~cheaper.T & better) | (cheaper & ~better.T)
    return arms[~beats.any(axis=0)]


def combined(panels: Sequence[str]) -> str:
    """Panels in up to two columns as one SVG, to be a file of its own."""
    sizes = [tuple(map(float, re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', panel).groups())) for panel in panels]
    columns, top, body = min(2, len(panels)), 0.0, []
    for start in range(0, len(panels), columns):
        row = range(start, min(start + columns, len(panels)))
        for index in row:
            place = (
                f'x="{(index - start) * WIDTH}" y="{top:g}" width="{sizes[index][0]:g}" height="{sizes[index][1]:g}"'
            )
            body.append(panels[index].replace("<svg", f"<svg {place}", 1))
        top += max(sizes[index][1] for index in row) + 10
    return f'<svg viewBox="0 0 {columns * WIDTH} {top:g}" role="img">{"".join(body)}</svg>'
