"""Turns pydantic's errors into messages a user can act on."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, get_args, get_origin

from pydantic import ValidationError

from pipeline.config_problems import KeyPath, quoted, suggestion
from pipeline.config_shape import Models, Spot, fields_of_sections, spot_of_error, tag

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


@dataclass(frozen=True)
class Finding:
    """A message about `paths[0]`; the other paths have a share in it. `meant`: the path a misspelt key stood for."""

    paths: tuple[KeyPath, ...]
    message: str
    meant: KeyPath | None = None


def findings(error: ValidationError) -> Iterator[Finding]:
    """One finding for each key that is wrong, in pydantic's order."""
    grouped: dict[KeyPath, list[tuple[Spot, dict]]] = {}
    for detail in error.errors(include_url=False):
        spot = spot_of_error(detail["loc"])
        grouped.setdefault(spot.path, []).append((spot, detail))
    found = [_finding(group[0][0], [detail for _, detail in group]) for group in grouped.values()]
    meant = {finding.meant for finding in found}
    return (finding for finding in found if finding.paths[0] not in meant)


def _finding(spot: Spot, details: list[dict]) -> Finding:
    match details[0]["type"]:
        case "extra_forbidden":
            return _unknown_key(spot)
        case "missing":
            return Finding((spot.path,), f"missing. {_offer(spot)}")
        case "union_tag_not_found":
            return _missing_tag(spot)
        case "union_tag_invalid":
            return _unknown_tag(spot, details[0]["input"])
        case "value_error":
            return Finding((spot.path,), str(details[0]["ctx"]["error"]))
    return Finding((spot.path,), _wrong_value(spot, details))


def _missing_tag(spot: Spot) -> Finding:
    key, tags = tag(spot.models[0])[0], _tags(spot.models)
    return Finding(((*spot.path, key),), f"missing. Give one of {quoted(tags)}")


def _unknown_key(spot: Spot) -> Finding:
    *section, key = spot.path
    known = list(spot.parent.model_fields)
    if key in _keys(spot.siblings):
        kind, value = tag(spot.parent)
        return Finding((spot.path,), f"unknown key for {kind} {value!r}. It belongs to {_owners(spot, key)}")
    if guess := suggestion(key, known):
        return Finding((spot.path,), f"unknown key. Did you mean {guess!r}?", (*section, guess))
    if guess := suggestion(key, _keys(spot.siblings)):
        return Finding((spot.path,), f"unknown key. Did you mean {guess!r} of {_owners(spot, guess)}?")
    elsewhere = fields_of_sections()
    if guess := suggestion(key, elsewhere):
        return Finding((spot.path,), f"unknown key. Did you mean {elsewhere[guess]!r}?")
    return Finding((spot.path,), f"unknown key. Known here: {quoted(known)}")


def _owners(spot: Spot, key: str) -> str:
    """The members of a union that have the field `key`: `kind 'uniform', 'pair_flip'`."""
    return f"{tag(spot.parent)[0]} {quoted(tag(model)[1] for model in spot.siblings if key in model.model_fields)}"


def _keys(models: Models) -> list[str]:
    return list(dict.fromkeys(key for model in models for key in model.model_fields))


def _unknown_tag(spot: Spot, section: Mapping) -> Finding:
    key, tags = tag(spot.models[0])[0], _tags(spot.models)
    message = f"expected one of {quoted(tags)}, not {shown(section[key])}{_did_you_mean(section[key], tags)}"
    return Finding(((*spot.path, key),), message)


def _wrong_value(spot: Spot, details: list[dict]) -> str:
    value = details[0]["input"]
    wanted = " or ".join(dict.fromkeys(_wanted(detail) for detail in details))
    return f"expected {wanted}, not {shown(value)}{_hint(spot, value, {detail['type'] for detail in details})}"


def _wanted(detail: dict) -> str:
    return WANTED.get(detail["type"], detail["msg"]).format(**detail.get("ctx", {}))


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


def _tags(models: Models) -> list[str]:
    return [key_and_tag[1] for key_and_tag in map(tag, models) if key_and_tag]


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def shown(value: object) -> str:
    """`value` as short as a message can bear it."""
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
