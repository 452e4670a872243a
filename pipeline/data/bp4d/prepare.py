"""The prepared data of a TFDS builder: made once, by one process at a time, and made again when they are damaged."""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TextIO

from pipeline.data.bp4d.frame_index import Tally
from pipeline.data.prepared import quietly, tfds_folder
from pipeline.data.record_table import ADVICE, DamagedRecords, RecordTable, read_table
from pipeline.errors import RunFailed, UserError
from pipeline.faces.crop import CropRecipe
from pipeline.run_files import FULL

if TYPE_CHECKING:
    from pipeline.data.bp4d.builder import Bp4d, Bp4dConfig

METADATA = "metadata.json"  # of TFDS
COLUMNS = {"subject", "task", "frame", "labels"}  # of the table, `clean_labels` where there are any
SORTED_IN_MEMORY = 100_000_000  # bytes of records; more are sorted in parts, on the disk


class Prepared(NamedTuple):
    """The records, the recipe of their crops with the counts of its sources, and the images that could not be read."""

    table: RecordTable
    crop: dict
    unreadable: Tally


def prepared_records(config: "Bp4dConfig", terminal: TextIO | None) -> Prepared:
    """What the builder Bp4d makes of `config`, from TFDS's folder if it is there and whole.

    Raises:
        UserError: what the builder raises, or TFDS's folder cannot be written.
        RunFailed: the disk is full.
    """
    from pipeline.data.bp4d.builder import Bp4d

    data_dir = tfds_folder().expanduser()  # TFDS does so too
    folder = data_dir / Bp4d.name / config.name / str(Bp4d.VERSION)
    columns = COLUMNS if config.index.clean_labels is None else COLUMNS | {"clean_labels"}
    with _clear_errors(folder), _lock(folder):
        if folder.exists():
            try:
                return _open(folder, columns)
            except DamagedRecords as damage:
                _say(terminal, f"{damage}: preparing the data again")
                shutil.rmtree(folder)
        for unfinished in folder.parent.glob("incomplete.*"):  # of killed processes: the lock keeps living ones out
            shutil.rmtree(unfinished)
        with quietly():
            _prepare(Bp4d(data_dir=data_dir, config=config))
        return _open(folder, columns)


def _prepare(builder: "Bp4d") -> None:
    from tensorflow_datasets.core import shuffle

    shuffle.MAX_MEM_BUFFER_SIZE = SORTED_IN_MEMORY  # TFDS's own would be a gigabyte
    builder.download_and_prepare()


def _open(folder: Path, columns: set[str]) -> Prepared:
    try:
        notes = json.loads((folder / METADATA).read_text())
        crop, unreadable = dict(notes["crop"]), Tally.from_dict(notes["unreadable"])
        CropRecipe.from_dict(crop)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise DamagedRecords(f"{folder}: {METADATA} is missing or damaged") from error
    table = read_table(folder)
    if table.columns.keys() != columns:
        raise DamagedRecords(f"{folder}: records with {', '.join(table.columns)}, not {', '.join(sorted(columns))}")
    return Prepared(table, crop, unreadable)


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
            raise UserError(f"{error}. {ADVICE}") from error
        raise


def _say(terminal: TextIO | None, line: str) -> None:
    if terminal is not None:
        print(line, file=terminal, flush=True)
