"""Where annotated pictures are written: one image, one video, or a folder with a file for every input."""

import os
import shutil
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import cv2
import numpy as np

from pipeline.detect.inputs import Inputs, Originals, Source, is_utf8
from pipeline.detect.outputs import Observation, Output, replacing
from pipeline.detect.picture import Picture
from pipeline.errors import RunFailed, UserError

IMAGE_FORMATS = {".jpg": ".jpg", ".jpeg": ".jpg", ".png": ".png", ".webp": ".webp", ".bmp": ".bmp"}
VIDEO_CODECS = {".mp4": "mp4v", ".m4v": "mp4v", ".mov": "mp4v", ".avi": "MJPG", ".mkv": "mp4v", ".webm": "VP80"}
JPEG_QUALITY = 92
MIN_FREE_BYTES, FRAMES_BETWEEN_CHECKS = 2**20, 100  # of the disk: OpenCV does not report failed writes
MAX_PAUSE = 10.0  # seconds for which a picture stands still at most


def make_overlay(
    place: str, inputs: Inputs, originals: Originals, sequence: bool, thresholds: Mapping[str, float]
) -> Output:
    """The overlay output for the place on the command line; raises UserError if the inputs do not fit into it.

    `sequence`: the images are the frames of one video.
    """
    ending = Path(place).suffix.lower()
    if not is_utf8(place) and (ending in VIDEO_CODECS or inputs.kinds != {"image"}):
        raise UserError(f"--overlay {place}: OpenCV cannot write a video to a path that is not UTF-8. Choose another")
    if os.path.isdir(place) or place.endswith("/") or not ending:
        check_places(Path(place), inputs, originals)
        return FolderOverlay(FolderPlaces(Path(place), originals), sequence, thresholds)
    images = inputs.kinds == {"image"}
    one_video = sequence if images else inputs.single
    if ending in VIDEO_CODECS and one_video:
        return VideoOverlay(Path(place), thresholds)
    if ending in IMAGE_FORMATS and inputs.single and images:
        return ImageOverlay(Path(place), thresholds)
    if ending in VIDEO_CODECS or ending in IMAGE_FORMATS:
        raise UserError(
            f"--overlay {place}: a video file holds one video, an image file one image; name a folder for these inputs"
        )
    known = " ".join([*VIDEO_CODECS, *IMAGE_FORMATS])
    raise UserError(f"--overlay {place}: unknown ending {ending}; known are {known}, or a folder (seen/)")


class ImageOverlay(Output):
    """One image file."""

    def __init__(self, path: Path, thresholds: Mapping[str, float]):
        self._path, self._thresholds = path, thresholds

    def write(self, seen: Observation) -> None:
        """Draw and write the image."""
        if seen.image is not None:
            write_image(self._path, Picture(self._thresholds).draw(seen.image, seen.faces))


class VideoOverlay(Output):
    """One video file, which appears when it is complete."""

    def __init__(self, path: Path, thresholds: Mapping[str, float]):
        self._path, self._picture = path, Picture(thresholds)
        self._writer: VideoWriter | None = None

    def write(self, seen: Observation) -> None:
        """Draw and append the frame."""
        if seen.image is None:
            return
        picture = self._picture.draw(seen.image, seen.faces)
        if self._writer is None:
            self._writer = VideoWriter(self._path, picture.shape[:2], seen.rate)
        self._writer.write(picture, seen.timestamp)

    def close(self) -> None:
        """Complete the file."""
        if self._writer is not None:
            self._writer.close()


class FolderOverlay(Output):
    """A file in a folder for every image and video, under their own names."""

    def __init__(self, places: "FolderPlaces", sequence: bool, thresholds: Mapping[str, float]):
        self._places, self._sequence, self._thresholds = places, sequence, thresholds
        self._picture, self._video = Picture(thresholds), None

    def write(self, seen: Observation) -> None:
        """Draw the frame into an image of its own, or append it to the video of its source."""
        if seen.source.kind == "image":
            if seen.image is not None:
                picture = self._picture if self._sequence else Picture(self._thresholds)
                write_image(self._places.next(seen.source), picture.draw(seen.image, seen.faces))
            return
        if self._video is None:
            self._video = VideoOverlay(self._places.next(seen.source), self._thresholds)
        self._video.write(seen)

    def end(self) -> None:
        """Complete the video."""
        video, self._video = self._video, None
        if video is not None:
            video.close()

    close = end


