"""Videos that are written picture by picture, each at its own time, by PyAV."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from pipeline.detect.outputs import clear_errors, replacing
from pipeline.detect.videos import MIN_RATE
from pipeline.errors import RunFailed

TICK = Fraction(1, 90_000)  # of a time stamp, in seconds
CODECS = {
    ".mp4": ("libx264", "mp4"),
    ".m4v": ("libx264", "mp4"),
    ".mov": ("libx264", "mov"),
    ".mkv": ("libx264", "matroska"),
    ".webm": ("libvpx", "webm"),
    ".avi": ("mjpeg", "avi"),
}
OPTIONS = {
    "libx264": {"preset": "ultrafast", "crf": "20"},
    "libvpx": {"deadline": "realtime", "cpu-used": "6", "crf": "10", "b": "8M"},
    "mjpeg": {"qmin": "2", "qmax": "3"},
}
EVEN = ".avi"  # its pictures have no time stamps: a pause is filled with empty ones
MAX_EMPTY = 60_000  # between two pictures; FFmpeg refuses more


class VideoWriter:
    """A video with one frame for every picture; `size` is (height, width), `rate` in frames per second.

    Pictures appear at their own times, and `rate` is only how long the last one stays; in an .avi, times are rounded to it.
    Raises RunFailed if the video cannot be written, UserError if its place cannot.
    """

    def __init__(self, path: Path, size: tuple[int, int], rate: float):
        self._path, self._rate = path, _fraction(max(rate, MIN_RATE))
        self._size = (size[1] - size[1] % 2, size[0] - size[0] % 2)  # codecs store colours for 2 x 2 pixels
        self._even = path.suffix.lower() == EVEN
        self._tick = 1 / self._rate if self._even else TICK
        self._last = -1  # time stamp of the last picture
        self._failed = False
        with ExitStack() as stack:
            stack.enter_context(clear_errors(path))
            temporary = stack.enter_context(replacing(path))
            self._file = stack.enter_context(temporary.open("wb"))
            self._open(stack)
            self._stack = stack.pop_all()

    def write(self, picture: np.ndarray, timestamp: float) -> None:
        """Append an RGB picture uint8 (H, W, 3) at a time in seconds, scaled if its size differs from the first one's."""
        width, height = self._size
        if picture.shape[1] - width not in (0, 1) or picture.shape[0] - height not in (0, 1):
            picture = cv2.resize(picture, self._size, interpolation=cv2.INTER_AREA)
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture[:height, :width]), format="rgb24")
        last, self._last = self._last, max(self._last + 1, round(timestamp / self._tick))
        if self._even and self._last - last > MAX_EMPTY:
            self._failed = True
            raise RunFailed(f"{self._path}: too long a pause at {timestamp:.0f} s for an .avi; name an .mp4 or .mkv")
        frame.pts, frame.time_base, frame.duration = self._last, self._tick, round(1 / self._rate / self._tick)
        with self._clear_errors():
            self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Complete the file, which appears under its name now; raises RunFailed if it is incomplete, as on a full disk."""
        with self._stack:
            if self._failed:
                raise RunFailed(f"{self._path}: the video could not be written completely")
            with self._clear_errors():
                self._container.mux(self._stream.encode(None))
                self._container.close()
                self._file.flush()
                os.fsync(self._file.fileno())

    def _open(self, stack: ExitStack) -> None:
        codec, container = CODECS[self._path.suffix.lower()]
        try:
            self._container = av.open(self._file, "w", format=container)
            stack.callback(self._release)
            self._stream = self._container.add_stream(codec, rate=self._rate, options=OPTIONS[codec])
        except av.error.FFmpegError as error:
            raise RunFailed(
                f"{self._path}: this PyAV cannot write {self._path.suffix} videos; try another ending"
            ) from error
        self._stream.width, self._stream.height = self._size
        self._stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        self._stream.codec_context.time_base = self._tick

    def _release(self) -> None:
        """Close the container, also one that cannot be completed."""
        with suppress(av.error.FFmpegError, OSError):
            self._container.close()

    @contextmanager
    def _clear_errors(self) -> Iterator[None]:
        try:
            with clear_errors(self._path):
                yield
        except BaseException as error:
            self._failed = True
            if isinstance(error, av.error.FFmpegError):
                raise RunFailed(
                    f"{self._path}: the video could not be written completely. Is the disk full?"
                ) from error
            raise


def _fraction(rate: float) -> Fraction:
    """A rate of at least MIN_RATE as a short fraction, which is not 0."""
    return Fraction(rate).limit_denominator(1001) if rate >= 1 else 1 / Fraction(1 / rate).limit_denominator(1001)
