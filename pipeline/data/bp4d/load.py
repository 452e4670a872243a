"""From a folder in BP4D's layout to face crops with labels: find, index, prepare once, open."""

import hashlib
import os
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from pipeline.action_units.labels import AuSet
from pipeline.data.bp4d.folds import check_folds
from pipeline.data.bp4d.index import FrameIndex, check_missing, index_frames
from pipeline.data.bp4d.layout import Layout, find_layout
from pipeline.data.bp4d.prepare import Bp4dConfig, prepared_records
from pipeline.data.records import RecordImages
from pipeline.faces.crop import CropRecipe
from pipeline.runs.progress import counted

MAX_IN_MEMORY_BYTES = 400_000_000  # larger sets stay on disk


def read_faces(root: Path, data: Any, terminal: TextIO | None = None) -> AuSet:
    """All frames of the folder `root`, as the config section `data` wants them, ordered by subject, task and frame.

    Their crops are prepared once, in TFDS's folder, and again if their source changes or the prepared files are
    damaged. Progress goes to `terminal`.

    Raises:
        UserError: a file that cannot be used, more missing than `max_missing` allows, or subjects that cannot be split
            into the folds.
        RunFailed: the disk is full.
    """
    found, index = index_faces(root, data)
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


def index_faces(root: Path, data: Any) -> tuple[Layout, FrameIndex]:
    """Where everything is and which frames there are: all that can be known before minutes go into cropping.

    Raises:
        UserError: as `read_faces`, but for images that cannot be read.
    """
    found = find_layout(root)
    index = index_frames(found, data.aus, data.frame_step, getattr(data, "frame_offset", 0))
    check_missing(index.missing, index.coded, data.max_missing)
    check_folds(index.subjects.tolist(), data)
    return found, index


def _config(data: Any, found: Layout, index: FrameIndex, recipe: CropRecipe, terminal: TextIO | None) -> Bp4dConfig:
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
    """8 hex digits of everything crops and labels depend on; file size and time of change stand for the pixels."""
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
    """int64 (N, 2): bytes of every image and when it was last changed, in ns; 0 if it is not a file."""
    stamps = np.zeros((len(index), 2), dtype=np.int64)
    for row, file in enumerate(index.files):
        try:
            status = os.stat(os.path.join(found.images, file))
        except OSError:
            continue
        stamps[row] = status.st_size, status.st_mtime_ns
    return stamps


def _in_memory(images: RecordImages) -> np.ndarray | RecordImages:
    return images[:] if np.prod(images.shape) <= MAX_IN_MEMORY_BYTES else images
