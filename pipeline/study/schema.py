"""The schema of a study: one base experiment, variants with settings of their own, conditions, seeds and folds."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag
from pydantic_core import PydanticCustomError

from pipeline.config_schema import NAME_PATTERN, Count, Section, Seed

Settings = dict[str, Any]  # dotted keys and values, as `--set` takes them


class Range(Section):
    """A stretch of numbers that random and bayesian search draw from."""

    low: int | float = Field(alias="min", description="Smallest value.")
    high: int | float = Field(alias="max", description="Largest value.")
    step: int | float | None = Field(None, gt=0, description="Distance of the values; null: any value.")
    scale: Literal["linear", "log"] = Field(
        "linear", description="Whether equal distances or equal factors weigh alike."
    )


def _scalar(value: Any) -> Any:
    if not isinstance(value, bool | int | float | str):
        raise PydanticCustomError("scalar", "a number, text, true or false")
    return value


Values = Annotated[list[Annotated[Any, AfterValidator(_scalar)]], Field(min_length=1)]
Axis = Annotated[
    Annotated[Values, Tag("list")] | Annotated[Range, Tag("range")],
    Discriminator(lambda value: "range" if isinstance(value, dict | Range) else "list"),
]
AXIS_TAGS = ("list", "range")


class Variant(Section):
    """What distinguishes one method from another; a plain list in the file is short for its methods."""

    methods: list[Any] = Field([], description="Methods in place of the base's.")
    overrides: Settings = Field({}, alias="set", description="Settings by dotted key, such as train.epochs: 15.")
    axes: dict[str, Axis] = Field(
        {}, description="Values by key, such as dropout.rate: [0.1, 0.3]: every combination is run."
    )
    settings: dict[str, Settings] = Field(
        {}, description="Named settings in place of axes: {W8/A8: {KEY: VALUE, ...}}."
    )
    reference: str | Settings | None = Field(
        None, description="The setting others are compared with; default: the first."
    )
    reference_only: bool = Field(False, description="Shown apart: it does not compete, such as clean labels.")


class Search(Section):
    """How keras-tuner goes through the settings."""

    kind: Literal["grid", "random", "bayesian"] = Field("grid", description="Every setting, or a choice of them.")
    trials: Count | None = Field(None, description="Settings tried; for random and bayesian only.")
    objective: Literal["val_accuracy", "val_f1"] | None = Field(
        None, description="What decides between settings; default: the validation part's metric."
    )
    seed: Seed = Field(0, description="Seed of the search.")


def _methods_alone(value: Any) -> Any:
    return {"methods": value} if isinstance(value, list) else value


class StudyFile(Section):
    """A study file as it is written."""

    name: str | None = Field(None, pattern=NAME_PATTERN, max_length=100, description="Its folder; default: the file's.")
    base: str = Field(min_length=1, description="The base experiment's YAML, relative to this file.")
    overrides: Settings = Field({}, alias="set", description="Settings by dotted key for all variants.")
    axes: dict[str, Values] = Field(
        {}, description="Conditions, such as noise.rate: [0, 0.4]: all variants are run at each."
    )
    variants: dict[str, Annotated[Variant, BeforeValidator(_methods_alone)]] = Field(
        min_length=1, description="Name: [methods], or name: {methods: [...], set: {...}}."
    )
    seeds: list[Seed] | None = Field(None, min_length=1, description="One training a seed; default: the base's.")
    folds: list[Count] | None = Field(None, min_length=1, description="Folds of action unit data; default: the base's.")
    reference: str | None = Field(None, description="The variant differences are taken to; default: the first.")
    search: Search = Field(Search(), description="How keras-tuner goes through the settings.")
