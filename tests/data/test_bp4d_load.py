"""From a folder in BP4D's layout to crops: prepared once, rebuilt when damaged or changed, nothing lost."""

import io
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds

from pipeline.data.bp4d import load, prepare
from pipeline.data.faces import load_aus
from pipeline.data.records import RecordImages
from pipeline.data.settings import Bp4d, SyntheticFaces
from pipeline.errors import RunFailed, UserError
from pipeline.faces.crop import CropRecipe
from pipeline.faces.image_files import read_image
from tests.data.bp4d_trees import (
    AUS,
    HEADER_AUS,
    Tree,
    face_image,
    labels_of,
    section,
    write_image,
    write_labels,
    write_landmarks,
    write_tree,
)
from tests.data.data_trees import flip_a_byte, keep, without
from tests.processes import ROOT, full_disk, wait_until

SMALL = Tree(("F001", "M001"), frames=3)
ALL = 12
EYES = (32, 25, 48, 25)
CUT = partial(keep, length=200)
PREPARE = """
import sys
from pathlib import Path
from pipeline.data.faces import load_aus
from tests.data.bp4d_trees import section
print("started", flush=True)
load_aus(section(Path(sys.argv[1]), image_size=299), sys.stdout)
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A TFDS folder of the test's own."""
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    return tmp_path / "tfds"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return write_tree(tmp_path / "data", SMALL)


def prepared(cache: Path) -> list[Path]:
    return sorted(path.parent for path in cache.glob("bp4d/*/1.1.0/dataset_info.json"))


def expected_crops(root: Path, recipe: CropRecipe) -> np.ndarray:
    """The crops before JPEG."""
    files = sorted((root / "Sequences(2D+3D)").glob("*/*/*.jpg"))
    square = recipe.from_eyes(EYES[:2], EYES[2:])
    return np.stack([recipe.cut(read_image(file), square) for file in files])


@pytest.mark.parametrize("grey", [False, True])
def test_crops_and_labels_in_order(tree: Path, grey: bool):
    aus = load_aus(section(tree, grey=grey))
    crops = expected_crops(tree, CropRecipe(24, grey=grey))
    assert isinstance(aus.images, np.ndarray) and aus.images.shape == (ALL, 24, 24, 1 if grey else 3)
    assert np.abs(aus.images.astype(int) - crops).mean() < 2.5  # JPEG at quality 95
    assert aus.subjects.tolist() == ["F001"] * 6 + ["M001"] * 6
    assert aus.tasks.tolist() == (["T1"] * 3 + ["T2"] * 3) * 2
    assert aus.frames.tolist() == [8, 9, 10] * 4 and aus.frames.dtype == np.int64
    columns = [HEADER_AUS.index(au) for au in AUS]
    names = (("F001", "T1"), ("F001", "T2"), ("M001", "T1"), ("M001", "T2"))
    np.testing.assert_array_equal(
        aus.labels, np.concatenate([labels_of(*name, range(3))[:, columns] for name in names])
    )
    assert aus.labels.dtype == np.uint8 and aus.clean_labels is None
    assert CropRecipe.from_dict(aus.crop) == CropRecipe(24, grey=grey)
    assert aus.crop["sources"] == {"landmarks": ALL, "box": 0, "detector": 0, "centre": 0} and aus.skipped == {}


def test_a_chosen_au_and_clean_labels(tmp_path: Path):
    aus = load_aus(section(write_tree(tmp_path / "data", Tree(("F001",), clean=True)), aus=[12]))
    assert aus.labels.shape == aus.clean_labels.shape == (8, 1)
    assert set(aus.clean_labels.ravel()) <= {0, 1} and aus.clean_labels.dtype == np.uint8


def test_an_all_unknown_au_is_let_through(tree: Path):
    assert (load_aus(section(tree, aus=[12, 45])).labels[:, 1] == 9).all()


def test_large_sets_stay_on_the_disk(tree: Path, monkeypatch: pytest.MonkeyPatch):
    in_memory = load_aus(section(tree)).images
    monkeypatch.setattr(load, "MAX_IN_MEMORY_BYTES", 1000)
    aus = load_aus(section(tree))
    assert isinstance(aus.images, RecordImages)
    np.testing.assert_array_equal(aus.take(np.array([1, 7])).images[:], in_memory[[1, 7]])


def test_tfds_reads_what_was_prepared(tree: Path, cache: Path):
    aus = load_aus(section(tree))
    (folder,) = prepared(cache)
    rows = list(tfds.as_numpy(tfds.builder_from_directory(folder).as_dataset("frames")))
    np.testing.assert_array_equal([row["labels"] for row in rows], aus.labels)
    assert [row["subject"].decode() for row in rows] == aus.subjects.tolist()
    assert np.abs(rows[3]["image"].astype(int) - aus.images[3]).mean() < 4  # TensorFlow decodes by its fast method


