"""Images inside TFDS's TFRecord files, read in any order without holding them in memory."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np

from pipeline.data.record_table import RecordTable
from pipeline.errors import RunFailed

CHUNKS = 4  # of a batch for each thread, so that none waits long for the last


class RecordImages:
    """Images uint8 (N, H, W, C), decoded by a pool of threads when they are asked for."""

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
        """The images at a slice, at integers or in a mask, still on the disk."""
        return RecordImages(self._files, self._rows[index], self.shape[1:])

    def __getitem__(self, index: slice | np.ndarray) -> np.ndarray:
        """The images uint8 (n, H, W, C) at a slice, at integers or in a mask; an integer alone gives (H, W, C).

        Raises:
            RunFailed: an image cannot be decoded any more.
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
        """Another process opens the files for itself."""
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
    return RunFailed(f"{path}: an image cannot be read any more; delete the folder and run again: it is made anew")
