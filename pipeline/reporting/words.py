"""Numbers as a reader wants them; a number that is not there is `missing`, in words."""

import math
from collections.abc import Sequence

MISSING = "missing"
NOT_APPLICABLE = "–"


def percent(share: float | None, digits: int = 1) -> str:
    """A share in [0, 1] as per cent."""
    return MISSING if share is None else f"{100 * share:.{digits}f} %"


def points(share: float | None) -> str:
    """A difference of two shares as signed percentage points."""
    return MISSING if share is None else f"{100 * share:+.1f} points".replace("-", "−")


def agreement(share: float | None) -> str:
    """A share of equal decisions, rounded down so that only perfect agreement reads 100 %."""
    if share is None:
        return MISSING
    return "100 %" if share == 1 else f"{math.floor(round(share * 1e4, 6)) / 100:.2f} %"


def mismatch(share: float | None) -> str:
    """A share of differing codes with two significant digits, so that only exactness reads 0 %."""
    if share is None:
        return MISSING
    return f"{plain(100 * share, 2)} %"


def plain(value: float | None, digits: int = 3) -> str:
    """A number with `digits` significant digits, without an exponent unless it is tiny."""
    if value is None:
        return MISSING
    if value == 0 or not 1e-6 <= abs(value) < 1e15:
        return f"{value:.{digits}g}"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:,.{decimals}f}"


def count(value: float | None) -> str:
    """A whole number with thousands separators."""
    return MISSING if value is None else f"{value:,.0f}"


def kilobytes(size_bytes: float | None) -> str:
    """A size in kB of 1000 bytes."""
    return MISSING if size_bytes is None else f"{plain(size_bytes / 1000)} kB"


def milliseconds(value: float | None) -> str:
    """A latency in ms."""
    return MISSING if value is None else f"{plain(value)} ms"


def duration(seconds: float | None) -> str:
    """A time span in the two largest of hours, minutes and seconds."""
    if seconds is None:
        return MISSING
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def ratio(part: float | None, whole: float | None) -> str:
    """How large `part` is as a share of `whole`."""
    return MISSING if part is None or not whole else f"{100 * part / whole:.0f} %"


def listing(items: Sequence[str]) -> str:
    """`a, b and c`."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def hundredths(value: float) -> str:
    """A share, or a coefficient in [-1, 1], times 100 without a unit, for dense tables."""
    return f"{100 * value:.1f}".replace("-", "−")


def capitalised(text: str) -> str:
    """`text` with a capital first letter, the others as they are."""
    return text[0].upper() + text[1:]


def or_dash(text: str) -> str:
    """A table cell: a missing number becomes a dash."""
    return NOT_APPLICABLE if text == MISSING else text
