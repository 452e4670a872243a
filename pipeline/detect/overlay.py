"""Where annotated pictures are written: one image, one video, or a folder with a file for every input."""

import os
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np

from pipeline.detect.inputs import Inputs, Originals, Source
from pipeline.detect.outputs import Observation, Output, replacing
from pipeline.detect.picture import Picture
from pipeline.detect.video_writer import CODECS, VideoWriter
from pipeline.errors import UserError

IMAGE_FORMATS = {".jpg": ".jpg", ".jpeg": ".jpg", ".png": ".png", ".webp": ".webp", ".bmp": ".bmp"}
JPEG_QUALITY = 92


def make_overlay(
    place: str, inputs: Inputs, originals: Originals, sequence: bool, thresholds: Mapping[str, float]
) -> Output:
    """The overlay output for the place on the command line; raises UserError if the inputs do not fit into it.

    `sequence`: the images are the frames of one video.
    """
    ending = Path(place).suffix.lower()
    if os.path.isdir(place) or place.endswith("/") or not ending:
        check_places(Path(place), inputs, originals)
        return FolderOverlay(FolderPlaces(Path(place), originals), sequence, thresholds)
    images = inputs.kinds == {"image"}
    one_video = sequence if images else inputs.single
    if ending in CODECS and one_video:
        return VideoOverlay(Path(place), thresholds)
    if ending in IMAGE_FORMATS and inputs.single and images:
        return ImageOverlay(Path(place), thresholds)
    if ending in CODECS or ending in IMAGE_FORMATS:
        raise UserError(
            f"--overlay {place}: a video file holds one video, an image file one image; name a folder for these inputs"
        )
    known = " ".join([*CODECS, *IMAGE_FORMATS])
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
