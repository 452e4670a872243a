"""What the schema allows at a key: the fields, the members of a union, the defaults."""

from dataclasses import dataclass
from typing import Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from pipeline.config_problems import KeyPath
from pipeline.config_schema import Experiment

Models = tuple[type[BaseModel], ...]


@dataclass(frozen=True)
class Spot:
    """A key of the user's document.

    `parent` is the section the key is a field of, `siblings` the union `parent` was picked from, `models` the sections
    allowed as the key's value.
    """

    path: KeyPath = ()
    models: Models = (Experiment,)
    parent: type[BaseModel] | None = None
    siblings: Models = ()

    @property
    def field(self) -> FieldInfo | None:
        """The field of this key, None if it is unknown or an entry of a list."""
        return self.parent.model_fields.get(self.path[-1]) if self.parent and self.path else None


def tag(model: type[BaseModel]) -> tuple[str, str] | None:
    """The key and the value by which a union knows `model`, such as `("name", "cifar10")`."""
    for key in ("name", "kind"):
        field = model.model_fields.get(key)
        if field and get_origin(field.annotation) is Literal:
            return key, get_args(field.annotation)[0]
    return None


def models_in(annotation: object) -> Models:
    """The sections that occur in a type, such as both of `list[Annotated[A | B, ...]]`."""
    if isinstance(annotation, type) and get_origin(annotation) is None:
        return (annotation,) if issubclass(annotation, BaseModel) else ()
    return tuple(model for argument in get_args(annotation) for model in models_in(argument))


def member(models: Models, value: object) -> type[BaseModel] | None:
    """The one of `models` that `value` is meant for: the only one, or the one its name or kind says."""
    if len(models) == 1:
        return models[0]
    return next((model for model in models if isinstance(value, dict) and has_tag(value, tag(model))), None)


def has_tag(value: dict, key_and_tag: tuple[str, str]) -> bool:
    """Whether the mapping `value` carries this tag."""
    key, expected = key_and_tag
    return value.get(key) == expected


def spot_of_error(location: KeyPath) -> Spot:
    """The spot of an error's `loc`, in which pydantic mixes the names of union members with the user's keys."""
    spot = Spot()
    for step in location:
        if isinstance(step, str) and len(spot.models) > 1:
            picked = tuple(model for model in spot.models if tag(model)[1] == step)
            spot = Spot(spot.path, picked, spot.parent, spot.models)
        elif isinstance(step, int) or spot.models:
            spot = _child(spot, step, next(iter(spot.models), None))
    return spot


def spot_at(path: KeyPath, value: object) -> Spot:
    """The spot of `path` in the plain document `value`."""
    spot = Spot()
    for step in path:
        spot = _child(spot, step, member(spot.models, value))
        value = inside(value, step)
    return spot


def default_stub(path: KeyPath, value: object) -> dict | list:
    """What an override may put where the document has nothing: `{name: resnet20}` for `model`, a default list."""
    field = spot_at(path, value).field
    default = None if field is None or field.is_required() else field.get_default(call_default_factory=True)
    if isinstance(default, list):
        return list(default)
    key_and_tag = tag(type(default)) if isinstance(default, BaseModel) else None
    return dict([key_and_tag]) if key_and_tag else {}


def fields_of_sections() -> dict[str, str]:
    """Where else a key might belong: `{"epochs": "train.epochs", ...}` for the keys that one section has."""
    found: dict[str, set[str]] = {}
    for section, field in Experiment.model_fields.items():
        models = () if get_origin(field.annotation) is list else models_in(field.annotation)
        for key in {key for model in models for key in model.model_fields}:
            found.setdefault(key, set()).add(f"{section}.{key}")
    return {key: places.pop() for key, places in found.items() if len(places) == 1}


def inside(value: object, step: str | int) -> object:
    """The entry `step` of a section or list, None if there is none."""
    match value:
        case dict():
            return value.get(step)
        case list() if isinstance(step, int) and step < len(value):
            return value[step]
    return None


def _child(spot: Spot, step: str | int, parent: type[BaseModel] | None) -> Spot:
    path = (*spot.path, step)
    if isinstance(step, int):
        return Spot(path, spot.models)
    field = parent.model_fields.get(step) if parent else None
    return Spot(path, models_in(field.annotation) if field else (), parent, spot.siblings)
