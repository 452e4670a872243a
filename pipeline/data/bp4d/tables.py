"""The CSV files of a BP4D folder: labels of action units, and where the faces are (landmarks, boxes)."""

import codecs
import csv
import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.action_units.labels import UNKNOWN
from pipeline.data.bp4d.layout import EYES, FRAME
from pipeline.errors import UserError

UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
AU_HEADER = re.compile(r"(?:AU)?\s*0*(\d+)", re.IGNORECASE)
MAX_FRAME_DIGITS = 15
CODES = {"0": 0, "1": 1, str(UNKNOWN): UNKNOWN}
BOX_COLUMNS = ("x", "y", "w", "h")
OPENFACE_RIGHT, OPENFACE_LEFT = range(36, 42), range(42, 48)  # of the 68 points; the subject's right eye comes first
MIN_EYE_DISTANCE = 2.0  # pixels; less is no face

Numbers = tuple[float, float, float, float]
Face = Callable[[np.ndarray], Numbers | None]


@dataclass(frozen=True)
class CsvTable:
    """The cells of the header and of the rows, and each row's line number."""

    path: Path
    header: list[str]
    rows: list[list[str]]
    lines: list[int]

    def error(self, row: int, problem: str) -> UserError:
        """An error that names the file and the line of a row."""
        return UserError(f"{self.path}:{self.lines[row]}: {problem}")


def read_csv(path: Path) -> CsvTable:
    """The table in a comma-separated file.

    Raises:
        UserError: the file cannot be read, is not text, is empty, or has a row with fewer cells than the header.
    """
    header: list[str] | None = None
    rows, numbers = [], []
    reader = csv.reader(_text(path).splitlines(), skipinitialspace=True)
    try:
        for cells in reader:
            if not any(cells):
                continue
            if header is None:
                header = [cell.strip() for cell in cells]
                continue
            if len(cells) < len(header):
                raise UserError(f"{path}:{reader.line_num}: {len(cells)} cells, but the header has {len(header)}")
            rows.append(cells)
            numbers.append(reader.line_num)
    except csv.Error as error:
        raise UserError(f"{path}:{reader.line_num}: not valid CSV ({error})") from error
    if header is None:
        raise UserError(f"{path}: empty; expected a header and a row for every frame")
    return CsvTable(path, header, rows, numbers)


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
        return content.decode("utf-16" if content.startswith(UTF16) else "utf-8-sig")
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise UserError(f"{path}:{line}: not text in UTF-8; is it damaged, or another kind of file?") from error


def read_occurrences(path: Path, aus: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Ascending frame numbers int64 (n,) and labels uint8 (n, A) of the action units `aus` in a file such as F001_T1.csv.

    The first row is the header: a cell for the frame, then numbers of AUs in any order; other columns are ignored.

    Raises:
        UserError: a column is missing or duplicated, or a cell is not a frame number or not a label; names file and line.
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
    if not (text.isascii() and text.isdecimal()) or len(text.lstrip("0")) > MAX_FRAME_DIGITS:
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


@dataclass(frozen=True)
class Places:
    """By image number: the eyes (right x, right y, left x, left y) and the box (x, y, width, height), in pixels."""

    eyes: dict[int, Numbers]
    boxes: dict[int, Numbers]


def read_places(paths: Iterable[Path]) -> Places:
    """The faces in CSV files with the columns EYES, with BOX_COLUMNS, or with OpenFace's x_0 ... x_67 and y_0 ... y_67.

    Rows with an empty cell or nan, with OpenFace's success = 0, or with eyes less than 2 pixels apart, count as no face.

    Raises:
        UserError: a file has none of the three headers, or a cell is not a number; names file and line.
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
        elif columns.keys() >= {FRAME, *BOX_COLUMNS}:
            boxes |= _faces(table, columns, BOX_COLUMNS, _box)
        else:
            raise UserError(
                f"{path}: expected the columns {FRAME}, {', '.join(EYES)}; or {FRAME}, {', '.join(BOX_COLUMNS)}; or OpenFace's "
                f"{FRAME}, x_0 ... x_67, y_0 ... y_67; found {', '.join(table.header[:8])}"
            )
    return Places(eyes, boxes)


def _openface_columns() -> tuple[str, ...]:
    points = (*OPENFACE_RIGHT, *OPENFACE_LEFT)
    return tuple(f"{axis}_{point}" for axis in "xy" for point in points)


def _faces(table: CsvTable, columns: dict[str, int], names: tuple[str, ...], face: Face) -> dict[int, Numbers]:
    """{image number: what `face` makes of the cells called `names`}, where that is something."""
    success = columns.get("success")
    found = {}
    for row, cells in enumerate(table.rows):
        if success is not None and _number(table, row, success) == 0:
            continue
        numbers = face(np.array([_number(table, row, columns[name]) for name in names]))
        if numbers is not None and all(map(math.isfinite, numbers)):
            found[_image_number(table, row, cells[columns[FRAME]])] = numbers
    return found


def _eyes(numbers: np.ndarray) -> Numbers | None:
    distance = math.hypot(numbers[2] - numbers[0], numbers[3] - numbers[1])
    return tuple(numbers.tolist()) if distance >= MIN_EYE_DISTANCE else None


def _openface_eyes(numbers: np.ndarray) -> Numbers | None:
    xs, ys = numbers.reshape(2, 2, 6).mean(axis=2)  # (axis, eye, point)
    return _eyes(np.array([xs[0], ys[0], xs[1], ys[1]]))


def _box(numbers: np.ndarray) -> Numbers | None:
    return tuple(numbers.tolist()) if min(numbers[2:]) >= 2 * MIN_EYE_DISTANCE else None


def _number(table: CsvTable, row: int, column: int) -> float:
    text = table.rows[row][column].strip()
    try:
        return float(text) if text else math.nan
    except ValueError:
        raise table.error(row, f"column {table.header[column]!r} is {text!r}, not a number") from None


def _image_number(table: CsvTable, row: int, text: str) -> int:
    try:
        return int(float(text))
    except (ValueError, OverflowError):
        raise table.error(row, f"the frame number is {text!r}") from None
