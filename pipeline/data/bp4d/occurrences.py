"""The label files of a BP4D folder: a row per coded frame, a column per action unit."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline.action_units.labels import UNKNOWN
from pipeline.data.bp4d.csv_table import CsvTable, read_csv
from pipeline.data.bp4d.layout import FRAME
from pipeline.errors import UserError

BP4D_FRAME = "0"  # BP4D's header for the frame: no action unit has that number
AU_HEADER = re.compile(r"(?:AU)?\s*0*([1-9]\d*)", re.IGNORECASE | re.ASCII)
CODES = {f"{code}{zeros}": code for code in (0, 1, UNKNOWN) for zeros in ("", ".0")}


def read_occurrences(path: Path, aus: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Ascending frame numbers int64 (n,) and labels uint8 (n, A) of the action units `aus` in a file such as F001_T1.csv.

    The header has a cell `frame`, or `0` as in BP4D, and numbers of AUs, all in any order; other columns are ignored.

    Raises:
        UserError: a column is missing or duplicated, or a cell is not a frame number or not a label; names file and line.
    """
    table = read_csv(path)
    frame, columns = table.frame_column((FRAME, BP4D_FRAME)), [_column(table, au) for au in aus]
    frames = np.array([table.frame(row, frame) for row in range(len(table.rows))], dtype=np.int64)
    labels = np.array([_labels(table, row, columns) for row in range(len(table.rows))], dtype=np.uint8)
    order = np.argsort(frames, kind="stable")
    twice = np.flatnonzero(np.diff(frames[order]) == 0)
    if len(twice):
        row = order[twice[0] + 1]
        raise table.error(row, f"frame {frames[row]} is there twice; delete one of the rows")
    return frames[order], labels.reshape(-1, len(columns))[order]


def _column(table: CsvTable, au: int) -> int:
    matches = [AU_HEADER.fullmatch(cell) for cell in table.header]
    there = [column for column, match in enumerate(matches) if match and int(match[1]) == au]
    if len(there) == 1:
        return there[0]
    if there:
        raise UserError(f"{table.path}: the header has AU{au} twice; delete one of the columns")
    known = ", ".join(match[1] for match in matches if match) or "none"
    raise UserError(f"{table.path}: no column for AU{au} (AUs in the header: {known}). Repair it or change data.aus")


def _labels(table: CsvTable, row: int, columns: list[int]) -> list[int]:
    cells = table.rows[row]
    try:
        return [CODES[cells[column]] for column in columns]
    except KeyError:
        wrong = next(column for column in columns if cells[column] not in CODES)
        problem = (
            f"column {table.header[wrong]!r} is {cells[wrong]!r}; labels are 0 absent, 1 present, {UNKNOWN} unknown"
        )
        raise table.error(row, problem) from None
