"""Paired differences as a study's report shows them: no interval where all pairs differ by the same."""

from dataclasses import replace

from pipeline import au_intervals
from pipeline.au_intervals import Difference, Numbers

LEAST_WIDTH = 1e-9  # of an interval, as a share of 1; below it is rounding


def paired_difference(values: Numbers, reference: Numbers, level: float = 0.95) -> Difference:
    """As `au_intervals.paired_difference`, without the interval of zero width that equal differences give."""
    return _without_zero_width(au_intervals.paired_difference(values, reference, level))


def paired_gain(values: Numbers, reference: Numbers, level: float = 0.95) -> Difference:
    """As `au_intervals.paired_gain`, without the interval of zero width that equal gains give."""
    return _without_zero_width(au_intervals.paired_gain(values, reference, level))


def _without_zero_width(found: Difference) -> Difference:
    if found.low is None or found.high - found.low >= LEAST_WIDTH:
        return found
    return replace(found, low=None, high=None)
