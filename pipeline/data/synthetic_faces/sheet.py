"""A contact sheet: a person a row, neutral and each action unit at full intensity a column."""

from pathlib import Path

import cv2
import numpy as np

from pipeline.data.au_set import AU_NUMBERS
from pipeline.data.synthetic_faces.person import sample_person
from pipeline.data.synthetic_faces.render import render
from pipeline.data.synthetic_faces.scene import still_scene
from pipeline.run_files import write_bytes

LABEL_HEIGHT = 18


def contact_sheet(people: int, size: int, seed: int, full: float = 1.0) -> np.ndarray:
    """The sheet as uint8 (H, W, 3) RGB; women and men by turns."""
    rows = [_labels(size)]
    for number in range(people):
        rng = np.random.default_rng((seed, number, 1))
        person, scene = sample_person((seed, number), male=number % 2 == 1), still_scene(rng)
        columns = np.concatenate([np.zeros((1, len(AU_NUMBERS))), full * np.eye(len(AU_NUMBERS))])
        rows.append(np.concatenate([render(person, intensities, scene, size, rng)[0] for intensities in columns], 1))
    return np.concatenate(rows)


def write_sheet(path: Path, people: int, size: int, seed: int) -> None:
    """Write the contact sheet as PNG; raises UserError if the path cannot be written."""
    _, data = cv2.imencode(".png", contact_sheet(people, size, seed)[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 9])
    write_bytes(path, data.tobytes())


def _labels(size: int) -> np.ndarray:
    strip = np.full((LABEL_HEIGHT, size * (len(AU_NUMBERS) + 1), 3), 255, np.uint8)
    for column, text in enumerate(["neutral", *(f"AU{number}" for number in AU_NUMBERS)]):
        cv2.putText(
            strip,
            text,
            (column * size + 5, LABEL_HEIGHT - 5),
            cv2.FONT_HERSHEY_SIMPLEX,
            0.42,
            (0, 0, 0),
            1,
            cv2.LINE_AA,
        )
    return strip
