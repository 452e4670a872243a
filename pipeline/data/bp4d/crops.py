"""Face crops of indexed frames: placed by landmarks, boxes or the detector, cut out and encoded as JPEG by threads."""

import os
import threading
from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import cv2
import numpy as np

from pipeline.data.bp4d.index import FrameIndex, image_number
from pipeline.data.bp4d.layout import Layout
from pipeline.data.bp4d.places import Places, read_places
from pipeline.faces.blazeface import FaceDetector
from pipeline.faces.crop import CropRecipe, Square
from pipeline.faces.image_files import UnreadableImage, read_image

JPEG = (
    *(cv2.IMWRITE_JPEG_QUALITY, 95),
    *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444),
)
LANDMARKS, BOX, DETECTOR, CENTRE = "landmarks", "box", "detector", "centre"
MAX_SIDE = 2.0  # of a crop, in longer sides of its image
AHEAD = 16  # crops in progress per thread


class Crop(NamedTuple):
    """The row of the index, the JPEG's bytes (None: the image cannot be read), and what placed the crop."""

    row: int
    jpeg: bytes | None
    source: str


class Cropper:
    """Cuts faces out; safe to call from several threads."""

    def __init__(self, found: Layout, recipe: CropRecipe, use_detector: bool):
        self._found, self._recipe, self._use_detector = found, recipe, use_detector
        self._own = threading.local()

    def crop(self, index: FrameIndex, row: int, places: Places) -> Crop:
        """The crop of row `row` of the index."""
        file = index.files[row]
        try:
            image = read_image(self._found.images / file)
        except UnreadableImage:
            return Crop(row, None, "")
        square, source = self._square(image, image_number(file), places)
        pixels = self._recipe.cut(image, square)
        stored = pixels if self._recipe.grey else cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
        return Crop(row, cv2.imencode(".jpg", stored, JPEG)[1].tobytes(), source)

    def _square(self, image: np.ndarray, number: int, places: Places) -> tuple[Square, str]:
        squares = self._squares(image, number, places)
        return next((square, source) for square, source in squares if _plausible(square, image))

    def _squares(self, image: np.ndarray, number: int, places: Places) -> Iterator[tuple[Square, str]]:
        """Candidates for the place of the face, the best source first."""
        if number in places.eyes:
            eyes = places.eyes[number]
            yield self._recipe.from_eyes(eyes[:2], eyes[2:]), LANDMARKS
        if number in places.boxes:
            yield self._recipe.from_box(places.boxes[number]), BOX
        for face in self._detector().detect(image) if self._use_detector else ():
            yield self._recipe.from_eyes(face.right_eye, face.left_eye), DETECTOR
        yield self._recipe.centre(*image.shape[:2]), CENTRE

    def _detector(self) -> FaceDetector:
        """This thread's detector: an interpreter serves one thread."""
        if not hasattr(self._own, "detector"):
            self._own.detector = FaceDetector()
        return self._own.detector


def face_crops(found: Layout, index: FrameIndex, recipe: CropRecipe, use_detector: bool) -> Iterator[Crop]:
    """The crops of all rows of the index, in order; closing the iterator stops the threads.

    Raises:
        UserError: a file of landmarks or boxes cannot be used.
    """
    cropper, threads = Cropper(found, recipe, use_detector), os.cpu_count() or 1
    pending: deque = deque()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="crops")
    try:
        for row, places in _with_places(found, index):
            pending.append(pool.submit(cropper.crop, index, row, places))
            if len(pending) >= AHEAD * threads:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _plausible(square: Square, image: np.ndarray) -> bool:
    """Whether the square's centre is in the image, and its side not many times the image's."""
    height, width = image.shape[:2]
    inside = 0 <= square.x <= width and 0 <= square.y <= height
    return inside and square.side <= MAX_SIDE * max(height, width)


def _with_places(found: Layout, index: FrameIndex) -> Iterator[tuple[int, Places]]:
    """Every row of the index with the faces of its sequence, whose files are read once."""
    last, places = None, Places({}, {})
    for row in range(len(index)):
        sequence = (str(index.subjects[row]), str(index.tasks[row]))
        if sequence != last:
            last, places = sequence, read_places(found.places.get(sequence, ()))
        yield row, places


def summary(sources: Counter) -> dict[str, int]:
    """How many crops each of the four sources placed."""
    return {source: sources[source] for source in (LANDMARKS, BOX, DETECTOR, CENTRE)}
