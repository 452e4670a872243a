"""The prepared data of a TFDS builder: made once, by one process at a time, and made again when they are damaged."""

import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from pipeline.data.prepared import quietly
from pipeline.data.record_table import DamagedRecords, RecordTable, read_table
from pipeline.errors import RunFailed, UserError
from pipeline.run_files import FULL

METADATA = "metadata.json"  # of TFDS
SORTED_IN_MEMORY = 100_000_000  # bytes of records; more are sorted in parts, on the disk


def prepared_records(make_builder: Callable[[], Any], terminal: TextIO | None) -> tuple[RecordTable, dict]:
    """The records and the metadata of the builder that `make_builder` gives.

    Raises:
        UserError: what the builder raises, or TFDS's folder cannot be written.
        RunFailed: the disk is full.
    """
    with quietly():
        builder = make_builder()
    folder = Path(builder.data_dir)
    with _clear_errors(folder), _lock(folder):
        if folder.exists():
            try:
                return _open(folder)
            except DamagedRecords as damage:
                _say(terminal, f"{damage}: preparing the data again")
                shutil.rmtree(folder)
        for unfinished in folder.parent.glob("incomplete.*"):  # of killed processes: the lock keeps living ones out
            shutil.rmtree(unfinished)
        with quietly():
            _prepare(make_builder())
        return _open(folder)


def _prepare(builder: Any) -> None:
    from tensorflow_datasets.core import shuffle

    shuffle.MAX_MEM_BUFFER_SIZE = SORTED_IN_MEMORY  # TFDS's own would be a gigabyte
    builder.download_and_prepare()


def _open(folder: Path) -> tuple[RecordTable, dict]:
    try:
        notes = json.loads((folder / METADATA).read_text())
    except (OSError, ValueError) as error:
        raise DamagedRecords(f"{folder}: {METADATA} is missing or damaged") from error
    return read_table(folder), notes


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Keep other processes from preparing `folder`; they wait."""
    path = folder.parent.with_name(f".{folder.parent.name}.lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def _clear_errors(folder: Path) -> Iterator[None]:
    """Turn a full disk into RunFailed, a folder that cannot be used into UserError; TensorFlow tells both by text only."""
    try:
        yield
    except (UserError, RunFailed, DamagedRecords):
        raise
    except Exception as error:
        full = next((os.strerror(number) for number in FULL if os.strerror(number) in str(error)), None)
        if full:
            message = f"{folder}: {full}. Free some space and run the same command again: the data are prepared anew"
            raise RunFailed(message) from error
        if isinstance(error, OSError):
            message = f"{error}. Set TFDS_DATA_DIR to a folder that can be written: the face crops are kept there"
            raise UserError(message) from error
        raise


def _say(terminal: TextIO | None, line: str) -> None:
    if terminal is not None:
        print(line, file=terminal, flush=True)
