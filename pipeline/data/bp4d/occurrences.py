"""The occurrence codes of action units in a BP4D label file."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline.data.au_set import UNKNOWN
from pipeline.data.bp4d.csv_table import CsvTable, read_csv
from pipeline.errors import UserError

AU_HEADER = re.compile(r"(?:AU)?\s*0*(\d+)", re.IGNORECASE)
LONGEST_FRAME = 15  # digits
CODES = {"0": 0, "1": 1, str(UNKNOWN): UNKNOWN}


def read_occurrences(path: Path, aus: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Ascending frame numbers int64 (n,) and labels uint8 (n, A) of the action units `aus` in a file such as F001_T1.csv.

    The first row is the header: a cell for the frame, then numbers of AUs in any order; other columns are ignored.

    Raises:
        UserError: a column is missing or there twice, or a cell is no frame number or no label; names file and line.
    """
    table = read_csv(path)
    columns = [_column(table, au) for au in aus]
    frames = np.array([_frame(table, row) for row in range(len(table.rows))], dtype=np.int64)
    labels = np.array([_labels(table, row, columns) for row in range(len(table.rows))], dtype=np.uint8)
    order = np.argsort(frames, kind="stable")
    twice = np.flatnonzero(np.diff(frames[order]) == 0)
    if len(twice):
        row = order[twice[0] + 1]
        raise table.error(row, f"frame {frames[row]} is there twice; delete one of the rows")
    return frames[order], labels.reshape(-1, len(columns))[order]


def _column(table: CsvTable, au: int) -> int:
    matches = [AU_HEADER.fullmatch(cell) for cell in table.header]
    there = [column for column, match in enumerate(matches) if column and match and int(match[1]) == au]
    if len(there) == 1:
        return there[0]
    if there:
        raise UserError(f"{table.path}: the header has AU{au} twice; delete one of the columns")
    known = ", ".join(match[1] for match in matches[1:] if match) or "none"
    raise UserError(f"{table.path}: no column for AU{au} (AUs in the header: {known}). Repair it or change data.aus")


def _frame(table: CsvTable, row: int) -> int:
    text = table.rows[row][0].strip()
    if not (text.isascii() and text.isdecimal()) or len(text.lstrip("0")) > LONGEST_FRAME:
        raise table.error(row, f"the frame number is {text!r}")
    return int(text)


def _labels(table: CsvTable, row: int, columns: list[int]) -> list[int]:
    cells = table.rows[row]
    try:
        return [CODES[cells[column]] for column in columns]
    except KeyError:
        return [_label(table, row, column) for column in columns]


def _label(table: CsvTable, row: int, column: int) -> int:
    text = table.rows[row][column].strip()
    if text not in CODES:
        problem = f"column {table.header[column]!r} is {text!r}; labels are 0 absent, 1 present, {UNKNOWN} unknown"
        raise table.error(row, problem)
    return CODES[text]
