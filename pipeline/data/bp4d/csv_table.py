"""CSV files as they come: byte-order marks, CRLF, blank lines, columns in any order; errors name file and line."""

import codecs
import csv
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import UserError

UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True)
class CsvTable:
    """The header's cells, the rows' cells, and the number of the line of every row; cells without outer blanks."""

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
        UserError: the file cannot be read, is no text, is empty, or has a row with fewer cells than the header.
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
        raise UserError(f"{path}:{reader.line_num}: no CSV ({error})") from error
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
