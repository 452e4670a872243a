"""The configuration of an experiment: one YAML file, checked as a whole before anything heavy is imported.

`python -m pipeline.config` writes the JSON schema that editors use.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path

from pipeline.config_checks import validate
from pipeline.config_messages import Finding
from pipeline.config_overrides import apply_override
from pipeline.config_problems import ConfigError, Place, Problem
from pipeline.config_schema import OPTIMIZER_ONLY, Experiment
from pipeline.config_yaml import Document, dump, parse, yaml_text

SCHEMA_FILE = Path(__file__).resolve().parents[1] / "qat_configs" / "schema.json"

__all__ = ["ConfigError", "Experiment", "config_hash", "json_schema", "load_config", "to_yaml"]


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> Experiment:
    """The experiment in the YAML file `path`, changed by `KEY=VALUE` overrides.

    Raises ConfigError that lists every error with its file and line, or the `--set` it comes from.
    """
    document = _read(Path(path))
    document.value.setdefault("name", _default_name(Path(path)))
    for override in overrides:
        try:
            apply_override(document, override)
        except ConfigError as error:
            document.problems += error.problems
    experiment, findings = validate(document.value, document.damaged)
    problems = document.problems + [_problem(document, finding) for finding in findings]
    if problems:
        raise ConfigError(problems)
    return experiment


def config_hash(experiment: Experiment) -> str:
    """8 hex digits of the resolved configuration; they do not depend on the order or style of the file."""
    canonical = json.dumps(experiment.model_dump(), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:8]


def to_yaml(experiment: Experiment) -> str:
    """The resolved configuration as YAML; `load_config` reads an equal experiment from it."""
    value = experiment.model_dump()
    for key, optimizer in OPTIMIZER_ONLY.items():
        if value["train"]["optimizer"] != optimizer:
            del value["train"][key]
    return dump(value)


def json_schema() -> dict:
    """The JSON schema (draft 2020-12) of a configuration file."""
    schema = Experiment.model_json_schema()
    schema["required"].remove("name")  # the file's name is the default
    for section in schema["$defs"].values():
        tags = [key for key, field in section["properties"].items() if "const" in field]
        section["required"] = sorted({*section.get("required", []), *tags})
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "Nibble experiment"}


def schema_text() -> str:
    """The content of qat_configs/schema.json."""
    return json.dumps(json_schema(), indent=2) + "\n"


def _read(path: Path) -> Document:
    """The document in a file, a mapping at its top."""
    document = parse(yaml_text(path), lambda line: Place(str(path), line))
    if document.value is None and not document.problems:
        raise ConfigError([Problem(Place(str(path), 1), (), "the file is empty. Give at least data: {name: cifar10}")])
    if not isinstance(document.value, dict):
        wrong = Problem(Place(str(path), 1), (), "expected sections (key: value) at the top of the file")
        raise ConfigError([*document.problems, wrong])
    if {"base", "variants"} & document.value.keys() and "data" not in document.value:
        advice = f"this is a study, not an experiment. Run python -m pipeline.study --config {path}"
        raise ConfigError([Problem(Place(str(path), 1), (), advice)])
    return document


def _default_name(path: Path) -> str:
    """The file's name without its ending, with '-' for what a folder's name should not hold."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", path.stem).lstrip("-.")[:100] or "experiment"


def _problem(document: Document, finding: Finding) -> Problem:
    """The finding at its key; where several keys have a share in it, at the override among them."""
    places = [document.place(path) for path in finding.paths]
    place = next((place for place in places if place.is_override), places[0])
    return Problem(place, finding.paths[0], finding.message)


def _main() -> None:
    SCHEMA_FILE.write_text(schema_text(), encoding="utf-8")
    print(SCHEMA_FILE)


if __name__ == "__main__":
    _main()
