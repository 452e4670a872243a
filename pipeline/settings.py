"""What all configuration sections share; each section lives beside the code that it configures (TensorFlow-free).

Data sets and label noise are in data/settings.py, networks in models/settings.py, quantization in quantization/settings.py,
TFLite files in tflite/settings.py, the other methods in methods/, everything else in config/schema.py.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from pipeline.errors import UserError

Given = TypeVar("Given", bound=BaseModel)
KeyPath = tuple[str | int, ...]
Share = Annotated[FiniteFloat, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
STRICT = ConfigDict(extra="forbid", frozen=True, strict=True)
Seed = Annotated[int, Field(ge=0, le=2**31 - 1)]


class Conflict(NamedTuple):
    """Settings that are valid alone but not together: a key, what is wrong, and the other keys involved."""

    path: KeyPath
    message: str
    others: tuple[KeyPath, ...] = ()


class Section(BaseModel):
    """A strict, frozen part of the configuration."""

    model_config = STRICT

    @model_validator(mode="after")
    def _fits_together(self):
        if found := tuple(self.conflicts()):
            text = "; ".join(f"{'.'.join(map(str, conflict.path))}: {conflict.message}" for conflict in found)
            raise PydanticCustomError("conflicts", "{text}", {"text": text, "conflicts": found})
        return self

    def conflicts(self) -> Iterator[Conflict]:
        """Conflicts between fields; all keys are relative to this section."""
        yield from ()


def repeated(key: str, noun: str, items: list) -> Iterator[Conflict]:
    """A conflict for each entry of the list `key` that repeats an earlier one."""
    for index, item in enumerate(items):
        first = items.index(item)
        if first < index:
            message = f"the {noun} {item!r} is given twice, first as entry {first}. Remove one"
            yield Conflict((key, index), message, ((key, first),))


def checked_settings(kind: type[Given], given: Given | None, fields: Mapping[str, object], where: str) -> Given:
    """Settings of class `kind`: `given`, or built from the keyword arguments `fields` of the function `where`.

    Raises UserError that names every invalid field.
    """
    if given is not None and not isinstance(given, kind):
        raise UserError(
            f"{where}: settings must be a {kind.__name__}, not {type(given).__name__}; or pass its fields: "
            f"{', '.join(kind.model_fields)}"
        )
    if given is not None and fields:
        raise UserError(f"{where}: pass settings or {', '.join(fields)}, not both")
    if given is not None:
        return given
    try:
        return kind(**fields)
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
        known = f"fields are {', '.join(kind.model_fields)}"
        raise UserError("\n  ".join([f"{where}: {known}", *problems])) from error
