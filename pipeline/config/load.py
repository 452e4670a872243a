"""From a YAML file and `--set KEY=VALUE` to an experiment that is checked as a whole, and back to YAML.

YAML is read with the numbers of YAML 1.2, without repeated keys and aliases, and with the line of every key. Plain PyYAML
reads `1e-4` as text, `06` as 6 and `1:30` as 90, and keeps the last of repeated keys.
"""

import difflib
import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import yaml
from pydantic import BaseModel
from yaml.composer import ComposerError

from pipeline.config.checks import inside, validate
from pipeline.config.messages import ConfigError, Finding, Place, Problem, dotted
from pipeline.config.schema import OPTIMIZER_ONLY, Experiment
from pipeline.config.spots import Models, Spot, tag
from pipeline.errors import UserError
from pipeline.settings import KeyPath

TAB = repr("\t")  # as PyYAML writes it
YAML_TAG = "tag:yaml.org,2002:"
LEADING_ZERO = re.compile(r"[-+]?0[0-9]+")
NUMBERS = {"int": int, "float": float}
FLOAT = r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
RESOLVERS = [  # a type, what its text looks like, and the characters it begins with
    ("null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""]),
    ("bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")),
    ("int", re.compile(r"^[-+]?[0-9]+$"), list("-+0123456789")),
    ("float", re.compile(f"^(?:{FLOAT})$"), list("-+.0123456789")),
]


class Loader(yaml.SafeLoader):
    """PyYAML's loader with the numbers of YAML 1.2 and without aliases."""

    yaml_implicit_resolvers: ClassVar[dict] = {}

    def compose_node(self, parent, index):
        if self.check_event(yaml.AliasEvent):
            message = "aliases (*name) are not supported; write the value out"
            raise ComposerError(None, None, message, self.peek_event().start_mark)
        return super().compose_node(parent, index)


class Dumper(yaml.SafeDumper):
    """PyYAML's dumper, quoting what `Loader` would not read as text."""

    yaml_implicit_resolvers: ClassVar[dict] = {}


for _type, _pattern, _first in RESOLVERS:
    Loader.add_implicit_resolver(YAML_TAG + _type, _pattern, _first)
    Dumper.add_implicit_resolver(YAML_TAG + _type, _pattern, _first)


@dataclass
class Document:
    """Plain values, the place of each, and what was wrong while reading; `damaged` paths hold a stand-in value."""

    value: object = None
    places: dict[KeyPath, Place] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    damaged: set[KeyPath] = field(default_factory=set)

    def place(self, path: KeyPath) -> Place:
        """Where `path`, or the nearest section around it, was written."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places[path]

    def forget(self, path: KeyPath) -> None:
        """Drop what is known of `path` and everything in it, which is about to be replaced."""
        self.places = {key: place for key, place in self.places.items() if key[: len(path)] != path}
        self.damaged = {key for key in self.damaged if key[: len(path)] != path}
        self.problems = [problem for problem in self.problems if problem.path[: len(path)] != path]


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> Experiment:
    """The experiment in the YAML file `path`, changed by `KEY=VALUE` overrides.

    Raises ConfigError that lists every error with its file and line, or the `--set` it comes from; UserError for
    arguments of another type.
    """
    return read_config(path, overrides)[0]


def read_config(path: str | Path, overrides: Sequence[str] = (), name: str | None = None) -> tuple[Experiment, str]:
    """As `load_config`, and the text of the file, which is read once: it may be a pipe. `name` replaces its name."""
    if not isinstance(path, str | Path):
        raise UserError(f"load_config: give the path of a YAML file, not {type(path).__name__}")
    if isinstance(overrides, str) or not all(isinstance(each, str) for each in overrides or ()):
        raise UserError('load_config: overrides must be a list of texts such as "train.epochs=3"')
    text = yaml_text(Path(path))
    document = _read(Path(path), text)
    document.value.setdefault("name", _default_name(Path(path)))
    for override in overrides or ():
        try:
            apply_override(document, override)
        except ConfigError as error:
            document.problems += error.problems
    if name is not None:
        document.forget(("name",))
        document.value["name"], document.places[("name",)] = name, Place(f"--name {name}")
    experiment, found = validate(document.value, document.damaged)
    problems = document.problems + [_problem(document, finding) for finding in found]
    if problems:
        raise ConfigError(problems)
    return experiment, text


def config_hash(experiment: Experiment) -> str:
    """8 hex digits of the resolved configuration; they do not depend on the order or style of the file."""
    fields = _dumped(experiment)
    fields["train"].pop("tensorboard", None)  # changes no result
    canonical = json.dumps(fields, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:8]


def to_yaml(experiment: Experiment) -> str:
    """The resolved configuration as YAML; `load_config` reads an equal experiment from it."""
    value = _dumped(experiment)
    for key, optimizer in OPTIMIZER_ONLY.items():
        if value["train"]["optimizer"] != optimizer:
            del value["train"][key]
    return dump(value)


def _dumped(experiment: Experiment) -> dict:
    """All fields, as in configurations from before `convert.outputs` was there unless it is set."""
    fields = experiment.model_dump()
    if fields["convert"]["outputs"] == "logits":
        del fields["convert"]["outputs"]
    return fields


def _read(path: Path, text: str) -> Document:
    """The document in the `text` of a file, a mapping at its top."""
    document, top = parse(text, lambda line: Place(str(path), line)), Place(str(path), 1)
    if document.value is None and not document.problems:
        raise ConfigError([Problem(top, (), "the file is empty. Give at least data: {name: cifar10}")])
    if not isinstance(document.value, dict):
        wrong = Problem(top, (), "expected sections (key: value) at the top of the file")
        raise ConfigError([*document.problems, wrong])
    if {"base", "variants"} & document.value.keys() and "data" not in document.value:
        advice = f"this is a study, not an experiment. Run python -m pipeline.study --config {path}"
        raise ConfigError([Problem(top, (), advice)])
    return document


def _default_name(path: Path) -> str:
    """The file's name without its ending, with '-' for what a folder's name should not hold."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", path.stem).lstrip("-.")[:100] or "experiment"


