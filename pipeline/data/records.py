"""Images in TFDS's TFRecord files, read in any order without holding them in memory, and a table of their other features.

TFDS's own random access (`file_format="array_record"`, `as_data_source`) gives the same images and labels in the same
order, but parses every record in Python: batches came 1.6 to 8 times more slowly, and reading the labels alone takes
0.6 ms per record, 80 s at BP4D's size, on every start (3,280 crops of 64 pixels, 2 cores).
"""

import json
import os
import zipfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np

from pipeline.errors import RunFailed, UserError
from pipeline.runs.files import write_npz

TABLE = "records.npz"
SHARDS = "*.tfrecord-*"
LENGTH_BYTES, CHECK_BYTES = 12, 4  # around every record: its length and the length's checksum; its own checksum
IMAGE = "image"
ADVICE = "Set TFDS_DATA_DIR to a folder that can be written: prepared images are kept there"
CHUNKS = 4  # of a batch per thread, so that none waits long for the last one
PLACES, STATE = ("shard", "offset", "size"), ("shard_bytes", "shard_times")


class DamagedRecords(ValueError):
    """Prepared files are missing, truncated or changed."""


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
    """The table of the shards in a folder; read from records.npz, or made and stored there if a shard has changed.

    Raises:
        DamagedRecords: files are missing, truncated, or do not match their checksums.
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
    """The arrays of `length` records in records.npz; None if it is missing, damaged, or of other shards."""
    try:
        with np.load(path) as file:
            arrays = dict(file)
        current = all(np.array_equal(arrays.pop(name), state) for name, state in now.items())
        whole = all(len(array) == length for array in arrays.values()) and arrays.keys() >= set(PLACES)
    except (OSError, ValueError, EOFError, KeyError, TypeError, zipfile.BadZipFile):
        return None
    return arrays if current and whole else None


def _shard_lengths(folder: Path) -> list[int]:
    """The number of records that TFDS wrote into each shard."""
    try:
        (split,) = json.loads((folder / "dataset_info.json").read_text())["splits"]
        return [int(length) for length in split["shardLengths"]]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise DamagedRecords(f"{folder}: dataset_info.json is missing or damaged") from error


def _scan(shards: list[Path], lengths: list[int]) -> dict[str, np.ndarray]:
    """Read all records of all shards, and check them."""
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
    """A text or integers, the only features besides images."""
    if feature.bytes_list.value:
        return feature.bytes_list.value[0].decode()
    return list(feature.int64_list.value)


def _column(values: list) -> np.ndarray:
    """str (N,) or int64 (N, n)."""
    return np.array(values) if isinstance(values[0], str) else np.array(values, dtype=np.int64)


class RecordImages:
    """Images uint8 (N, H, W, C), decoded on demand by a pool of threads."""

    def __init__(self, files: "_Shards", rows: np.ndarray, image_shape: Sequence[int]):
        self._files, self._rows = files, rows
        self.shape = (len(rows), *image_shape)

    @classmethod
    def of(cls, table: RecordTable, image_shape: Sequence[int]) -> "RecordImages":
        """All images of a table, of the shape (H, W, C)."""
        return cls(_Shards(table), np.arange(len(table.shard)), image_shape)

    def __len__(self) -> int:
        return len(self._rows)

    def subset(self, index: slice | np.ndarray) -> "RecordImages":
        """The images at a slice, at integers or in a mask, still on disk."""
        return RecordImages(self._files, self._rows[index], self.shape[1:])

    def __getitem__(self, index: slice | np.ndarray) -> np.ndarray:
        """The images uint8 (n, H, W, C) at a slice, at integers or in a mask; an integer alone gives (H, W, C).

        Raises:
            RunFailed: an image can no longer be decoded.
        """
        rows = np.atleast_1d(self._rows[index])
        images = np.empty((len(rows), *self.shape[1:]), dtype=np.uint8)
        self._files.decode_all(rows, images)
        return images if np.ndim(self._rows[index]) else images[0]


class _Shards:
    """Open files and threads, shared by all views of the same images."""

    def __init__(self, table: RecordTable):
        self._table = table
        self._threads = os.cpu_count() or 1

    def __reduce__(self) -> tuple:
        """Another process opens the files itself."""
        return _Shards, (self._table,)

    @cached_property
    def _descriptors(self) -> list[int]:
        return [os.open(path, os.O_RDONLY) for path in self._table.shards]

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self._threads, thread_name_prefix="decode")

    def __del__(self) -> None:
        for descriptor in self.__dict__.get("_descriptors", ()):
            os.close(descriptor)
        if "_pool" in self.__dict__:
            self._pool.shutdown(wait=False)

    def decode_all(self, rows: np.ndarray, images: np.ndarray) -> None:
        """Decode the images of `rows` (n,) into `images` (n, H, W, C)."""
        step = max(1, -(-len(rows) // (CHUNKS * self._threads)))
        parts = [slice(start, start + step) for start in range(0, len(rows), step)]
        for _ in self._pool.map(lambda part: self._decode(rows[part], images[part]), parts):
            pass

    def _decode(self, rows: np.ndarray, images: np.ndarray) -> None:
        flag = cv2.IMREAD_GRAYSCALE if images.shape[-1] == 1 else cv2.IMREAD_COLOR_RGB
        table = self._table
        places = zip(*(array[rows].tolist() for array in (table.shard, table.offset, table.size)), strict=True)
        for (shard, offset, size), image in zip(places, images, strict=True):
            content = os.pread(self._descriptors[shard], size, offset)
            pixels = cv2.imdecode(np.frombuffer(content, np.uint8), flag) if len(content) == size else None
            if pixels is None or pixels.size != image.size:
                raise _damaged(table.shards[shard])
            image[...] = pixels.reshape(image.shape)


def _damaged(path: Path) -> RunFailed:
    return RunFailed(
        f"{path}: an image can no longer be read; delete the folder and run again: it will be prepared again"
    )