def test_prepared_once_and_again_when_something_changes(tree: Path, cache: Path):
    terminal = io.StringIO()
    load_aus(section(tree), terminal)
    assert "face crops: 12/12" in terminal.getvalue()
    terminal = io.StringIO()
    load_aus(section(tree), terminal)
    assert terminal.getvalue() == "" and len(prepared(cache)) == 1
    write_labels(tree / "AUCoding/AU_OCC/F001_T1.csv", range(8, 11), np.zeros((3, len(HEADER_AUS)), dtype=int))
    assert (load_aus(section(tree)).labels[:3] == 0).all()
    write_landmarks(tree / "Landmarks" / "F001_T1.csv", range(8, 11), (20, 20, 50, 40))
    load_aus(section(tree))
    load_aus(section(tree, frame_step=2))
    assert len(prepared(cache)) == 4


def test_sources_of_the_crop(tree: Path):
    write_landmarks(tree / "Landmarks" / "F001_T1.csv", [8])
    (tree / "Boxes").mkdir()
    (tree / "Boxes" / "F001_T1.csv").write_text("frame,x,y,w,h\n8,1,1,9,9\n9,20,10,40,40\n")
    aus = load_aus(section(tree))
    assert aus.crop["sources"] == {"landmarks": 10, "box": 1, "detector": 0, "centre": 1}


def test_landmarks_belong_to_the_number_in_an_images_name(tmp_path: Path):
    root = write_tree(tmp_path / "data", Tree(("F001",), ("T1",), name="frame_{:04d}".format))
    write_landmarks(root / "Landmarks" / "F001_T1.csv", [8, 10])
    aus = load_aus(section(root))
    assert aus.frames.tolist() == [8, 9, 10, 11] and aus.crop["sources"]["landmarks"] == 2


def test_crops_of_12_bit_pictures_are_as_bright_as_those_of_8(tmp_path: Path):
    root = write_tree(tmp_path / "data", Tree(("F001",), ("T1",), 2))
    for path in (root / "Sequences(2D+3D)").glob("*/*/*.jpg"):
        samples = read_image(path).astype(np.uint16) * 16
        samples[:2] = 4095
        write_image(path.with_suffix(".tiff"), samples)
    expected = load_aus(section(root)).images
    for path in (root / "Sequences(2D+3D)").glob("*/*/*.jpg"):
        path.unlink()
    assert np.abs(load_aus(section(root)).images.astype(int) - expected).mean() < 2.5


@pytest.mark.parametrize("eyes", [(-900, 25, -800, 25), (0, 25, 1e9, 25), (10, 1e7, 30, 1e7)])
def test_impossible_eyes_are_not_used(tree: Path, eyes: tuple[float, ...]):
    write_landmarks(tree / "Landmarks" / "F001_T1.csv", range(8, 11), eyes)
    assert load_aus(section(tree)).crop["sources"] == {"landmarks": 9, "box": 0, "detector": 0, "centre": 3}


def test_the_detector_finds_faces_without_landmarks(tmp_path: Path):
    portrait = read_image(ROOT / "tests" / "portrait.jpg")
    blank = np.full_like(portrait, 90)
    tree = Tree(("F001",), ("T1",), 3, landmarks=False, paint=lambda seed: blank if seed == 1 else portrait)
    data = section(write_tree(tmp_path / "data", tree))
    data.crop.detector = True
    assert load_aus(data).crop["sources"] == {"landmarks": 0, "box": 0, "detector": 2, "centre": 1}


def test_unreadable_images_are_counted_up_to_a_limit(tree: Path):
    image = tree / "Sequences(2D+3D)" / "F001" / "T2" / "009.jpg"
    image.write_bytes(image.read_bytes()[:-200])
    with pytest.raises(UserError, match=r"0 of 12 coded frames have no image and 1 an unreadable.*F001/T2/009\.jpg"):
        load_aus(section(tree))
    aus = load_aus(section(tree, max_missing=0.1))
    assert aus.frames.tolist() == [8, 9, 10, 8, 10, 8, 9, 10, 8, 9, 10] and aus.images.shape[0] == 11
    assert aus.skipped == {"unreadable images": {"count": 1, "examples": ["F001/T2/009.jpg"]}}
    with pytest.raises(UserError, match="1 an unreadable"):  # also when they are prepared already
        load_aus(section(tree))


def test_what_is_skipped_is_counted_now_not_when_it_was_prepared(tree: Path, cache: Path):
    load_aus(section(tree))
    write_image(tree / "Sequences(2D+3D)" / "F001" / "T1" / "77.jpg", face_image(1))
    assert load_aus(section(tree)).skipped == {
        "images without a label row": {"count": 1, "examples": ["F001/T1/77.jpg"]}
    }
    assert len(prepared(cache)) == 1


