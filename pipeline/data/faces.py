"""The data sets of faces with action units a config can name: BP4D, and faces rendered in its layout.

Both are read by the one reader of BP4D's layout; rendered faces are made first.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from pipeline.action_units.labels import AU_NUMBERS, AuSet
from pipeline.data.bp4d.folds import check_folds
from pipeline.data.bp4d.load import index_faces, read_faces
from pipeline.data.prepared import bp4d_folder
from pipeline.data.synthetic_faces.sequences import SUBJECTS, all_sequences, presence
from pipeline.data.synthetic_faces.writer import check_rendered, ensure_rendered, render_settings


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


@dataclass(frozen=True)
class NoImages:
    """Images of which the shape (N, H, W, C) is known, and nothing else."""

    shape: tuple[int, ...]

    def __len__(self) -> int:
        return self.shape[0]

    def subset(self, index: np.ndarray) -> "NoImages":
        """Those at the ascending integers or in the mask `index`."""
        return NoImages((len(np.arange(len(self))[index]), *self.shape[1:]))


def list_aus(data: Any) -> AuSet:
    """What `load_aus` would give, without images: nothing is rendered, decoded or written.

    Raises:
        UserError: as `load_aus`, but for images that cannot be read.
    """
    listed = _to_be_rendered(data) if data.rendered else _indexed(data)
    shape = (len(listed["labels"]), data.image_size, data.image_size, 1 if data.grey else 3)
    return AuSet(NoImages(shape), **listed, au_names=data.au_names)


def _indexed(data: Any) -> dict[str, np.ndarray | None]:
    _, index = index_faces(bp4d_root(data), data)
    return {name: getattr(index, name) for name in ("labels", "clean_labels", "subjects", "tasks", "frames")}


def _to_be_rendered(data: Any) -> dict[str, np.ndarray]:
    check_folds(SUBJECTS[: data.subjects], data)
    check_rendered(data)
    sequences = [(each, slice(None, None, data.frame_step)) for each in all_sequences(render_settings(data))]
    counts = [len(each.frames[step]) for each, step in sequences]
    columns = [AU_NUMBERS.index(au) for au in data.aus]
    labels = presence(np.concatenate([each.intensities[step] for each, step in sequences]))[:, columns]
    return {
        "labels": labels,
        "clean_labels": labels,
        "subjects": np.repeat([each.subject for each, _ in sequences], counts),
        "tasks": np.repeat([each.task for each, _ in sequences], counts),
        "frames": np.concatenate([each.frames[step] for each, step in sequences]),
    }


def bp4d_root(data: Any) -> Path:
    """Where BP4D is looked for: the config's root, or the usual folder."""
    return Path(data.root).expanduser() if data.root is not None else bp4d_folder()
