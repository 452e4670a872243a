"""Numbers as a reader wants them; one that is not there is MISSING in a sentence or tile, DASH in a table."""

import math
from collections.abc import Callable, Sequence
from functools import wraps

MISSING = "missing"
DASH = "–"


def _of_known(say: Callable[..., str]) -> Callable[..., str]:
    """`say`, which is MISSING where its number is None or not finite."""

    @wraps(say)
    def said(value: float | None, *more: object, **options: object) -> str:
        known = value is not None and math.isfinite(value)
        return say(value, *more, **options).replace("-", "−") if known else MISSING

    return said


@_of_known
def percent(share: float, digits: int = 1) -> str:
    """A share in [0, 1] as per cent."""
    return f"{100 * share:.{digits}f} %"


@_of_known
def hundredths(share: float, digits: int = 1) -> str:
    """A share, or a coefficient in [-1, 1], times 100 without a unit, for dense tables."""
    return f"{100 * share:.{digits}f}"


@_of_known
def points(difference: float, unit: str = " points") -> str:
    """A difference of two shares as signed percentage points; `unit` may be left out in tables."""
    return f"{100 * difference:+.1f}{unit}"


@_of_known
def agreement(share: float) -> str:
    """A share of equal decisions, rounded down so that only perfect agreement reads 100 %."""
    return "100 %" if share == 1 else f"{math.floor(round(share * 1e4, 6)) / 100:.2f} %"


@_of_known
def mismatch(share: float) -> str:
    """A share of differing codes with two significant digits, so that only exactness reads 0 %."""
    return f"{plain(100 * share, 2)} %"


@_of_known
def plain(value: float, digits: int = 3) -> str:
    """A number with `digits` significant digits, without an exponent unless it is tiny or huge."""
    if value == 0 or not 1e-6 <= abs(value) < 1e15:
        return f"{value:.{digits}g}"
    return f"{value:,.{max(0, digits - 1 - math.floor(math.log10(abs(value))))}f}"


@_of_known
def count(value: float) -> str:
    """A whole number with thousands separators."""
    return f"{value:,.0f}"


@_of_known
def kilobytes(size_bytes: float) -> str:
    """A size in kB of 1000 bytes."""
    return f"{plain(size_bytes / 1000)} kB"


@_of_known
def milliseconds(value: float) -> str:
    """A latency in ms."""
    return f"{plain(value)} ms"


@_of_known
def duration(seconds: float) -> str:
    """A time span in the two largest of hours, minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


@_of_known
def p_value(p: float) -> str:
    """A p-value with two significant digits, or `< 0.001`."""
    return "< 0.001" if p < 0.001 else plain(p, 2)


def listing(items: Sequence[str]) -> str:
    """`a, b and c`."""
    return "".join(items) if len(items) < 2 else f"{', '.join(items[:-1])} and {items[-1]}"


def capitalised(text: str) -> str:
    """`text` with a capital first letter, the others as they are."""
    return text[:1].upper() + text[1:]


def cell(text: str) -> str:
    """A table's cell: a missing number becomes a dash."""
    return DASH if text == MISSING else text
