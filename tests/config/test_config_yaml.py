"""YAML as the configuration reads it."""

import math

import pytest

from pipeline.config.load import dump, parse
from pipeline.config.messages import Place
from tests.config.config_samples import MINIMAL, errors_of


def value_of(text):
    document = parse(text, lambda line: Place("f", line))
    assert document.problems == []
    return document.value


@pytest.mark.parametrize(("text", "value"), [
    ("1e-4", 1e-4), ("1E5", 1e5), ("-.5", -0.5), ("2.", 2.0), ("True", True), ("~", None), ("", None), ("-7", -7),
    ("0", 0), ("+5", 5), (".INF", math.inf), ("-.inf", -math.inf), ("'5'", "5"), ("!!str 5", "5"), ("!!float 5", 5.0),
    ("[1, {a: b}]", [1, {"a": "b"}]), ("{}", {}),
    *((text, text) for text in ("1_000", "1:30", "0x1F", "2020-01-01", "yes", "off")),
])  # fmt: skip
def test_plain_values(text, value):
    result = value_of(text)
    assert result == value and type(result) is type(value)


@pytest.mark.parametrize("value", ["1e-4", "08", "~", "true", "", "-", "5", ".nan", "é", 1e-9, 1e300, -3, None, True])
def test_what_is_dumped_is_read_back_with_its_type(value):
    result = value_of(dump({"key": [value]}))["key"][0]
    assert result == value and type(result) is type(value)


def test_every_key_and_entry_knows_its_line():
    document = parse("a: 1\nb:\n  c: [2,\n    3]\n  d:\n  - e: 5\n", lambda line: Place("f", line))
    lines = {path: place.line for path, place in document.places.items()}
    assert lines[("a",)] == 1 and lines[("b",)] == 2 and lines[("b", "c")] == 3
    assert lines[("b", "c", 0)] == 3 and lines[("b", "c", 1)] == 4 and lines[("b", "d", 0, "e")] == 6
    assert document.place(("b", "c", 1, "unknown", 7)).line == 4


@pytest.mark.parametrize(("line", "key", "word"), [
    ("seeds: [01]", "seeds.0", "Write 1, or '01'"),
    ("train: {epochs: 0030}", "train.epochs", "Write 30, or '0030'"),
    ("seeds: [00]", "seeds.0", "Write 0, or '00'"),
    ("data: {name: cifar10}", "data", "experiment.yaml:1"),
    ("train: {epochs: 3, epochs: 4}", "train.epochs", "twice"),
    ("train: {[a]: 3}", "train", "plain word"),
    ("train: !!python/object:os.system {}", "train", "tag:yaml.org,2002:python/object:os.system"),
    ("train: {epochs: !!int x}", "train.epochs", "'x'"),
    ("train: {epochs: !!bool 3}", "train.epochs", "tag:yaml.org,2002:bool"),
    ("seeds: [%s]" % ("9" * 5000), "seeds.0", "'9999"),
    ('data2: "a\\0"', "data2", "NUL"),
    ('data2: "\\ud800"', "data2", "surrogate"),
])  # fmt: skip
def test_values_that_cannot_be_read_are_reported_with_the_other_errors(tmp_path, line, key, word):
    errors = errors_of(tmp_path, f"{MINIMAL}{line}\nbaseline: 3\n")
    assert errors[0].startswith(f"experiment.yaml:2: {key}: ") and word in errors[0]
    assert len(errors) == 2 and errors[1].startswith("experiment.yaml:3: baseline: ")
