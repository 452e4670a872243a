"""Frames of video files with their own times, decoded by PyAV; damage is reported on the decoder's evidence only.

What a header says of the number of frames, the frame rate or the duration is never taken as evidence: it is often wrong in
healthy files.
"""

import itertools
import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import av
import numpy as np
from av.stream import Disposition
from av.video.reformatter import VideoReformatter

from pipeline.detect import gif
from pipeline.faces.transparency import without_alpha

MAX_RATE = 1000  # frames per second
MAX_HEADER_RATE = 240  # more is the unit of a container's time stamps rather than a camera's rate
DEFAULT_RATE = 25.0
MAX_STEP = 86400.0  # seconds between two frames; more is damage
MIN_RATE = 1 / 3600  # frames per second of what is written: longer steps do not fit into every format
STUMBLE = 1.5  # distances of two frames by which a single time stamp may fall back without starting again
NO_OTHER_FILES = {"protocol_whitelist": "none"}  # a playlist must not open files or network addresses
NOT_A_VIDEO = Disposition.attached_pic | Disposition.timed_thumbnails  # the cover of a song, a player's preview
NO_FILMS = frozenset(("tty", "bin", "xbin", "adf", "idf", "ico"))  # FFmpeg shows text and data as films of a terminal
JPEG_START = b"\xff\xd8"  # FFmpeg also takes a PDF with a JPEG in it for Motion JPEG
SQUARE = 0.01  # relative difference of a pixel's sides up to which it is square
MAX_SHAPE = 4.0  # width of a pixel, its height = 1; more, or less than its inverse, is damage
PREMATURE_END = "File ended prematurely"  # Matroska's demuxer only logs it

av.logging.set_level(av.logging.ERROR)
av.logging.set_skip_repeated(False)
logging.getLogger("libav").addHandler(logging.NullHandler())


class Unreadable(Exception):
    """A source cannot be read, or not to its end; the message says which and why."""


class Clock:
    """Seconds from the first frame to each of the next, from time stamps that may be missing, repeat or start again.

    `step` is the distance of two frames in seconds as long as no time stamps have shown one.
    """

    def __init__(self, step: float):
        self._step, self._now = step, 0.0
        self._stamp: float | None = None  # of the last frame
        self._start = 0.0  # the time stamp at 0 seconds

    def seconds(self, stamp: float | None) -> float:
        """The time of the next frame, later than all before, given its time stamp in seconds."""
        if self._stamp is None:
            self._stamp = self._start = stamp or 0.0
            return self._now
        stamp = self._stamp + self._step if stamp is None else stamp
        step, self._stamp = stamp - self._stamp, stamp
        early = self._now - (stamp - self._start)  # how much too early for a frame that comes after the last one
        if 0 < step < MAX_STEP:
            self._step = step
            self._now = self._now + step / 2 if early >= 0 else stamp - self._start
            return self._now
        self._now += self._step
        if not 0 <= early <= STUMBLE * self._step:  # starts again or is damaged: time is counted from here
            self._start = stamp - self._now
        return self._now


