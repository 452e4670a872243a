"""YAML as the configuration reads it: YAML 1.2 numbers, no repeated keys, no aliases, and the line of every key.

Plain PyYAML reads `1e-4` as text, `06` as 6, `1:30` as 90, and keeps the last of repeated keys.
"""

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import yaml
from yaml.composer import ComposerError

from pipeline.config_problems import ConfigError, KeyPath, Place, Problem

LEADING_ZERO = re.compile(r"[-+]?0[0-9]+")
NUMBERS = {"int": int, "float": float}
RESOLVERS = [
    ("null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""]),
    ("bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")),
    ("int", re.compile(r"^[-+]?[0-9]+$"), list("-+0123456789")),
    (
        "float",
        re.compile(
            r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
            r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
        ),
        list("-+.0123456789"),
    ),
]


class Loader(yaml.SafeLoader):
    """PyYAML's loader with the numbers of YAML 1.2 and without aliases."""

    yaml_implicit_resolvers: ClassVar[dict] = {}

    def compose_node(self, parent, index):
        if self.check_event(yaml.AliasEvent):
            message = "aliases (*name) are not read; write the value out"
            raise ComposerError(None, None, message, self.peek_event().start_mark)
        return super().compose_node(parent, index)


class Dumper(yaml.SafeDumper):
    """PyYAML's dumper, quoting what `Loader` would not read as text."""

    yaml_implicit_resolvers: ClassVar[dict] = {}


for _tag, _pattern, _first in RESOLVERS:
    Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", _pattern, _first)
    Dumper.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", _pattern, _first)


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
        message = f"not valid YAML: {error.problem or error.context}"
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        message = f"the character U+{error.character:04X} is not allowed in YAML"
    except (ValueError, OverflowError):  # PyYAML's scanner: an escape or directive with an impossible number
        line, message = loader.line + 1, "not valid YAML: a number in an escape or directive is out of range"
    except RecursionError:
        line, message = loader.line + 1, "nested too deeply"
    raise ConfigError([Problem(place_at(line), base, message)])


class _Reader:
    """Turns YAML nodes into plain values, noting places and problems in a document."""

    def __init__(self, document: Document, place_at: Callable[[int], Place]):
        self.document = document
        self.place_at = place_at

    def value(self, node: yaml.Node | None, path: KeyPath) -> object:
        match node:
            case None:
                return None
            case yaml.MappingNode(tag="tag:yaml.org,2002:map"):
                return self._mapping(node, path)
            case yaml.SequenceNode(tag="tag:yaml.org,2002:seq"):
                return [self._entry(child, (*path, index)) for index, child in enumerate(node.value)]
            case yaml.ScalarNode():
                return self._scalar(node, path)
        return self._problem(node, path, f"the tag {node.tag} is not read; remove it")

    def _entry(self, node: yaml.Node, path: KeyPath) -> object:
        self.document.places[path] = self._place(node)
        return self.value(node, path)

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict:
        result: dict[str, object] = {}
        for key, child in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._problem(key, path, "a key must be a plain word")
            elif key.value in result:
                first = self.document.places[(*path, key.value)]
                self._report(key, (*path, key.value), f"given twice, first at {first}. Remove one")
            else:
                self.document.places[(*path, key.value)] = self._place(key)
                result[key.value] = self.value(child, (*path, key.value))
        return result

    def _scalar(self, node: yaml.ScalarNode, path: KeyPath) -> object:
        text, tag = node.value, node.tag.removeprefix("tag:yaml.org,2002:")
        match tag:
            case "null":
                return None
            case "bool" if text.lower() in ("true", "false"):
                return text.lower() == "true"
            case "int" if LEADING_ZERO.fullmatch(text):
                number = text.lstrip("+-0") or "0"
                return self._problem(node, path, f"{text} is ambiguous. Write {number}, or '{text}' for text")
            case "int" | "float":
                return self._number(node, NUMBERS[tag], path)
            case "str" if _is_clean(text):
                return text
            case "str":
                return self._problem(node, path, "the text holds a NUL or half a surrogate pair; remove it")
        return self._problem(node, path, f"the tag {node.tag} does not fit {text!r}; remove it")

    def _number(self, node: yaml.ScalarNode, kind: Callable[[str], object], path: KeyPath) -> object:
        try:
            return kind(re.sub(r"\.(?=inf|nan)", "", node.value.lower()))
        except ValueError:
            return self._problem(node, path, f"{node.value[:40]!r} is not a number that can be read")

    def _problem(self, node: yaml.Node, path: KeyPath, message: str) -> None:
        self._report(node, path, message)
        self.document.damaged.add(path)

    def _report(self, node: yaml.Node, path: KeyPath, message: str) -> None:
        self.document.problems.append(Problem(self._place(node), path, message))

    def _place(self, node: yaml.Node) -> Place:
        return self.place_at(node.start_mark.line + 1)


def _is_clean(text: str) -> bool:
    return not any(character == "\0" or 0xD800 <= ord(character) <= 0xDFFF for character in text)


def yaml_text(path: Path) -> str:
    """The text of a YAML file; raises ConfigError if there is none that can be read."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        near = difflib.get_close_matches(path.name, sorted(file.name for file in path.parent.glob("*.y*ml")), n=1)
        advice = f"Did you mean {str(path.parent / near[0])!r}?" if near else "Give a YAML file, see qat_configs/"
        raise ConfigError([Problem(Place(str(path)), (), f"no such file. {advice}")]) from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError([Problem(Place(str(path)), (), f"cannot be read: {reason}. Give a YAML file")]) from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        place = Place(str(path), data.count(b"\n", 0, error.start) + 1)
        raise ConfigError([Problem(place, (), "not UTF-8 text. Save the file as UTF-8")]) from None
