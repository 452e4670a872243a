"""Render a data set into a folder in BP4D's layout: resumable, in parallel, the same for any number of processes."""

import hashlib
import json
import os
import shutil
from collections.abc import Collection, Iterator
from collections.abc import Sequence as Items
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TextIO

import numpy as np

from pipeline.action_units.labels import AU_NUMBERS
from pipeline.action_units.noise import annotate
from pipeline.data.bp4d.layout import CLEAN, IMAGE_FOLDERS, LABEL_FOLDERS, PLACE_FOLDERS, names_in
from pipeline.data.prepared import manual_folder
from pipeline.data.synthetic_faces.sequences import SUBJECTS, TASKS, RenderSettings, Sequence, all_sequences, presence
from pipeline.data.synthetic_faces.workers import render_all
from pipeline.errors import UserError
from pipeline.runs.files import TEMPORARY, check_writable, clear_disk_errors, read_json, write_json
from pipeline.runs.lock import locked
from pipeline.runs.progress import counted

ANNOTATOR_STRENGTH, ANNOTATOR_SEED = 1.0, 0
COMPLETE, LOCK = "rendered.json", ".lock"
PROGRESS = "rendering synthetic faces, sequences"


class SyntheticData(Protocol):
    """The config section that says what to render."""

    root: str | None
    subjects: int
    frames: int
    render_size: int
    render_seed: int


def ensure_rendered(data: SyntheticData, terminal: TextIO | None = None) -> Path:
    """The folder of the rendered faces; missing ones are rendered first. Progress goes to `terminal`.

    Raises:
        UserError: the folder cannot be written, or holds other data.
        RunFailed: the disk is full; what is rendered stays.
    """
    root = _root_of(data)
    write_faces(root, render_settings(data), terminal)
    return root


def check_rendered(data: SyntheticData) -> None:
    """Raise UserError if the folder for the faces cannot be written or holds other data; nothing is rendered."""
    root, settings = _root_of(data), render_settings(data)
    if _is_complete(root, settings):
        return
    check_writable(root)
    if root.exists():
        _check_content(root, settings)


def render_settings(data: SyntheticData) -> RenderSettings:
    """What is rendered for a config section."""
    return RenderSettings(data.subjects, data.frames, data.render_size, data.render_seed)


def _root_of(data: SyntheticData) -> Path:
    name = f"synthetic_faces-{settings_hash(render_settings(data))}"
    return Path(data.root).expanduser() if data.root else manual_folder() / name


def settings_hash(settings: RenderSettings) -> str:
    """8 hexadecimal digits of the settings and the renderer's version."""
    return hashlib.sha256(json.dumps(settings.facts(), sort_keys=True).encode()).hexdigest()[:8]


def write_faces(
    root: Path, settings: RenderSettings, terminal: TextIO | None = None, workers: int | None = None
) -> None:
    """Render what is missing in `root`, in `workers` processes (None: one per core); raises like ensure_rendered."""
    if _is_complete(root, settings):
        return
    with _clear_errors(root), locked(root / LOCK, wait=True):
        if _is_complete(root, settings):
            return
        _claim(root, settings)
        sequences = all_sequences(settings)
        _write_labels(root, sequences)
        lacking = _lacking(root, settings)
        _remove_unfinished(root / IMAGE_FOLDERS[0], lacking)
        missing = [sequence for sequence in sequences if (sequence.subject, sequence.task) in lacking]
        rendered = render_all(root, settings, missing, workers or len(os.sched_getaffinity(0)))
        for _ in counted(terminal)(rendered, len(missing), PROGRESS):
            pass
        write_json(root / COMPLETE, settings.facts() | {"complete": True})


def _is_complete(root: Path, settings: RenderSettings) -> bool:
    if read_json(root / COMPLETE) != settings.facts() | {"complete": True}:
        return False
    return _has_labels(root, settings.subjects * len(TASKS)) and not _lacking(root, settings)


