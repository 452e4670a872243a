"""The schema of a study: one base experiment, variants of it, seeds and folds."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from pipeline.config_schema import NAME_PATTERN, Count, Section, Seed

Settings = dict[str, Any]  # dotted keys and values, as `--set` takes them


class Variant(Section):
    """What distinguishes one row of the table; a plain list in the file is short for its methods."""

    methods: list[Any] = Field([], description="Methods in place of the base's.")
    overrides: Settings = Field({}, alias="set", description="Settings by dotted key, such as train.epochs: 15.")
    reference_only: bool = Field(False, description="Shown apart: it does not compete, such as clean labels.")


def _methods_alone(value: Any) -> Any:
    return {"methods": value} if isinstance(value, list) else value


class StudyFile(Section):
    """A study file as it is written."""

    name: str | None = Field(None, pattern=NAME_PATTERN, max_length=100, description="Its folder; default: the file's.")
    base: str = Field(min_length=1, description="The base experiment's YAML, relative to this file.")
    overrides: Settings = Field({}, alias="set", description="Settings by dotted key for all variants.")
    variants: dict[str, Annotated[Variant, BeforeValidator(_methods_alone)]] = Field(
        min_length=1, description="Name: [methods], or name: {methods: [...], set: {...}}."
    )
    seeds: list[Seed] | None = Field(None, min_length=1, description="One training a seed; default: the base's.")
    folds: list[Count] | None = Field(None, min_length=1, description="Folds of action unit data; default: the base's.")
    reference: str | None = Field(None, description="The variant differences are taken to; default: the first.")
