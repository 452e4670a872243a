"""What the processes of a study tell one another through its folder: tuner/DIGEST8/, shared by all machines."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import UserError
from pipeline.run_files import append_jsonl, clear_disk_errors, read_json, read_jsonl, write_json

DIGITS = 8


@dataclass(frozen=True)
class Halt:
    """halt.json: one process says that all must end, with which exit code and why."""

    path: Path

    def write(self, code: int, message: str) -> None:
        """Ask all to end; the first reason stays."""
        if not self.path.exists():
            write_json(self.path, {"exit": code, "message": message})

    def read(self) -> tuple[int, str] | None:
        """Exit code and reason, None if the study goes on."""
        found = read_json(self.path)
        return None if found is None else (found["exit"], found["message"])

    def clear(self) -> None:
        """Forget what an earlier start of the study said."""
        self.path.unlink(missing_ok=True)


@dataclass(frozen=True)
class State:
    """Where the state of the search lies: keras-tuner's own files, the workers' reports, the logs."""

    folder: Path
    digest: str

    @property
    def tuner(self) -> Path:
        """keras-tuner's project folder."""
        return self.folder / "tuner" / self.digest[:DIGITS]

    @property
    def oracle(self) -> Path:
        """The state of the oracle."""
        return self.tuner / "oracle.json"

    @property
    def halt(self) -> Halt:
        """The way to end the study from any of its processes."""
        return Halt(self.tuner / "halt.json")

    def log(self, name: str) -> Path:
        """What the chief or a worker says."""
        return self.tuner / "logs" / f"{name}.log"

    @contextmanager
    def as_chief(self) -> Iterator[None]:
        """Be the only chief, after the one before has gone."""
        with self._lock("chief") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    @contextmanager
    def as_machine(self, name: str) -> Iterator[None]:
        """Be the only machine of this name; raises UserError if there is one already."""
        with self._lock(name) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UserError(f"{name}: a machine of this name works on the study already. Choose another") from None
            yield

    def report(self, worker: str, **event: object) -> None:
        """Append what a worker has begun or finished to its reports."""
        append_jsonl(self._reports / f"{worker}.jsonl", event)

    def begin_reports(self) -> None:
        """Forget the reports of an earlier start of the study."""
        for path in self._reports.glob("*.jsonl"):
            path.unlink()

    def reports(self) -> "Reports":
        """What the workers of all machines report."""
        return Reports(self._reports)

    @contextmanager
    def _lock(self, name: str) -> Iterator[object]:
        path = self.tuner / "locks" / name
        with clear_disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            file = path.open("w")
        with file:
            yield file

    @property
    def _reports(self) -> Path:
        return self.tuner / "reports"


class Reports:
    """The workers' reports, one file each; a file is read again only when it has grown."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._known: dict[Path, tuple[int, list[dict]]] = {}

    def read(self) -> dict[str, list[dict]]:
        """All reports so far by worker."""
        for path in sorted(self.folder.glob("*.jsonl")):
            size = path.stat().st_size
            if self._known.get(path, (-1,))[0] != size:
                self._known[path] = size, read_jsonl(path)
        return {path.stem: events for path, (_, events) in self._known.items()}