class FolderPlaces:
    """Paths in a folder under the inputs' own names; none is used twice, and none is an original."""

    def __init__(self, folder: Path, originals: Originals):
        self._folder, self._originals = folder, originals
        self._used: set[Path] = set()

    def next(self, source: Source) -> Path:
        """The path to write a source's picture or video to; raises UserError if it is that of an original."""
        first = path = self._folder / _target(source)
        number = 1
        while path in self._used:
            number += 1
            path = first.with_name(f"{first.stem}-{number}{first.suffix}")
        self._originals.check(path)
        self._originals.note_written(path)
        self._used.add(path)
        return path


def check_places(folder: Path, inputs: Inputs, originals: Originals) -> None:
    """Raise UserError if a picture in the folder would replace an original, as far as the inputs are known."""
    places = FolderPlaces(folder, originals)
    for source in inputs.sources if inputs.count is not None else ():
        places.next(source)


def _target(source: Source) -> Path:
    """The name of a source's picture or video below the output folder."""
    short = Path(source.short)
    keeps = source.kind == "image" and short.suffix.lower() in IMAGE_FORMATS
    return short if keeps else short.with_suffix(".jpg" if source.kind == "image" else ".mp4")


def write_image(path: Path, picture: np.ndarray) -> None:
    """Write an RGB picture uint8 (H, W, 3) as a whole; raises UserError or RunFailed."""
    options = (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY)
    _, content = cv2.imencode(IMAGE_FORMATS[path.suffix.lower()], cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), options)
    with replacing(path) as temporary:
        temporary.write_bytes(content.tobytes())


class VideoWriter:
    """A video of constant frame rate in which every picture appears at its time; `size` is (height, width).

    Raises RunFailed if the video cannot be written, UserError if its place cannot.
    """

    def __init__(self, path: Path, size: tuple[int, int], rate: float):
        self._path, self._rate, self._frames = path, rate, 0
        self._size = (size[1] - size[1] % 2, size[0] - size[0] % 2)  # codecs store colours for 2 x 2 pixels
        with ExitStack() as stack:
            self._temporary = stack.enter_context(replacing(path))
            self._temporary.touch()
            codec = cv2.VideoWriter_fourcc(*VIDEO_CODECS[path.suffix.lower()])
            self._writer = cv2.VideoWriter(str(self._temporary), cv2.CAP_FFMPEG, codec, rate, self._size)
            if not self._writer.isOpened():
                raise RunFailed(f"{path}: this OpenCV cannot write {path.suffix} videos; try .avi")
            self._stack = stack.pop_all()

    def write(self, picture: np.ndarray, timestamp: float) -> None:
        """Append an RGB picture uint8 (H, W, 3) at a time in seconds: repeated if it is late, skipped if it is early."""
        width, height = self._size
        if picture.shape[1] - width not in (0, 1) or picture.shape[0] - height not in (0, 1):
            picture = cv2.resize(picture, self._size, interpolation=cv2.INTER_AREA)
        bgr = cv2.cvtColor(np.ascontiguousarray(picture[:height, :width]), cv2.COLOR_RGB2BGR)
        if self._frames % FRAMES_BETWEEN_CHECKS == 0 and shutil.disk_usage(self._path.parent).free < MIN_FREE_BYTES:
            raise RunFailed(f"{self._path}: the disk is full")
        late = round(timestamp * self._rate) + 1 - self._frames
        for _ in range(min(late, max(1, round(MAX_PAUSE * self._rate)))):
            self._writer.write(bgr)
            self._frames += 1

    def close(self) -> None:
        """Complete the file and check that it can be read; raises RunFailed if not, as on a full disk."""
        self._writer.release()
        with self._stack:
            if not _is_complete(self._temporary, self._frames):
                raise RunFailed(f"{self._path}: the video could not be written completely. Is the disk full?")


def _is_complete(path: Path, frames: int) -> bool:
    """Whether the last of the video's frames can be read."""
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    capture.set(cv2.CAP_PROP_POS_FRAMES, frames - 1)
    success, _ = capture.read()
    capture.release()
    return success
