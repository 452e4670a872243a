"""What a user meant by a value or a key that YAML reads as something else: numbers, true and false, null, nesting."""

import re
import unicodedata
from collections.abc import Sequence
from decimal import Decimal, DecimalException

YES_NO = {
    **dict.fromkeys(("yes", "y", "on", "true", "1"), "true"),
    **dict.fromkeys(("no", "n", "off", "false", "0"), "false"),
}
NOTHING = {"none", "nil", "n/a", "nan", "-"}
THOUSANDS = re.compile(r"[-+]?\d{1,3}(?:[,' ]\d{3})+(?:\.\d+)?")
OTHER_BASE = re.compile(r"[-+]?0[xob][0-9a-f_]+", re.IGNORECASE)
FACTORS = {"%": Decimal("0.01"), "k": Decimal(1000)}
PAIR = re.compile(r"(\w+)\s*[:=]\s*(\S.*)")


def number_meant(value: object, whole: bool) -> str | None:
    """How to write the number that `value` means, such as 1000 for '1_000' and 1e3, 0.4 for '40%'; None if unclear.

    `whole` asks for a whole number.
    """
    if not isinstance(value, str | float):
        return None
    number = Decimal(repr(value)) if isinstance(value, float) else _number_in(value)
    if number is None or not number.is_finite() or (whole and number != number.to_integral_value()):
        return None
    if abs(number.adjusted()) > 9:
        return f"{float(number):g}" if abs(number.adjusted()) < 300 and not whole else None
    return f"{number:f}".rstrip("0").rstrip(".") if "." in f"{number:f}" else f"{number:f}"


def _number_in(text: str) -> Decimal | None:
    text = unicodedata.normalize("NFKC", text).replace("\u2212", "-").strip()
    if OTHER_BASE.fullmatch(text):
        return Decimal(int(text, 0)) if _is_int(text) else None
    if THOUSANDS.fullmatch(text):
        text = re.sub("[,' ]", "", text)
    factor = FACTORS.get(text[-1:].lower(), Decimal(1))
    digits = text[:-1].rstrip() if text[-1:].lower() in FACTORS else text
    try:
        return Decimal(digits.replace(",", ".").replace("_", "")) * factor
    except DecimalException:
        return None


def _is_int(text: str) -> bool:
    try:
        return int(text, 0) is not None
    except ValueError:
        return False


def pair_meant(text: str) -> str | None:
    """`epochs: 3` for `epochs:3` and `epochs = 3`, which YAML reads as one word; None for other text."""
    match = PAIR.fullmatch(text)
    return f"{match[1]}: {match[2]}" if match else None


def nested(steps: Sequence[str], value: str) -> str:
    """`train: {schedule: {kind: cosine}}` for the steps of train.schedule.kind and the text of a value."""
    for step in reversed(steps):
        value = f"[{value}]" if step.isdecimal() else f"{{{step}: {value}}}"
    return value.removeprefix("{").removesuffix("}")
