"""What is wrong in a configuration, said so that a user can act on it: a place, a key, a message, a suggestion."""

import difflib
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from pipeline.config.schema import Experiment
from pipeline.errors import UserError
from pipeline.settings import KeyPath

WANTED = {
    "bool_type": "true or false",
    "dict_type": "a section (key: value)",
    "finite_number": "a finite number",
    "float_type": "a number",
    "greater_than": "a value > {gt:g}",
    "greater_than_equal": "a value >= {ge:g}",
    "int_type": "a whole number",
    "less_than": "a value < {lt:g}",
    "less_than_equal": "a value <= {le:g}",
    "list_type": "a list such as [a, b]",
    "literal_error": "{expected}",
    "model_attributes_type": "a section (key: value)",
    "model_type": "a section (key: value)",
    "string_pattern_mismatch": "letters, digits, '_', '-' and '.', the first a letter, a digit or '_'",
    "string_too_long": "text of at most {max_length} characters",
    "string_too_short": "text that is not empty",
    "string_type": "text",
    "too_short": "at least {min_length} entry",
}
YES_NO = {"yes": "true", "on": "true", "true": "true", "no": "false", "off": "false", "false": "false"}
SECTION_ERRORS = {"dict_type", "model_attributes_type", "model_type"}
ALIASES = {  # what users call a word of the schema
    "activation_bits": "act_bits",
    "alpha": "smoothing",
    "batch_size": "batch bs",
    "cifar10": "cifar",
    "convert": "conversion",
    "data": "dataset",
    "epochs": "max_epochs num_epochs",
    "exponential": "exp",
    "fashion_mnist": "fashion fmnist mnist",
    "kind": "type",
    "label_smoothing": "smoothing",
    "learning_rate": "lr",
    "methods": "method",
    "model": "network",
    "name": "type",
    "optimizer": "opt",
    "pair_flip": "pair",
    "pruning": "prune",
    "quantization": "qat",
    "ratio": "sparsity",
    "resnet20": "resnet",
    "root": "path",
    "schedule": "lr_schedule scheduler",
    "seeds": "seed",
    "uniform": "random symmetric",
    "val_accuracy": "acc accuracy",
    "val_loss": "loss",
    "verify": "verification",
    "weight_bits": "bits w_bits",
    "weight_decay": "decay wd",
    "rate": "decay noise_rate p probability",
}

Models = tuple[type[BaseModel], ...]


class ConfigError(UserError):
    """Everything that is wrong in a configuration, one line each."""

    def __init__(self, problems: Iterable["Problem"]):
        self.problems = sorted(problems, key=lambda problem: problem.place.line)
        super().__init__("\n".join(dict.fromkeys(map(str, self.problems))))


@dataclass(frozen=True)
class Place:
    """A line of a file, or (line 0) an override given on the command line."""

    source: str
    line: int = 0

    @property
    def is_override(self) -> bool:
        """Whether this is a `--set`."""
        return self.line == 0

    def __str__(self) -> str:
        return self.source if self.is_override else f"{self.source}:{self.line}"


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong."""

    place: Place
    path: KeyPath
    message: str

    def __str__(self) -> str:
        return ": ".join(part for part in (str(self.place), dotted(self.path), self.message) if part)


@dataclass(frozen=True)
class Finding:
    """A message about `paths[0]` that involves the other paths.

    `meant` is the path a misspelt key stood for; `is_rule` says that values are wrong together, not one by itself.
    """

    paths: tuple[KeyPath, ...]
    message: str
    meant: KeyPath | None = None
    is_rule: bool = False


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


def findings(error: ValidationError) -> Iterator[Finding]:
    """One finding for each key that is wrong, in pydantic's order."""
    grouped: dict[KeyPath, list[tuple[Spot, dict]]] = {}
    found: list[Finding] = []
    for detail in error.errors(include_url=False):
        spot = _spot_of_error(detail["loc"])
        if detail["type"] == "conflicts":
            for path, message, others in detail["ctx"]["conflicts"]:
                found.append(Finding(tuple((*spot.path, *each) for each in (path, *others)), message, is_rule=True))
        else:
            grouped.setdefault(spot.path, []).append((spot, detail))
    found += [_finding(group[0][0], [detail for _, detail in group]) for group in grouped.values()]
    meant = {finding.meant for finding in found}
    return (finding for finding in found if finding.paths[0] not in meant)


def _spot_of_error(location: KeyPath) -> Spot:
    """The spot of an error's `loc`, in which pydantic mixes the names of union members with the user's keys."""
    spot = Spot()
    for step in location:
        if isinstance(step, str) and len(spot.models) > 1:
            picked = tuple(model for model in spot.models if tag(model)[1] == step)
            spot = Spot(spot.path, picked, spot.parent, spot.models)
        elif isinstance(step, int) or spot.models:
            spot = spot.child(step, next(iter(spot.models), None))
    return spot


