"""The paper's curves beside ours, where a study has the paper's setting."""

from collections.abc import Iterator

from pipeline.reporting.blocks import Block, Figure, KeyEntry, Paragraph, Table
from pipeline.reporting.chart_frame import Frame
from pipeline.reporting.paper_curves import (
    BASELINE_ACCURACY,
    EPOCHS,
    GAINS,
    NOISE,
    READING_ERROR_ACCURACY,
    READING_ERROR_GAIN,
)
from pipeline.reporting.read import Json, mapping, number
from pipeline.reporting.series import Point, Series, common_range
from pipeline.reporting.series_style import method_names, styles
from pipeline.reporting.study_curves import RATE, gain_point, rows_along, score_point
from pipeline.reporting.study_figure_words import axis_name
from pipeline.reporting.study_numbers import StudyNumbers
from pipeline.reporting.xy_chart import Axes, xy_chart
from pipeline.study.results import Condition, Results

FRAME = Frame(width=220, height=196, left=38, right=10, top=46, bottom=40)
TICKS = (0, 20, 40, 60, 80, 100)
FULL_SET = 50_000  # images of CIFAR-10's training part
ELSEWHERE = (
    "The paper's curves (ResNet-20 on CIFAR-10, its Figure 2) are not drawn here because {reason}: neither its scores "
    "nor the size of its gains can be compared with these."
)
CAPTION = (
    "Solid: ours, with the bars of the figure above. Dashed: the paper's curve as read off its plot (error about {gain:g} "
    "points on gains, {accuracy:g} point on accuracies), without a spread, as it gives none. The paper trains {epochs} "
    "epochs, this study {ours}; the paper's dropout and pruning are the best of several settings."
)


def paper_blocks(results: Results, numbers: StudyNumbers, axis: str, rest: Condition) -> Iterator[Block]:
    """Ours and the paper's curves, one panel a method; a note where the setting is another one."""
    config = next((cell.config for cell in results.select(results.reference) if cell.config), None)
    if config is None:
        return
    if reason := _other_setting(config, axis):
        yield Paragraph(ELSEWHERE.format(reason=reason), "note")
        return
    pairs = _pairs(results, numbers, axis, rest)
    if not pairs:
        return
    gains = [pair for title, pair in pairs.items() if title != results.reference]
    panels = []
    for title, pair in pairs.items():
        what, unit, group = ("accuracy", "%", [pair]) if title == results.reference else ("gain", "points", gains)
        axes = Axes(f"{title}, {what}", unit, axis_name(axis), TICKS)
        panels.append(xy_chart(axes, pair, common_range(group), frame=FRAME))
    ours = mapping(config, "train").get("epochs", "a number that is not recorded")
    caption = CAPTION.format(gain=READING_ERROR_GAIN, accuracy=READING_ERROR_ACCURACY, epochs=EPOCHS, ours=ours)
    key = (KeyEntry("paper", "dashed", "the paper"),)
    yield Figure(caption, tuple(panels), key, _table(pairs), "medium")


def _other_setting(config: Json, axis: str) -> str:
    """Why the paper's curves are of another setting; empty if they are of this one."""
    data, model = mapping(config, "data"), mapping(config, "model")
    noise = mapping(config, "noise").get("kind")
    if axis != RATE:
        return f"this study varies something else ({axis_name(axis)})"
    if data.get("name") != "cifar10":
        return f"this study is on {data.get('name')}"
    if (number(data, "train_examples") or FULL_SET) < FULL_SET:
        return f"this study trains on {number(data, 'train_examples'):.0f} of the {FULL_SET} images"
    if model.get("name") != "resnet20" or model.get("depth", 20) != 20 or model.get("width", 16) != 16:
        return "this study trains another network"
    return "" if noise in ("uniform", "none") else f"this study's labels are wrong in another way ({noise})"


def _pairs(results: Results, numbers: StudyNumbers, axis: str, rest: Condition) -> dict[str, tuple[Series, Series]]:
    """By variant: our curve and the paper's, of the variants that are one of its methods and have a result."""
    found = {}
    look, rows = styles(results), rows_along(results, numbers, axis, rest)
    for name in results.variants:
        methods = method_names(results, name)
        if name == results.reference and not methods:
            theirs, ours = BASELINE_ACCURACY, [score_point(x, row.score) for x, row in rows[name]]
        elif len(methods) == 1 and methods[0] in GAINS and results.competes(name):
            theirs, ours = GAINS[methods[0]], [gain_point(x, row.difference) for x, row in rows[name]]
        else:
            continue
        paper = Series("", f"{look[name].css} paper", tuple(map(Point, NOISE, theirs)), None, "none")
        mine = Series("", f"{look[name].css} solid", tuple(ours), look[name].marker, "whisker")
        if mine.known:
            found[name] = (paper, mine)
    return found


def _table(pairs: dict[str, tuple[Series, Series]]) -> Table:
    rows = []
    for name, (paper, ours) in pairs.items():
        for who, series in (("ours", ours), ("paper", paper)):
            means = {point.x: point.mean for point in series.known}
            rows.append(
                (f"{name}, {who}", *(f"{means[x]:.1f}".replace("-", "−") if x in means else "–" for x in NOISE))
            )
    return Table(("", *(f"{x} %" for x in NOISE)), tuple(rows))
