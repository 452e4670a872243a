"""Images from files, and the frames of videos, animations and cameras with their times."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from pipeline.detect.inputs import Source
from pipeline.detect.media import is_webp, unread_pictures
from pipeline.detect.videos import DEFAULT_RATE, MAX_RATE, Unreadable, VideoFile
from pipeline.errors import UserError
from pipeline.faces.image_files import UnreadableImage, read_image
from pipeline.faces.transparency import without_alpha

WEBP_FRAMES = 32  # of an animation, decoded at a time
MIN_DURATION = 0.01  # seconds for which a frame of an animation is shown


def image_of(source: Source) -> tuple[np.ndarray, list[str]]:
    """The image uint8 (H, W, 3), RGB, of a file, and what the file holds that was not read; raises Unreadable."""
    path = _path_of(source)
    try:
        image = read_image(path)
    except UnreadableImage as error:
        raise Unreadable(f"{source.name}: {error}") from error
    more = unread_pictures(path)
    return image, [f"{source.name}: holds {more + 1} pictures; only the first was read"] if more else []


class Pictures(Protocol):
    """RGB images uint8 (H, W, 3) with seconds from the start, once, in order.

    `rate` is in frames per second, `count` what the header says, None if unknown; `notes` say what is not read. Iterating
    raises Unreadable after the last image if more should have come.
    """

    rate: float
    count: int | None
    notes: list[str]

    def __iter__(self) -> Iterator[tuple[np.ndarray, float]]: ...

    def close(self) -> None:
        """Release the file or camera."""


def open_pictures(source: Source) -> Pictures:
    """The pictures of a video, animation or camera; raises Unreadable, UserError if there is no such camera."""
    if source.kind == "camera":
        return Camera(source.name)
    path = _path_of(source)
    try:
        with path.open("rb") as file:
            start = file.read(16)
    except OSError as error:
        raise Unreadable(f"{source.name}: {error.strerror}") from error
    return WebpAnimation(path) if is_webp(start) else VideoFile(path)


def _path_of(source: Source) -> Path:
    """The path of a regular file; raises Unreadable for a pipe or device, whose reading could wait for ever."""
    if not os.path.isfile(source.name):  # Path.is_file raises for a name that is too long
        if os.path.isdir(source.name):
            raise Unreadable(f"{source.name}: a folder. Name it on the command line, or its files in the list")
        raise Unreadable(f"{source.name}: {'not a file' if os.path.exists(source.name) else 'no such file'}")
    return Path(source.name)


class WebpAnimation:
    """The frames of a WebP animation, which FFmpeg does not decode."""

    rate = DEFAULT_RATE

    def __init__(self, path: Path):
        self._content = np.frombuffer(path.read_bytes(), np.uint8)
        self._path, self.count, self.notes = path, None, []
        if not len(self._part(0).frames):
            raise Unreadable(f"{path}: no frame can be read (damaged)")

    def __iter__(self) -> Iterator[tuple[np.ndarray, float]]:
        """RGB images and times by the durations of the frames."""
        seconds, start = 0.0, 0
        while len((part := self._part(start)).frames):
            for image, milliseconds in zip(part.frames, part.durations, strict=True):
                yield without_alpha(cv2.cvtColor(image, cv2.COLOR_BGRA2RGBA)), seconds
                seconds += max(MIN_DURATION, float(milliseconds) / 1000)
            start += len(part.frames)

    def close(self) -> None:
        """Nothing is open."""

    def _part(self, start: int) -> cv2.Animation:
        try:
            _, animation = cv2.imdecodeanimation(self._content, start=start, count=WEBP_FRAMES)
        except cv2.error as error:
            raise Unreadable(f"{self._path}: damaged; {start} frames were read") from error
        return animation


class Camera:
    """The pictures of a camera by the clock, until it stops."""

    count: None = None

    def __init__(self, name: str):
        self._name, self.notes = name, []
        self._capture = cv2.VideoCapture(int(name))
        if not self._capture.isOpened():
            raise UserError(f"camera {name} cannot be opened. {_cameras()}")
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        self.rate = rate if 0 < rate <= MAX_RATE else DEFAULT_RATE

    def __iter__(self) -> Iterator[tuple[np.ndarray, float]]:
        """RGB images and seconds since the first; raises Unreadable when no more come."""
        number, start = 0, None
        while (read := self._capture.read())[0]:
            now = time.monotonic()
            start = now if start is None else start
            yield cv2.cvtColor(read[1], cv2.COLOR_BGR2RGB), now - start
            number += 1
        raise Unreadable(f"camera {self._name}: no more frames after {number}")

    def close(self) -> None:
        """Release the camera."""
        self._capture.release()


def _cameras() -> str:
    found = sorted(path.name.removeprefix("video") for path in Path("/dev").glob("video[0-9]*"))
    return f"Cameras found: {', '.join(found)}" if found else "No camera was found on this computer"
