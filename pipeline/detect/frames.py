"""Images from files, and the frames of videos and cameras with their times."""

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

MAX_MISSING_SHARE = 0.01  # of the frames that a video's header promises: headers are not always exact
MAX_SECONDS = 1e7  # a timestamp beyond this is damage
MAX_RATE = 1000  # frames per second
DEFAULT_RATE = 25.0


class Unreadable(Exception):
    """A source cannot be read, or not to its end; the message says which and why."""


def image_of(source: Source) -> np.ndarray:
    """The image uint8 (H, W, 3), RGB, of a file; raises Unreadable."""
    try:
        return read_image(Path(source.name))
    except UnreadableImage as error:
        raise Unreadable(f"{source.name}: {error}") from error


@dataclass(frozen=True)
class Frame:
    """A frame of a video or camera: its number from 1, its RGB image uint8 (H, W, 3), and seconds from the start."""

    number: int
    image: np.ndarray
    timestamp: float


class VideoFrames:
    """The frames of a video file or camera.

    `rate` is in frames per second, `count` what the header says, None if unknown. Raises Unreadable if there is no
    frame, UserError if there is no such camera.
    """

    def __init__(self, source: Source):
        self.source = source
        self._capture = _open(source)
        rate, count = (self._capture.get(name) for name in (cv2.CAP_PROP_FPS, cv2.CAP_PROP_FRAME_COUNT))
        self.rate = rate if 0 < rate <= MAX_RATE else DEFAULT_RATE
        self.count = round(count) if source.kind == "video" and 0 < count < 1e9 else None
        self._first = self._read()
        if self._first is None:
            self.close()
            raise Unreadable(f"{source.name}: no frame can be read (damaged, or an unknown codec)")

    def __iter__(self) -> Iterator[Frame]:
        """All frames in order, once; raises Unreadable after the last one if the header promised more."""
        start, last, number = time.monotonic(), 0.0, 0
        image, self._first = self._first, None
        while image is not None:
            seconds = time.monotonic() - start if self.source.kind == "camera" else self._position(number)
            last, number = max(last, seconds), number + 1
            yield Frame(number, cv2.cvtColor(image, cv2.COLOR_BGR2RGB), last)
            image = self._read()
        if self.source.kind == "camera":
            raise Unreadable(f"camera {self.source.name}: no more frames after {number}")
        if self.count and number < self.count - max(2, MAX_MISSING_SHARE * self.count):
            raise Unreadable(f"{self.source.name}: ends after {number} of {self.count} frames (damaged or cut off)")

    def close(self) -> None:
        """Release the file or camera."""
        self._capture.release()

    def _position(self, number: int) -> float:
        """Seconds from the start to the frame just read, by its timestamp or else by the frame rate."""
        seconds = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1e3
        return seconds if 0 < seconds < MAX_SECONDS else number / self.rate

    def _read(self) -> np.ndarray | None:
        try:
            success, image = self._capture.read()
        except cv2.error:
            return None
        return image if success else None


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
        raise Unreadable(f"{source.name}: OpenCV cannot open a video whose path is not UTF-8. Rename it")
    try:
        with path.open("rb") as file:
            empty = not file.read(1)
    except OSError as error:
        raise Unreadable(f"{source.name}: {error.strerror}") from error
    if empty:
        raise Unreadable(f"{source.name}: empty")
    capture = cv2.VideoCapture(source.name, cv2.CAP_FFMPEG)
    if not capture.isOpened():
        raise Unreadable(f"{source.name}: neither a video nor an image that can be read")
    return capture


def _cameras() -> str:
    found = sorted(path.name.removeprefix("video") for path in Path("/dev").glob("video[0-9]*"))
    return f"Cameras found: {', '.join(found)}" if found else "No camera was found on this computer"
