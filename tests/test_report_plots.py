"""Score against cost, rows of intervals, colours that stand out, pictures of their own."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from pipeline.reporting.blocks import KeyEntry
from pipeline.reporting.html import STYLE
from pipeline.reporting.interval_plot import IntervalRow, interval_plot, interval_range
from pipeline.reporting.markers import MARKERS
from pipeline.reporting.pareto_plot import CostPoint, front, pareto_plot
from pipeline.reporting.picture import columns_of, picture
from pipeline.reporting.svg import canvas
from tests.svg_check import collisions, outside, points, shapes


def costs(*pairs: tuple[float, float]) -> list[CostPoint]:
    return [CostPoint(cost, score, None, "s1", "dot", f"{cost:g}") for cost, score in pairs]


def test_front_is_what_nothing_beats():
    rng = np.random.default_rng(0)
    pairs = np.round(rng.random((60, 2)) * 8 + 1).tolist()
    pairs.append(pairs[0])
    beaten = []
    for cost, score in pairs:
        worse = [c <= cost and s >= score and (c < cost or s > score) for c, s in pairs]
        beaten.append(any(worse))
    expected = sorted(pair for pair, worse in zip(pairs, beaten, strict=True) if not worse)
    assert [[point.cost, point.score] for point in front(costs(*pairs))] == expected


def test_pareto_points_lie_on_a_logarithmic_scale():
    svg = pareto_plot("t", "u", "kB", costs((10.0, 1.0), (100.0, 2.0), (1000.0, 3.0)), [("m", "s1", "dot")])
    places = [(float(each["cx"]), float(each["cy"])) for each in shapes(svg, "mark s1")[:3]]
    assert places[1][0] - places[0][0] == pytest.approx(places[2][0] - places[1][0], abs=0.11)
    (joined,) = shapes(svg, "front")
    assert points(joined["d"]) == places


def test_pareto_labels_keep_clear_of_each_other():
    rng = np.random.default_rng(1)
    crowd = costs(*zip((10 ** rng.uniform(1, 3, 25)).tolist(), rng.uniform(60, 62, 25).tolist(), strict=True))
    svg = pareto_plot("t", "u", "kB", crowd, [("quantization", "s1", "dot"), ("label smoothing", "s2", "cross")])
    assert collisions(svg) == outside(svg) == []


@pytest.mark.parametrize("values", [(0.61,), (0.571, 0.574, 0.579), (196.0, 1118.0), (3.0, 4000.0)])
def test_cost_axis_has_numbers(values: tuple[float, ...]):
    svg = pareto_plot("t", "u", "ms", costs(*((value, 1.0) for value in values)), [("m", "s1", "dot")])
    lows = [float(each.text.replace(",", "")) for each in ElementTree.fromstring(svg).iter("text")
            if each.attrib["class"] == "tick" and float(each.attrib["y"]) > 260]  # fmt: skip
    assert len(lows) >= 2 and lows == sorted(lows)
    assert collisions(svg) == []


def test_intervals_lie_on_their_values():
    rows = [
        IntervalRow("a", 5.0, 0.0, 10.0, "s1", "dot", 2.5),
        IntervalRow("b", None, None, None, "s2", absent="undefined"),
    ]
    svg = interval_plot("t", "points", rows, (0.0, 10.0))
    (whisker,), (dot,), (beside,) = (shapes(svg, css) for css in ("whisker s1", "mark s1", "beside"))
    start, end = map(float, re.match(r"M([\d.]+) [\d.]+H([\d.]+)", whisker["d"]).groups())
    assert float(dot["cx"]) == pytest.approx((start + end) / 2, abs=0.06)
    assert float(re.match(r"M([\d.]+)", beside["d"])[1]) == pytest.approx(start + (end - start) / 4, abs=0.06)
    assert "undefined" in svg
    assert shapes(svg, "mark s2") == []


def test_interval_range_holds_zero_and_every_end():
    rows = [IntervalRow("a", 5.0, 3.0, 8.0, "s1"), IntervalRow("b", None, None, None, "s1")]
    low, high = interval_range(rows)
    assert low == 0 and high >= 8
    assert interval_range(rows[1:]) is None


def variables(css: str) -> dict[str, str]:
    return dict(re.findall(r"(--\w+): (#\w{6});", css))


def luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("mode", ["light", "dark", "print"])
def test_colours_of_curves_stand_out_from_the_page(mode: str):
    css = STYLE.read_text()
    light, dark, printed = css.partition("@media")[0], css.split("@media")[1], css.split("@media")[-1]
    found = variables({"light": light, "dark": dark, "print": printed}[mode])
    page = luminance(found["--page"])
    for name in ("--method", "--baseline", *(f"--s{i}" for i in range(1, 7))):
        bright, deep = sorted((luminance(found[name]), page), reverse=True)
        assert (bright + 0.05) / (deep + 0.05) >= 3, name


def test_every_style_of_a_series_has_its_rules():
    css = STYLE.read_text()
    for name in ("baseline", "method", *(f"s{i}" for i in range(1, 7))):
        for part in ("line", "band", "whisker", "mark", "open"):
            assert re.search(rf"\.{part}\.{name}\b", css), (part, name)
    dashes = re.findall(r"\.line\.[sd]\d \{ stroke-dasharray: ([^;]+);", css)
    assert len(set(dashes[:6])) == 6 and len(set(dashes[6:])) == len(dashes[6:]) == len(MARKERS)


def test_picture_sets_panels_side_by_side_above_the_key():
    panels = [canvas(440, 100, f"p{i}", []) for i in range(3)]
    assert columns_of(panels) == 2
    svg = picture(panels, (KeyEntry("s1", "dashed", "a <key>"),), 2)
    root = ElementTree.fromstring(svg)
    inner = [(float(each.get("x")), float(each.get("y"))) for each in root if each.tag.endswith("svg")]
    assert inner == [(12, 12), (476, 12), (12, 136)]
    assert "a <key>" in {each.text for each in root.iter("{http://www.w3.org/2000/svg}text")}
    assert float(root.get("width")) == 928
