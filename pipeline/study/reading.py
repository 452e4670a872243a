"""A study's YAML file as it is written, with the line of everything that does not belong into one."""

import shlex
from pathlib import Path

from pydantic import ValidationError

from pipeline.config_messages import WANTED, shown
from pipeline.config_problems import ConfigError, Place, Problem, quoted, suggestion
from pipeline.config_yaml import Document, parse
from pipeline.study.schema import AXIS_TAGS, Range, Search, StudyFile, Variant

HINT = "Give at least base: FILE and variants: {name: [methods]}"


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
