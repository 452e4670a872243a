"""MkDocs hooks: reference tables written from the configuration schema, and each command's own `--help`."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator

import yaml
from mkdocs.structure.pages import Page

from pipeline.config import json_schema
from pipeline.study.schema import StudyFile

SCHEMAS = {"experiment": json_schema, "study": StudyFile.model_json_schema}
BOUNDS = {"minimum": "≥ ", "exclusiveMinimum": "> ", "maximum": "≤ ", "exclusiveMaximum": "< "}
YAML_END = "\n...\n"  # behind a scalar
HEADER = "| key | type | default | meaning |\n|---|---|---|---|"


def on_page_markdown(markdown: str, page: Page, **_) -> str:
    """The page with `{{ schema NAME }}` and `{{ help MODULE }}` on lines of their own filled in."""
    if page.file.src_uri.startswith("results/"):
        page.meta["search"] = {"boost": 0.3}  # long generated reports come after the pages that explain them
    markdown = re.sub(r"^{{ schema (\w+) }}$", lambda match: schema(SCHEMAS[match[1]]()), markdown, flags=re.MULTILINE)
    return re.sub(r"^{{ help ([\w.]+) }}$", lambda match: command_help(match[1]), markdown, flags=re.MULTILINE)


def command_help(module: str) -> str:
    """What `python -m MODULE --help` prints, as a code block; CalledProcessError if the command fails."""
    environment = {**os.environ, "COLUMNS": "100"}
    command = [sys.executable, "-m", module, "--help"]
    shown = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    return f"```text\n{shown.strip()}\n```"


def schema(whole: dict) -> str:
    """A table for the top of a file and for every section in it, in the order of the file, from its JSON schema."""
    return "\n\n".join(_sections("", whole, whole["$defs"], set()))


def _sections(path: str, section: dict, models: dict, shown: set[str]) -> Iterator[str]:
    """Heading, sentence and table of the section at the dotted `path`, then those of the sections below it."""
    yield f"### {_title(path, section)} {{ #{_anchor(path, section)} }}\n\n{section.get('description', '')}"
    rows = [_row(path, key, field, section, models) for key, field in section["properties"].items()]
    yield "\n".join([HEADER, *rows])
    for key, field in section["properties"].items():
        for name in _references(field):
            if name not in shown:
                shown.add(name)
                yield from _sections(f"{path}.{key}".lstrip("."), models[name], models, shown)


def _row(path: str, key: str, field: dict, section: dict, models: dict) -> str:
    """One line of a section's table."""
    at = f"{path}.{key}".lstrip(".")
    meaning = field.get("description") or " ".join(models[name].get("description", "") for name in _references(field))
    cells = (f"`{key}`", _type(at, field, models), _default(key, field, section), meaning)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _default(key: str, field: dict, section: dict) -> str:
    """What holds where a file does not give this key."""
    if key in section.get("required", []):
        return "required"
    match field.get("default", ""):
        case "":
            return ""
        case {"name": kind} | {"kind": kind}:
            return f"`{kind}`"
        case {**values} if values:
            return "its defaults"
        case value:
            return f"`{yaml.safe_dump(value, default_flow_style=True).removesuffix(YAML_END).strip()}`"


def _type(path: str, field: dict, models: dict) -> str:
    """The kind of values that a field takes, in words, with links to the sections among them."""
    if "$ref" in field:
        model = models[field["$ref"].rsplit("/", 1)[-1]]
        return f"[`{_kind(model) or path}`](#{_anchor(path, model)})"
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    for union in ("anyOf", "oneOf"):
        if union in field:
            return " or ".join(_type(path, each, models) for each in field[union])
    match field.get("type"):
        case "array":
            return f"list of {_type(path, field['items'], models)}"
        case "object":
            values = field.get("additionalProperties")
            return f"map of names to {_type(path, values, models)}" if isinstance(values, dict) else "map"
        case "string":
            return "text"
        case None:
            return "any value"
        case kind:
            limits = ", ".join(f"{sign}{field[bound]}" for bound, sign in BOUNDS.items() if bound in field)
            return f"{kind}, {limits}" if limits else kind


def _references(field: object) -> list[str]:
    """The names of the models that a field's schema refers to, in their order."""
    if isinstance(field, list):
        return [name for each in field for name in _references(each)]
    if not isinstance(field, dict):
        return []
    if "$ref" in field:
        return [field["$ref"].rsplit("/", 1)[-1]]
    return [name for key, each in field.items() if key != "default" for name in _references(each)]


def _title(path: str, section: dict) -> str:
    """Such as `data`, or `data: fashion_mnist` for one of several kinds of a section."""
    kind = _kind(section)
    return f"`{path}`{f': {kind}' if kind else ''}" if path else "Top of the file"


def _anchor(path: str, section: dict) -> str:
    return re.sub(r"[^a-z0-9]+", "-", f"{path} {_kind(section)}".lower()).strip("-") or "top-of-the-file"


def _kind(section: dict) -> str:
    """The value of the key that tells this kind of a section from others; empty where there is one kind only."""
    return next((str(field["const"]) for field in section["properties"].values() if "const" in field), "")
