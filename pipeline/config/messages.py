"""What is wrong in a configuration, said so that a user can act on it: a place, a key, a message, a suggestion."""

import difflib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import get_args, get_origin

from pydantic import ValidationError

from pipeline.config.hints import NOTHING, YES_NO, nested, number_meant, pair_meant
from pipeline.config.schema import Experiment
from pipeline.config.spots import Spot, choices, keys, models_in, spot_of_error, tag, tags
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
PLAIN_NUMBER = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
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


def findings(error: ValidationError) -> Iterator[Finding]:
    """One finding for each key that is wrong, in pydantic's order."""
    grouped: dict[KeyPath, list[tuple[Spot, dict]]] = {}
    found: list[Finding] = []
    for detail in error.errors(include_url=False):
        spot = spot_of_error(detail["loc"])
        if detail["type"] == "conflicts":
            for path, message, others in detail["ctx"]["conflicts"]:
                found.append(Finding(tuple((*spot.path, *each) for each in (path, *others)), message, is_rule=True))
        else:
            grouped.setdefault(spot.path, []).append((spot, detail))
    found += [_finding(group[0][0], [detail for _, detail in group]) for group in grouped.values()]
    meant = {finding.meant for finding in found}
    return (finding for finding in found if finding.paths[0] not in meant)


def _finding(spot: Spot, details: list[dict]) -> Finding:
    match details[0]["type"]:
        case "extra_forbidden":
            value = details[0]["input"]
            return _nesting(spot, value) or _unknown_key(spot, value)
        case "missing":
            return Finding((spot.path,), f"missing. {_offer(spot)}")
        case "union_tag_not_found":
            key = tag(spot.models[0])[0]
            return Finding(((*spot.path, key),), f"missing. Give one of {quoted(tags(spot.models))}")
        case "union_tag_invalid":
            key, known = tag(spot.models[0])[0], tags(spot.models)
            value = details[0]["input"][key]
            message = f"expected one of {quoted(known)}, not {shown(value)}{_did_you_mean(value, known)}"
            return Finding(((*spot.path, key),), message)
        case "value_error":
            return Finding((spot.path,), str(details[0]["ctx"]["error"]), is_rule=True)
    return Finding((spot.path,), _wrong_value(spot, details))


def _nesting(spot: Spot, value: object) -> Finding | None:
    """For a key that YAML reads as one word: dots as in --set, no space after the colon, a comma within a number."""
    *section, key = spot.path
    steps, text = key.split("."), _plain(value)
    if not all(steps):
        return None
    if len(steps) > 1 and steps[0] in spot.parent.model_fields:
        advice = f"unknown key: dots nest in --set, not in a file. Write {nested(steps, text)}"
        return Finding((spot.path,), advice, (*section, steps[0]))
    if len(steps) > 1 and section and steps[0] == section[-1]:
        return Finding((spot.path,), f"unknown key: it is in {steps[0]} already. Write {nested(steps[1:], text)}")
    if len(steps) == 2 and not section and steps[0] in tags(models_in(Experiment.model_fields["methods"].annotation)):
        entry = f"methods: [{{name: {steps[0]}, {steps[1]}: {text}}}]"
        return Finding((spot.path,), f"unknown key: dots nest in --set, not in a file. Write {entry}")
    if key.isdecimal() and value is None:
        return Finding((spot.path,), "unknown key: a comma begins the next key. Write 1,000 as 1000 and 0,5 as 0.5")
    if pair := pair_meant(key):
        return Finding((spot.path,), f"unknown key. Write {pair}, with a space after the colon")
    return None


def _plain(value: object) -> str:
    return "..." if value is None or isinstance(value, dict | list) else str(value)


