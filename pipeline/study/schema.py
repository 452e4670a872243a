"""What a study's YAML file may hold, and what is said of a file that holds something else."""

import shlex
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, ValidationError
from pydantic_core import PydanticCustomError

from pipeline.config.load import Document, parse
from pipeline.config.messages import WANTED, ConfigError, Place, Problem, quoted, shown, suggestion
from pipeline.config.schema import NAME_PATTERN
from pipeline.settings import Count, Section, Seed

GRID = "grid"
HINT = "Give at least base: FILE and variants: {name: [methods]}"

Settings = dict[str, Any]  # dotted keys and values, as `--set` takes them


class Range(Section):
    """An interval that random and bayesian search draw from."""

    low: int | float = Field(alias="min", description="Smallest value.")
    high: int | float = Field(alias="max", description="Largest value.")
    step: int | float | None = Field(None, gt=0, description="Distance of the values; null: any value.")
    scale: Literal["linear", "log"] = Field("linear", description="Sampled uniformly, or uniformly in its logarithm.")


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


def read_document(path: Path, text: str) -> Document:
    """The document in the `text` of the file `path`; raises ConfigError if it cannot be a study."""
    document = parse(text, lambda line: Place(str(path), line))
    if not isinstance(document.value, dict):
        raise ConfigError([*document.problems, Problem(Place(str(path), 1), (), f"no study. {HINT}")])
    if "data" in document.value and "variants" not in document.value:
        message = f"this is an experiment, not a study: python -m pipeline.run --config {shlex.quote(str(path))}"
        raise ConfigError([Problem(document.place(("data",)), (), message)])
    return document


def validated(document: Document) -> tuple[StudyFile | None, list[Problem]]:
    """The study file in a document, or None, and what is wrong with it."""
    try:
        return StudyFile.model_validate(document.value), list(document.problems)
    except ValidationError as error:
        found = []
        for detail in error.errors(include_url=False):
            path = _without_tags(detail["loc"])
            if path not in document.damaged:
                found.append(Problem(document.place(path), path, _message(detail, path)))
        return None, document.problems + found


def _without_tags(path: tuple) -> tuple:
    """An error's path without the names pydantic puts in for the forms of an axis."""
    if path[:1] == ("variants",) and path[2:3] == ("axes",):
        return (*path[:4], *(step for step in path[4:] if step not in AXIS_TAGS))
    return path


def _message(detail: dict, path: tuple) -> str:
    match path:
        case ("variants", _, "axes", _, *_):
            owner = Range
        case ("variants", _, _):
            owner = Variant
        case ("search", _):
            owner = Search
        case _:
            owner = StudyFile
    known = {field.alias or name: field.description for name, field in owner.model_fields.items()}
    key = path[-1]
    match detail["type"]:
        case "extra_forbidden":
            guess = suggestion(key, known)
            return f"unknown key. Did you mean {guess!r}?" if guess else f"unknown key. Known here: {quoted(known)}"
        case "missing":
            return f"missing. Give it: {known[key]}"
    wanted = WANTED.get(detail["type"], detail["msg"]).format(**detail.get("ctx", {}))
    return f"expected {wanted}, not {shown(detail['input'])}"
