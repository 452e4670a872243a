"""The report's SVG charts: shapes where the numbers say, labels that do not collide, text that is escaped."""

import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from pipeline.reporting.bars import Bar, bar_chart, histogram
from pipeline.reporting.chart_frame import spread_labels
from pipeline.reporting.line_chart import FRAME, LABEL_GAP, Line, Mark, line_chart, value_range
from pipeline.reporting.summary import Curve
from pipeline.reporting.svg import Scale, ticks
from tests.svg_check import points, shapes


def flat(*values: float) -> Curve:
    return Curve(tuple(range(1, len(values) + 1)), values, values, values)


def test_line_goes_through_its_values():
    svg = line_chart("t", "u", [Line(flat(0.0, 25.0, 100.0), "method", "m")], limits=(0.0, 100.0))
    (line,) = shapes(svg, "line method")
    base = FRAME.base
    middle = (FRAME.left + 4 + FRAME.end) / 2
    expected = [(FRAME.left + 4, base), (middle, base - 0.25 * (base - FRAME.top)), (FRAME.end, FRAME.top)]
    for point, wanted in zip(points(line["d"]), expected, strict=True):
        assert point == pytest.approx(wanted, abs=0.06)


def test_band_goes_up_and_back_along_the_extremes():
    values = Curve((1, 2), (5.0, 5.0), (0.0, 2.5), (10.0, 7.5))
    (band,) = shapes(line_chart("t", "u", [Line(values, "baseline", "b")], limits=(0.0, 10.0)), "band baseline")
    base, span = FRAME.base, FRAME.base - FRAME.top
    heights = [y for _, y in points(band["d"])]
    assert heights == pytest.approx([FRAME.top, base - 0.75 * span, base - 0.25 * span, base], abs=0.06)


def test_one_seed_has_no_band():
    assert shapes(line_chart("t", "u", [Line(flat(1.0, 2.0), "method", "m")]), "band method") == []


def test_single_epoch_is_a_dot():
    svg = line_chart("t", "u", [Line(flat(1.0), "method", "m")])
    assert len(shapes(svg, "dot method")) == 1
    assert shapes(svg, "line method") == []


def test_variants_are_dashed_and_carry_no_label():
    svg = line_chart("t", "u", [Line(flat(1.0, 2.0), "method", "m", "moving")])
    assert len(shapes(svg, "line method dashed")) == 1
    assert shapes(svg, "label method") == []


def test_marks_lie_on_their_values():
    marks = [Mark(2, 50.0, "method", "dot"), Mark(3, 100.0, "baseline", "diamond")]
    svg = line_chart("t", "u", [Line(flat(0.0, 50.0, 100.0), "method", "m")], marks, (0.0, 100.0))
    (dot,) = shapes(svg, "dot method")
    assert float(dot["cy"]) == pytest.approx((FRAME.top + FRAME.base) / 2, abs=0.06)
    assert len(shapes(svg, "diamond baseline")) == 1


def test_labels_of_close_curves_do_not_collide():
    lines = [Line(flat(1.0, 1.0 + 0.001 * i), "method", f"m{i}") for i in range(3)]
    heights = [float(label["y"]) for label in shapes(line_chart("t", "u", [*lines]), "label method")]
    assert min(abs(a - b) for a in heights for b in heights if a != b) >= LABEL_GAP - 0.1


def test_label_order_follows_the_curves_and_stays_inside():
    placed = spread_labels([229.0, 228.0, 230.0], 50, 230, 15)
    assert placed == [215, 200, 230]
    assert spread_labels([50.0, 50.0], 50, 230, 15) == [50, 65]


def test_title_and_labels_are_escaped():
    svg = line_chart('<a> & "b"', "<u>", [Line(flat(1.0, 2.0), "method", "<m>")])
    texts = [element.text for element in ElementTree.fromstring(svg).iter() if element.tag == "text"]
    assert {'<a> & "b"', "<u>", "<m>", "epoch"} <= set(texts)


@pytest.mark.parametrize(("low", "high"), [(0, 100), (1, 30), (0.5, 2.14), (1e-4, 3e-4), (-3, 7), (1, 200)])
def test_ticks_are_round_and_within(low: float, high: float):
    values = ticks(low, high)
    assert 3 <= len(values) <= 6
    assert low - 1e-9 <= values[0] and values[-1] <= high + 1e-9
    step = values[1] - values[0]
    assert float(f"{step:.0e}"[0]) in (1, 2, 5)
    assert [b - a for a, b in pairwise(values)] == pytest.approx([step] * (len(values) - 1))


def test_range_covers_ordinary_values():
    low, high = value_range([flat(0.7, 1.9), flat(0.3, 2.1)])
    assert 0 <= low <= 0.3 and 2.1 <= high <= 3


def test_outlier_is_cut_and_said():
    curve = flat(80.0, *[1.0] * 20)
    assert value_range([curve])[1] < 5
    assert "axis cut, highest 80" in line_chart("t", "u", [Line(curve, "method", "m")])


def test_constant_zero_has_a_range():
    low, high = value_range([flat(0.0, 0.0)])
    assert low <= 0 < high


def test_scale_of_an_empty_range_is_its_middle():
    assert Scale(3, 3, 10, 20)(3) == 15


def test_bars_are_proportional():
    svg = bar_chart("size", [Bar("a", 100.0, "100", "float"), Bar("b", 25.0, "25", "method", 20.0, 30.0)])
    lengths = []
    for css in ("bar float", "bar method"):
        (bar,) = shapes(svg, css)
        start, end = re.match(r"M(\d+) .*?H([\d.]+)v", bar["d"]).groups()
        lengths.append(float(end) - float(start))
    assert lengths[1] / lengths[0] == pytest.approx(0.25, abs=1e-3)
    assert len(shapes(svg, "whisker")) == 1


def test_histogram_draws_one_bar_a_used_code():
    svg = histogram("conv<0>", "W4", {-7: 1, 0: 4, 3: 0, 7: 2}, 7)
    (bars,) = shapes(svg, "bar method")
    heights = [94 - float(top) for top in re.findall(r"V([\d.]+)h", bars["d"])]
    assert heights == pytest.approx([14.5, 58, 29], abs=0.06)
    assert "conv<0>" in [element.text for element in ElementTree.fromstring(svg).iter("text")]


def test_histogram_of_8_bit_codes_fits():
    svg = histogram("conv0", "W8", {code: 1 for code in range(-127, 128)}, 127)
    starts = [float(x) for x in re.findall(r"M([\d.]+) 94", shapes(svg, "bar method")[0]["d"])]
    assert len(starts) == 255
    assert min(starts) >= 0 and max(starts) <= 200
