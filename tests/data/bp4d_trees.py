"""Folders in BP4D's layout with everything that is irregular in the real one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np

SUBJECTS = ("F001", "F003", "F004", "M001", "M002", "M003")
HEADER_AUS = (1, 2, 4, 5, 6, 7, 9, 10, 11, 12, 14, 15, 17, 23, 24, 45, 99)  # 45 is not coded, the last is no AU
AUS = (1, 2, 4, 6, 7, 10, 12, 14, 15, 17, 23, 24)
FIRST_FRAME = 8


def labels_of(subject: str, task: str, frames: Sequence[int]) -> np.ndarray:
    """uint8 (n, 17): codes 0, 1 and a few 9s, the same for the same names; AU45 and 99 all unknown."""
    seed = sum(ord(letter) for letter in subject + task)
    labels = np.random.default_rng(seed).choice([0, 1, 9], size=(len(frames), len(HEADER_AUS)), p=[0.6, 0.37, 0.03])
    labels[:, -2:] = 9
    return labels.astype(np.uint8)


def face_image(seed: int, height: int = 60, width: int = 80) -> np.ndarray:
    """A smooth RGB image uint8 (H, W, 3) that differs by seed."""
    small = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


def write_image(path: Path, image: np.ndarray) -> None:
    """Write an RGB or grey image in the format of the ending."""
    path.parent.mkdir(parents=True, exist_ok=True)
    stored = cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if image.ndim == 3 else image
    assert cv2.imwrite(str(path), stored)


def write_labels(path: Path, frames: Sequence[int], labels: np.ndarray, header: Sequence[int] = HEADER_AUS) -> None:
    """A label file as BP4D has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [",".join(map(str, (0, *header)))]
    rows += [",".join(map(str, (frame, *row))) for frame, row in zip(frames, labels.tolist(), strict=True)]
    path.write_text("\n".join(rows) + "\n")


@dataclass(frozen=True)
class Tree:
    """What to write; `name` makes the stem of an image from its number."""

    subjects: Sequence[str] = SUBJECTS
    tasks: Sequence[str] = ("T1", "T2")
    frames: int = 4
    images: str = "Sequences(2D+3D)"
    labels: str = "AUCoding/AU_OCC"
    name: Callable[[int], str] = "{:03d}".format
    landmarks: bool = True
    clean: bool = False
    paint: Callable[[int], np.ndarray] = field(default=face_image)


def write_tree(root: Path, tree: Tree = Tree()) -> Path:
    """Write the tree into `root`: images, label files, and eyes in Landmarks/."""
    frames = range(FIRST_FRAME, FIRST_FRAME + tree.frames)
    seed = 0
    for subject in tree.subjects:
        for task in tree.tasks:
            labels = labels_of(subject, task, frames)
            write_labels(root / tree.labels / f"{subject}_{task}.csv", frames, labels)
            if tree.clean:
                clean = np.where(labels == 9, 0, labels)
                write_labels((root / tree.labels).parent / "AU_OCC_clean" / f"{subject}_{task}.csv", frames, clean)
            for frame in frames:
                write_image(root / tree.images / subject / task / f"{tree.name(frame)}.jpg", tree.paint(seed))
                seed += 1
            if tree.landmarks:
                write_landmarks(root / "Landmarks" / f"{subject}_{task}.csv", frames)
    return root


def write_landmarks(path: Path, frames: Sequence[int], eyes: Sequence[float] = (32, 25, 48, 25)) -> None:
    """Eyes in pixels, the same in every frame."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [f"{frame}," + ",".join(map(str, eyes)) for frame in frames]
    path.write_text("\n".join(["frame,right_eye_x,right_eye_y,left_eye_x,left_eye_y", *rows]) + "\n")


def section(root: Path | None, **changes: object) -> SimpleNamespace:
    """A config section `data`, as the schema fills it in, but without folds: a tree may have one subject."""
    crop = SimpleNamespace(side=3.2, eye_line=0.38, detector=False)
    values = {
        "name": "bp4d",
        "root": root and str(root),
        "aus": list(AUS),
        "image_size": 24,
        "grey": False,
        "crop": crop,
    }
    values |= {"frame_step": 1, "frame_offset": 0, "max_missing": 0.05}
    values |= {"folds": [], "parts": None, "val_fraction": 0.15, "rendered": False} | changes
    return SimpleNamespace(**values, au_names=tuple(f"AU{number}" for number in values["aus"]))
