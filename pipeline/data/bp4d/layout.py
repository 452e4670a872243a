"""Where a BP4D folder keeps its images, its labels and, if there are any, its landmarks and boxes."""

import os
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import UserError

IMAGE_FOLDERS = ("Sequences(2D+3D)", "Sequences", "BP4D-training", "BP4D/img", "img", "images", "2D+3D", ".")
LABEL_FOLDERS = ("AUCoding/AU_OCC", "AUCoding", "AU_OCC", "label", "labels", ".")
PLACE_FOLDERS = ("Landmarks", "Boxes")
PACKED_IN = (".", "BP4D", "BP4D-training")  # folders that an unpacked archive puts around the others
CLEAN = "AU_OCC_clean"
FRAME = "frame"  # the column with the numbers of the frames
EYES = ("right_eye_x", "right_eye_y", "left_eye_x", "left_eye_y")  # the subject's right eye
TASK = re.compile(r"T\d+", re.IGNORECASE)
SEQUENCE_FILE = re.compile(rf"(?P<subject>[^_.][^_]*)_(?P<task>{TASK.pattern})\.csv", re.IGNORECASE)

Sequence = tuple[str, str]  # subject and task, such as ("F001", "T1")


@dataclass(frozen=True)
class Layout:
    """The folders of a data set; `labels`, `clean` and `places` map a sequence to its CSV file(s).

    `folders` are the sequences' folders below `images`. Sequences are in upper case, whatever the disk has.
    """

    root: Path
    images: Path
    folders: dict[Sequence, str]
    labels: dict[Sequence, Path]
    clean: dict[Sequence, Path]
    places: dict[Sequence, tuple[Path, ...]]


def find_layout(root: Path) -> Layout:
    """The layout of the data set in `root`.

    Raises:
        UserError: no label files or no image folder (says what to request and where it was looked for), or two
            files or folders of the same sequence, or a folder that cannot be read.
    """
    names_in(root)
    label_folders = _candidates(root, LABEL_FOLDERS)
    label_folder = next((folder for folder in label_folders if sequence_files(folder)), None)
    if label_folder is None:
        raise UserError(missing_bp4d(root, "no folder with label files such as F001_T1.csv", label_folders))
    labels = sequence_files(label_folder)
    image_folders = _candidates(root, IMAGE_FOLDERS)
    images = next((folder for folder in image_folders if labels.keys() & sequence_folders(folder, labels).keys()), None)
    if images is None:
        subject, task = next(iter(labels))
        reason = f"label files in {label_folder}, but no folder with images such as {subject}/{task}/"
        raise UserError(missing_bp4d(root, reason, image_folders))
    clean = sequence_files(label_folder.parent / CLEAN)
    return Layout(root, images, sequence_folders(images, labels), labels, clean, _place_files(root))


def sequence_files(folder: Path) -> dict[Sequence, Path]:
    """{(subject, task): file} of the files called like F001_T1.csv in a folder, sorted; {} if there is no folder.

    Raises:
        UserError: two names differ only in case, or the folder cannot be read.
    """
    matches = ((SEQUENCE_FILE.fullmatch(name), folder / name) for name in names_in(folder))
    return _once(((match["subject"], match["task"]), path) for match, path in matches if match)


def sequence_folders(images: Path, labelled: Collection[Sequence]) -> dict[Sequence, str]:
    """{(subject, task): path below `images`} of the folders such as F001/T1, sorted; {} if there is no folder.

    Raises:
        UserError: two names differ only in case, or the folder of a subject with labels cannot be read.
    """
    subjects = {subject for subject, _ in labelled}
    found = _once(
        ((subject, task), images / subject / task)
        for subject in names_in(images)
        for task in (names_in if subject.upper() in subjects else _readable_names_in)(images / subject)
        if TASK.fullmatch(task)
    )
    return {sequence: path.relative_to(images).as_posix() for sequence, path in found.items()}


def names_in(folder: Path) -> list[str]:
    """What is in a folder, sorted; [] if there is no such folder.

    Raises:
        UserError: it is there and cannot be read: no permission, a link that leads to itself.
    """
    try:
        return sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise UserError(f"{folder}: the folder cannot be read ({error.strerror}). Repair or remove it") from error


def _readable_names_in(folder: Path) -> list[str]:
    """What is in a folder that may be nobody's business, such as lost+found."""
    try:
        return names_in(folder)
    except UserError:
        return []


def missing_bp4d(root: Path, reason: str, looked: Iterable[Path]) -> str:
    """The message for a user without BP4D: what is missing, how to get it, and what works without it."""
    found = sorted(path.name for path in root.iterdir() if path.is_dir()) if root.is_dir() else None
    absent = "it is not a folder" if root.exists() else "it does not exist"
    state = f"its folders: {', '.join(found[:20]) or 'none'}" if found is not None else absent
    lines = [
        f"BP4D was not found in {root}: {reason} ({state}). Looked at:",
        *(f"  {path}" for path in looked),
        "Do one of:",
        f"  request BP4D-Spontaneous from Binghamton University (a signed agreement), and unpack it to {root} or set",
        f"  data.root to its folder; it holds {IMAGE_FOLDERS[0]}/F001/T1/2440.jpg and {LABEL_FOLDERS[0]}/F001_T1.csv",
        "  run qat_configs/synthetic_faces.yaml instead: the same experiment on faces rendered on the spot",
    ]
    return "\n".join(lines)


def _candidates(root: Path, names: tuple[str, ...]) -> list[Path]:
    return list(dict.fromkeys(root / outer / name for outer in PACKED_IN for name in names))


def _once(found: Iterable[tuple[Sequence, Path]]) -> dict[Sequence, Path]:
    """The paths by sequence in upper case; UserError if one sequence has two."""
    paths: dict[Sequence, Path] = {}
    for (subject, task), path in found:
        other = paths.setdefault((subject.upper(), task.upper()), path)
        if other != path:
            raise UserError(f"{path} and {other} are the same sequence, as case is ignored. Keep one of them")
    return paths


def _place_files(root: Path) -> dict[Sequence, tuple[Path, ...]]:
    """The CSV files with landmarks and boxes of every sequence; landmarks come first."""
    found: dict[Sequence, tuple[Path, ...]] = {}
    for sequence, path in _all_places(root):
        found[sequence] = (*found.get(sequence, ()), path)
    return found


def _all_places(root: Path) -> Iterator[tuple[Sequence, Path]]:
    for folder in _candidates(root, PLACE_FOLDERS):
        yield from sequence_files(folder).items()
