"""A study's YAML file, checked as a whole: every variant is a valid experiment before anything runs."""

import difflib
import json
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from pipeline.config import load_config
from pipeline.config_messages import WANTED, shown
from pipeline.config_problems import ConfigError, KeyPath, Place, Problem, quoted, suggestion
from pipeline.config_schema import Experiment
from pipeline.config_yaml import Document, parse
from pipeline.study.cells import Cell, cells_of, slug
from pipeline.study.checks import Finding, check_alike, check_file, reference_of
from pipeline.study.schema import StudyFile, Variant

HINT = "Give at least base: FILE and variants: {name: [methods]}"


@dataclass(frozen=True)
class Study:
    """A checked study: its variants' names in order, those that do not compete, and all cells."""

    name: str
    text: str
    variants: tuple[str, ...]
    reference_only: tuple[str, ...]
    reference: str
    cells: tuple[Cell, ...]


def load_study(path: str | Path) -> Study:
    """The study in the YAML file `path`.

    Raises ConfigError that lists every error of the file, of the base and of the variants with file and line.
    """
    path = Path(path)
    text = _text(path)
    document = parse(text, lambda line: Place(str(path), line))
    if not isinstance(document.value, dict):
        raise ConfigError([*document.problems, Problem(Place(str(path), 1), (), f"no study. {HINT}")])
    if "data" in document.value and "variants" not in document.value:
        message = f"this is an experiment, not a study: python -m pipeline.run --config {shlex.quote(str(path))}"
        raise ConfigError([Problem(document.place(("data",)), (), message)])
    file, problems = _validated(document)
    if file is None:
        raise ConfigError(problems)
    problems += _problems(check_file(file), document)
    experiments = _experiments(path, file, document, problems)
    if problems:
        raise ConfigError(problems)
    return Study(
        name=file.name or slug(path.stem),
        text=text,
        variants=tuple(file.variants),
        reference_only=tuple(name for name, variant in file.variants.items() if variant.reference_only),
        reference=reference_of(file),
        cells=cells_of(experiments),
    )


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        near = difflib.get_close_matches(path.name, sorted(file.name for file in path.parent.glob("*.y*ml")), n=1)
        advice = f"Did you mean {str(path.parent / near[0])!r}?" if near else "Give a study's YAML file"
        raise ConfigError([Problem(Place(str(path)), (), f"no such file. {advice}")]) from None
    except UnicodeDecodeError:
        raise ConfigError([Problem(Place(str(path)), (), "not UTF-8 text. Save the file as UTF-8")]) from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError([Problem(Place(str(path)), (), f"cannot be read: {reason}. Give a YAML file")]) from None


def _validated(document: Document) -> tuple[StudyFile | None, list[Problem]]:
    try:
        return StudyFile.model_validate(document.value), list(document.problems)
    except ValidationError as error:
        found = [
            Problem(document.place(detail["loc"]), detail["loc"], _message(detail))
            for detail in error.errors(include_url=False)
            if detail["loc"] not in document.damaged
        ]
        return None, document.problems + found


def _message(detail: dict) -> str:
    owner = Variant if detail["loc"][0] == "variants" and len(detail["loc"]) == 3 else StudyFile
    known = {field.alias or name: field.description for name, field in owner.model_fields.items()}
    key = detail["loc"][-1]
    match detail["type"]:
        case "extra_forbidden":
            guess = suggestion(key, known)
            return f"unknown key. Did you mean {guess!r}?" if guess else f"unknown key. Known here: {quoted(known)}"
        case "missing":
            return f"missing. Give it: {known[key]}"
    wanted = WANTED.get(detail["type"], detail["msg"]).format(**detail.get("ctx", {}))
    return f"expected {wanted}, not {shown(detail['input'])}"


def _problems(findings: Iterable[Finding], document: Document) -> list[Problem]:
    return [Problem(document.place(path), path, message) for path, message in findings]


def _experiments(path: Path, file: StudyFile, document: Document, problems: list[Problem]) -> dict[str, Experiment]:
    """The experiment of each variant with all its seeds and folds; what is wrong with one is added to `problems`."""
    experiments, base = {}, path.parent / file.base
    for name, variant in file.variants.items():
        overrides = _overrides(file, name, variant)
        try:
            experiments[name] = load_config(base, list(overrides))
        except ConfigError as error:
            problems += [_here(problem, overrides, document, base) for problem in error.problems]
    if len(experiments) == len(file.variants) and reference_of(file) in experiments:
        problems += _problems(check_alike(experiments, file), document)
    return experiments


def _overrides(file: StudyFile, name: str, variant: Variant) -> dict[str, tuple[KeyPath, KeyPath]]:
    """KEY=VALUE to (its path in the study, KEY's path in the experiment), in the order in which they apply."""
    wanted = [(("set", key), key, value) for key, value in file.overrides.items()]
    wanted += [(("variants", name, "set", key), key, value) for key, value in variant.overrides.items()]
    wanted += [(("variants", name, "methods"), "methods", variant.methods), ((), "baseline", False)]
    for key, target, numbers in (("seeds", "seeds", file.seeds), ("folds", "data.folds", file.folds)):
        wanted += [((key,), target, list(dict.fromkeys(numbers)))] if numbers is not None else []
    return {f"{key}={json.dumps(value)}": (path, tuple(key.split("."))) for path, key, value in wanted}


def _here(problem: Problem, overrides: dict[str, tuple[KeyPath, KeyPath]], document: Document, base: Path) -> Problem:
    """The problem at the line of the study that caused it; one in the base file stays where it is."""
    if problem.place == Place(str(base)):  # the file as a whole
        return Problem(document.place(("base",)), ("base",), f"{base}: {problem.message}")
    known = overrides.get(problem.place.source.removeprefix("--set "))
    if known is None:
        return problem
    path, key = known
    return Problem(document.place((*path, *problem.path[len(key) :])), problem.path, problem.message)