def _has_labels(root: Path, sequences: int) -> bool:
    folders = (root / LABEL_FOLDERS[0], (root / LABEL_FOLDERS[0]).with_name(CLEAN))
    return all(_count(folder, ".csv") >= sequences for folder in folders)


def _lacking(root: Path, settings: RenderSettings) -> set[tuple[str, str]]:
    """The subjects and tasks of the sequences whose images or eye positions are not all there."""
    places = set(names_in(root / PLACE_FOLDERS[0]))
    return {
        (subject, task)
        for subject in SUBJECTS[: settings.subjects]
        for task in TASKS
        if f"{subject}_{task}.csv" not in places
        or _count(root / IMAGE_FOLDERS[0] / subject / task, ".jpg") < settings.frames
    }


def _count(folder: Path, ending: str) -> int:
    return sum(name.endswith(ending) for name in names_in(folder))


def _claim(root: Path, settings: RenderSettings) -> None:
    """Record what `root` is going to hold; raise UserError if it holds something else."""
    _check_content(root, settings)
    write_json(root / COMPLETE, settings.facts() | {"complete": False})


def _check_content(root: Path, settings: RenderSettings) -> None:
    facts = read_json(root / COMPLETE)
    if facts is None and any(path.name != LOCK for path in root.iterdir()):
        raise UserError(f"{root}: holds other files; give an empty folder or one that this command has begun")
    if facts is not None and {key: facts.get(key) for key in settings.facts()} != settings.facts():
        raise UserError(
            f"{root}: holds faces rendered with other settings ({COMPLETE} there); give another folder or delete it"
        )


def _write_labels(root: Path, sequences: Items[Sequence]) -> None:
    """The CSV files of annotators' and true labels; their common folder appears once all are written."""
    if _has_labels(root, len(sequences)):
        return
    folder = root / LABEL_FOLDERS[0]
    shutil.rmtree(folder.parent, ignore_errors=True)
    names = tuple(f"AU{number}" for number in AU_NUMBERS)
    clean = presence(np.concatenate([sequence.intensities for sequence in sequences]))
    frames = np.concatenate([sequence.frames for sequence in sequences])
    recordings = np.repeat([sequence.name for sequence in sequences], [len(sequence.frames) for sequence in sequences])
    seen = annotate(clean, recordings, frames, names, ANNOTATOR_STRENGTH, ANNOTATOR_SEED)
    temporary = root / f"{TEMPORARY}labels"
    shutil.rmtree(temporary, ignore_errors=True)
    for name, labels in ((folder.name, seen), (CLEAN, clean)):
        (temporary / name).mkdir(parents=True)
        for sequence in sequences:
            rows = recordings == sequence.name
            (temporary / name / f"{sequence.name}.csv").write_text(_csv(frames[rows], labels[rows]))
    os.replace(temporary, folder.parent)


def _csv(frames: np.ndarray, labels: np.ndarray) -> str:
    """BP4D's label file: 0 and the numbers of the action units, then one row per frame."""
    rows = [(0, *AU_NUMBERS), *np.column_stack([frames, labels]).tolist()]
    return "".join(",".join(map(str, row)) + "\n" for row in rows)


def _remove_unfinished(images: Path, lacking: Collection[tuple[str, str]]) -> None:
    """Remove what killed processes left, and incomplete sequences; the lock guarantees that no process is writing them."""
    parts = (images / subject / task for subject, task in lacking)
    for folder in (*images.glob(f"*/{TEMPORARY}*"), *filter(Path.is_dir, parts)):
        shutil.rmtree(folder)


@contextmanager
def _clear_errors(root: Path) -> Iterator[None]:
    """clear_disk_errors, with advice for users who did not name `root` on a command line."""
    try:
        with clear_disk_errors(root):
            yield
    except UserError as error:
        if not isinstance(error.__cause__, OSError):
            raise
        message = (
            f"{error.__cause__}. Rendered faces are kept in {root}: give another folder by data.root or TFDS_DATA_DIR"
        )
        raise UserError(message) from error