def _unknown_key(spot: Spot, value: object) -> Finding:
    *section, key = spot.path
    known, relatives = list(spot.parent.model_fields), keys(spot.siblings)
    if key in relatives:
        kind, value = tag(spot.parent)
        return Finding((spot.path,), f"unknown key for {kind} {value!r}. It belongs to {_owners(spot, key)}")
    if guess := suggestion(key, known):
        return Finding((spot.path,), f"unknown key. Did you mean {guess!r}?", (*section, guess))
    if guess := suggestion(key, relatives):
        return Finding((spot.path,), f"unknown key. Did you mean {guess!r} of {_owners(spot, guess)}?")
    elsewhere = _fields_of_sections()
    if guess := suggestion(key, elsewhere):
        nest = nested(elsewhere[guess].split("."), _plain(value))
        return Finding((spot.path,), f"unknown key. Did you mean {elsewhere[guess]!r}? In a file: {nest}")
    return Finding((spot.path,), f"unknown key. Known here: {quoted(known)}")


def _wrong_value(spot: Spot, details: list[dict]) -> str:
    value = details[0]["input"]
    wanted = [WANTED.get(detail["type"], detail["msg"]).format(**detail.get("ctx", {})) for detail in details]
    hint = _hint(spot, value, {detail["type"] for detail in details})
    return f"expected {' or '.join(dict.fromkeys(wanted))}, not {shown(value)}{hint}"


def _hint(spot: Spot, value: object, types: set[str]) -> str:
    text = str(value).lower()
    if types & SECTION_ERRORS and text in tags(spot.models):
        return f". Write {{{tag(spot.models[0])[0]}: {text}}}"
    if types & SECTION_ERRORS and isinstance(value, str) and (pair := pair_meant(value)):
        return f". Write {pair}, with a space after the colon"
    if "list_type" in types and isinstance(value, str | int | float) and not text.startswith("-"):
        return f". Write [{{{tag(spot.models[0])[0]}: {text}}}]" if text in tags(spot.models) else f". Write [{value}]"
    if text in NOTHING and spot.field and type(None) in get_args(spot.field.annotation):
        return ". Write null"
    if types & {"int_type", "float_type"} and (number := number_meant(value, whole="float_type" not in types)):
        return _number_hint(value, number)
    if "bool_type" in types and text in YES_NO:
        return f". Write {YES_NO[text]}"
    if "string_type" in types and isinstance(value, int | float):
        return ". Put it in quotes"
    return _did_you_mean(value, choices(spot))


def _number_hint(value: str | float, number: str) -> str:
    if PLAIN_NUMBER.fullmatch(str(value)) and isinstance(value, str):
        return ". Remove the quotes"
    return f". Write {number}{' without _' if '_' in str(value) else ''}"


def _did_you_mean(value: object, words: list[str]) -> str:
    guess = suggestion(value, words) if isinstance(value, str) else None
    return f". Did you mean {guess!r}?" if guess else ""


def _offer(spot: Spot) -> str:
    """What to give for a missing key."""
    if words := choices(spot):
        return f"Give {'one of ' if len(words) > 1 else ''}{quoted(words)}"
    if len(spot.models) > 1:
        key = tag(spot.models[0])[0]
        return "Give one of " + ", ".join(f"{{{key}: {name}}}" for name in tags(spot.models))
    return f"Give it: {spot.field.description}"


def _owners(spot: Spot, key: str) -> str:
    """The members of a union that have the field `key`: `kind 'uniform', 'pair_flip'`."""
    return f"{tag(spot.parent)[0]} {quoted(tag(model)[1] for model in spot.siblings if key in model.model_fields)}"


def _fields_of_sections() -> dict[str, str]:
    """Where else a key might belong: `{"epochs": "train.epochs", ...}` for the keys that only one section has."""
    found: dict[str, set[str]] = {}
    for section, field in Experiment.model_fields.items():
        for key in () if get_origin(field.annotation) is list else keys(models_in(field.annotation)):
            found.setdefault(key, set()).add(f"{section}.{key}")
    return {key: places.pop() for key, places in found.items() if len(places) == 1}


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
