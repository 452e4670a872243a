"""Score against file size and against latency, one point an arm, at the usual condition."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import median

from pipeline.reporting import words
from pipeline.reporting.blocks import Block, Figure, Paragraph, Table
from pipeline.reporting.pareto_plot import CostPoint, front, pareto_plot
from pipeline.reporting.read import number
from pipeline.reporting.series_style import styles
from pipeline.reporting.study_curves import scores_by_pair, usual_condition
from pipeline.reporting.study_figure_words import score_cell, setting_label
from pipeline.reporting.study_numbers import StudyNumbers
from pipeline.reporting.study_words import arm_name, at
from pipeline.reporting.summary import Spread, spread
from pipeline.reporting.xy_chart import short_label
from pipeline.study.results import Result, Results

KINDS, KIND = ("int8", "float32"), "*"  # the first that a run has: it decides as what was scored
MOST_WHISKERS = 12
CAPTION = (
    "One point an arm{where}: mean score over n = {n} runs{whiskers}; size (left) and latency (right) of the file that "
    "computes what was scored: int8 for a quantized network, float32 for any other.{int4} Latency: median over the runs "
    "of each run's median of one image on the processor that ran the study, in brackets below from the fastest to the slowest run; "
    "other runs may have trained on the same cores meanwhile, "
    "so small differences say nothing. Joined: arms that no other beats both in score and in cost, by their means; scores "
    "that differ by less than their spread are no order. Costs are on a logarithmic scale."
)
INT4 = " A packed int4 file is smaller, but decides otherwise on some images, so it is not shown."


@dataclass(frozen=True)
class Cost:
    """The median over an arm's runs in bytes or ms, of one kind of file, with the lowest and the highest run."""

    kind: str
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Arm:
    """An arm with all that the plot needs."""

    variant: str
    setting: str
    score: Spread
    size: Cost | None
    latency: Cost | None


def pareto_blocks(results: Results, numbers: StudyNumbers) -> Iterator[Block]:
    """The two plots, or what is missing for them."""
    condition = usual_condition(results)
    arms = [arm for name in results.arms if results.competes(name[0]) and (arm := _arm(results, numbers, *name))]
    sized, timed = ([arm for arm in arms if getattr(arm, what)] for what in ("size", "latency"))
    if not sized and not timed:
        yield Paragraph(
            f"No run that is done{at(condition)} was converted and verified, so sizes and latencies are unknown.",
            "note",
        )
        return
    title, unit = words.capitalised(numbers.terms.test), f"%{at(condition)}"
    panels = []
    if sized:
        costs = [arm.size.value / 1000 for arm in sized]
        panels.append(_panel(results, f"{title}, by size", unit, "file (kB)", sized, costs))
    if timed:
        costs = [arm.latency.value for arm in timed]
        panels.append(_panel(results, f"{title}, by latency", unit, "one image (ms)", timed, costs))
    whiskers = "; bars: standard deviation" if len(arms) <= MOST_WHISKERS else ""
    int4 = INT4 * any(number(cell.verification, "size_bytes", "int4") for cell in results.cells)
    found = sorted({arm.score.n for arm in arms})
    n = str(found[0]) if len(found) == 1 else f"{found[0]} to {found[-1]}"
    unknown = [arm_name(arm.variant, arm.setting) for arm in arms if not arm.size or not arm.latency]
    missing = f" Without a size or a latency, so left out: {', '.join(unknown)}." if unknown else ""
    yield Figure(
        CAPTION.format(where=at(condition), n=n, whiskers=whiskers, int4=int4) + missing,
        tuple(panels),
        numbers=_table(results, arms),
    )


def _arm(results: Results, numbers: StudyNumbers, variant: str, setting: str) -> Arm | None:
    cells = results.select(variant, setting, usual_condition(results))
    score = spread(scores_by_pair(cells, numbers).values())
    if score is None:
        return None
    return Arm(
        variant, setting, score, _cost_of(cells, "size_bytes", KIND), _cost_of(cells, "latency_ms", KIND, "median")
    )


def _cost_of(cells: Sequence[Result], *path: str) -> Cost | None:
    """Of the first kind of file that any run has; `path` in verification.json, KIND for the kind."""
    for kind in KINDS:
        keys = [kind if key == KIND else key for key in path]
        values = [value for cell in cells if (value := number(cell.verification, *keys)) is not None]
        if values:
            return Cost(kind, median(values), min(values), max(values))
    return None


def _panel(results: Results, title: str, unit: str, cost_name: str, arms: Sequence[Arm], costs: Sequence[float]) -> str:
    look, few = styles(results), len(arms) <= MOST_WHISKERS
    points = []
    for arm, cost in zip(arms, costs, strict=True):
        deviation = 100 * arm.score.deviation if few and arm.score.deviation is not None else None
        style = look[arm.variant]
        points.append(CostPoint(cost, 100 * arm.score.mean, deviation, style.css, style.marker))
    labelled = points if few else front(points)
    points = [
        replace(point, label=_label(results, arm)) if point in labelled else point
        for point, arm in zip(points, arms, strict=True)
    ]
    names = dict.fromkeys(arm.variant for arm in arms)
    return pareto_plot(title, unit, cost_name, points, [(name, look[name].css, look[name].marker) for name in names])


def _label(results: Results, arm: Arm) -> str:
    """The setting; the colour and mark already tell the variant."""
    return short_label(setting_label(arm.setting, results.settings[arm.variant].get(arm.setting, {})))


def _table(results: Results, arms: Sequence[Arm]) -> Table:
    rows = []
    for arm in arms:
        costs = [(arm.size, words.kilobytes), (arm.latency, words.milliseconds)]
        kind = next((cost.kind for cost, _ in costs if cost), words.MISSING)
        shown = [_shown(cost, text) for cost, text in costs]
        rows.append((arm_name(arm.variant, arm.setting), score_cell(arm.score), kind, *shown))
    return Table(("arm", "score (%)", "file", "size", "latency"), tuple(rows))


def _shown(cost: Cost | None, text: Callable[[float], str]) -> str:
    """Such as `0.57 ms (0.55 ms to 0.61 ms)`, the median alone where the runs are alike."""
    if cost is None:
        return words.MISSING
    low, high = text(cost.low), text(cost.high)
    return text(cost.value) + (f" ({low} to {high})" if low != high else "")
