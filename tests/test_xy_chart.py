"""Charts over a numeric axis: points where the numbers say, gaps, whiskers side by side, labels with room."""

import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from pipeline.reporting.markers import MARKERS, marker
from pipeline.reporting.series import Point, Series, common_range, is_cut
from pipeline.reporting.svg import canvas, text_at
from pipeline.reporting.xy_chart import DODGE, Axes, frame_for, xy_chart
from tests.svg_check import collisions, outside, points, shapes


def series(*means: float | None, css: str = "s1", half: float = 0.0, kind: str = "band", label: str = "m") -> Series:
    values = [
        Point(
            x,
            mean,
            None if mean is None or not half else mean - half,
            None if mean is None or not half else mean + half,
        )
        for x, mean in enumerate(means)
    ]
    return Series(label, css, tuple(values), "square", kind)


def test_chart_goes_through_its_points_and_leaves_gaps():
    svg = xy_chart(Axes("t", "u", "x"), [series(0.0, 50.0, None, 100.0, 25.0)], (0.0, 100.0))
    first, second = (points(line["d"]) for line in shapes(svg, "line s1"))
    frame = frame_for([[series(1.0)]])
    heights = [y for _, y in (*first, *second)]
    wanted = [frame.base - share * (frame.base - frame.top) for share in (0, 0.5, 1, 0.25)]
    assert heights == pytest.approx(wanted, abs=0.06)
    left, right = frame.left + 4, frame.end - 4
    assert [x for x, _ in (*first, *second)] == pytest.approx(
        [left + share * (right - left) for share in (0, 0.25, 0.75, 1)], abs=0.06
    )


def test_lone_point_between_gaps_is_marked():
    many = [None, 1.0, None, *[2.0] * 20]
    svg = xy_chart(Axes("t", "u", "x"), [series(*many, label="")])
    assert len(shapes(svg, "mark s1")) == 1
    assert len(shapes(svg, "line s1")) == 1


def test_curve_that_ends_early_is_marked_at_its_end():
    long, short = series(*[1.0] * 30), series(*[2.0] * 10, css="s2")
    svg = xy_chart(Axes("t", "u", "x"), [long, short])
    assert len(shapes(svg, "mark s2")) == 2  # there and before its label
    assert len(shapes(svg, "mark s1")) == 1
    assert len(shapes(svg, "leader s2")) == 0


def test_whiskers_stand_side_by_side():
    svg = xy_chart(
        Axes("t", "u", "x"), [series(1.0, 2.0, css=css, half=0.5, kind="whisker") for css in ("s1", "s2", "s3")]
    )
    places = [float(re.match(r"M([\d.]+)", shapes(svg, f"whisker {css}")[0]["d"])[1]) for css in ("s1", "s2", "s3")]
    assert [b - a for a, b in pairwise(places)] == pytest.approx([DODGE, DODGE], abs=0.11)


def test_whiskers_of_many_values_do_not_reach_the_next():
    crowd = [series(*[1.0] * 25, css=f"s{i}", half=0.5, kind="whisker") for i in range(1, 7)]
    svg = xy_chart(Axes("t", "u", "x"), crowd)
    places = {
        css: [points(each["d"].replace("V", " "))[0][0] for each in shapes(svg, f"whisker {css}")]
        for css in ("s1", "s6")
    }
    assert all(last < following for last, following in zip(places["s6"], places["s1"][1:], strict=False))


def test_interval_far_outside_is_cut_and_known():
    wide = series(1.0, 2.0, half=50.0)
    limits = common_range([[wide]])
    assert limits[0] > -2 and limits[1] < 5
    assert is_cut([wide], limits)
    assert not is_cut([series(1.0, 2.0, half=0.1)], limits)
    assert is_cut([series(1.0, half=0.5)], (0.8, 9.0)) and is_cut([series(1.0, half=0.5)], (0.0, 1.2))


def test_intervals_that_are_not_drawn_do_not_widen_the_range():
    hidden = series(1.0, 2.0, half=0.5, kind="none")
    assert common_range([[hidden]])[1] < common_range([[series(1.0, 2.0, half=0.5)]])[1]


def test_range_stays_within_what_is_possible():
    assert common_range([[series(1.0, 99.9)]], within=(0.0, 100.0)) == (0.0, 100.0)
    low, high = common_range([[series(3.0, 5.0)]], also=(0.0,))
    assert low <= 0 and high >= 5


def test_ticks_outside_the_curves_are_left_out():
    svg = xy_chart(Axes("t", "u", "x", (0, 1, 2, 7)), [series(1.0, 2.0, 3.0)], (0.0, 10.0))
    assert [label.attrib.get("x") for label in ElementTree.fromstring(svg).iter("text") if label.text == "7"] == []


def test_many_labels_make_room_for_themselves():
    crowd = [series(1.0, 1.0 + i / 1000, css=f"s{i}", label=f"method {i}") for i in range(23)]
    svg = xy_chart(Axes("t", "u", "x"), crowd)
    assert collisions(svg) == outside(svg) == []
    assert len(shapes(svg, "end")) == 23


def test_long_labels_are_shortened():
    svg = xy_chart(Axes("t", "u", "x"), [series(1.0, 2.0, label="a name that is by far too long")])
    (label,) = (each.text for each in ElementTree.fromstring(svg).iter("text") if each.attrib["class"] == "end")
    assert label == "a name that is by far…"
    assert outside(svg) == []


def test_colliding_texts_are_found():
    svg = canvas(
        100, 40, "t", [text_at("end", 10, 20, "one"), text_at("end", 20, 22, "two"), text_at("end", 90, 20, "three")]
    )
    assert collisions(svg) == [("one", "two")]
    assert outside(svg) == ["three"]


def test_marks_differ_without_colour():
    assert len({marker(shape, "s1", 0, 0) for shape in MARKERS}) == len(MARKERS)
    for shape in MARKERS:
        ElementTree.fromstring(marker(shape, "s1", 3, 4))
