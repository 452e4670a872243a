"""study.json: what a study consists of, from which its results and report are made without its configuration."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from pipeline.run_files import write_json
from pipeline.study.cells import Cell
from pipeline.study.config import Study
from pipeline.study.settings import GRID, settings_of

MANIFEST, TRIALS = "study.json", "trials"
STUDY_FORMAT = 2


def write_manifest(study: Study, folder: Path, command: str, identity: object, threads: int) -> None:
    """Write study.json; `identity` says by which code the study is run, `threads` how many each training has."""
    write_json(folder / MANIFEST, {
        "format": STUDY_FORMAT,
        "name": study.name,
        "digest": study.digest,
        "parts": dict(study.parts),
        "variants": [_variant(study, name) for name in study.variants],
        "axes": {key: list(values) for key, values in study.axes.items()},
        "reference": study.reference,
        "search": study.search.model_dump(),
        "seeds": list(study.seeds),
        "folds": list(study.folds),
        "command": command,
        "identity": identity,
        "threads": threads,
        "cells": records(study.cells, folder),
    })  # fmt: skip


def write_trial(trial: str, cells: Iterable[Cell], folder: Path) -> None:
    """Write trials/TRIAL.json, the cells of a trial of a search, before the first of them is run."""
    write_json(folder / TRIALS / f"{trial}.json", {"trial": trial, "cells": records(cells, folder)})


def records(cells: Iterable[Cell], folder: Path) -> list[Mapping[str, object]]:
    """The cells as the manifest and trials name them."""
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


def _variant(study: Study, name: str) -> Mapping[str, object]:
    variant = study.file.variants[name]
    found_later = study.search.kind != GRID and variant.axes
    settings = {} if found_later else settings_of(variant)
    return {
        "name": name,
        "reference_only": name in study.reference_only,
        "settings": [{"name": setting, "values": dict(values)} for setting, values in settings.items()],
        "reference_setting": study.reference_settings[name],
    }
