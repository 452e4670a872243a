"""The folder of a study on action units in the exact file formats: variants, two seeds, two folds."""

from pathlib import Path

from tests.au_report_sample import AU_CONFIG, write_au_run
from tests.report_sample import write_json

VARIANTS = {
    "baseline": (1.3, 0.7),
    "dropout": (1.35, 0.5),
    "quantization": (1.6, 0.2),
    "float, clean labels": (2.0, 0.0),
}
APART = ("float, clean labels",)


def write_study(
    folder: Path, seeds: tuple[int, ...] = (1, 2), folds: tuple[int, ...] = (1, 2), variants: dict | None = None
) -> Path:
    """Write a study whose runs are all done; `variants` maps a name to (skill, share of wrong labels memorised)."""
    cells = []
    for name, (skill, memorising) in (variants or VARIANTS).items():
        for seed in seeds:
            for fold in folds:
                noise = {"kind": "none"} if name in APART else AU_CONFIG["noise"]
                config = {**AU_CONFIG, "seeds": [seed], "noise": noise}
                run = folder / "runs" / f"{name.replace(', ', '-').replace(' ', '-')}-seed{seed}-fold{fold}-1a2b3c4d"
                write_au_run(run, config, (fold,), skill, memorising)
                cells.append({"variant": name, "seed": seed, "fold": fold, "run": f"runs/{run.name}"})
    names = tuple(variants or VARIANTS)
    manifest = {
        "format": 1, "name": "table1", "variants": names, "reference": names[0],
        "reference_only": [name for name in names if name in APART],
        "command": "python -m pipeline.study --config table1.yaml", "cells": cells,
    }  # fmt: skip
    write_json(folder / "study.json", manifest)
    (folder / "study.yaml").write_text("base: synthetic_faces.yaml\n")
    return folder