def _problem(document: Document, finding: Finding) -> Problem:
    """The finding at its key; where several keys are involved, at the override among them."""
    places = [document.place(path) for path in finding.paths]
    place = next((place for place in places if place.is_override), places[0])
    return Problem(place, finding.paths[0], finding.message)


def apply_override(document: Document, override: str) -> None:
    """Put `KEY=VALUE` into `document`; raises ConfigError if it cannot be read or KEY leads nowhere."""
    place = Place(f"--set {override}")
    key, equals, text = override.partition("=")
    steps = key.strip().split(".")
    if not equals or not all(steps):
        raise ConfigError([Problem(place, (), "expected KEY=VALUE, such as train.epochs=3")])
    container, path = _container(document, steps, place)
    part = parse(text, lambda line: place, path)
    document.forget(path)
    document.places |= part.places
    document.damaged |= part.damaged
    document.problems += part.problems
    container[path[-1]] = part.value
    _leave_old_kind(document, container, path)


def _container(document: Document, steps: list[str], place: Place) -> tuple[dict | list, KeyPath]:
    """The section or list that holds the last of `steps`, made if it is absent, and the path of that step."""
    container, path = document.value, ()
    for index, step in enumerate(steps):
        path = (*path, _step(container, step, path, place))
        if index == len(steps) - 1:
            break
        if isinstance(container, dict) and container.get(path[-1]) is None:
            container[path[-1]] = _default_stub(_spot_at(path, document.value))
            document.places[path] = place
        container = container[path[-1]]
    return container, path


def _step(container: object, step: str, path: KeyPath, place: Place) -> str | int:
    """`step` as a key of a section, or as an index into a list."""
    match container:
        case dict():
            return step
        case list() if step.isascii() and step.isdigit() and int(step) < len(container):
            return int(step)
        case list():
            entries = f"0 to {len(container) - 1}" if container else "none: the list is empty"
            message = f"has no entry {step!r} (entries: {entries}). Set the whole list: {dotted(path)}=[...]"
            raise ConfigError([Problem(place, path, message)])
    raise ConfigError([Problem(place, path, f"is a plain value and has no key {step!r}")])


def _leave_old_kind(document: Document, container: dict | list, path: KeyPath) -> None:
    """After an override of a union's name or kind, drop the file's keys that only other members have."""
    *section, key = path
    models = _spot_at(tuple(section), document.value).models
    new = _member(models, container)
    if len(models) < 2 or new is None or key != tag(new)[0]:
        return
    known = {name for model in models for name in model.model_fields}
    for name in known - set(new.model_fields):
        if name in container and not document.place((*section, name)).is_override:
            document.forget((*section, name))
            del container[name]


def _spot_at(path: KeyPath, value: object) -> Spot:
    """The spot of `path` in the plain document `value`."""
    spot = Spot()
    for step in path:
        spot = spot.child(step, _member(spot.models, value))
        value = inside(value, step)
    return spot


def _member(models: Models, value: object) -> type[BaseModel] | None:
    """The one of `models` that `value` is meant for: the only one, or the one its name or kind says."""
    if len(models) == 1:
        return models[0]
    return next((model for model in models if isinstance(value, dict) and tag(model) in value.items()), None)


def _default_stub(spot: Spot) -> dict | list:
    """What an override may put where the document has nothing: `{name: resnet20}` for `model`, a default list."""
    default = None if spot.field is None or spot.field.is_required() else spot.field.default
    if isinstance(default, list):
        return list(default)
    key_and_tag = tag(type(default)) if isinstance(default, BaseModel) else None
    return dict([key_and_tag]) if key_and_tag else {}


