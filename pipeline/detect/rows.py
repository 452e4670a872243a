"""Rows as CSV in OpenFace's manner, and as JSON lines; docs/detect.md explains the columns."""

import csv
import io
import json
import re
from collections.abc import Iterable, Sequence

from pipeline.detect.detector import Face
from pipeline.detect.lines import LineFile
from pipeline.detect.outputs import Observation, Output

NO_FACE = -1


class CsvRows(Output):
    """A row for every face and for every frame without one; `names` are the columns that name the source, if any."""

    def __init__(self, name: str, names: Sequence[str], labels: Sequence[str]):
        self._file, self._names, self._labels = LineFile(name), names, tuple(labels)
        units = [f"{column_name(label)}_{kind}" for kind in "pc" for label in labels]
        self._file.write(",".join([*names, *COLUMNS, *units]))

    def write(self, seen: Observation) -> None:
        """The rows of a frame."""
        where = [seen.source.name if seen.source.kind == kind else "" for kind in self._names]
        for face in seen.faces or [None]:
            time = "" if seen.timestamp is None else f"{seen.timestamp:.3f}"
            self._file.write(_joined([*where, seen.number, *_face_cells(face, time), *self._au_cells(face)]))

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _au_cells(self, face: Face | None) -> Iterable[object]:
        if face is None or not face.success:
            return [""] * 2 * len(self._labels)
        probabilities = [f"{face.probabilities[label]:.4f}" for label in self._labels]
        return probabilities + [int(face.present[label]) for label in self._labels]


class JsonRows(Output):
    """A line for every frame, with all its faces."""

    def __init__(self, name: str):
        self._file = LineFile(name)

    def write(self, seen: Observation) -> None:
        """The line of a frame."""
        line = {seen.source.kind: seen.source.name, "frame": seen.number, "timestamp": _rounded(seen.timestamp, 3)}
        if seen.error:
            line["error"] = seen.error
        self._file.write(json.dumps(line | {"faces": [_face_object(face) for face in seen.faces]}))

    def close(self) -> None:
        """Close the file."""
        self._file.close()


COLUMNS = ("frame", "face_id", "timestamp", "confidence", "success", "x", "y", "w", "h")


def column_name(label: str) -> str:
    """AU1 as OpenFace writes it: AU01."""
    return re.sub(r"^AU(\d)$", r"AU0\1", label)


def _face_cells(face: Face | None, time: str) -> list[object]:
    if face is None:
        return [NO_FACE, time, 0, 0, "", "", "", ""]
    return [face.id, time, f"{face.confidence:.3f}", int(face.success), *(f"{value:.1f}" for value in face.box)]


def _joined(cells: Iterable[object]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="").writerow(cells)
    return buffer.getvalue()


def _face_object(face: Face) -> dict:
    return {
        "face_id": face.id,
        "confidence": _rounded(face.confidence, 3),
        "success": int(face.success),
        "box": [_rounded(value, 1) for value in face.box],
        "eyes": [[_rounded(value, 2) for value in eye] for eye in face.landmarks],
        "probabilities": {label: _rounded(value, 4) for label, value in face.probabilities.items()},
        "present": [label for label, there in face.present.items() if there],
    }


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
