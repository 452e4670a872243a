"""TensorFlow Datasets builder of face crops from a BP4D folder; its TFRecord files are the cache of prepared data."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import tensorflow_datasets as tfds

from pipeline.data.bp4d.crops import face_crops, summary
from pipeline.data.bp4d.frame_index import UNREADABLE, FrameIndex, Tally, check_missing
from pipeline.data.bp4d.layout import Layout
from pipeline.data.counter import Counted, no_progress
from pipeline.errors import UserError
from pipeline.faces.crop import CropRecipe

SPLIT = "frames"  # folds are taken by subject, not by the builder
BUCKETS, ALL_BUCKETS, KEYS = 64, 1000, 2**128  # of TFDS's shuffler, which orders the records by key


@dataclass(kw_only=True, eq=False, repr=False)
class Bp4dConfig(tfds.core.BuilderConfig):
    """What is cut out of which folder and how; the name must tell all of it."""

    found: Layout
    index: FrameIndex
    recipe: CropRecipe
    use_detector: bool
    max_missing: float
    au_names: tuple[str, ...]
    progress: Counted = no_progress


class Bp4d(tfds.core.GeneratorBasedBuilder):
    """Face crops with occurrence codes of action units, ordered by subject, task and frame."""

    VERSION = tfds.core.Version("1.0.0")
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "BP4D-Spontaneous is given out by Binghamton University under a signed agreement. Unpack it so that manual_dir/bp4d "
        "holds Sequences(2D+3D)/F001/T1/2440.jpg and AUCoding/AU_OCC/F001_T1.csv; pipeline.data.bp4d.load_aus prepares it."
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