def _finding(spot: Spot, details: list[dict]) -> Finding:
    match details[0]["type"]:
        case "extra_forbidden":
            return _unknown_key(spot)
        case "missing":
            return Finding((spot.path,), f"missing. {_offer(spot)}")
        case "union_tag_not_found":
            key = tag(spot.models[0])[0]
            return Finding(((*spot.path, key),), f"missing. Give one of {quoted(_tags(spot.models))}")
        case "union_tag_invalid":
            key, tags = tag(spot.models[0])[0], _tags(spot.models)
            value = details[0]["input"][key]
            message = f"expected one of {quoted(tags)}, not {shown(value)}{_did_you_mean(value, tags)}"
            return Finding(((*spot.path, key),), message)
        case "value_error":
            return Finding((spot.path,), str(details[0]["ctx"]["error"]), is_rule=True)
    return Finding((spot.path,), _wrong_value(spot, details))


def _unknown_key(spot: Spot) -> Finding:
    *section, key = spot.path
    known, relatives = list(spot.parent.model_fields), _keys(spot.siblings)
    if key in relatives:
        kind, value = tag(spot.parent)
        return Finding((spot.path,), f"unknown key for {kind} {value!r}. It belongs to {_owners(spot, key)}")
    if guess := suggestion(key, known):
        return Finding((spot.path,), f"unknown key. Did you mean {guess!r}?", (*section, guess))
    if guess := suggestion(key, relatives):
        return Finding((spot.path,), f"unknown key. Did you mean {guess!r} of {_owners(spot, guess)}?")
    elsewhere = _fields_of_sections()
    if guess := suggestion(key, elsewhere):
        return Finding((spot.path,), f"unknown key. Did you mean {elsewhere[guess]!r}?")
    return Finding((spot.path,), f"unknown key. Known here: {quoted(known)}")


def _wrong_value(spot: Spot, details: list[dict]) -> str:
    value = details[0]["input"]
    wanted = [WANTED.get(detail["type"], detail["msg"]).format(**detail.get("ctx", {})) for detail in details]
    hint = _hint(spot, value, {detail["type"] for detail in details})
    return f"expected {' or '.join(dict.fromkeys(wanted))}, not {shown(value)}{hint}"


def _hint(spot: Spot, value: object, types: set[str]) -> str:
    if isinstance(value, str) and types & SECTION_ERRORS and value in _tags(spot.models):
        return f". Write {{{tag(spot.models[0])[0]}: {value}}}"
    if isinstance(value, str) and types & {"int_type", "float_type"} and _is_number(value):
        return ". Remove the quotes"
    if isinstance(value, str) and "bool_type" in types and value.lower() in YES_NO:
        return f". Write {YES_NO[value.lower()]}"
    if "string_type" in types and isinstance(value, int | float):
        return ". Put it in quotes"
    return _did_you_mean(value, _choices(spot))


def _did_you_mean(value: object, choices: list[str]) -> str:
    guess = suggestion(value, choices) if isinstance(value, str) else None
    return f". Did you mean {guess!r}?" if guess else ""


def _offer(spot: Spot) -> str:
    """What to give for a missing key."""
    if choices := _choices(spot):
        return f"Give {'one of ' if len(choices) > 1 else ''}{quoted(choices)}"
    if len(spot.models) > 1:
        key = tag(spot.models[0])[0]
        return "Give one of " + ", ".join(f"{{{key}: {name}}}" for name in _tags(spot.models))
    return f"Give it: {spot.field.description}"


def _choices(spot: Spot) -> list[str]:
    """The words a field may be."""
    annotation = spot.field.annotation if spot.field else None
    literals = [part for part in (annotation, *get_args(annotation)) if get_origin(part) is Literal]
    return [word for literal in literals for word in get_args(literal) if isinstance(word, str)]


def _owners(spot: Spot, key: str) -> str:
    """The members of a union that have the field `key`: `kind 'uniform', 'pair_flip'`."""
    return f"{tag(spot.parent)[0]} {quoted(tag(model)[1] for model in spot.siblings if key in model.model_fields)}"


def _keys(models: Models) -> list[str]:
    return list(dict.fromkeys(key for model in models for key in model.model_fields))


def _tags(models: Models) -> list[str]:
    return [key_and_tag[1] for key_and_tag in map(tag, models) if key_and_tag]


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _fields_of_sections() -> dict[str, str]:
    """Where else a key might belong: `{"epochs": "train.epochs", ...}` for the keys that only one section has."""
    found: dict[str, set[str]] = {}
    for section, field in Experiment.model_fields.items():
        for key in () if get_origin(field.annotation) is list else _keys(models_in(field.annotation)):
            found.setdefault(key, set()).add(f"{section}.{key}")
    return {key: places.pop() for key, places in found.items() if len(places) == 1}


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


def dotted(path: KeyPath) -> str:
    """`("methods", 0, "rate")` as `methods.0.rate`."""
    return ".".join(map(str, path))


def suggestion(word: object, candidates: Iterable[str]) -> str | None:
    """The candidate that `word` most likely means, or None."""
    candidates, lowered = list(candidates), str(word).lower()
    known = [meant for meant, aliases in ALIASES.items() if meant in candidates and lowered in aliases.split()]
    return next(iter(known or difflib.get_close_matches(lowered, candidates, n=1)), None)


def quoted(words: Iterable[object]) -> str:
    """`'a', 'b', 8`: the words as a user writes them."""
    return ", ".join(repr(word) if isinstance(word, str) else str(word) for word in words)


def shown(value: object) -> str:
    """`value`, shortened for a message."""
    match value:
        case None:
            return "null (empty)"
        case bool():
            return str(value).lower()
        case dict():
            return "a section"
        case list():
            return "a list" if value else "an empty list"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
