"""Random access to images in TFRecord files gives what TensorFlow reads in order."""

import json
import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest
import tensorflow as tf

from pipeline.data.records import DamagedRecords, RecordImages, RecordTable, read_table
from pipeline.errors import RunFailed, UserError
from tests.data.bp4d_trees import face_image
from tests.data.data_trees import flip_a_byte, keep, without

SHARDS = (3, 1, 4)
N = sum(SHARDS)


def example(number: int, grey: bool) -> tuple[bytes, np.ndarray]:
    """A serialised record and its image as OpenCV decodes it."""
    image = face_image(number, 10, 12)
    stored = image[..., 0] if grey else image[..., ::-1]
    jpeg = cv2.imencode(".jpg", stored)[1].tobytes()
    decoded = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_UNCHANGED)
    features = {
        "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[jpeg])),
        "subject": tf.train.Feature(bytes_list=tf.train.BytesList(value=[f"F{number:03d}".encode()])),
        "labels": tf.train.Feature(int64_list=tf.train.Int64List(value=[number, 9])),
    }
    record = tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()
    return record, decoded[..., None] if grey else decoded[..., ::-1]


def write(folder: Path, grey: bool = False) -> np.ndarray:
    """Shards as TFDS leaves them; the images (N, 10, 12, C) in order."""
    folder.mkdir(exist_ok=True)
    records, images = zip(*(example(number, grey) for number in range(N)), strict=True)
    start = 0
    for shard, length in enumerate(SHARDS):
        with tf.io.TFRecordWriter(str(folder / f"bp4d-frames.tfrecord-{shard:05d}-of-00003")) as file:
            for record in records[start : start + length]:
                file.write(record)
        start += length
    info = {"splits": [{"name": "frames", "shardLengths": [str(length) for length in SHARDS]}]}
    (folder / "dataset_info.json").write_text(json.dumps(info))
    return np.stack(images)


@pytest.fixture
def images(tmp_path: Path) -> np.ndarray:
    return write(tmp_path)


def opened(folder: Path) -> RecordImages:
    return RecordImages.of(read_table(folder), (10, 12, 3))


@pytest.mark.parametrize("index", [
    slice(None), slice(2, 7, 2), np.array([7, 0, 0, 3]), np.array([-1, 2]), np.arange(N) % 3 == 0,
    np.array([], dtype=int), 5, slice(5, 5),
], ids=str)  # fmt: skip
def test_indexing_is_that_of_an_array(tmp_path: Path, images: np.ndarray, index):
    np.testing.assert_array_equal(opened(tmp_path)[index], images[index])


def test_shape_and_length(tmp_path: Path, images: np.ndarray):
    records = opened(tmp_path)
    assert records.shape == images.shape and len(records) == N


def test_views_of_views(tmp_path: Path, images: np.ndarray):
    view = opened(tmp_path).subset(np.array([1, 3, 5, 7])).subset(np.array([False, True, True, False]))
    assert view.shape == (2, 10, 12, 3)
    np.testing.assert_array_equal(view[:], images[[3, 5]])


def test_grey(tmp_path: Path):
    images = write(tmp_path, grey=True)
    np.testing.assert_array_equal(RecordImages.of(read_table(tmp_path), (10, 12, 1))[:], images)


def test_another_process_can_have_them(tmp_path: Path, images: np.ndarray):
    records = opened(tmp_path)
    assert len(records[:2]) == 2
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(records.subset(slice(1, 4))))[:], images[1:4])


def test_other_features_are_arrays(tmp_path: Path, images: np.ndarray):
    columns = read_table(tmp_path).columns
    assert columns["subject"].tolist() == [f"F{number:03d}" for number in range(N)]
    np.testing.assert_array_equal(columns["labels"], [[number, 9] for number in range(N)])


def same(first: RecordTable, second: RecordTable) -> bool:
    arrays = [(table.shard, table.offset, table.size, *table.columns.values()) for table in (first, second)]
    return all(np.array_equal(*pair) for pair in zip(*arrays, strict=True))


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"no"), lambda path: keep(path, 0),
                                    lambda path: keep(path, 300)])  # fmt: skip
def test_the_table_is_made_again(tmp_path: Path, images: np.ndarray, damage):
    table = read_table(tmp_path)
    damage(tmp_path / "records.npz")
    assert same(read_table(tmp_path), table)
    with np.load(tmp_path / "records.npz") as arrays:
        np.testing.assert_array_equal(arrays["offset"], table.offset)


@pytest.mark.parametrize("lost", ["offset", "shard_bytes", "shard_times"])
def test_a_table_without_an_array_is_made_again(tmp_path: Path, images: np.ndarray, lost: str):
    table = read_table(tmp_path)
    without(tmp_path / "records.npz", lost)
    assert same(read_table(tmp_path), table)
    with np.load(tmp_path / "records.npz") as file:
        assert lost in file


def test_a_table_of_other_length_is_made_again(tmp_path: Path, images: np.ndarray):
    table = read_table(tmp_path)
    with np.load(tmp_path / "records.npz") as file:
        arrays = dict(file)
    np.savez(tmp_path / "records.npz", **{**arrays, "labels": arrays["labels"][:-1]})
    assert same(read_table(tmp_path), table)


def test_a_table_that_cannot_be_written_says_where_to_go(tmp_path: Path, images: np.ndarray):
    (tmp_path / "records.npz").mkdir()
    with pytest.raises(UserError, match=r"records\.npz: .*Is a directory.*Set TFDS_DATA_DIR to a folder"):
        read_table(tmp_path)


def whole_records(path: Path, records: int) -> int:
    """Bytes of the first records."""
    sizes = [len(record) + 16 for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator()]
    return sum(sizes[:records])


@pytest.mark.parametrize("known", [False, True], ids=["without table", "with table"])
@pytest.mark.parametrize("damage", [
    Path.unlink, lambda path: keep(path, 100), lambda path: keep(path, 0), lambda path: keep(path, whole_records(path, 2)),
], ids=["gone", "cut", "empty", "cut between records"])  # fmt: skip
def test_damaged_shards(tmp_path: Path, images: np.ndarray, damage, known: bool):
    if known:
        read_table(tmp_path)
    damage(tmp_path / "bp4d-frames.tfrecord-00002-of-00003")
    with pytest.raises(DamagedRecords):
        read_table(tmp_path)


@pytest.mark.parametrize("known", [False, True], ids=["without table", "with table"])
def test_checksums_are_checked(tmp_path: Path, images: np.ndarray, known: bool):
    if known:
        read_table(tmp_path)
    flip_a_byte(tmp_path / "bp4d-frames.tfrecord-00000-of-00003")
    with pytest.raises(DamagedRecords, match="00000-of-00003 is damaged"):
        read_table(tmp_path)


@pytest.mark.parametrize("content", [None, "", "{", "{}", '{"splits": []}', '{"splits": [{"name": "frames"}]}'])
def test_no_account_of_the_shards(tmp_path: Path, images: np.ndarray, content: str | None):
    path = tmp_path / "dataset_info.json"
    path.unlink() if content is None else path.write_text(content)
    with pytest.raises(DamagedRecords, match=r"dataset_info\.json"):
        read_table(tmp_path)


def test_an_image_damaged_meanwhile(tmp_path: Path, images: np.ndarray):
    records = opened(tmp_path)
    path = tmp_path / "bp4d-frames.tfrecord-00001-of-00003"
    path.write_bytes(bytes(path.stat().st_size))
    with pytest.raises(RunFailed, match=r"00001-of-00003.*delete the folder"):
        records[:]
