"""The folder of a run, runs/NAME-HASH8: one writer at a time, safe against a kill at any moment."""

import fcntl
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pipeline.environment import describe_environment
from pipeline.errors import RunFailed, UserError
from pipeline.run_files import (
    TEMPORARY,
    append_jsonl,
    clear_disk_errors,
    read_json,
    read_jsonl,
    replacing,
    write_bytes,
    write_json,
    write_jsonl,
    write_npz,
    write_text,
)

RUN_FORMAT = 1
LOCK = ".lock"
STATUS = "status.json"
IS_WRITING = "is writing to this run"

State = Literal["running", "done", "stopped", "failed"]

__all__ = [
    "RUN_FORMAT",
    "append_jsonl",
    "clear_run",
    "open_run",
    "read_json",
    "read_jsonl",
    "read_status",
    "replacing",
    "run_path",
    "seed_path",
    "write_bytes",
    "write_environment",
    "write_json",
    "write_jsonl",
    "write_npz",
    "write_status",
    "write_text",
]


def run_path(output_dir: Path, name: str, config_hash: str) -> Path:
    """OUTPUT_DIR/runs/NAME-HASH8."""
    return output_dir / "runs" / f"{name}-{config_hash}"


def seed_path(folder: Path, seed: int, fold: int | None = None) -> Path:
    """The folder of one seed (and fold) in a run's folder: seed1, seed1-fold2."""
    return folder / (f"seed{seed}" if fold is None else f"seed{seed}-fold{fold}")


@contextmanager
def open_run(folder: Path) -> Iterator[Path]:
    """Create or continue a run's folder as its only writer, for as long as the block lasts.

    Raises UserError if another process writes to it, it cannot be created, or another version of the format made it.
    """
    with _opened(folder, f"**/{TEMPORARY}*"):
        yield folder


@contextmanager
def open_study(folder: Path) -> Iterator[Path]:
    """As `open_run` for a folder that holds others' run folders: what they are writing there is left alone."""
    with _opened(folder, f"{TEMPORARY}*"):
        yield folder


@contextmanager
def _opened(folder: Path, leftovers: str) -> Iterator[None]:
    """The folder locked and of this format, without the `leftovers` (a pattern) of a writer that was killed."""
    with _locked(folder):
        _check_format(folder)
        for leftover in folder.glob(leftovers):
            leftover.unlink(missing_ok=True)
        if read_status(folder) is None:
            write_status(folder, "running")
        yield


def clear_run(folder: Path) -> None:
    """Empty a run's folder (`--fresh`), whatever version made it; raises UserError if another process writes to it.

    The status goes last, and says meanwhile that the folder cannot be continued.
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
    """Say in status.json how far the run is; `started` stays that of the first call."""
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
    """What status.json says, None for a folder without one; raises RunFailed if it is damaged."""
    return read_json(folder / STATUS)


def write_environment(folder: Path) -> None:
    """Write environment.json: machine, versions, commit and command."""
    write_json(folder / "environment.json", describe_environment())


def _check_format(folder: Path) -> None:
    try:
        status = read_status(folder)
    except RunFailed as error:
        raise UserError(str(error)) from None
    if status is not None and status.get("format") != RUN_FORMAT:
        raise UserError(
            f"{folder}: cannot be continued: its format is {status.get('format')}, this version writes {RUN_FORMAT}. "
            "Delete it to start again (pipeline.run does it with --fresh)"
        )


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; the system releases it when the process ends, however it ends."""
    with clear_disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            with clear_disk_errors(folder):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(descriptor, 32, 0).decode().strip()
            message = f"{folder}: process {owner or '(unknown)'} {IS_WRITING}. Wait for it, or stop it"
            raise UserError(message) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)
