"""From the config section `data` to a set of face crops: find, index, prepare once, open."""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np

from pipeline.data.au_set import AuSet
from pipeline.data.bp4d.folds import fold_split
from pipeline.data.bp4d.frame_index import FrameIndex, check_missing, index_frames
from pipeline.data.bp4d.layout import Layout, find_layout
from pipeline.data.bp4d.prepare import prepared_records
from pipeline.data.counter import counted
from pipeline.data.prepared import bp4d_folder
from pipeline.data.record_images import RecordImages
from pipeline.faces.crop import CropRecipe

if TYPE_CHECKING:
    from pipeline.data.bp4d.builder import Bp4dConfig

IN_MEMORY_BYTES = 400_000_000  # larger sets stay on the disk


def load_aus(data: Any, terminal: TextIO | None = None) -> AuSet:
    """All frames of the data set that the config section `data` describes, ordered by subject, task and frame.

    Their crops are prepared once, in TFDS's folder, and prepared again if the folder they come from changes or the
    prepared files are damaged. Progress goes to `terminal`.

    Raises:
        UserError: no data set, a file in it that cannot be used, more missing than `max_missing` allows, or subjects
            that cannot be split into the folds.
        RunFailed: the disk is full.
    """
    found = find_layout(_root(data, terminal))
    index = index_frames(found, data.aus, data.frame_step, getattr(data, "frame_offset", 0))
    check_missing(index.missing, index.coded, data.max_missing)
    _check_folds(index.subjects.tolist(), data)
    recipe = CropRecipe(data.image_size, data.crop.side, data.crop.eye_line, data.grey)
    table, crop, unreadable = prepared_records(_config(data, found, index, recipe, terminal), terminal)
    missing = index.missing.plus(unreadable)
    check_missing(missing, index.coded, data.max_missing)
    columns = table.columns
    return AuSet(
        images=_in_memory(RecordImages.of(table, recipe.shape)),
        labels=columns["labels"].astype(np.uint8),
        clean_labels=columns["clean_labels"].astype(np.uint8) if "clean_labels" in columns else None,
        subjects=columns["subject"],
        tasks=columns["task"],
        frames=columns["frame"][:, 0],
        au_names=data.au_names,
        crop=crop,
        skipped=missing.to_dict(),
    )


def _root(data: Any, terminal: TextIO | None) -> Path:
    """The folder in BP4D's layout; synthetic faces are rendered first."""
    if data.name == "synthetic_faces":
        from pipeline.data.synthetic_faces import ensure_rendered
        from pipeline.data.synthetic_faces.sequences import SUBJECTS

        _check_folds(SUBJECTS[: data.subjects], data)
        return ensure_rendered(data, terminal)
    return bp4d_root(data)


def bp4d_root(data: Any) -> Path:
    """Where BP4D is looked for: the config's root, or the usual place."""
    return Path(data.root).expanduser() if data.root is not None else bp4d_folder()


def _check_folds(subjects: Iterable[str], data: Any) -> None:
    """Raise UserError if a fold cannot be split; before minutes go into rendering and cutting out."""
    for fold in data.folds:
        fold_split(subjects, fold, data.parts, data.val_fraction, seed=1)


def _config(data: Any, found: Layout, index: FrameIndex, recipe: CropRecipe, terminal: TextIO | None) -> "Bp4dConfig":
    from pipeline.data.bp4d.builder import Bp4dConfig

    colours = "grey" if recipe.grey else "rgb"
    shape = f"{recipe.size}px-{colours}-side{recipe.side:g}-eyes{recipe.eye_line:g}-step{data.frame_step}"
    return Bp4dConfig(
        name=f"{shape}-{_fingerprint(found, index, data)}",
        found=found,
        index=index,
        recipe=recipe,
        use_detector=data.crop.detector,
        max_missing=data.max_missing,
        au_names=data.au_names,
        progress=counted(terminal),
    )


def _fingerprint(found: Layout, index: FrameIndex, data: Any) -> str:
    """8 hex digits of all that crops and labels depend on; size and time of change stand for the images' pixels."""
    digest = hashlib.sha256()
    names = [*index.subjects.tolist(), *index.tasks.tolist(), *index.files]
    settings = (str(found.images.resolve()), data.au_names, data.crop.detector, names)
    digest.update(repr(settings).encode())
    for array in (index.frames, index.labels, index.clean_labels, _stamps(found, index)):
        digest.update(b"none" if array is None else array.tobytes())
    for paths in found.places.values():
        for path in paths:
            digest.update(path.read_bytes())
    return digest.hexdigest()[:8]


def _stamps(found: Layout, index: FrameIndex) -> np.ndarray:
    """int64 (N, 2): bytes of every image and when it was last changed, in ns; 0 of one that is no file."""
    stamps = np.zeros((len(index), 2), dtype=np.int64)
    for row, file in enumerate(index.files):
        try:
            status = os.stat(os.path.join(found.images, file))
        except OSError:
            continue
        stamps[row] = status.st_size, status.st_mtime_ns
    return stamps


def _in_memory(images: RecordImages) -> np.ndarray | RecordImages:
    return images[:] if np.prod(images.shape) <= IN_MEMORY_BYTES else images