def dump(value: object) -> str:
    """`value` as YAML that `parse` reads back."""
    return yaml.dump(value, Dumper=Dumper, sort_keys=False, default_flow_style=None, allow_unicode=True, width=110)


def parse(text: str, place_at: Callable[[int], Place], base: KeyPath = ()) -> Document:
    """The document in `text`, whose keys lie under `base`; `place_at` makes a place of a 1-based line.

    Raises ConfigError for text that is not YAML.
    """
    document = Document(places={base: place_at(1)})
    document.value = _Reader(document, place_at).value(_compose(text, place_at, base), base)
    return document


def _compose(text: str, place_at: Callable[[int], Place], base: KeyPath) -> yaml.Node | None:
    loader = None
    try:
        loader = Loader(text)
        return loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        problem = error.problem or error.context
        message = f"not valid YAML: {problem}{'. Use spaces instead of tabs' if TAB in problem else ''}"
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        message = f"the character U+{error.character:04X} is not allowed in YAML"
    except (ValueError, OverflowError):  # PyYAML's scanner: an escape or directive with an impossible number
        line, message = loader.line + 1, "not valid YAML: a number in an escape or directive is out of range"
    except RecursionError:
        line, message = loader.line + 1, "nested too deeply"
    raise ConfigError([Problem(place_at(line), base, message)])


@dataclass(frozen=True)
class _Reader:
    """Turns YAML nodes into plain values, noting places and problems in a document."""

    document: Document
    place_at: Callable[[int], Place]

    def value(self, node: yaml.Node | None, path: KeyPath) -> object:
        match node:
            case None:
                return None
            case yaml.MappingNode() if node.tag == f"{YAML_TAG}map":
                return self._mapping(node, path)
            case yaml.SequenceNode() if node.tag == f"{YAML_TAG}seq":
                for index, child in enumerate(node.value):
                    self.document.places[(*path, index)] = self._place(child)
                return [self.value(child, (*path, index)) for index, child in enumerate(node.value)]
            case yaml.ScalarNode():
                return self._scalar(node, path)
        return self._damaged(node, path, f"the tag {node.tag} is not supported; remove it")

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict:
        result: dict[str, object] = {}
        for key, child in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._damaged(key, path, "a key must be a plain word")
            elif key.value in result:
                inner = (*path, key.value)
                self._report(key, inner, f"given twice, first at {self.document.places[inner]}. Remove one")
            else:
                self.document.places[(*path, key.value)] = self._place(key)
                result[key.value] = self.value(child, (*path, key.value))
        return result

    def _scalar(self, node: yaml.ScalarNode, path: KeyPath) -> object:
        text, kind = node.value, node.tag.removeprefix(YAML_TAG)
        match kind:
            case "null":
                return None
            case "bool" if text.lower() in ("true", "false"):
                return text.lower() == "true"
            case "int" if LEADING_ZERO.fullmatch(text):
                number = text.lstrip("+-0") or "0"
                return self._damaged(node, path, f"{text} is ambiguous. Write {number}, or '{text}' for text")
            case "int" | "float":
                return self._number(node, NUMBERS[kind], path)
            case "str" if not any(character == "\0" or 0xD800 <= ord(character) <= 0xDFFF for character in text):
                return text
            case "str":
                return self._damaged(node, path, "the text holds a NUL or half a surrogate pair; remove it")
        return self._damaged(node, path, f"the tag {node.tag} does not fit {text!r}; remove it")

    def _number(self, node: yaml.ScalarNode, kind: Callable[[str], object], path: KeyPath) -> object:
        try:
            return kind(re.sub(r"\.(?=inf|nan)", "", node.value.lower()))
        except ValueError:
            return self._damaged(node, path, f"{node.value[:40]!r} is not a valid number")

    def _damaged(self, node: yaml.Node, path: KeyPath, message: str) -> None:
        self._report(node, path, message)
        self.document.damaged.add(path)

    def _report(self, node: yaml.Node, path: KeyPath, message: str) -> None:
        self.document.problems.append(Problem(self._place(node), path, message))

    def _place(self, node: yaml.Node) -> Place:
        return self.place_at(node.start_mark.line + 1)


def yaml_text(path: Path) -> str:
    """The text of a YAML file; raises ConfigError if there is none that can be read."""
    place = Place(str(path))
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        near = difflib.get_close_matches(path.name, sorted(file.name for file in path.parent.glob("*.y*ml")), n=1)
        advice = f"Did you mean {str(path.parent / near[0])!r}?" if near else "Give a YAML file, see qat_configs/"
        raise ConfigError([Problem(place, (), f"no such file. {advice}")]) from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError([Problem(place, (), f"cannot be read: {reason}. Give a YAML file")]) from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        place = Place(str(path), data.count(b"\n", 0, error.start) + 1)
        raise ConfigError([Problem(place, (), "not UTF-8 text. Save the file as UTF-8")]) from None
