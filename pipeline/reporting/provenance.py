"""How to get the same numbers again: command, versions, machine, times, configuration."""

from typing import Any

from pipeline.reporting import words
from pipeline.reporting.blocks import Block, Code, Paragraph, Section, Table
from pipeline.reporting.naming import unit_word
from pipeline.reporting.read import Json, Run, number
from pipeline.reporting.summary import spread


def provenance_sections(run: Run) -> tuple[Section, ...]:
    """Reproduction and configuration."""
    return (
        Section("reproduce", "Reproduce", (_command(run), *_environment(run))),
        Section("configuration", "Configuration", (_configuration(run),)),
    )


def _command(run: Run) -> Block:
    command = run.environment.get("command")
    if not command:
        return Paragraph("The command of this run is not recorded.", "note")
    return Code(" ".join(map(str, command)) if isinstance(command, list) else str(command))


def _environment(run: Run) -> list[Block]:
    started = [("started", str(run.status["started"]))] if "started" in run.status else []
    rows = [*_flat(run.environment), *started, *_times(run)]
    table: list[Block] = [Table(("", ""), tuple(rows))] if rows else []
    return table if run.environment else [Paragraph("Versions and machine are not recorded.", "note"), *table]


def _flat(record: Json, prefix: str = "") -> list[tuple[str, str]]:
    """Nested mappings as (`outer: inner`, value) rows in the order of the file."""
    rows: list[tuple[str, str]] = []
    for key, value in record.items():
        if isinstance(value, dict):
            rows += _flat(value, f"{prefix}{key}: ")
        elif key != "command":
            rows.append((f"{prefix}{key.removesuffix('_bytes')}", _text(key, value)))
    return rows


def _text(key: str, value: Any) -> str:
    if key.endswith("_bytes") and isinstance(value, int):
        return f"{value / 1e9:.1f} GB"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if value is None:
        return words.MISSING
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _times(run: Run) -> list[tuple[str, str]]:
    rows = []
    for name, each in (("training time", run), ("training time, baseline", run.baseline)):
        seconds = spread(number(seed.scores, "seconds") for seed in each.seeds) if each else None
        if seconds:
            of_seeds = f", {unit_word(each, seconds.n)} together" if seconds.n > 1 else ""
            rows.append((name, words.duration(sum(seconds.values)) + of_seeds))
    return rows


def _configuration(run: Run) -> Block:
    if not run.config_text:
        return Paragraph("The resolved configuration (resolved.yaml) is missing.", "note")
    return Code(run.config_text.rstrip("\n"), summary="resolved.yaml: every setting, defaults included")
