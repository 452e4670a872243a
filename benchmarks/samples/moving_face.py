"""A real face that moves, turns and changes size, with known eyes in every frame."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from pipeline.faces.image_files import read_image

# Eileen Collins, NASA (public domain): the face of scikit-image's `astronaut`. Her eyes, by eye, in pixels.
PORTRAIT_FILE = Path(__file__).resolve().parents[2] / "tests" / "portrait.jpg"
EYES = np.array([[99.5, 91.0], [143.0, 94.0]])
MIDDLE = np.array([121.0, 112.0])  # of the face
FACE_WIDTH = 101.0  # of BlazeFace's box
RATE = 25.0


def placed(
    size: tuple[int, int], centre: tuple[float, float], width: float, degrees: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """An image uint8 (H, W, 3) of `size` (height, width) with a face `width` pixels wide, and its eyes (2, 2).

    `degrees` rotates it clockwise.
    """
    portrait, shrunk, enlarged = read_image(PORTRAIT_FILE), min(1.0, width / FACE_WIDTH), max(1.0, width / FACE_WIDTH)
    if shrunk < 1:
        portrait = cv2.resize(portrait, None, fx=shrunk, fy=shrunk, interpolation=cv2.INTER_AREA)
    matrix = cv2.getRotationMatrix2D(tuple(MIDDLE * shrunk), -degrees, enlarged)
    matrix[:, 2] += np.array(centre) - MIDDLE * shrunk
    image = np.ascontiguousarray(_background(*size))
    cv2.warpAffine(portrait, matrix, size[::-1], image, cv2.INTER_LINEAR, cv2.BORDER_TRANSPARENT)
    return image, EYES * shrunk @ matrix[:, :2].T + matrix[:, 2]


def moving(
    frames: int, height: int = 480, width: int = 640, noise: float = 3.0
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Frames with camera noise of a face that moves in a loop of ten seconds, and its eyes in each."""
    rng = np.random.default_rng(1)
    grain = rng.normal(0, noise, (8, height, width, 1)).astype(np.float32)
    for frame in range(frames):
        phase = 2 * np.pi * frame / (10 * RATE)
        centre = (width / 2 + 0.2 * width * np.sin(phase), height / 2 + 0.08 * height * np.sin(2 * phase))
        image, eyes = placed((height, width), centre, 130 + 30 * np.sin(3 * phase), 12 * np.sin(phase))
        yield np.clip(image + grain[frame % len(grain)], 0, 255).astype(np.uint8), eyes


def write_moving(path: Path, frames: int, repeats: int = 1) -> Path:
    """Write a 640 x 480 video with the frames repeated `repeats` times."""
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*"mp4v"), RATE, (640, 480))
    pictures = [cv2.cvtColor(image, cv2.COLOR_RGB2BGR) for image, _ in moving(frames)]
    for _ in range(repeats):
        for picture in pictures:
            writer.write(picture)
    writer.release()
    return path


def _background(height: int, width: int) -> np.ndarray:
    down, across = np.mgrid[:height, :width]
    return np.stack([60 + 60 * across / width, 80 + 40 * down / height, 100 + 0 * down], axis=-1).astype(np.uint8)
