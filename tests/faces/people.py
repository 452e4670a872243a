"""Three people for the tests, rendered by pipeline.data.synthetic_faces, 192 x 192 pixels each; and frames with them."""

from pathlib import Path

import cv2
import numpy as np

from pipeline.faces.image_files import read_image
from tests.faces.portrait import PORTRAIT

PEOPLE = dict(
    zip(
        "abc", np.split(read_image(Path(__file__).resolve().parents[1] / "rendered_people.jpg"), 3, axis=1), strict=True
    )
)
PEOPLE["portrait"] = PORTRAIT


def film(name: str, frames: int, start: int = 0) -> list[np.ndarray]:
    """Frames (300, 400, 3) with camera noise of a person in the middle, who moves a little."""
    picture = cv2.resize(PEOPLE[name], (270, 270), interpolation=cv2.INTER_AREA)
    shown = []
    for frame in range(start, start + frames):
        x, y = 65 + 4 * np.sin(frame / 3), 15 + 3 * np.cos(frame / 4)
        image = np.full((300, 400, 3), 90, np.uint8)
        cv2.warpAffine(
            picture, np.float32([[1, 0, x], [0, 1, y]]), (400, 300), image, borderMode=cv2.BORDER_TRANSPARENT
        )
        noise = np.random.default_rng(frame).normal(0, 3, image.shape)
        shown.append(np.clip(image + noise, 0, 255).astype(np.uint8))
    return shown


def paste(image: np.ndarray, name: str, x: int, y: int, side: int) -> np.ndarray:
    """The image with a square picture of a person at left, top."""
    image = image.copy()
    image[y : y + side, x : x + side] = cv2.resize(PEOPLE[name], (side, side), interpolation=cv2.INTER_AREA)
    return image
