"""Where in the schema a key of the user's document is: its field, its section, and the sections its value may be."""

from dataclasses import dataclass
from typing import Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from pipeline.config.schema import Experiment
from pipeline.settings import KeyPath

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

    def child(self, step: str | int, parent: type[BaseModel] | None) -> "Spot":
        """The spot of an entry of a list, or of a key of the section `parent`."""
        if isinstance(step, int):
            return Spot((*self.path, step), self.models)
        field = parent.model_fields.get(step) if parent else None
        return Spot((*self.path, step), models_in(field.annotation) if field else (), parent, self.siblings)


def spot_of_error(location: KeyPath) -> Spot:
    """The spot of an error's `loc`, in which pydantic mixes the names of union members with the user's keys."""
    spot = Spot()
    for step in location:
        if isinstance(step, str) and len(spot.models) > 1:
            picked = tuple(model for model in spot.models if tag(model)[1] == step)
            spot = Spot(spot.path, picked, spot.parent, spot.models)
        elif isinstance(step, int) or spot.models:
            spot = spot.child(step, next(iter(spot.models), None))
    return spot


def choices(spot: Spot) -> list[str]:
    """The words a field may be."""
    annotation = spot.field.annotation if spot.field else None
    literals = [part for part in (annotation, *get_args(annotation)) if get_origin(part) is Literal]
    return [word for literal in literals for word in get_args(literal) if isinstance(word, str)]


def keys(models: Models) -> list[str]:
    return list(dict.fromkeys(key for model in models for key in model.model_fields))


def tags(models: Models) -> list[str]:
    return [key_and_tag[1] for key_and_tag in map(tag, models) if key_and_tag]


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
