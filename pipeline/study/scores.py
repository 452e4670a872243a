"""What a search goes by: the objective of a cell, and its mean over the cells of a trial."""

from collections.abc import Iterable
from pathlib import Path
from statistics import fmean

from pipeline.run_files import read_json
from pipeline.run_folder import seed_path
from pipeline.study.cells import Cell


def score(cell: Cell, folder: Path, objective: str) -> float | None:
    """The objective of a finished cell, None if it is undefined or there is none."""
    scores = read_json(seed_path(cell.run_folder(folder), cell.seed, cell.fold) / "scores.json") or {}
    return scores.get(objective)


def mean_score(cells: Iterable[Cell], folder: Path, objective: str) -> float | None:
    """The mean objective of some cells, None if it is undefined for one of them."""
    found = [score(cell, folder, objective) for cell in cells]
    return None if None in found else fmean(found)
