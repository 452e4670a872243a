"""The inputs that names stand for (files, folders, patterns, cameras, a list on stdin), and files no output may overwrite."""

import glob
import os
import re
import selectors
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
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
WAIT_SECONDS = 0.2  # between two checks whether the user wants to stop


@dataclass(frozen=True)
class Source:
    """An input: its kind, its path or the number of a camera; `short` is its path below the folder that was named."""

    kind: Literal["image", "video", "camera"]
    name: str
    short: str


@dataclass(frozen=True)
class Inputs:
    """All sources; `kinds` are those that may occur, `single` means there is exactly one."""

    sources: Sequence[Source] | Iterator[Source]
    kinds: frozenset[str]
    single: bool

    @property
    def count(self) -> int | None:
        """The number of sources, None if not known yet."""
        return len(self.sources) if isinstance(self.sources, list) else None


def find_inputs(names: Sequence[str], waiting: Callable[[], None] = lambda: None) -> Inputs:
    """The sources that the names on the command line stand for; `waiting` is called repeatedly while stdin is read.

    Raises:
        UserError: a name stands for nothing, or `-` is not the only one.
    """
    if LIST in names:
        if len(names) > 1:
            raise UserError("- (a list of files on stdin) cannot be mixed with other inputs")
        return Inputs(_listed(waiting), frozenset(("image", "video")), single=False)
    sources = [source for name in names for source in _expand(name)]
    return Inputs(sources, frozenset(source.kind for source in sources), len(sources) == 1)


def is_utf8(name: str) -> bool:
    """Whether a file name can be passed to native libraries."""
    return not any("\ud800" <= letter <= "\udfff" for letter in name)


def _expand(name: str) -> list[Source]:
    if not name:
        raise UserError("an input's name is empty. For the current folder, write a dot: .")
    if re.fullmatch(r"\d{1,3}", name):
        return [Source("camera", name, f"camera{name}")]
    path = Path(name)
    if os.path.exists(path):
        return _existing(path)
    found = sorted(glob.glob(name, recursive=True), key=natural)
    if not found:
        raise UserError(f"{name}: no such file, folder or pattern. For a camera, give its number: 0")
    return [source for match in found for source in _existing(Path(match))]


def _existing(path: Path) -> list[Source]:
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
    """Judged by its ending, or by its first bytes if the ending is unknown."""
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
    """A source for every path on stdin, one per line, as they arrive."""
    for line in _lines(0, waiting):
        name = os.fsdecode(line).strip("\r\n")
        if "\0" in name:
            raise UserError("the list on stdin contains zero bytes. Write one path per line: find without -print0")
        if name:
            yield _of_file(name)


def _lines(descriptor: int, waiting: Callable[[], None]) -> Iterator[bytes]:
    rest = b""
    with selectors.DefaultSelector() as selector:
        ready = _readiness(selector, descriptor)
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


def _readiness(selector: selectors.BaseSelector, descriptor: int) -> Callable[[], bool]:
    """A function that tells whether there is something to read; always true for files, which cannot be waited for."""
    try:
        selector.register(descriptor, selectors.EVENT_READ)
    except PermissionError:
        return lambda: True
    return lambda: bool(selector.select(WAIT_SECONDS))


class Originals:
    """The files that must not be overwritten: the model's and, as they arrive, the inputs.

    `outputs` are the files named on the command line.
    """

    def __init__(self, model_files: Iterable[Path], outputs: Iterable[str]):
        self._owners = {_identity(path): "a file of the model" for path in model_files}
        self._outputs, self._written = tuple(outputs), set()

    def keep(self, inputs: Inputs) -> Inputs:
        """The same inputs; each is remembered now, or when a list on stdin names it.

        Raises UserError, now or then, if an output is an original.
        """
        if inputs.count is None:
            self._check_outputs()
            return replace(inputs, sources=self._kept(inputs.sources))
        for source in inputs.sources:
            self._add(source)
        self._check_outputs()
        return inputs

    def check(self, path: str | Path) -> None:
        """Raise UserError if writing to the path would replace an original."""
        owner = self._owners.get(_identity(path))
        if owner:
            raise UserError(f"{path}: would overwrite {owner}. Choose another place for the output")

    def note_written(self, path: Path) -> None:
        """Remember what the run itself wrote: it must not be an input."""
        self._written.add(os.path.realpath(path))

    def _kept(self, sources: Iterable[Source]) -> Iterator[Source]:
        for source in sources:
            if os.path.realpath(source.name) in self._written:
                raise UserError(f"{source.name}: named as an input, but this run has written it. Choose another output")
            self._add(source)
            self._check_outputs()
            yield source

    def _add(self, source: Source) -> None:
        if source.kind != "camera":
            self._owners.setdefault(_identity(source.name), "an input")

    def _check_outputs(self) -> None:
        for name in self._outputs:
            self.check(name)


def _identity(path: str | Path) -> tuple[int, int] | str:
    """The same for all names of one file, links among them."""
    try:
        status = os.stat(path)
    except OSError:
        return os.path.realpath(path)
    return status.st_dev, status.st_ino
