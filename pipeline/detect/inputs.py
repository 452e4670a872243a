"""What to look at: images, folders, globs, videos, cameras and lists, one source after the other."""

import glob
import os
import re
import selectors
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipeline.errors import UserError

IMAGE_ENDINGS = frozenset(
    (".jpg", ".jpeg", ".jpe", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".gif", ".avif", ".jp2")
)
VIDEO_ENDINGS = frozenset(
    (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".flv", ".3gp", ".ts", ".ogv")
)
IMAGE_STARTS = (b"\xff\xd8", b"\x89PNG", b"BM", b"GIF8", b"II*\0", b"MM\0*")
LIST = "-"
WAIT_SECONDS = 0.2  # between two looks at whether the user wants to stop


@dataclass(frozen=True)
class Source:
    """Something to look at: its kind, and its path, or the number of a camera; `short` is its path below a named folder."""

    kind: Literal["image", "video", "camera"]
    name: str
    short: str


@dataclass(frozen=True)
class Inputs:
    """All sources; `kinds` are those that may come, `single` that there is just one."""

    sources: Sequence[Source] | Iterator[Source]
    kinds: frozenset[str]
    single: bool

    @property
    def count(self) -> int | None:
        """How many sources there are, None if nobody knows yet."""
        return len(self.sources) if isinstance(self.sources, list) else None


def find_inputs(names: Sequence[str], waiting: Callable[[], None] = lambda: None) -> Inputs:
    """What the names on the command line mean; `waiting` is called again and again while a list on stdin pauses.

    Raises:
        UserError: a name stands for nothing, or `-` does not stand alone.
    """
    if LIST in names:
        if len(names) > 1:
            raise UserError("- (a list of files on stdin) cannot be mixed with other inputs")
        return Inputs(_listed(waiting), frozenset(("image", "video")), single=False)
    sources = [source for name in names for source in _expand(name)]
    return Inputs(sources, frozenset(source.kind for source in sources), len(sources) == 1)


def is_utf8(name: str) -> bool:
    """Whether native libraries can be given the name of a file."""
    return not any("\ud800" <= letter <= "\udfff" for letter in name)


def _expand(name: str) -> list[Source]:
    if not name:
        raise UserError("an input's name is empty. The current folder is named by a dot: .")
    if re.fullmatch(r"\d{1,3}", name):
        return [Source("camera", name, f"camera{name}")]
    path = Path(name)
    if os.path.exists(path):
        return _there(path)
    found = sorted(glob.glob(name, recursive=True), key=natural)
    if not found:
        raise UserError(f"{name}: no such file, folder or pattern. A camera is named by its number: 0")
    return [source for match in found for source in _there(Path(match))]


def _there(path: Path) -> list[Source]:
    return _of_folder(path) if path.is_dir() else [_of_file(str(path))]


def _of_folder(folder: Path) -> list[Source]:
    """The images and videos in a folder and those below it, 2.jpg before 10.jpg."""
    names = (
        os.path.join(root, name) for root, _, files in os.walk(folder) for name in files if not name.startswith(".")
    )
    wanted = [name for name in names if Path(name).suffix.lower() in IMAGE_ENDINGS | VIDEO_ENDINGS]
    if not wanted:
        raise UserError(f"{folder}: no images or videos in it ({' '.join(sorted(IMAGE_ENDINGS | VIDEO_ENDINGS))})")
    return [_of_file(name, os.path.relpath(name, folder)) for name in sorted(wanted, key=natural)]


def _of_file(name: str, short: str | None = None) -> Source:
    path = Path(name)
    return Source("image" if _is_image(path) else "video", name, short or path.name)


def _is_image(path: Path) -> bool:
    """By its ending, or if that says nothing, by its first bytes."""
    if path.suffix.lower() in IMAGE_ENDINGS | VIDEO_ENDINGS:
        return path.suffix.lower() in IMAGE_ENDINGS
    try:
        with path.open("rb") as file:
            return file.read(4).startswith(IMAGE_STARTS)
    except OSError:
        return False


def natural(name: str) -> list:
    """A sort key in which numbers count as numbers."""
    parts = re.split(r"(\d+)", name)
    return [(int(part), "") if part.isdecimal() else (-1, part.lower()) for part in parts] + [(0, name)]


def _listed(waiting: Callable[[], None]) -> Iterator[Source]:
    """A source for every path on stdin, one a line, as they come."""
    for line in _lines(0, waiting):
        name = os.fsdecode(line).strip("\r\n")
        if "\0" in name:
            raise UserError("the list on stdin holds zero bytes. It takes one path a line: find without -print0")
        if name:
            yield _of_file(name)


def _lines(descriptor: int, waiting: Callable[[], None]) -> Iterator[bytes]:
    rest = b""
    with selectors.DefaultSelector() as selector:
        ready = _watch(selector, descriptor)
        while True:
            waiting()
            if not ready():
                continue
            block = os.read(descriptor, 65536)
            *lines, rest = (rest + block).split(b"\n")
            yield from lines
            if not block:
                yield rest
                return


def _watch(selector: selectors.BaseSelector, descriptor: int) -> Callable[[], bool]:
    """Whether there is something to read; files, which cannot be waited for, always have."""
    try:
        selector.register(descriptor, selectors.EVENT_READ)
    except PermissionError:
        return lambda: True
    return lambda: bool(selector.select(WAIT_SECONDS))
