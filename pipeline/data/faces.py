"""The data sets of faces with action units a config can name: BP4D, and faces rendered in its layout.

Both are read by the one reader of BP4D's layout; rendered faces are made first.
"""

from pathlib import Path
from typing import Any, TextIO

from pipeline.action_units.labels import AuSet
from pipeline.data.bp4d.folds import check_folds
from pipeline.data.bp4d.load import read_faces
from pipeline.data.prepared import bp4d_folder
from pipeline.data.synthetic_faces.sequences import SUBJECTS
from pipeline.data.synthetic_faces.writer import ensure_rendered


def load_aus(data: Any, terminal: TextIO | None = None) -> AuSet:
    """All frames of the data set that the config section `data` describes, ordered by subject, task and frame.

    Synthetic faces are rendered first, as far as they are missing. Progress goes to `terminal`.

    Raises:
        UserError: no data set, a file in it that cannot be used, more missing than `max_missing` allows, or subjects
            that cannot be split into the folds.
        RunFailed: the disk is full, or a rendering process was killed.
    """
    if data.rendered:
        check_folds(SUBJECTS[: data.subjects], data)  # before minutes go into rendering
        root = ensure_rendered(data, terminal)
    else:
        root = bp4d_root(data)
    return read_faces(root, data, terminal)


def bp4d_root(data: Any) -> Path:
    """Where BP4D is looked for: the config's root, or the usual folder."""
    return Path(data.root).expanduser() if data.root is not None else bp4d_folder()
