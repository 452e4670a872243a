"""Face crops of a BP4D folder, prepared once on disk by a TensorFlow Datasets builder, and again when damaged."""

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TextIO

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.core import shuffle

from pipeline.data.bp4d.crops import face_crops, summary
from pipeline.data.bp4d.index import UNREADABLE, FrameIndex, Tally, check_missing
from pipeline.data.bp4d.layout import Layout
from pipeline.data.prepared import quietly, tfds_folder
from pipeline.data.records import ADVICE, DamagedRecords, RecordTable, read_table
from pipeline.errors import RunFailed, UserError
from pipeline.faces.crop import CropRecipe
from pipeline.runs.files import FULL
from pipeline.runs.lock import locked
from pipeline.runs.progress import Counted, no_progress

SPLIT = "frames"  # folds are taken by subject, not by the builder
BUCKETS, ALL_BUCKETS, KEYS = 64, 1000, 2**128  # of TFDS's shuffler, which orders the records by key
MAX_SORTED_IN_MEMORY = 100_000_000  # bytes of records; more are sorted in parts, on disk
METADATA = "metadata.json"  # of TFDS
COLUMNS = {"subject", "task", "frame", "labels"}  # of the table, and `clean_labels` where there are any


@dataclass(kw_only=True, eq=False, repr=False)
class Bp4dConfig(tfds.core.BuilderConfig):
    """What is cut out of which folder and how; the name must identify all of it."""

    found: Layout
    index: FrameIndex
    recipe: CropRecipe
    use_detector: bool
    max_missing: float
    au_names: tuple[str, ...]
    progress: Counted = no_progress


class Bp4d(tfds.core.GeneratorBasedBuilder):
    """Face crops with occurrence codes of action units, ordered by subject, task and frame."""

    VERSION = tfds.core.Version("1.1.0")  # raise it when the same files give other crops
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "BP4D-Spontaneous is given out by Binghamton University under a signed agreement. Unpack it so that manual_dir/bp4d "
        "holds Sequences(2D+3D)/F001/T1/2440.jpg and AUCoding/AU_OCC/F001_T1.csv; pipeline.data.faces.load_aus prepares it."
    )

    def _info(self) -> tfds.core.DatasetInfo:
        labels = tfds.features.Tensor(shape=(len(self.builder_config.au_names),), dtype=np.uint8)
        features = {
            "image": tfds.features.Image(shape=self.builder_config.recipe.shape, encoding_format="jpeg"),
            "subject": tfds.features.Text(),
            "task": tfds.features.Text(),
            "frame": tfds.features.Scalar(dtype=np.int64),
            "labels": labels,
        }
        if self.builder_config.index.clean_labels is not None:
            features["clean_labels"] = labels
        return tfds.core.DatasetInfo(
            builder=self,
            description=self.__doc__,
            features=tfds.features.FeaturesDict(features),
            metadata=tfds.core.MetadataDict(),
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator]:
        return {SPLIT: self._generate_examples()}

    def _generate_examples(self) -> Iterator[tuple[int, dict]]:
        config = self.builder_config
        index, unreadable, sources = config.index, Tally(), Counter()
        crops = face_crops(config.found, index, config.recipe, config.use_detector)
        for crop in config.progress(crops, len(index), "face crops"):
            if crop.jpeg is None:
                unreadable.add(UNREADABLE, [index.files[crop.row]])
                check_missing(index.missing.plus(unreadable), index.coded, config.max_missing)
                continue
            sources[crop.source] += 1
            yield _key(crop.row, len(index)), self._example(crop.row, crop.jpeg)
        if not sources:
            raise UserError(f"{config.found.images}: none of the {len(index)} images can be read")
        crop = {**config.recipe.to_dict(), "sources": summary(sources)}
        self.info.metadata.update(au_names=config.au_names, crop=crop, unreadable=unreadable.to_dict())

    def _example(self, row: int, jpeg: bytes) -> dict:
        index = self.builder_config.index
        names = {"subject": str(index.subjects[row]), "task": str(index.tasks[row])}
        example = {"image": jpeg, **names, "frame": index.frames[row], "labels": index.labels[row]}
        return example if index.clean_labels is None else {**example, "clean_labels": index.clean_labels[row]}


def _key(row: int, rows: int) -> int:
    """A key that ascends with the row; TFDS then sorts them in 64 parts, not all in memory at once."""
    bucket = row * BUCKETS // rows
    return bucket * (KEYS // ALL_BUCKETS + 1) + row


class Prepared(NamedTuple):
    """The records, the recipe of their crops with the counts of its sources, and the images that could not be read."""

    table: RecordTable
    crop: dict
    unreadable: Tally


def prepared_records(config: Bp4dConfig, terminal: TextIO | None) -> Prepared:
    """The records that the builder Bp4d makes of `config`; read from TFDS's folder if they are there and intact.

    Raises:
        UserError: what the builder raises, or TFDS's folder cannot be written.
        RunFailed: the disk is full.
    """
    data_dir = tfds_folder().expanduser()  # TFDS does so too
    folder = data_dir / Bp4d.name / config.name / str(Bp4d.VERSION)
    columns = COLUMNS if config.index.clean_labels is None else COLUMNS | {"clean_labels"}
    with _clear_errors(folder), locked(_lock_of(folder), wait=True):
        if folder.exists():
            try:
                return _open(folder, columns)
            except DamagedRecords as damage:
                _say(terminal, f"{damage}: preparing the data again")
                shutil.rmtree(folder)
        for unfinished in folder.parent.glob("incomplete.*"):  # of killed processes: the lock excludes running ones
            shutil.rmtree(unfinished)
        with quietly():
            _prepare(Bp4d(data_dir=data_dir, config=config))
        return _open(folder, columns)


def _prepare(builder: Bp4d) -> None:
    shuffle.MAX_MEM_BUFFER_SIZE = MAX_SORTED_IN_MEMORY  # TFDS's own would be a gigabyte
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


def _lock_of(folder: Path) -> Path:
    """The lock file of everything prepared under the same name: TFDS replaces the folder itself."""
    return folder.parent.with_name(f".{folder.parent.name}.lock")


@contextmanager
def _clear_errors(folder: Path) -> Iterator[None]:
    """Turn a full disk into RunFailed and an unusable folder into UserError; TensorFlow reports both as text only."""
    try:
        yield
    except (UserError, RunFailed, DamagedRecords):
        raise
    except Exception as error:
        full = next((os.strerror(number) for number in FULL if os.strerror(number) in str(error)), None)
        if full:
            message = f"{folder}: {full}. Free some space and run the same command again: the data are prepared again"
            raise RunFailed(message) from error
        if isinstance(error, OSError):
            raise UserError(f"{error}. {ADVICE}") from error
        raise


def _say(terminal: TextIO | None, line: str) -> None:
    if terminal is not None:
        print(line, file=terminal, flush=True)
