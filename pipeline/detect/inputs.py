"""The inputs that names stand for (files, folders, patterns, cameras, a list on stdin), and files no output may overwrite."""

import glob
import os
import re
import selectors
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from pipeline.detect.media import Kind, kind_in_folder, kind_of
from pipeline.errors import UserError

LIST = "-"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
WAIT_SECONDS = 0.2  # between two checks whether the user wants to stop
NAMED = 5  # of the files that are not read, how many are named


@dataclass(frozen=True)
class Source:
    """An input: its kind, its path or the number of a camera; `short` is its path below the folder that was named."""

    kind: Literal["image", "video", "camera"]
    name: str
    short: str


@dataclass(frozen=True)
class Inputs:
    """All sources; `kinds` are those that may occur, `single` means there is exactly one.

    `skipped` says what the folders hold besides them, `closed` which subfolders cannot be read.
    """

    sources: Sequence[Source] | Iterator[Source]
    kinds: frozenset[str]
    single: bool
    skipped: Sequence[str] = ()
    closed: Sequence[str] = ()

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
    folders: list[Folder] = []
    sources = [source for name in names for source in _expand(name, folders)]
    skipped = [folder.skipped_text() for folder in folders if folder.skipped]
    closed = [text for folder in folders for text in folder.closed]
    return Inputs(sources, frozenset(source.kind for source in sources), len(sources) == 1, skipped, closed)


@dataclass
class Folder:
    """The images and videos in a folder and those below it, links among them; what is not read; what cannot be opened."""

    path: Path
    media: list[tuple[Kind, str]] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)

    def __post_init__(self):
        seen = set()
        for root, folders, files in os.walk(self.path, onerror=self._note_closed, followlinks=True):
            identity = _identity(root)
            if identity in seen:  # a link to a folder above it, or to one that was read already
                folders.clear()
                continue
            seen.add(identity)
            folders.sort(key=lambda name: (os.path.islink(os.path.join(root, name)), name))  # links last
            for name in files:
                self._sort(os.path.join(root, name))

    def sources(self) -> list[Source]:
        """The sources, 2.jpg before 10.jpg; raises UserError if there is none."""
        if not self.media:
            reason = f". {self.closed[0]}" if self.closed else f". {self.skipped_text()}" if self.skipped else ""
            raise UserError(f"{self.path}: no images or videos in it{reason}")
        ordered = sorted(self.media, key=lambda found: natural(found[1]))
        return [Source(kind, name, os.path.relpath(name, self.path)) for kind, name in ordered]

    def skipped_text(self) -> str:
        """How many files are not read, and the names of the first."""
        names = sorted((os.path.relpath(name, self.path) for name in self.skipped), key=natural)
        more = ", ..." if len(names) > NAMED else ""
        files = "1 file is" if len(names) == 1 else f"{len(names)} files are"
        return (
            f"{self.path}: {files} neither image nor video, or hidden, and not read: {', '.join(names[:NAMED])}{more}"
        )

    def _sort(self, name: str) -> None:
        kind = None if Path(name).name.startswith(".") else kind_in_folder(Path(name))
        if kind is None:
            self.skipped.append(name)
        else:
            self.media.append((kind, name))

    def _note_closed(self, error: OSError) -> None:
        self.closed.append(f"{error.filename}: the folder cannot be read: {error.strerror}")


def _expand(name: str, folders: list[Folder]) -> list[Source]:
    """The sources that a name stands for; folders are added to the list."""
    if not name:
        raise UserError("an input's name is empty. For the current folder, write a dot: .")
    if re.fullmatch(r"\d{1,3}", name):
        return [Source("camera", name, f"camera{name}")]
    if os.path.exists(name):
        return _existing(name, folders)
    if os.path.islink(name):
        raise UserError(f"{name}: a link that leads nowhere, or in a circle")
    found = sorted(glob.glob(name, recursive=True), key=natural)
    if not found:
        raise UserError(f"{name}: no such file, folder or pattern. For a camera, give its number: 0")
    return [source for match in found for source in _existing(match, folders)]


def _existing(name: str, folders: list[Folder]) -> list[Source]:
    if not os.path.isdir(name):
        return [_of_file(name)]
    folders.append(Folder(Path(name)))
    return folders[-1].sources()


def _of_file(name: str) -> Source:
    return Source(kind_of(Path(name)) or "video", name, Path(name).name)


def natural(name: str) -> list:
    """A sort key in which numbers count as numbers."""
    parts = re.split(r"(\d+)", name)
    return [(int(part), "") if part.isdecimal() else (-1, part.lower()) for part in parts] + [(0, name)]


def _listed(waiting: Callable[[], None]) -> Iterator[Source]:
    """A source for every path on stdin, one per line, as they arrive."""
    for number, line in enumerate(_lines(0, waiting)):
        name = os.fsdecode(line.removeprefix(BYTE_ORDER_MARK) if number == 0 else line).strip("\r\n")
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