class VideoFile:
    """The pictures of a video file's main stream and their times.

    `rate` is roughly their number per second; `count` what the header says, None if unknown; `notes` say what the file holds
    that is not read. Raises Unreadable.
    """

    def __init__(self, path: Path):
        self._name = str(path)
        self._file, self._container, (self._stream, *others) = _open(path)
        self.count = self._stream.frames or None
        self.notes = [f"{path}: holds {len(others) + 1} videos; only the main one is read"] if others else []
        self._damage: set[str] = set()
        self._reformatter, self._shape = VideoReformatter(), _pixel_shape(self._stream)
        self._decoded = self._decode()
        self._first = list(itertools.islice(self._decoded, 2))
        if not self._first:
            self.close()
            raise Unreadable(f"{path}: no frame can be read (damaged, or an unknown codec)")
        self.rate = _rate(self._stream, [self._stamp(frame) for frame in self._first])

    def __iter__(self) -> Iterator[tuple[np.ndarray, float]]:
        """RGB images uint8 (H, W, 3), as players show them, and seconds from the start, once.

        Raises Unreadable after the last if damaged.
        """
        clock, read = Clock(1 / self.rate), 0
        try:
            for frame in itertools.chain(self._first, self._decoded):
                read += 1
                yield self._rgb(frame), clock.seconds(self._stamp(frame))
        finally:
            self.close()
        if self._damage:
            raise Unreadable(
                f"{self._name}: damaged or cut off ({', '.join(sorted(self._damage))}); {read} frames were read"
            )

    def close(self) -> None:
        """Release the file."""
        self._decoded.close()
        self._container.close()
        self._file.close()

    def _stamp(self, frame: av.VideoFrame) -> float | None:
        """The frame's time stamp in seconds; an .avi only says when a frame is decoded, and FFmpeg's guess may be out of order."""
        stamp = frame.dts if self._container.format.name == "avi" else frame.pts
        return None if stamp is None or frame.time_base is None else float(stamp * frame.time_base)

    def _rgb(self, frame: av.VideoFrame) -> np.ndarray:
        across, down = self._shape
        width, height = round(frame.width * across), round(frame.height * down)
        clear = frame.format.has_palette or any(component.is_alpha for component in frame.format.components)
        colours = "rgba" if clear else "rgb24"
        image = self._reformatter.reformat(frame, width, height, format=colours, threads=1).to_ndarray()
        image = without_alpha(image) if clear else image
        turns = round(frame.rotation / 90) % 4
        return np.ascontiguousarray(np.rot90(image, turns)) if turns else image

    def _decode(self) -> Iterator[av.VideoFrame]:
        """The frames that can be decoded; what goes wrong is noted in `_damage`.

        Errors before the first frame are no damage: a recording that was cut begins with frames whose key frame is missing.
        """
        started = cut = False
        for packet in self._packets():
            try:
                frames = self._stream.decode(packet)
            except (av.error.FFmpegError, ValueError):
                frames = []
                if started:
                    self._damage.add("frames cannot be decoded")
            cut = cut if packet is None or not packet.size else packet.is_corrupt
            for frame in frames:
                if started and frame.is_corrupt:
                    self._damage.add("frames are incomplete")
                started = True
                yield frame
        if self._container.format.name == "gif" and gif.ends_early(self._file):
            self._damage.add("it ends early")
        if cut:  # in the middle of a file that is no evidence: joined recordings have such packets at the joint
            self._damage.add("its last frame is incomplete")

    def _packets(self) -> Iterator[av.Packet | None]:
        """The stream's packets, then one, or None, that makes the decoder give its last frames."""
        packets = self._container.demux(self._stream)
        while True:
            try:
                with av.logging.Capture() as log:
                    packet = next(packets, None)
            except (av.error.FFmpegError, OSError):
                self._damage.add("it cannot be read to its end")
                yield None
                return
            if any(PREMATURE_END in message for _, _, message in log):
                self._damage.add("it ends early")
            if packet is None:
                return
            yield packet


def _pixel_shape(stream: av.VideoStream) -> tuple[float, float]:
    """How much wider and higher a picture becomes by making its pixels square; none becomes smaller."""
    shape = float(stream.sample_aspect_ratio or 1)
    if abs(shape - 1) <= SQUARE or not 1 / MAX_SHAPE <= shape <= MAX_SHAPE:
        return 1.0, 1.0
    return max(shape, 1.0), max(1 / shape, 1.0)


def _rate(stream: av.VideoStream, stamps: list[float | None]) -> float:
    """Frames per second by the header, or by the first frames' time stamps where the header is implausible."""
    rate = float(stream.average_rate or stream.guessed_rate or 0)
    if 0 < rate <= MAX_HEADER_RATE:
        return rate
    step = stamps[1] - stamps[0] if len(stamps) == 2 and None not in stamps else 0
    return 1 / step if 1 / MAX_RATE <= step < MAX_STEP else DEFAULT_RATE


def holds_video(path: Path) -> bool:
    """Whether FFmpeg can decode pictures in a file, whatever its name is."""
    try:
        VideoFile(path).close()
    except Unreadable:
        return False
    return True


def _open(path: Path) -> tuple[BinaryIO, av.container.InputContainer, list[av.VideoStream]]:
    """An open file, its container, and its streams of pictures, the main one first; raises Unreadable."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise Unreadable(f"{path}: {error.strerror}") from error
    with ExitStack() as stack:
        stack.callback(file.close)
        if not os.fstat(file.fileno()).st_size:
            raise Unreadable(f"{path}: empty")
        try:
            container = av.open(file, metadata_errors="replace", options=NO_OTHER_FILES)
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise Unreadable(f"{path}: neither a video nor an image that can be read") from error
        stack.callback(container.close)
        streams = [stream for stream in container.streams.video if not stream.disposition & NOT_A_VIDEO]
        if not streams or not _shows_films(container.format.name, file):
            raise Unreadable(f"{path}: holds no video")
        best = container.streams.best("video")
        main = best if best in streams else streams[0]
        main.thread_type = "SLICE"  # with threads per frame, FFmpeg drops the last good frames before damage
        stack.pop_all()
        return file, container, [main, *(stream for stream in streams if stream is not main and stream.frames != 1)]


def _shows_films(format_name: str, file: BinaryIO) -> bool:
    """Whether files of this format hold pictures rather than text, icons or other data."""
    if format_name != "mjpeg":
        return format_name not in NO_FILMS
    return os.pread(file.fileno(), len(JPEG_START), 0) == JPEG_START
