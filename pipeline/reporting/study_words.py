"""How a study's report names conditions and arms: `noise 40 %`, `quantization (W4/A4)`."""

from collections.abc import Iterable, Sequence

from pipeline.reporting import words
from pipeline.study.results import Condition
from pipeline.study.settings import shown

SHARES = {"noise.rate": "noise"}  # shown in per cent under a shorter name


def condition_name(condition: Condition) -> str:
    """Such as `noise 40 %`, `noise strength 1, train epochs 20`; empty without axes."""
    return ", ".join(f"{key_name(key)} {value_name(key, value)}" for key, value in condition.items())


def key_name(key: str) -> str:
    """A dotted key in words."""
    return SHARES.get(key, key.replace(".", " ").replace("_", " "))


def value_name(key: str, value: object) -> str:
    """A value of an axis; shares in per cent."""
    if key in SHARES and isinstance(value, int | float):
        return f"{100 * value:.4g} %"
    return shown(value)


def conditions_listed(conditions: Iterable[Condition], every: Sequence[Condition]) -> str:
    """`noise 0 %, 20 % and 40 % to 80 %`: three or more that follow one another in `every` as a stretch."""
    conditions = list(conditions)
    names, stretches = condition_names(conditions), []
    for index, condition in enumerate(conditions):
        follows = index and every.index(condition) == every.index(conditions[index - 1]) + 1 and _is_number(condition)
        stretches = [*stretches[:-1], [*stretches[-1], names[index]]] if follows else [*stretches, [names[index]]]
    parts = [[f"{each[0]} to {each[-1]}"] if len(each) > 2 else each for each in stretches]
    return words.listing([part for each in parts for part in each])


def _is_number(condition: Condition) -> bool:
    return len(condition) == 1 and all(isinstance(value, int | float) for value in condition.values())


def condition_names(conditions: Iterable[Condition]) -> list[str]:
    """The name of each for a list: `noise 20 %`, `40 %`, the key once where it is the only one."""
    first, *others = conditions
    if len(first) != 1 or any(first.keys() != other.keys() for other in others):
        return [condition_name(condition) for condition in (first, *others)]
    [key] = first
    return [condition_name(first), *(value_name(key, other[key]) for other in others)]


def at(condition: Condition) -> str:
    """` at noise 40 %`; empty without axes."""
    return f" at {condition_name(condition)}" if condition else ""


def arm_name(variant: str, setting: str) -> str:
    """`quantization (W4/A4)`; the variant alone where it has no settings."""
    return f"{variant} ({setting})" if setting else variant
