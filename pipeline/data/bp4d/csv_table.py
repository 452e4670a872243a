"""A CSV file as people have it: any usual separator, byte-order marks, columns found by name and never by position."""

import codecs
import csv
import math
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from pipeline.data.bp4d.layout import FRAME
from pipeline.errors import UserError

UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
BYTE_ORDER_MARK = "\ufeff"
SEPARATORS = ",;\t"
WHOLE_NUMBER = re.compile(r"0*(\d{1,15})(\.0*)?", re.ASCII)  # pandas writes 12 as 12.0 where other rows are empty


@dataclass(frozen=True)
class CsvTable:
    """The cells of the header and of the rows, without spaces around them, and each row's line number."""

    path: Path
    header: list[str]
    rows: list[list[str]]
    lines: list[int]

    def error(self, row: int, problem: str) -> UserError:
        """An error that names the file and the line of a row."""
        return UserError(f"{self.path}:{self.lines[row]}: {problem}")

    def columns(self, name: str) -> list[int]:
        """The columns of that name; capitals make no difference."""
        return [column for column, cell in enumerate(self.header) if cell.lower() == name]

    def column(self, name: str) -> int:
        """The one column of that name; UserError if there is none or there are two."""
        found = self.columns(name)
        if len(found) != 1:
            problem = "two columns are" if found else "no column is"
            raise UserError(f"{self.path}: {problem} called {name!r} (header: {', '.join(self.header[:8])})")
        return found[0]

    def frame_column(self, names: Collection[str] = (FRAME,)) -> int:
        """The column with the numbers of the frames: the first of `names` that the header has.

        Raises:
            UserError: there is none, as in a table whose first column has no name, or there are two.
        """
        name = next((name for name in names if self.columns(name)), None)
        if name is not None:
            return self.column(name)
        hint = "; a column without a name may be a count of the rows" if "" in self.header else ""
        if len(self.header) == 1:
            hint = "; columns are separated by commas, semicolons or tabs"
        raise UserError(
            f"{self.path}: no column is called {FRAME!r} (header: {', '.join(map(repr, self.header[:5]))}{hint}). "
            f"Name the column with the numbers of the frames {FRAME!r}"
        )

    def frame(self, row: int, column: int) -> int:
        """The whole number in a cell, also where it is written 12.0."""
        match = WHOLE_NUMBER.fullmatch(self.rows[row][column])
        if match is None:
            raise self.error(row, f"the frame number is {self.rows[row][column]!r}, which is no whole number")
        return int(match[1])

    def number(self, row: int, column: int) -> float:
        """The number in a cell, nan if it is empty."""
        text = self.rows[row][column]
        try:
            if "_" in text:  # float() takes 1_000
                raise ValueError
            return float(text) if text else math.nan
        except ValueError:
            raise self.error(row, f"column {self.header[column]!r} is {text!r}, not a number") from None


def read_csv(path: Path) -> CsvTable:
    """The table in a file separated by commas, semicolons or tabs.

    Raises:
        UserError: the file cannot be read, is not text, is empty, or has a row with fewer or more cells than the header.
    """
    lines = _text(path).splitlines()
    first = next((line for line in lines if line.strip()), "")
    reader = csv.reader(lines, delimiter=max(SEPARATORS, key=first.count), skipinitialspace=True, strict=True)
    header: list[str] | None = None
    rows, numbers = [], []
    try:
        for cells in reader:
            cells = [cell.strip() for cell in cells]
            if not any(cells):
                continue
            if header is None:
                header = cells
                continue
            if len(cells) < len(header) or any(cells[len(header) :]):
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
        return content.decode("utf-16" if content.startswith(UTF16) else "utf-8").lstrip(BYTE_ORDER_MARK)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise UserError(f"{path}:{line}: not text in UTF-8; is it damaged, or another kind of file?") from error
