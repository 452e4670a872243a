"""What lies where in the TFRecord files of a prepared TFDS data set: an array a feature, and the bytes of every image."""

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.errors import UserError
from pipeline.run_files import write_npz

TABLE = "records.npz"
SHARDS = "*.tfrecord-*"
LENGTH_BYTES, CHECK_BYTES = 12, 4  # around every record: its length and the length's checksum; its own checksum
IMAGE = "image"
ADVICE = "Set TFDS_DATA_DIR to a folder that can be written: the prepared images are kept there"
PLACES, STATE = ("shard", "offset", "size"), ("shard_bytes", "shard_times")


class DamagedRecords(ValueError):
    """Prepared files are missing, cut off or changed."""


@dataclass(frozen=True)
class RecordTable:
    """Where the N encoded images lie: shard int64 (N,), offset and size in bytes int64 (N,).

    `columns` are the other features by name: str (N,) of texts, int64 (N, n) of n integers.
    """

    shards: list[Path]
    shard: np.ndarray
    offset: np.ndarray
    size: np.ndarray
    columns: dict[str, np.ndarray]


def read_table(folder: Path) -> RecordTable:
    """The table of the shards in a folder; read from records.npz, or made and written there if a shard has changed.

    Raises:
        DamagedRecords: files are missing, cut off, or do not fit their checksums.
        UserError: records.npz cannot be written.
    """
    shards = sorted(folder.glob(SHARDS))
    lengths = _shard_lengths(folder)
    if len(lengths) != len(shards):
        raise DamagedRecords(f"{folder}: {len(shards)} of {len(lengths)} shards are there")
    status = [path.stat() for path in shards]
    state = np.array([[each.st_size, each.st_mtime_ns] for each in status], dtype=np.int64).reshape(-1, 2)
    now = dict(zip(STATE, state.T, strict=True))
    arrays = _stored(folder / TABLE, now, sum(lengths))
    if arrays is None:
        arrays = _scan(shards, lengths)
        _write(folder / TABLE, {**arrays, **now})
    places = {name: arrays.pop(name) for name in PLACES}
    return RecordTable(shards, **places, columns=arrays)


def _write(path: Path, arrays: dict[str, np.ndarray]) -> None:
    try:
        write_npz(path, **arrays)
    except UserError as error:
        raise UserError(f"{path}: {error.__cause__}. {ADVICE}") from error


def _stored(path: Path, now: dict[str, np.ndarray], length: int) -> dict[str, np.ndarray] | None:
    """The arrays of `length` records in records.npz; None if it is missing, damaged, or of other shards than now."""
    try:
        with np.load(path) as file:
            arrays = dict(file)
        current = all(np.array_equal(arrays.pop(name), state) for name, state in now.items())
        whole = all(len(array) == length for array in arrays.values()) and arrays.keys() >= set(PLACES)
    except (OSError, ValueError, EOFError, KeyError, TypeError, zipfile.BadZipFile):
        return None
    return arrays if current and whole else None


def _shard_lengths(folder: Path) -> list[int]:
    """How many records TFDS has written into every shard."""
    try:
        (split,) = json.loads((folder / "dataset_info.json").read_text())["splits"]
        return [int(length) for length in split["shardLengths"]]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise DamagedRecords(f"{folder}: dataset_info.json is missing or damaged") from error


def _scan(shards: list[Path], lengths: list[int]) -> dict[str, np.ndarray]:
    """Read all records of all shards, with their checksums."""
    import tensorflow as tf
    from google.protobuf.message import DecodeError

    positions, rows = [], []
    for number, path in enumerate(shards):
        start = LENGTH_BYTES
        try:
            for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
                features = tf.train.Example.FromString(record).features.feature
                image = features[IMAGE].bytes_list.value[0]
                positions.append((number, start + record.find(image), len(image)))
                rows.append({name: _value(feature) for name, feature in features.items() if name != IMAGE})
                start += len(record) + CHECK_BYTES + LENGTH_BYTES
        except (tf.errors.OpError, DecodeError, LookupError) as error:
            raise DamagedRecords(f"{path} is damaged") from error
        if len(rows) != sum(lengths[: number + 1]):
            raise DamagedRecords(f"{path} is cut off")
    shard, offset, size = np.array(positions, dtype=np.int64).T
    columns = {name: _column([row[name] for row in rows]) for name in rows[0]}
    return {"shard": shard, "offset": offset, "size": size, **columns}


def _value(feature) -> str | list[int]:
    """A text or integers: what the features of labelled images are."""
    if feature.bytes_list.value:
        return feature.bytes_list.value[0].decode()
    return list(feature.int64_list.value)


def _column(values: list) -> np.ndarray:
    """str (N,) or int64 (N, n)."""
    return np.array(values) if isinstance(values[0], str) else np.array(values, dtype=np.int64)
