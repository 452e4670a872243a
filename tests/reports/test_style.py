"""Figures as SVG: the same bytes for the same numbers, text as text, ids and colours that work in one page."""

import re
from xml.etree import ElementTree

import pytest

from pipeline.reports.style import COLOURS, SERIES, drawing, figure_svg, new_axes, palette_css, svg_file


@drawing()
def drawn(values: list[float], label: str = "a <chart>") -> str:
    figure, axes = new_axes("Title", 300, 200)
    axes.plot(range(len(values)), values, color=SERIES[0].colour, marker="o")
    axes.fill_between(range(len(values)), values, 0, color=SERIES[1].colour)
    axes.text(0.5, 1.23456, "0.123456")
    return figure_svg(figure, label)


def test_same_numbers_give_the_same_bytes():
    assert drawn([1, 2, 3]) == drawn([1, 2, 3]) != drawn([1, 2, 4])


def test_svg_is_xml_with_text_as_text_and_nothing_of_the_day():
    svg = drawn([1, 2, 3])
    root = ElementTree.fromstring(svg)
    assert root.get("aria-label") == "a <chart>" and root.get("viewBox") == "0 0 300 200"
    assert {"Title", "0.123456"} <= {"".join(element.itertext()) for element in root.iter("text")}
    assert [word for word in ("metadata", "dc:date", "http", "DejaVu", "<style") if word in svg] == []


def test_ids_of_two_figures_differ_and_every_reference_is_there():
    svgs = [drawn([1, 2, 3]), drawn([1, 2, 3], "another"), drawn([3, 2, 1])]
    ids = [identifier for svg in svgs for identifier in re.findall(r' id="([^"]+)"', svg)]
    assert len(ids) == len(set(ids)) > 3
    used = {match for svg in svgs for match in re.findall(r'(?:href="#|url\(#)([^")]+)', svg)}
    assert used == set(ids)


def test_colours_follow_the_page():
    svg = drawn([1, 2, 3])
    assert f"var(--method, {COLOURS['method'][0]})" in svg
    assert set(re.findall(r"#[0-9a-f]{6}", svg)) == set(re.findall(r"var\(--\w+, (#[0-9a-f]{6})\)", svg))
    for name, (light, dark) in COLOURS.items():
        assert f"--{name}: {light};" in palette_css() and f"--{name}: {dark};" in palette_css()


def test_a_file_of_its_own_names_the_colours_and_is_xml():
    root = ElementTree.fromstring(svg_file(drawn([1, 2, 3])))
    assert root.tag == "{http://www.w3.org/2000/svg}svg" and root.get("width") == "300"
    assert "prefers-color-scheme: dark" in "".join(root.itertext())


def luminance(colour: str) -> float:
    shares = [int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)]
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    return sum(weight * share for weight, share in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("mode", [0, 1])
def test_series_stand_out_from_the_page(mode: int):
    page = luminance(COLOURS["page"][mode])
    for name in ("ink", "soft", "baseline", *(each.name for each in SERIES)):
        own = luminance(COLOURS[name][mode])
        assert (max(own, page) + 0.05) / (min(own, page) + 0.05) >= 3, name


def test_series_differ_without_colour():
    assert len({each.marker for each in SERIES}) == len({each.dashes for each in SERIES}) == len(SERIES)