def test_records_sorted_in_parts_keep_their_order(tree: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(prepare, "MAX_SORTED_IN_MEMORY", 1000)
    aus = load_aus(section(tree))
    assert aus.frames.tolist() == [8, 9, 10] * 4 and aus.subjects.tolist() == ["F001"] * 6 + ["M001"] * 6
    assert np.abs(aus.images.astype(int) - expected_crops(tree, CropRecipe(24))).mean() < 2.5


def test_nothing_readable(tree: Path, cache: Path):
    for image in (tree / "Sequences(2D+3D)").glob("*/*/*.jpg"):
        image.write_bytes(b"")
    with pytest.raises(UserError, match="none of the 12 images can be read"):
        load_aus(section(tree, max_missing=1.0))
    assert not list(cache.glob("bp4d/*/1.1.0"))


@pytest.mark.parametrize(("name", "damage"), [
    *(("*.tfrecord*", damage) for damage in (Path.unlink, CUT, flip_a_byte)),
    *(("dataset_info.json", damage) for damage in (Path.unlink, CUT, "", "{}")),
    *(("metadata.json", damage) for damage in (Path.unlink, CUT, "", "{}", "[]", '{"crop": {}, "unreadable": {}}')),
    ("records.npz", lambda path: without(path, "labels")),
])  # fmt: skip
def test_damaged_preparations_are_made_again(tree: Path, cache: Path, name: str, damage):
    aus = load_aus(section(tree))
    (folder,) = prepared(cache)
    (path,) = folder.glob(name)
    path.write_text(damage) if isinstance(damage, str) else damage(path)
    terminal = io.StringIO()
    again = load_aus(section(tree), terminal)
    assert "preparing the data again" in terminal.getvalue()
    np.testing.assert_array_equal(again.images, aus.images)
    np.testing.assert_array_equal(again.labels, aus.labels)


def test_replaced_and_repaired_images_are_noticed(tree: Path):
    folder = tree / "Sequences(2D+3D)" / "F001" / "T1"
    content = (folder / "009.jpg").read_bytes()
    (folder / "009.jpg").write_bytes(content[:-200])
    (folder / "010.jpg").unlink()
    (folder / "010.jpg").symlink_to("nothing")
    assert len(load_aus(section(tree, max_missing=0.2))) == ALL - 2
    (folder / "009.jpg").write_bytes(content)
    before = load_aus(section(tree, max_missing=0.2))
    assert before.frames.tolist()[:3] == [8, 9, 8]
    stored = (folder / "009.jpg").stat()
    os.utime(folder / "009.jpg", ns=(stored.st_atime_ns, stored.st_mtime_ns + 1))
    terminal = io.StringIO()
    load_aus(section(tree, max_missing=0.2), terminal)
    assert "face crops: 12/12" in terminal.getvalue()


@pytest.mark.parametrize(("parts", "fold", "message"), [
    ([["F001"], ["F003"]], 1, "no part names M001"), ([["F001", "M001"], ["F003"]], 2, "part 2 leaves 2 .* 0 to test"),
    (None, 1, "part 1 leaves 0 .* 2 to test"),
])  # fmt: skip
def test_impossible_folds_are_found_before_cropping(tree: Path, cache: Path, parts, fold: int, message: str):
    with pytest.raises(UserError, match=message):
        load_aus(Bp4d(root=str(tree), parts=parts, folds=[fold], image_size=24))
    assert not cache.exists()


def test_folds_of_rendered_faces_are_checked_before_rendering(cache: Path):
    with pytest.raises(UserError, match="no part names F004"):
        load_aus(SyntheticFaces(subjects=6, parts=[["F001", "F002"], ["F003", "F005"]]))
    assert not cache.exists()


def test_missing_data_names_the_usual_place(cache: Path):
    with pytest.raises(UserError) as caught:
        load_aus(section(None))
    assert str(cache / "downloads" / "manual" / "bp4d") in str(caught.value)


def test_a_full_disk_is_reported_and_leaves_nothing(tree: Path, cache: Path):
    with full_disk(5000), pytest.raises(RunFailed, match=r"File too large.*Free some space"):
        load_aus(section(tree))
    assert not prepared(cache) and not list(cache.glob("bp4d/*/incomplete*"))
    assert len(load_aus(section(tree))) == ALL


def test_a_folder_that_cannot_be_written(tree: Path, cache: Path):
    cache.write_text("a file")
    with pytest.raises(UserError, match="Set TFDS_DATA_DIR to a folder that can be written"):
        load_aus(section(tree))


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGINT])
def test_an_interrupted_preparation_leaves_nothing_half_done(tmp_path: Path, cache: Path, stop: signal.Signals):
    root = write_tree(tmp_path / "data", Tree(("F001", "F002", "M001", "M002"), frames=120))
    command = [sys.executable, "-c", PREPARE, str(root)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout.readline() == "started\n"
    wait_until(lambda: list(cache.glob("bp4d/*/incomplete*")), process)
    time.sleep(0.2)  # into the cropping, which writes nothing yet
    process.send_signal(stop)
    process.wait(timeout=60)
    assert process.returncode != 0 and not prepared(cache)
    assert bool(list(cache.glob("bp4d/*/incomplete*"))) == (stop == signal.SIGKILL)
    aus = load_aus(section(root, image_size=299, frame_step=1))
    assert len(aus) == len(aus.images) == 4 * 2 * 120
    assert len(prepared(cache)) == 1 and not list(cache.glob("bp4d/*/incomplete*"))
