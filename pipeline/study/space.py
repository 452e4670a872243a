"""The search space as keras-tuner has it: every hyperparameter is declared before the first trial."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack

import keras_tuner

from pipeline.study.settings import Dimension


def hyperparameters(dimensions: Sequence[Dimension]) -> keras_tuner.HyperParameters:
    """The space of `dimensions`; the first value of each is its default."""
    space = keras_tuner.HyperParameters()
    for dimension in dimensions:
        with ExitStack() as scopes:
            for parent, values in (dimension.when or {}).items():
                scopes.enter_context(space.conditional_scope(parent, list(values)))
            _declare(space, dimension)
    return space


def values_of(values: Mapping[str, object], dimensions: Sequence[Dimension]) -> dict[str, object]:
    """A trial's values as the study has them: on the way from the chief True has become 1."""
    return {each.name: _restored(values[each.name], each) for each in dimensions if each.name in values}


def _restored(value: object, dimension: Dimension) -> object:
    return value if dimension.values is None else next(each for each in dimension.values if each == value)


def _declare(space: keras_tuner.HyperParameters, dimension: Dimension) -> None:
    if dimension.values is not None:
        space.Choice(dimension.name, list(dimension.values))
        return
    whole = isinstance(dimension.low, int) and isinstance(dimension.high, int)
    declare = space.Int if whole else space.Float
    declare(dimension.name, dimension.low, dimension.high, step=dimension.step, sampling=dimension.scale)
