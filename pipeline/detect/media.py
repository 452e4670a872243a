"""What a file is: an image, a video or neither, judged by what it holds, because names are often wrong."""

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Literal

import av

from pipeline.detect.videos import NO_OTHER_FILES, holds_video
from pipeline.faces.heif import HEIF_BRANDS, UnreadableHeif, is_heif, pictures_in_heif

Kind = Literal["image", "video"]

IMAGE_ENDINGS = frozenset((
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".bmp", ".dib", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm",
    ".gif", ".avif", ".heic", ".heif", ".hif", ".jp2", ".hdr",
))  # fmt: skip
VIDEO_ENDINGS = frozenset((
    ".mp4", ".m4v", ".mov", ".qt", ".avi", ".divx", ".mkv", ".webm", ".mpg", ".mpeg", ".m2v", ".vob", ".wmv", ".asf", ".flv",
    ".f4v", ".3gp", ".3g2", ".ts", ".mts", ".m2ts", ".ogv", ".mxf", ".mjpeg", ".mjpg", ".h264", ".264", ".hevc", ".265", ".y4m",
))  # fmt: skip
START_BYTES, PNG_HEADER_BYTES = 512, 65536
TIFF_STARTS = (b"II*\0", b"MM\0*")
BIG_TIFF_STARTS = (b"II+\0", b"MM\0+")  # with places of 8 bytes
SOUND_BRANDS = (b"M4A ", b"M4B ", b"M4P ")  # of MP4 files
MOVING_BRANDS = (b"avis", b"msf1", b"hevc", b"hevx")  # of HEIF files: a sequence, which is a video


def kind_of(path: Path) -> Kind | None:
    """What a file holds: by its first bytes, else by its ending; None if neither says.

    An image that moves (GIF, APNG, AVIF, WebP) is a video. A pipe or device is not opened, which could wait for ever.
    """
    start = b""
    with suppress(OSError):
        if os.path.isfile(path):
            with path.open("rb") as file:
                start = file.read(START_BYTES)
    kind = _by_content(path, start)
    if kind is None:
        ending = path.suffix.lower()
        kind = "image" if ending in IMAGE_ENDINGS else "video" if ending in VIDEO_ENDINGS else None
    return kind


def kind_in_folder(path: Path) -> Kind | None:
    """As `kind_of`, but a file that neither its bytes nor its ending tell is opened by FFmpeg; None for what is no media."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return None
    except OSError:  # a link that leads nowhere: reading it will say so, if it is named like media
        return kind_of(path)
    return kind_of(path) or ("video" if holds_video(path) else None)


def unread_pictures(path: Path) -> int:
    """How many more pictures than the first an image file holds: the pages of a TIFF, the pictures of a HEIC."""
    with path.open("rb") as file:
        start = file.read(START_BYTES)
        if start.startswith((*TIFF_STARTS, *BIG_TIFF_STARTS)):
            return max(1, _pages(file)) - 1
    try:
        return pictures_in_heif(path.read_bytes()) - 1 if is_heif(start) and b"avif" not in start[8:64] else 0
    except UnreadableHeif:
        return 0


def _pages(file: BinaryIO) -> int:
    """The number of directories in a TIFF; OpenCV counts them too, but crashes if the file's name is not UTF-8."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    start = file.read(4)
    order = "little" if start.startswith(b"II") else "big"
    first, place_size, count_size, entry_size = (8, 8, 8, 20) if start in BIG_TIFF_STARTS else (4, 4, 2, 12)
    seen: set[int] = set()
    file.seek(first)
    while (place := int.from_bytes(file.read(place_size), order)) and place not in seen:
        if place > size:
            break
        file.seek(place)
        entries = int.from_bytes(file.read(count_size), order)
        if not 0 < entries * entry_size <= size:  # damaged
            break
        seen.add(place)
        file.seek(entries * entry_size, os.SEEK_CUR)
    return len(seen)


def is_webp(start: bytes) -> bool:
    """Whether a file with these first bytes is a WebP image."""
    return start[:4] == b"RIFF" and start[8:12] == b"WEBP"


def _by_content(path: Path, start: bytes) -> Kind | None:
    if start[4:8] == b"ftyp":
        brands = {start[8:12]} | {start[place : place + 4] for place in range(16, min(len(start), _size(start)), 4)}
        if start[8:12] in SOUND_BRANDS:
            return None
        if start[8:12] in MOVING_BRANDS:
            return "video"
        return "image" if brands & HEIF_BRANDS else "video"
    if is_webp(start):
        moves = start[12:16] == b"VP8X" and int.from_bytes(start[20:21], "little") & 0x02
        return "video" if moves else "image"
    if start.startswith(b"\x89PNG"):
        return "video" if _may_move(path) and _moves(path) else "image"
    if start.startswith(b"GIF8"):
        return "video" if _moves(path) else "image"
    if start.startswith(b"\xff\xd8\xff") and path.suffix.lower() not in IMAGE_ENDINGS:
        return "video" if _moves(path) else "image"  # Motion JPEG is one JPEG after the other
    return "image" if start.startswith((b"\xff\xd8\xff", b"\0\0\0\x0cjP  ", *TIFF_STARTS, *BIG_TIFF_STARTS)) else None


def _size(start: bytes) -> int:
    return int.from_bytes(start[:4], "big")


def _may_move(path: Path) -> bool:
    """Whether a PNG has the chunk of an animation before its pixels; most have none, and FFmpeg takes ten times as long."""
    with path.open("rb") as file:
        header, pixels, _ = file.read(PNG_HEADER_BYTES).partition(b"IDAT")
    return b"acTL" in header or not pixels


def _moves(path: Path) -> bool:
    """Whether a file has more than one frame."""
    try:
        with path.open("rb") as file, av.open(file, options=NO_OTHER_FILES) as container:
            packets: Iterator[av.Packet] = container.demux(video=0)
            return sum(packet.size > 0 for packet in islice(packets, 2)) == 2
    except (av.error.FFmpegError, OSError, ValueError, IndexError):
        return False
