"""Where the faces are: the landmark and box files of a BP4D folder, one face an image."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.data.bp4d.csv_table import CsvTable, read_csv
from pipeline.data.bp4d.layout import EYES, FRAME
from pipeline.errors import UserError

BOX = ("x", "y", "w", "h")
OPENFACE_RIGHT, OPENFACE_LEFT = range(36, 42), range(42, 48)  # of the 68 points; the subject's right eye comes first
OPENFACE = tuple(f"{axis}_{point}" for axis in "xy" for point in (*OPENFACE_RIGHT, *OPENFACE_LEFT))
CONFIDENCE, SUCCESS = "confidence", "success"  # OpenFace's columns
MIN_EYE_DISTANCE = 2.0  # pixels; less is no face

Numbers = tuple[float, float, float, float]
Face = Callable[[np.ndarray], Numbers | None]


@dataclass(frozen=True)
class Places:
    """By image number: the eyes (right x, right y, left x, left y) and the box (x, y, width, height), in pixels."""

    eyes: dict[int, Numbers]
    boxes: dict[int, Numbers]


def read_places(paths: Iterable[Path]) -> Places:
    """The faces in CSV files with the columns EYES, with BOX, or with OpenFace's x_0 ... x_67 and y_0 ... y_67.

    Rows with an empty cell or nan, with OpenFace's success = 0, or with eyes less than 2 pixels apart, count as no face.
    Of several faces in an image the one of the highest confidence is taken.

    Raises:
        UserError: a file has none of the three headers, a cell is not a number, two faces in an image have no
            confidence or the same, or two files have different faces for an image; names file and line.
    """
    places = Places({}, {})
    for path in paths:
        table = read_csv(path)
        names, face, known = _form(table, places)
        for number, numbers in _faces(table, names, face).items():
            if known.setdefault(number, numbers) != numbers:
                raise UserError(f"{path}: frame {number} has another face in a second file of this sequence. Keep one")
    return places


def _form(table: CsvTable, places: Places) -> tuple[tuple[str, ...], Face, dict[int, Numbers]]:
    """The columns that place a face, what makes a face of their numbers, and the dictionary it belongs to."""
    there = {cell.lower() for cell in table.header}
    if there.issuperset(EYES):
        return EYES, _eyes, places.eyes
    if there.issuperset(OPENFACE):
        return OPENFACE, _openface_eyes, places.eyes
    if there.issuperset(BOX):
        return BOX, _box, places.boxes
    raise UserError(
        f"{table.path}: expected the columns {FRAME}, {', '.join(EYES)}; or {FRAME}, {', '.join(BOX)}; or OpenFace's "
        f"{FRAME}, x_0 ... x_67, y_0 ... y_67; found {', '.join(table.header[:8])}"
    )


def _faces(table: CsvTable, names: tuple[str, ...], face: Face) -> dict[int, Numbers]:
    """{image number: what `face` makes of the most confident row's cells called `names`}, where that is something."""
    frame, columns = table.frame_column(), [table.column(name) for name in names]
    success = table.column(SUCCESS) if table.columns(SUCCESS) else None
    found: dict[int, dict[int, Numbers]] = {}
    for row in range(len(table.rows)):
        if success is not None and table.number(row, success) == 0:
            continue
        numbers = face(np.array([table.number(row, column) for column in columns]))
        if numbers is not None and all(map(math.isfinite, numbers)):
            found.setdefault(table.frame(row, frame), {})[row] = numbers
    return {number: rows[_most_confident(table, number, list(rows))] for number, rows in found.items()}


def _most_confident(table: CsvTable, number: int, rows: list[int]) -> int:
    """The row of the highest confidence among those of an image."""
    if len(rows) == 1:
        return rows[0]
    if not table.columns(CONFIDENCE):
        raise table.error(rows[1], f"frame {number} has a second face. Keep one, or add a column {CONFIDENCE!r}")
    column = table.column(CONFIDENCE)
    confidences = {row: np.nan_to_num(table.number(row, column), nan=-math.inf) for row in rows}
    best, second = sorted(rows, key=confidences.__getitem__, reverse=True)[:2]
    if confidences[best] == confidences[second]:
        raise table.error(second, f"frame {number} has a second face of the same confidence. Keep the one labelled")
    return best


def _eyes(numbers: np.ndarray) -> Numbers | None:
    distance = math.hypot(numbers[2] - numbers[0], numbers[3] - numbers[1])
    return tuple(numbers.tolist()) if distance >= MIN_EYE_DISTANCE else None


def _openface_eyes(numbers: np.ndarray) -> Numbers | None:
    xs, ys = numbers.reshape(2, 2, 6).mean(axis=2)  # (axis, eye, point)
    return _eyes(np.array([xs[0], ys[0], xs[1], ys[1]]))


def _box(numbers: np.ndarray) -> Numbers | None:
    return tuple(numbers.tolist()) if min(numbers[2:]) >= 2 * MIN_EYE_DISTANCE else None
