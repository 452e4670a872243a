"""Image sets that TensorFlow Datasets has prepared on disk, or downloads (https://www.tensorflow.org/datasets)."""

import contextlib
import http.client
import io
import logging
import os
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pipeline.data.image_set import ImageSet, checked_set
from pipeline.errors import UserError

PROBE_SECONDS = 10
RETRIES = 3  # TFDS would try ten times, over 205 s, and its threads hold up the exit of a failed download


def tfds_folder() -> Path:
    """Where TFDS keeps its data sets: TFDS_DATA_DIR if set, else ~/tensorflow_datasets."""
    return Path(os.environ.get("TFDS_DATA_DIR") or Path.home() / "tensorflow_datasets").expanduser()


def manual_folder() -> Path:
    """Where TFDS expects what has to be got by hand, one folder a data set."""
    return tfds_folder() / "downloads" / "manual"


def bp4d_folder() -> Path:
    """Where BP4D is looked for if the config names no root."""
    return manual_folder() / "bp4d"


def find_prepared(data_dir: Path, name: str) -> Path | None:
    """The folder of the newest prepared version of the data set `name` in a TFDS data folder."""
    prepared = [path.parent for path in data_dir.glob(f"{name}/*/dataset_info.json") if _version(path.parent)]
    return max(prepared, key=_version, default=None)


def read_prepared(folder: Path, image_shape: tuple[int, int, int]) -> tuple[ImageSet, ImageSet]:
    """The (training, test) sets of a prepared TFDS data set with features `image` and `label`.

    Sorted by the feature `id` where there is one (CIFAR-10: the order of the original archive), else in TFDS's order.

    Raises:
        UserError: files are missing or damaged, or hold another kind of data.
    """
    import tensorflow as tf
    import tensorflow_datasets as tfds
    from google.protobuf.json_format import ParseError

    damage = (tf.errors.OpError, ParseError, OSError, ValueError, LookupError, AssertionError)
    try:
        with quietly():
            builder = tfds.builder_from_directory(folder)
            names = builder.info.features["label"].names
            parts = [tfds.as_numpy(builder.as_dataset(split, batch_size=-1)) for split in ("train", "test")]
    except damage as error:
        raise UserError(f"{folder}: TFDS cannot read its data ({_first_line(error)}); delete the folder") from error
    train, test = (_in_order(part, names, image_shape, folder) for part in parts)
    return train, test


def download(name: str, data_dir: Path, url: str) -> Path:
    """Let TFDS download and prepare the data set `name` into `data_dir`; the folder of the result.

    `url`, one of the files TFDS will ask for, is tried first: without a network TFDS itself gives up after minutes.

    Raises:
        UserError: no connection, a failed download, or no room on the disk.
    """
    _probe(url)
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core.download import downloader

    downloader.MAX_RETRIES = RETRIES
    config = tfds.download.DownloadConfig(try_download_gcs=False)
    failures = (
        OSError,
        tfds.download.DownloadError,
        tfds.download.download_manager.NonMatchingChecksumError,
        tfds.download.extractor.ExtractError,
    )
    try:
        with quietly():
            builder = tfds.builder(name, data_dir=data_dir)
            builder.download_and_prepare(download_config=config)
    except failures as error:
        raise UserError(f"TFDS failed to get {name} into {data_dir} ({_first_line(error)})") from error
    return Path(builder.data_dir)


def _version(folder: Path) -> tuple[int, ...]:
    """(3, 0, 1) of a folder called 3.0.1; empty if it is called otherwise."""
    return tuple(int(part) for part in folder.name.split(".")) if re.fullmatch(r"\d+\.\d+\.\d+", folder.name) else ()


def _in_order(part: dict, names: list[str], image_shape: tuple[int, int, int], folder: Path) -> ImageSet:
    images, labels = part["image"], part["label"]
    if "id" in part:
        order = np.argsort(part["id"], kind="stable")
        images, labels = images[order], labels[order]
    return checked_set(images, labels, names, image_shape, str(folder))


def _probe(url: str) -> None:
    """Ask for the head of a file."""
    request = urllib.request.Request(url, method="HEAD")
    try:
        with urllib.request.urlopen(request, timeout=PROBE_SECONDS):
            pass
    except (OSError, http.client.HTTPException) as error:
        raise UserError(f"cannot get {url} ({getattr(error, 'reason', error)})") from error


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Keep TFDS's lines, bars and warnings out of the output."""
    import tensorflow_datasets as tfds

    loggers = [logging.getLogger(name) for name in ("absl", "urllib3")]
    levels = [logger.level for logger in loggers]
    tfds.disable_progress_bar()
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        tfds.enable_progress_bar()
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
