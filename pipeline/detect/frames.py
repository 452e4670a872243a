"""The frames of an image file, a video file or a camera, one at a time."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from pipeline.detect.inputs import Source, is_utf8
from pipeline.errors import UserError
from pipeline.faces.image_files import UnreadableImage, read_image

MISSING_SHARE = 0.01  # of a video's frames by its header: headers are not always exact
LONGEST_SECONDS = 1e7  # a time stamp beyond is damage
DEFAULT_RATE = 25.0


class Unreadable(Exception):
    """A source cannot be read, or not to its end; the message says which and why."""


@dataclass(frozen=True)
class Frame:
    """One frame: RGB uint8 (H, W, 3), its number from 1 in its source, seconds from the start (None: a single image)."""

    source: Source
    number: int
    image: np.ndarray
    timestamp: float | None


def image_frame(source: Source, number: int, timestamp: float | None) -> Frame:
    """The image of a file; raises Unreadable."""
    try:
        return Frame(source, number, read_image(Path(source.name)), timestamp)
    except UnreadableImage as error:
        raise Unreadable(f"{source.name}: {error}") from error


class VideoFrames:
    """The frames of a video file or camera; raises Unreadable if there is none, UserError without such a camera."""

    def __init__(self, source: Source):
        self.source = source
        self._capture = _open(source)
        rate, count = (self._capture.get(name) for name in (cv2.CAP_PROP_FPS, cv2.CAP_PROP_FRAME_COUNT))
        self.rate = rate if 0 < rate <= 1000 else DEFAULT_RATE
        self.count = round(count) if source.kind == "video" and 0 < count < 1e9 else None
        self._first = self._read()
        if self._first is None:
            self.close()
            raise Unreadable(f"{source.name}: no frame can be read (damaged, or of an unknown codec)")

    def __iter__(self) -> Iterator[Frame]:
        """All frames in order, once; raises Unreadable after the last one if the header promised more."""
        start, last, number = time.monotonic(), 0.0, 0
        image, self._first = self._first, None
        while image is not None:
            seconds = time.monotonic() - start if self.source.kind == "camera" else self._position(number)
            last, number = max(last, seconds), number + 1
            yield Frame(self.source, number, cv2.cvtColor(image, cv2.COLOR_BGR2RGB), last)
            image = self._read()
        if self.source.kind == "camera":
            raise Unreadable(f"camera {self.source.name}: no more frames after {number}")
        if self.count and number < self.count - max(2, MISSING_SHARE * self.count):
            raise Unreadable(f"{self.source.name}: ends after {number} of {self.count} frames (damaged or cut off)")

    def close(self) -> None:
        """Let go of the file or camera."""
        self._capture.release()

    def _position(self, number: int) -> float:
        """Seconds from the start of the frame read last, by its time stamp, else by the frame rate."""
        seconds = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1e3
        return seconds if 0 < seconds < LONGEST_SECONDS else number / self.rate

    def _read(self) -> np.ndarray | None:
        try:
            there, image = self._capture.read()
        except cv2.error:
            return None
        return image if there else None


def _open(source: Source) -> cv2.VideoCapture:
    if source.kind == "camera":
        capture = cv2.VideoCapture(int(source.name))
        if not capture.isOpened():
            raise UserError(f"camera {source.name} cannot be opened. {_cameras()}")
        return capture
    path = Path(source.name)
    if not os.path.isfile(path):
        raise Unreadable(f"{source.name}: no such file")
    if not is_utf8(source.name):
        raise Unreadable(f"{source.name}: OpenCV opens no video whose path is not UTF-8. Rename it")
    try:
        with path.open("rb") as file:
            empty = not file.read(1)
    except OSError as error:
        raise Unreadable(f"{source.name}: {error.strerror}") from error
    capture = None if empty else cv2.VideoCapture(source.name, cv2.CAP_FFMPEG)
    if capture is None or not capture.isOpened():
        raise Unreadable(f"{source.name}: {'empty' if empty else 'neither a video nor an image that can be read'}")
    return capture


def _cameras() -> str:
    found = sorted(path.name.removeprefix("video") for path in Path("/dev").glob("video[0-9]*"))
    return f"This computer has: {', '.join(found)}" if found else "This computer has none that can be seen from here"
