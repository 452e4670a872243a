"""What a study's folder holds, cell by cell: study.json and trials/ list the cells, the run folders say how they ended."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.errors import UserError
from pipeline.reports.load import Json, parse_config, read_json, read_text
from pipeline.runs.folder import seed_path
from pipeline.runs.names import DATA, RESOLVED, STATUS, STUDY_FORMAT, STUDY_MANIFEST, TRIALS

CELL_KEYS = ("variant", "setting", "values", "condition", "seed", "fold", "run")


def load_study(folder: Path) -> tuple[Json, list[dict[str, Any]]]:
    """study.json, and the fields of a `study_load.Result` for every cell, done or not, in the study's order.

    Raises UserError if `folder` is no study of this version, or its study.json or a file of trials/ is damaged.
    """
    notes: list[str] = []
    record = read_json(folder / STUDY_MANIFEST, notes)
    if notes:
        raise UserError(f"{folder}: {'; '.join(notes)}: delete it and start the study again; finished runs are kept")
    if record.get("format") != STUDY_FORMAT:
        raise UserError(f"{folder}: there is no study of this version; python -m pipeline.study makes studies/NAME/")
    return record, [_cell(folder, cell, trial) for cell, trial in _cells(folder, record)]


def _cells(folder: Path, record: Json) -> Iterator[tuple[Json, str]]:
    """The cells of study.json and then those of each trial, with the trial's name; each counts once."""
    listed = [(cell, "") for cell in record["cells"]]
    for path in sorted((folder / TRIALS).glob("[!.]*.json")):
        notes: list[str] = []
        trial = read_json(path, notes)
        if notes:
            raise UserError(f"{folder}: {'; '.join(notes)}: delete it and start the study again")
        listed += [(cell, str(trial["trial"])) for cell in trial["cells"]]
    seen: set[str] = set()
    for cell, trial in listed:
        key = json.dumps([cell[name] for name in ("variant", "setting", "condition", "seed", "fold")])
        if key not in seen:
            seen.add(key)
            yield cell, trial


def _cell(folder: Path, cell: Json, trial: str) -> dict[str, Any]:
    """The fields of one cell; without scores and verification unless its run is done."""
    run = folder / cell["run"]
    notes: list[str] = []
    status = read_json(run / STATUS, notes)
    row = {key: cell[key] for key in CELL_KEYS} | {
        "state": "unfinished" if run.is_dir() else "not begun",
        "message": str(status.get("message", "")),
        "trial": trial,
        "folder": run,
        "config": parse_config(read_text(run / RESOLVED, notes), notes),
        "data": read_json(run / DATA, notes),
        "scores": {},
        "verification": {},
    }
    if status.get("state") == "failed":
        row["state"] = "failed"
    elif status.get("state") == "done":
        training = seed_path(run, cell["seed"], cell["fold"])
        row |= {name: read_json(training / f"{name}.json", notes) for name in ("scores", "verification")}
        row |= {"state": "done"} if row["scores"] else {"state": "failed", "message": "its scores.json is not there"}
    if notes:
        row |= {"state": "failed", "message": "; ".join(notes), "scores": {}, "verification": {}}
    return row
