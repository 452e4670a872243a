"""Numbers as texts."""

import pytest

from pipeline.reports import numbers as say


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (say.percent(0.8125), "81.2 %"),
        (say.percent(None), "missing"),
        (say.percent(float("nan")), "missing"),
        (say.points(-0.0123), "−1.2 points"),
        (say.points(0.5, ""), "+50.0"),
        (say.agreement(1.0), "100 %"),
        (say.agreement(0.99999), "99.99 %"),
        (say.agreement(0.9997), "99.97 %"),
        (say.agreement(0.999), "99.90 %"),
        (say.mismatch(0.0), "0 %"),
        (say.mismatch(0.0000123), "0.0012 %"),
        (say.mismatch(1e-9), "1e−07 %"),
        (say.plain(1234567.0), "1,234,567"),
        (say.plain(0.01234), "0.0123"),
        (say.plain(-12.345), "−12.3"),
        (say.count(10000), "10,000"),
        (say.kilobytes(95231), "95.2 kB"),
        (say.kilobytes(1118400), "1,118 kB"),
        (say.milliseconds(0.0612), "0.0612 ms"),
        (say.duration(7384), "2 h 3 min"),
        (say.duration(64.2), "1 min 4 s"),
        (say.duration(9), "9 s"),
        (say.hundredths(-0.02), "−2.0"),
        (say.p_value(0.0004), "< 0.001"),
        (say.p_value(0.0321), "0.032"),
        (say.listing([]), ""),
        (say.listing(["a"]), "a"),
        (say.listing(["a", "b", "c"]), "a, b and c"),
        (say.cell("missing"), "–"),
    ],
)
def test_numbers_as_texts(text: str, expected: str):
    assert text == expected
