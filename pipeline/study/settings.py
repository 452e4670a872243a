"""The settings of a variant: points of its own axes, by which one method is compared with itself."""

import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.study.schema import Range, Settings, StudyFile, Variant

GRID = "grid"
SETTING = "setting"
VARIANT, SEED, FOLD = "variant", "seed", "fold"


@dataclass(frozen=True)
class Dimension:
    """One hyperparameter of keras-tuner: a choice among `values` (all of one type), or numbers from `low` to `high`.

    `when` is {} or names the one earlier dimension, and its values, that make this one active.
    """

    name: str
    values: tuple | None = None
    low: int | float | None = None
    high: int | float | None = None
    step: int | float | None = None
    scale: str = "linear"
    when: Mapping[str, tuple] | None = None


def choice(name: str, values: tuple, when: Mapping[str, tuple] | None = None) -> Dimension:
    """A choice among `values` as keras-tuner takes them: of one type, else as JSON texts."""
    return Dimension(name, encoded(values), when=when or {})


def encoded(values: tuple) -> tuple:
    """`values` in one type: as they are, as floats, or as JSON texts."""
    kinds = {type(value) for value in values}
    if len(kinds) == 1:
        return values
    return tuple(map(float, values)) if kinds == {int, float} else tuple(map(json.dumps, values))


def decoded(value: object, values: tuple) -> object:
    """The one of `values` that `encoded` turned into `value`."""
    return values[encoded(values).index(value)]


def target(key: str, variant: Variant) -> str:
    """The dotted key of the experiment that `key` of a variant stands for: dropout.rate is a method's field."""
    first, _, rest = key.partition(".")
    for index, method in enumerate(variant.methods):
        if rest and isinstance(method, Mapping) and method.get("name") == first:
            return f"methods.{index}.{rest}"
    return key


def settings_of(variant: Variant) -> dict[str, Settings]:
    """Name to values of every setting, {"": {}} for a variant without; ranges are left out."""
    if variant.settings:
        return variant.settings
    listed = {key: values for key, values in variant.axes.items() if isinstance(values, list)}
    points = [dict(zip(listed, point, strict=True)) for point in itertools.product(*listed.values())]
    return {setting_name(values): values for values in points}


def setting_name(values: Settings) -> str:
    """Such as `rate 0.3, position head`; keys in full where their last part says too little."""
    last = [key.rpartition(".")[2] for key in values]
    names = [name if last.count(name) == 1 else key for key, name in zip(values, last, strict=True)]
    return ", ".join(f"{name} {shown(value)}" for name, value in zip(names, values.values(), strict=True))


def shown(value: object) -> str:
    """A value as it stands in names: short numbers, plain text."""
    return f"{value:.6g}" if isinstance(value, float) else value if isinstance(value, str) else json.dumps(value)


def reference_setting(variant: Variant) -> str:
    """The setting the others of `variant` are compared with, "" if it has none."""
    settings = settings_of(variant)
    if isinstance(variant.reference, Mapping):
        return next((name for name, values in settings.items() if values == variant.reference), "")
    return variant.reference or next(iter(settings), "")


def dimensions(file: StudyFile, seeds: tuple, folds: tuple) -> tuple[Dimension, ...]:
    """The space of the search; in a grid seeds come first and settings last, so that a part of it compares already."""
    found = []
    if file.search.kind == GRID:
        found += [choice(SEED, seeds)] + ([choice(FOLD, folds)] if folds != (None,) else [])
        found += [choice(key, tuple(values)) for key, values in file.axes.items()]
    found.append(choice(VARIANT, tuple(file.variants)))
    for name, variant in file.variants.items():
        found += _own_dimensions(name, variant, file.search.kind == GRID)
    return tuple(found)


def _own_dimensions(name: str, variant: Variant, grid: bool) -> list[Dimension]:
    when = {VARIANT: (name,)}
    if variant.settings or (grid and variant.axes):
        return [choice(f"{name}/{SETTING}", tuple(settings_of(variant)), when)]
    found = []
    for key, values in variant.axes.items():
        if isinstance(values, Range):
            stretch = (values.low, values.high, values.step, values.scale)
            found.append(Dimension(f"{name}/{key}", None, *stretch, when))
        else:
            found.append(choice(f"{name}/{key}", tuple(values), when))
    return found


def point_of(values: Mapping[str, object], name: str, variant: Variant) -> tuple[str, Settings]:
    """Name and values of the setting of a variant that a trial with `values` stands for."""
    if f"{name}/{SETTING}" in values:
        setting = values[f"{name}/{SETTING}"]
        return setting, settings_of(variant)[setting]
    point = {}
    for key, wanted in variant.axes.items():
        value = values[f"{name}/{key}"]
        point[key] = value if isinstance(wanted, Range) else decoded(value, tuple(wanted))
    return setting_name(point), point
