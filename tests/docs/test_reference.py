"""The reference pages that docs/hooks.py writes: complete, with the defaults that hold, and links that lead somewhere."""

import importlib.util
import re
from pathlib import Path

import pytest

HOOKS = Path(__file__).resolve().parents[2] / "docs" / "hooks.py"
SPEC = importlib.util.spec_from_file_location("docs_hooks", HOOKS)
hooks = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(hooks)

every_schema = pytest.mark.parametrize("name", hooks.SCHEMAS)


def tables(name: str) -> list[set[str]]:
    """The keys of each table of a reference page, in its order."""
    parts = re.split(r"^### ", hooks.schema(hooks.SCHEMAS[name]()), flags=re.MULTILINE)[1:]
    return [set(re.findall(r"^\| `(\w+)` \|", part, re.MULTILINE)) for part in parts]


@every_schema
def test_every_section_has_a_table_with_every_key(name: str):
    schema = hooks.SCHEMAS[name]()
    sections = [schema, *schema["$defs"].values()]
    expected = sorted(sorted(section["properties"]) for section in sections)
    assert sorted(sorted(keys) for keys in tables(name)) == expected


@every_schema
def test_every_link_leads_to_a_section_and_no_two_sections_share_an_anchor(name: str):
    text = hooks.schema(hooks.SCHEMAS[name]())
    anchors = re.findall(r"^### .+ \{ #(\S+) \}$", text, re.MULTILINE)
    assert len(set(anchors)) == len(anchors)
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= set(anchors)


@pytest.mark.parametrize(("field", "default"), [
    ({"default": 0.001, "type": "number"}, "`0.001`"),
    ({"default": None}, "`null`"),
    ({"default": True}, "`true`"),
    ({"default": [1, 2]}, "`[1, 2]`"),
    ({"default": {}}, "`{}`"),
    ({"default": {"kind": "cosine", "final": 0.0}}, "`cosine`"),
    ({"default": {"side": 3.2}}, "its defaults"),
    ({"type": "string"}, ""),
])  # fmt: skip
def test_defaults_are_shown_as_yaml(field: dict, default: str):
    row = hooks._row("", "key", field, {}, {})
    assert row.split(" | ")[2].strip() == default


def test_types_name_their_bounds_and_choices():
    bounded = {"type": "integer", "minimum": 2, "maximum": 8}
    assert hooks._type("", {"anyOf": [bounded, {"type": "null"}]}, {}) == "integer, ≥ 2, ≤ 8 or null"
    assert hooks._type("", {"enum": ["avg", "max"]}, {}) == "`avg`, `max`"


def test_a_page_shows_what_a_command_prints():
    shown = hooks.command_help("pipeline.data.fetch")
    assert shown.startswith("```text\nusage: python -m pipeline.data.fetch") and "fashion_mnist" in shown
