"""study.json: what a study consists of and by which code it is run, and whether what a folder holds is this study."""

import hashlib
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

import pipeline
from pipeline.errors import RunFailed, UserError
from pipeline.runs.environment import describe_environment
from pipeline.runs.files import read_json, write_json
from pipeline.runs.names import STUDY_FORMAT, STUDY_MANIFEST, TRIALS
from pipeline.study.cells import Cell, reference_setting, settings_of
from pipeline.study.config import Study
from pipeline.study.schema import GRID

PACKAGE = Path(pipeline.__file__).parent
MAX_NAMED = 5

Identity = Mapping[str, object]  # code: sha256; files: module path to sha256; versions: of Python and packages


def write_manifest(study: Study, folder: Path, command: str, threads: int) -> None:
    """Write study.json: what there is to run, with how many threads each, by the present code and those before it."""
    known, now = _identities(read_manifest(folder)), current_identity()
    if not known or _differences(now, known[-1]):
        known.append(now)
    write_json(folder / STUDY_MANIFEST, {
        "format": STUDY_FORMAT,
        "name": study.name,
        "digest": study.digest,
        "parts": dict(study.parts),
        "variants": [_variant(study, name) for name in study.variants],
        "axes": study.file.axes,
        "reference": study.reference,
        "search": study.search.model_dump(),
        "seeds": list(study.seeds),
        "folds": list(study.folds),
        "command": command,
        "identity": known,
        "threads": threads,
        "cells": _records(study.cells, folder),
    })  # fmt: skip


def write_trial(trial: str, cells: Iterable[Cell], folder: Path) -> None:
    """Write trials/TRIAL.json, the cells of a trial of a search, before the first of them is run."""
    write_json(folder / TRIALS / f"{trial}.json", {"trial": trial, "cells": _records(cells, folder)})


def read_trial_runs(folder: Path) -> list[Path]:
    """The run folders of the trials of a search so far."""
    trials = [read_json(path) for path in sorted((folder / TRIALS).glob("[!.]*.json"))]
    return list(dict.fromkeys(folder / cell["run"] for trial in trials for cell in trial["cells"]))


def read_manifest(folder: Path) -> dict | None:
    """What study.json of an earlier start says, None without one; raises UserError if it is damaged."""
    try:
        return read_json(folder / STUDY_MANIFEST)
    except RunFailed:
        advice = "Delete it and start the study again; finished runs are kept"
        raise UserError(f"{folder / STUDY_MANIFEST}: damaged, not a JSON object. {advice}") from None


def study_differences(study: Study, record: Mapping) -> str:
    """What differs between a study and the one that study.json records; empty if nothing does."""
    if record.get("format") != STUDY_FORMAT:
        return f"its format is {record.get('format')}, this version writes {STUDY_FORMAT}"
    ours, theirs = study.parts, record["parts"]
    changes = {
        "changed": [key for key in ours if key in theirs and ours[key] != theirs[key]],
        "new": [key for key in ours if key not in theirs],
        "gone": [key for key in theirs if key not in ours],
    }
    return "; ".join(f"{how}: {', '.join(names)}" for how, names in changes.items() if names)


def current_identity() -> Identity:
    """The code as it lies on the disk now, and the versions of Python and the packages."""
    files = {
        path.relative_to(PACKAGE.parent).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(PACKAGE.rglob("*.py"))
    }
    code = hashlib.sha256("".join(f"{name} {digest}\n" for name, digest in files.items()).encode()).hexdigest()
    return {"code": code, "files": files, "versions": dict(_versions())}


def code_differences(record: Mapping | None) -> str:
    """The files and packages that are not those by which study.json says the study was run last; empty if none."""
    known = _identities(record)
    return _differences(current_identity(), known[-1]) if known else ""


def check_joining(study: Study, folder: Path) -> None:
    """Raise UserError if this process has another study or other code than the chief's, naming what differs."""
    record = read_manifest(folder)
    if record is None:
        raise UserError(f"{folder}: no study has been started there. Start the chief first, over the same folder")
    if changed := study_differences(study, record):
        raise UserError(f"{study.path}: not the study that runs in {folder}: {changed}. Use the same files everywhere")
    if changed := code_differences(record):
        raise UserError(
            f"{folder}: its chief runs other code than this: {changed}. "
            "Use the same version of code and packages everywhere, or start the study again"
        )


def _variant(study: Study, name: str) -> Mapping[str, object]:
    variant = study.file.variants[name]
    found_later = study.search.kind != GRID and variant.axes
    settings = {} if found_later else settings_of(variant)
    return {
        "name": name,
        "reference_only": variant.reference_only,
        "settings": [{"name": setting, "values": dict(values)} for setting, values in settings.items()],
        "reference_setting": reference_setting(variant),
    }


def _records(cells: Iterable[Cell], folder: Path) -> list[Mapping[str, object]]:
    return [
        {
            "variant": cell.arm.variant,
            "setting": cell.arm.setting,
            "values": dict(cell.arm.values),
            "condition": dict(cell.condition),
            "seed": cell.seed,
            "fold": cell.fold,
            "run": f"runs/{cell.run_folder(folder).name}",
        }
        for cell in cells
    ]


def _identities(record: Mapping | None) -> list[Identity]:
    return list(record["identity"]) if record and record.get("format") == STUDY_FORMAT else []


def _differences(ours: Identity, theirs: Identity) -> str:
    found = []
    for key in ("files", "versions"):
        names = sorted({*ours[key], *theirs[key]})
        found += [name for name in names if ours[key].get(name) != theirs[key].get(name)]
    more = f" and {len(found) - MAX_NAMED} more" if len(found) > MAX_NAMED else ""
    return ", ".join(found[:MAX_NAMED]) + more


@cache
def _versions() -> tuple[tuple[str, str], ...]:
    described = describe_environment()
    versions = {"python": described["python"], **described["packages"]}
    return tuple((name, str(version)) for name, version in versions.items())
