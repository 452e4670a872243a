"""The section on the faces: who is in which part, what the reader skipped, how the faces were cut out."""

from collections.abc import Iterator
from typing import Any

from pipeline.reporting import words
from pipeline.reporting.blocks import Block, Code, Paragraph, Section, Table
from pipeline.reporting.read import Json, Run, mapping, number
from pipeline.reporting.terms import is_multilabel

PARTS = ("train", "validation", "test")
UNKNOWN = "data.json is not there: which images were skipped, and who is in which part, is unknown."


def data_sections(run: Run) -> tuple[Section, ...]:
    """The section, for runs on action units only."""
    return (Section("data", "Faces", tuple(_blocks(run))),) if is_multilabel(run) else ()


def _blocks(run: Run) -> Iterator[Block]:
    if not run.data:
        yield Paragraph(UNKNOWN, "note")
        return
    yield from _parts(run.data)
    yield from _skipped(run.data)
    if crop := mapping(run.data, "crop"):
        yield Code("\n".join(f"{key}: {value}" for key, value in _flat(crop)), summary="How the faces were cut out")


def _parts(data: Json) -> Iterator[Block]:
    subjects, examples = mapping(data, "subjects"), mapping(data, "examples")
    if not subjects:
        yield Paragraph("Who is in which part is not recorded.", "note")
        return
    head = ("fold", *(f"{part} {what}" for part in PARTS for what in ("images", "subjects")))
    rows = []
    for fold in subjects:
        counts = [words.or_dash(words.count(number(examples, fold, part))) for part in PARTS]
        people = [_people(mapping(subjects, fold).get(part)) for part in PARTS]
        rows.append((fold, *(cell for pair in zip(counts, people, strict=True) for cell in pair)))
    yield Table(head, tuple(rows))
    if overlap := sorted(_in_two_parts(subjects)):
        yield Paragraph(f"In two parts of one fold: {', '.join(overlap)}. The scores mean nothing.", "warning")
    lists = (f"fold {fold}, {part}: {_names(mapping(subjects, fold).get(part))}" for fold in subjects for part in PARTS)
    yield Code("\n".join(lists), summary="Subjects by name")


def _people(value: Any) -> str:
    return str(len(value)) if isinstance(value, list) else words.NOT_APPLICABLE


def _names(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else words.MISSING


def _in_two_parts(subjects: Json) -> set[str]:
    found = set()
    for fold in subjects:
        parts = [set(map(str, part)) for part in mapping(subjects, fold).values() if isinstance(part, list)]
        found |= {name for part in parts for name in part if sum(name in other for other in parts) > 1}
    return found


def _skipped(data: Json) -> Iterator[Block]:
    if not isinstance(data.get("skipped"), dict):
        yield Paragraph("What the reader skipped is not recorded.", "note")
        return
    rows = tuple((key, str(value)) for key, value in _flat(mapping(data, "skipped")) if value not in (0, None, ""))
    if rows:
        yield Paragraph("What the reader skipped:")
        yield Table(("", ""), rows)
    else:
        yield Paragraph("The reader skipped nothing.")


def _flat(record: Json, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested mappings as (`outer: inner`, value); lists in one line."""
    for key, value in record.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}: ")
        else:
            yield f"{prefix}{key}", ", ".join(map(str, value)) if isinstance(value, list) else value
