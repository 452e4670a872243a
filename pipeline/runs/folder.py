"""The folder of a run, runs/NAME-HASH8: one writer at a time, and resumable after a kill at any moment."""

import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar

from pipeline.errors import RunFailed, UserError
from pipeline.runs.environment import describe_environment, numeric_changes
from pipeline.runs.files import TEMPORARY, clear_disk_errors, read_json, write_json
from pipeline.runs.lock import Held, locked
from pipeline.runs.names import ENVIRONMENT, LOCK, RUN_FORMAT, STATUS

TRAINING_FOLDER = re.compile(r"seed(\d+)(?:-fold(\d+))?")
IS_WRITING = "is writing to this run"

State = Literal["running", "done", "stopped", "failed"]
Named = TypeVar("Named")


class Training(NamedTuple):
    """One training of a run: its seed, and its fold if the data have folds."""

    seed: int
    fold: int | None = None

    @property
    def title(self) -> str:
        """`seed 1` or `seed 1, fold 2`."""
        return f"seed {self.seed}" if self.fold is None else f"seed {self.seed}, fold {self.fold}"

    @property
    def name(self) -> int | str:
        """The name in status.json: 1, or `1-fold2`."""
        return self.seed if self.fold is None else f"{self.seed}-fold{self.fold}"

    def folder(self, run_folder: Path) -> Path:
        """Its folder in the run folder: seed1, seed1-fold2."""
        return seed_path(run_folder, *self)


def run_path(output_dir: Path, name: str, config_hash: str) -> Path:
    """OUTPUT_DIR/runs/NAME-HASH8."""
    return output_dir / "runs" / f"{name}-{config_hash}"


def seed_path(folder: Path, seed: int, fold: int | None = None) -> Path:
    """The folder of one seed (and fold) in a run folder: seed1, seed1-fold2."""
    return folder / (f"seed{seed}" if fold is None else f"seed{seed}-fold{fold}")


def training_of(name: str) -> Training | None:
    """The training whose folder is called `name`; None if it is no training's folder."""
    match = TRAINING_FOLDER.fullmatch(name)
    return Training(int(match[1]), int(match[2]) if match[2] else None) if match else None


def trainings_of(seeds: Sequence[int], folds: Sequence[int] = ()) -> list[Training]:
    """All trainings of a run, in the order they run."""
    return [Training(seed, fold) for fold in folds or (None,) for seed in seeds]


def best_training(scores: Iterable[tuple[Named, Mapping]], metric: str) -> Named:
    """The training whose files are shipped: the one with the best `metric` in its scores.json, the first of several.

    `scores` are in the order of the configuration; the metric is measured on noisy validation labels.
    A training without the metric counts as worst.
    """

    def score(pair: tuple[Named, Mapping]) -> float:
        value = pair[1].get(metric)
        return -1.0 if value is None else value

    return max(scores, key=score)[0]


@contextmanager
def open_run(folder: Path) -> Iterator[Path]:
    """Create or reopen a run folder as its only writer during the block.

    Raises UserError if another process is writing to it, it cannot be created, or it has another format version.
    """
    with _opened(folder, f"**/{TEMPORARY}*"):
        yield folder


@contextmanager
def open_study(folder: Path) -> Iterator[Path]:
    """Like `open_run` for a folder that contains run folders: temporary files inside those are left alone."""
    with _opened(folder, f"{TEMPORARY}*"):
        yield folder


def clear_run(folder: Path) -> None:
    """Empty a run folder of any format version (`--fresh`); raises UserError if another process is writing to it.

    The status is deleted last; until then it marks the folder as not resumable.
    """
    with _locked(folder):
        write_json(folder / STATUS, {"format": None, "state": "stopped", "message": "--fresh was interrupted"})
        for entry in folder.iterdir():
            if entry.name not in (LOCK, STATUS):
                shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
        (folder / STATUS).unlink()


def write_status(
    folder: Path, state: State, stage: str = "", seeds_done: Sequence[int] = (), message: str = ""
) -> None:
    """Write the progress of the run to status.json; `started` is the time of the first call."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    status = {
        "format": RUN_FORMAT,
        "state": state,
        "stage": stage,
        "seeds_done": list(seeds_done),
        "message": message,
        "started": (read_status(folder) or {}).get("started", now),
        "updated": now,
    }
    write_json(folder / STATUS, status)


def read_status(folder: Path) -> dict | None:
    """The content of status.json, None for a folder without one; raises RunFailed if it is damaged."""
    return read_json(folder / STATUS)


def write_environment(folder: Path) -> list[str]:
    """Write environment.json: machine, versions, commit, command, and how it changed where a training was interrupted.

    Returns what has changed now, in words, if a training goes on whose numbers may depend on it.
    """
    try:
        earlier = read_json(folder / ENVIRONMENT) or {}
    except RunFailed:  # damaged: it is written again
        earlier = {}
    now, begun = describe_environment(), any(folder.glob("seed*/checkpoint-*"))
    changes = numeric_changes(earlier, now) if begun else []
    resumed = [*earlier.get("resumed", []), *(["; ".join(changes)] if changes else [])]
    write_json(folder / ENVIRONMENT, now | ({"resumed": resumed} if resumed else {}))
    return changes


@contextmanager
def _opened(folder: Path, leftovers: str) -> Iterator[None]:
    """Lock the folder, check its format, and delete `leftovers` (a glob pattern) of a killed writer."""
    with _locked(folder):
        _check_format(folder)
        for leftover in folder.glob(leftovers):
            leftover.unlink(missing_ok=True)
        if read_status(folder) is None:
            write_status(folder, "running")
        yield


def _check_format(folder: Path) -> None:
    try:
        status = read_status(folder)
    except RunFailed as error:
        raise UserError(str(error)) from None
    if status is not None and status.get("format") != RUN_FORMAT:
        raise UserError(
            f"{folder}: cannot be resumed: its format is {status.get('format')}, this version writes {RUN_FORMAT}. "
            "Delete it to start again (or pass --fresh to pipeline.run)"
        )


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; raises UserError at once if another process holds it."""
    with ExitStack() as held:
        try:
            with clear_disk_errors(folder):
                held.enter_context(locked(folder / LOCK, wait=False))
        except Held as lock:
            message = f"{folder}: process {lock.owner} {IS_WRITING}. Wait for it to end, or stop it"
            raise UserError(message) from None
        yield
