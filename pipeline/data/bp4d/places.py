"""Where the faces are: landmark and box files beside a BP4D folder, one CSV a sequence, rows by number of the image."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.data.bp4d.csv_table import CsvTable, read_csv
from pipeline.errors import UserError

FRAME = "frame"
EYES = ("right_eye_x", "right_eye_y", "left_eye_x", "left_eye_y")
BOX = ("x", "y", "w", "h")
OPENFACE_RIGHT, OPENFACE_LEFT = range(36, 42), range(42, 48)  # of the 68 points; the subject's right eye comes first
SHORTEST_EYE_DISTANCE = 2.0  # pixels; less is no face

Numbers = tuple[float, float, float, float]


@dataclass(frozen=True)
class Places:
    """By image number: the eyes (right x, right y, left x, left y) and the box (x, y, width, height), in pixels."""

    eyes: dict[int, Numbers]
    boxes: dict[int, Numbers]


def read_places(paths: Iterable[Path]) -> Places:
    """The faces in CSV files with the columns EYES, with BOX, or with OpenFace's x_0 ... x_67 and y_0 ... y_67.

    Rows with an empty cell or nan, with OpenFace's success = 0, or with eyes less than 2 pixels apart, are no face.

    Raises:
        UserError: a file has none of the three headers, or a cell is no number; names file and line.
    """
    eyes: dict[int, Numbers] = {}
    boxes: dict[int, Numbers] = {}
    for path in paths:
        table = read_csv(path)
        columns = {cell.lower(): column for column, cell in enumerate(table.header)}
        if columns.keys() >= {FRAME, *EYES}:
            eyes |= _faces(table, columns, EYES, _eyes)
        elif columns.keys() >= {FRAME, *_openface_columns()}:
            eyes |= _faces(table, columns, _openface_columns(), _openface_eyes)
        elif columns.keys() >= {FRAME, *BOX}:
            boxes |= _faces(table, columns, BOX, _box)
        else:
            raise UserError(
                f"{path}: expected the columns {FRAME}, {', '.join(EYES)}; or {FRAME}, {', '.join(BOX)}; or OpenFace's "
                f"{FRAME}, x_0 ... x_67, y_0 ... y_67; found {', '.join(table.header[:8])}"
            )
    return Places(eyes, boxes)


def _openface_columns() -> tuple[str, ...]:
    points = (*OPENFACE_RIGHT, *OPENFACE_LEFT)
    return tuple(f"{axis}_{point}" for axis in "xy" for point in points)


def _faces(table: CsvTable, columns: dict[str, int], names: tuple[str, ...], face) -> dict[int, Numbers]:
    """{image number: what `face` makes of the cells called `names`}, where that is something."""
    success = columns.get("success")
    found = {}
    for row, cells in enumerate(table.rows):
        if success is not None and _number(table, row, success) == 0:
            continue
        numbers = face(np.array([_number(table, row, columns[name]) for name in names]))
        if numbers is not None and all(map(math.isfinite, numbers)):
            found[_frame(table, row, cells[columns[FRAME]])] = numbers
    return found


def _eyes(numbers: np.ndarray) -> Numbers | None:
    distance = math.hypot(numbers[2] - numbers[0], numbers[3] - numbers[1])
    return tuple(numbers.tolist()) if distance >= SHORTEST_EYE_DISTANCE else None


def _openface_eyes(numbers: np.ndarray) -> Numbers | None:
    xs, ys = numbers.reshape(2, 2, 6).mean(axis=2)  # (axis, eye, point)
    return _eyes(np.array([xs[0], ys[0], xs[1], ys[1]]))


def _box(numbers: np.ndarray) -> Numbers | None:
    return tuple(numbers.tolist()) if min(numbers[2:]) >= 2 * SHORTEST_EYE_DISTANCE else None


def _number(table: CsvTable, row: int, column: int) -> float:
    text = table.rows[row][column].strip()
    try:
        return float(text) if text else math.nan
    except ValueError:
        raise table.error(row, f"column {table.header[column]!r} is {text!r}, not a number") from None


def _frame(table: CsvTable, row: int, text: str) -> int:
    try:
        return int(float(text))
    except (ValueError, OverflowError):
        raise table.error(row, f"the frame number is {text!r}") from None
