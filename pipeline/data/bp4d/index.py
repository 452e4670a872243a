"""Which coded frame of a BP4D folder has which image, and what is missing."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pipeline.action_units.labels import UNKNOWN
from pipeline.data.bp4d import layout
from pipeline.data.bp4d.layout import Layout
from pipeline.data.bp4d.occurrences import read_occurrences
from pipeline.errors import UserError

IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
NUMBERED = re.compile(r"(?P<prefix>|[^\W\d_](?:.*[^0-9])?)(?P<number>[0-9]+)")
NAMES = "8.jpg, 0008.jpg, or frame_0008.jpg with the same words before all numbers of a folder"
EXAMPLES = 5
NO_IMAGE, UNREADABLE, NO_ROW = "coded frames without an image", "unreadable images", "images without a label row"
NO_LABELS, SECOND_IMAGE = "image folders without a label file", "second images of a frame"
NO_NUMBER = "images whose names are not read as numbers"


@dataclass
class Tally:
    """How often things are missing, by reason, with the first examples of each."""

    counts: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[str]] = field(default_factory=dict)

    def add(self, reason: str, names: Sequence[str]) -> None:
        """Count `names` under `reason`."""
        if names:
            self.counts[reason] = self.counts.get(reason, 0) + len(names)
            examples = self.examples.setdefault(reason, [])
            examples.extend(names[: EXAMPLES - len(examples)])

    def plus(self, other: "Tally") -> "Tally":
        """The sum of both."""
        total = Tally(dict(self.counts), {reason: list(names) for reason, names in self.examples.items()})
        for reason, count in other.counts.items():
            total.add(reason, other.examples[reason])
            total.counts[reason] += count - len(other.examples[reason])
        return total

    def to_dict(self) -> dict[str, dict]:
        """{reason: {"count": n, "examples": [...]}}."""
        return {reason: {"count": n, "examples": self.examples[reason]} for reason, n in self.counts.items()}

    @classmethod
    def from_dict(cls, values: dict[str, dict]) -> "Tally":
        """What `to_dict` gave."""
        counts = {reason: value["count"] for reason, value in values.items()}
        return cls(counts, {reason: list(value["examples"]) for reason, value in values.items()})


@dataclass(frozen=True)
class FrameIndex:
    """The N coded frames with an image, ordered by subject, task and frame; labels uint8 (N, A).

    `files` are paths below the image folder. `coded` counts the coded frames with and without an image.
    """

    subjects: np.ndarray
    tasks: np.ndarray
    frames: np.ndarray
    files: list[str]
    labels: np.ndarray
    clean_labels: np.ndarray | None
    coded: int
    missing: Tally

    def __len__(self) -> int:
        return len(self.files)


def index_frames(found: Layout, aus: Sequence[int], frame_step: int = 1, frame_offset: int = 0) -> FrameIndex:
    """Every `frame_step`-th coded frame of every sequence that has an image, whose number is the frame's + offset.

    Raises:
        UserError: a label file cannot be used, or no coded frame has an image.
    """
    missing = Tally()
    parts = [_sequence(found, name, aus, frame_step, frame_offset, missing) for name in sorted(found.labels)]
    missing.add(NO_LABELS, [folder for name, folder in found.folders.items() if name not in found.labels])
    coded = sum(part.coded for part in parts)
    files = [file for part in parts for file in part.files]
    if not files:
        raise UserError(_no_image(found, coded, missing))
    arrays = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("subjects", "tasks", "frames", "labels")
    }
    clean = np.concatenate([part.clean_labels for part in parts]) if found.clean else None
    return FrameIndex(**arrays, files=files, clean_labels=clean, coded=coded, missing=missing)


def check_missing(missing: Tally, coded: int, max_missing: float) -> None:
    """Raise UserError if more than the share `max_missing` of the `coded` frames has no image that can be read."""
    absent, unreadable = (missing.counts.get(reason, 0) for reason in (NO_IMAGE, UNREADABLE))
    if absent + unreadable > max_missing * coded:
        examples = [name for reason in (NO_IMAGE, UNREADABLE) for name in missing.examples.get(reason, ())]
        raise UserError(
            f"{absent} of {coded} coded frames have no image and {unreadable} an unreadable one, more than "
            f"data.max_missing = {max_missing} allows. First: {', '.join(examples)}. Complete the images, or raise it"
        )


def _sequence(
    found: Layout, name: layout.Sequence, aus: Sequence[int], step: int, offset: int, missing: Tally
) -> FrameIndex:
    """The index of one sequence; what it lacks is added to `missing`."""
    subject, task = name
    images = _images(found, name, missing)
    frames, labels = read_occurrences(found.labels[name], aus)
    rows = set((frames + offset).tolist())
    missing.add(NO_ROW, [file for number, file in images.items() if number not in rows])
    frames, labels = frames[::step], labels[::step]
    there = np.array([number in images for number in (frames + offset).tolist()], dtype=bool)
    missing.add(NO_IMAGE, [f"{subject}/{task}/{frame}" for frame in frames[~there]])
    files = [images[number] for number in (frames[there] + offset).tolist()]
    clean = _clean(found, name, aus, frames[there]) if found.clean else None
    names = (np.full(len(files), part) for part in name)
    return FrameIndex(*names, frames[there], files, labels[there], clean, len(frames), missing)


def image_number(file: str) -> int:
    """The number of an image that is in the index, from its name."""
    return int(NUMBERED.fullmatch(Path(file).stem)["number"])


def _images(found: Layout, name: layout.Sequence, missing: Tally) -> dict[int, str]:
    """{number: path below the image folder} of the images of a sequence, however the numbers are padded.

    Names are numbers; if none is, all have the same words before the number.
    """
    images: dict[int, str] = {}
    folder = found.folders.get(name)
    entries = layout.names_in(found.images / folder) if folder else ()
    names = [entry for entry in entries if _is_image(entry)]
    matches = {entry: NUMBERED.fullmatch(os.path.splitext(entry)[0]) for entry in names}
    prefixes = {match["prefix"] for match in matches.values() if match}
    prefix = min(prefixes) if "" in prefixes or len(prefixes) == 1 else None
    for entry, match in matches.items():
        file = f"{folder}/{entry}"
        if match is None or match["prefix"] != prefix:
            missing.add(NO_NUMBER, [file])
        elif images.setdefault(int(match["number"]), file) != file:
            missing.add(SECOND_IMAGE, [file])
    return images


def _is_image(entry: str) -> bool:
    return not entry.startswith(".") and os.path.splitext(entry)[1].lower() in IMAGE_ENDINGS


def _no_image(found: Layout, coded: int, missing: Tally) -> str:
    """The message if no coded frame has an image: which are coded, which images are there, what names are read."""
    message = f"{found.root}: none of the {coded} coded frames has an image in {found.images}"
    for reason in (NO_IMAGE, NO_NUMBER, NO_ROW):
        if reason in missing.counts:
            message += f"; {missing.counts[reason]} {reason}, first {missing.examples[reason][0]}"
    return f"{message}. Names that are read: {NAMES} ({', '.join(IMAGE_ENDINGS)}); data.frame_offset shifts the numbers"


def _clean(found: Layout, name: layout.Sequence, aus: Sequence[int], frames: np.ndarray) -> np.ndarray:
    """The clean labels uint8 (n, A) of `frames`; UNKNOWN where none are given."""
    clean = np.full((len(frames), len(aus)), UNKNOWN, dtype=np.uint8)
    if name in found.clean and len(frames):
        known, labels = read_occurrences(found.clean[name], aus)
        _, here, there = np.intersect1d(frames, known, assume_unique=True, return_indices=True)
        clean[here] = labels[there]
    return clean
