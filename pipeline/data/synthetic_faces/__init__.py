"""Faces rendered with known action units, in BP4D's layout (docs/synthetic_faces.md)."""

from pathlib import Path
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from pipeline.data.synthetic_faces.writer import SyntheticData


def ensure_rendered(data: "SyntheticData", terminal: TextIO | None = None) -> Path:
    """The folder of the rendered faces that the config section `data` asks for, see writer.ensure_rendered."""
    from pipeline.data.synthetic_faces import writer

    return writer.ensure_rendered(data, terminal)
