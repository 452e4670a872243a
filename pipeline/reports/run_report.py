"""Write report.html and report.md of a run: a pure function of its folder."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.reports import numbers as say
from pipeline.reports.load import Json, Run, column, flat, mapping, number, read_run, sequence
from pipeline.reports.render import Code, Page, Section, Table, Text, write_page
from pipeline.reports.run_action_units import action_units
from pipeline.reports.run_curves import curve_sections
from pipeline.reports.run_device import device_sections
from pipeline.reports.run_results import results
from pipeline.reports.run_verdict import judge, tiles
from pipeline.reports.terms import counted, is_multilabel, method_names, noise_name

PARTS = ("train", "validation", "test")


def write_report(run_folder: Path) -> None:
    """Write `report.html` and `report.md` into `run_folder` from what it holds; missing parts are named as missing.

    Raises:
        UserError: `run_folder` is not a folder, or must not be written to.
        RunFailed: the disk is full; the reports are then as they were.
    """
    write_page(compose(read_run(run_folder)), run_folder)


def compose(run: Run) -> Page:
    """The report on a run, still independent of its format."""
    model = mapping(run.config, "model").get("name", "unrecorded network")
    data = mapping(run.config, "data").get("name", "unrecorded data")
    method = method_names(run) or ("no method" if run.config else "unrecorded method")
    sections = [
        Section("results", "Results by training", tuple(results(run))),
        *curve_sections(run),
        *device_sections(run),
        Section("reproduce", "Reproduce", tuple(_reproduce(run))),
        Section("configuration", "Configuration", (_configuration(run),)),
    ]
    if is_multilabel(run):
        sections.insert(0, Section("units", "Action units", tuple(action_units(run))))
        sections.insert(-2, Section("data", "Faces", tuple(_data(run.data))))
    return Page(run.name, f"{model} on {data}, {noise_name(run)}, {method}", judge(run), tiles(run), tuple(sections))


def _data(data: Json) -> Iterator[Text | Table | Code]:
    """Who is in which part, what the reader skipped, how the faces were cut out."""
    if not data:
        yield Text("data.json is not there: which images were skipped, and who is in which part, is unknown.", "note")
        return
    yield from _parts(mapping(data, "subjects"), mapping(data, "examples"))
    if not isinstance(data.get("skipped"), dict):
        yield Text("What the reader skipped is not recorded.", "note")
    elif rows := {key: text for key, text in _pairs(data["skipped"]).items() if text not in ("0", "", say.MISSING)}:
        yield Table.of("What the reader skipped", pd.DataFrame({"": rows}))
    else:
        yield Text("The reader skipped nothing.")
    if crop := _pairs(mapping(data, "crop")):
        yield Code("\n".join(f"{key}: {text}" for key, text in crop.items()), summary="How the faces were cut out")


def _parts(subjects: Json, examples: Json) -> Iterator[Text | Table | Code]:
    if not subjects:
        yield Text("Who is in which part is not recorded.", "note")
        return
    rows, names, overlap = {}, [], set()
    for fold in subjects:
        row = rows.setdefault(fold, {})
        members = {part: list(map(str, sequence(subjects, fold, part))) for part in PARTS}
        for part, who in members.items():
            row[f"{part} images"] = say.count(number(examples, fold, part))
            row[f"{part} subjects"] = str(len(who)) if who else say.MISSING
            names.append(f"fold {fold}, {part}: {' '.join(who) or say.MISSING}")
        everyone = pd.Series([name for who in members.values() for name in set(who)], dtype=object)
        overlap |= set(everyone[everyone.duplicated()])
    yield Table.of("Images and subjects by part", pd.DataFrame.from_dict(rows, "index").rename_axis("fold"))
    if overlap:
        yield Text(f"In two parts of one fold: {', '.join(sorted(overlap))}. The scores mean nothing.", "warning")
    yield Code("\n".join(names), summary="Subjects by name")


def _reproduce(run: Run) -> Iterator[Text | Table | Code]:
    command = run.environment.get("command")
    if command:
        yield Code(" ".join(map(str, command)) if isinstance(command, list) else str(command))
    else:
        yield Text("The command of this run is not recorded.", "note")
    if not run.environment:
        yield Text("Versions and machine are not recorded.", "note")
    rows = _pairs({key: value for key, value in run.environment.items() if key != "command"})
    if "started" in run.status:
        rows["started"] = str(run.status["started"])
    for name, each in (("training time", run), ("training time, baseline", run.baseline)):
        seconds = column(each.own, "scores.seconds").dropna() if each else ()
        if len(seconds):
            together = f", {counted(each, len(seconds))} together" if len(seconds) > 1 else ""
            rows[name] = say.duration(float(seconds.sum())) + together
    if rows:
        yield Table.of("Environment", pd.DataFrame({"": rows}))


def _pairs(record: Json) -> dict[str, str]:
    """Nested mappings as {`outer: inner`: text} in the order of the file."""
    return {key.removesuffix("_bytes"): _text(key, value) for key, value in flat(record, separator=": ").items()}


def _text(key: str, value: Any) -> str:
    if key.endswith("_bytes") and isinstance(value, int):
        return f"{value / 1e9:.1f} GB"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return say.MISSING if value is None else str(value)


def _configuration(run: Run) -> Text | Code:
    if not run.config_text:
        return Text("The resolved configuration (resolved.yaml) is missing.", "note")
    return Code(run.config_text.rstrip("\n"), summary="resolved.yaml: every setting, defaults included")
