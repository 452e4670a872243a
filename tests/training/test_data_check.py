"""What a dry run says of data that are not enough for the real run, and what it does not hold against them."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.config import Experiment, load_config
from pipeline.errors import UserError
from pipeline.run import dry_run_of
from pipeline.training.data_check import check_data
from tests.data.bp4d_trees import HEADER_AUS, Tree, write_labels, write_tree
from tests.data.data_trees import write_fashion_mnist
from tests.processes import ROOT

FRAMES = 10
PER_SUBJECT = 2 * FRAMES


def checked(name: str, *overrides: str) -> Experiment:
    """The dry run of a shipped configuration with overrides, after the check."""
    experiment = load_config(ROOT / "qat_configs" / f"{name}.yaml", overrides)
    return check_data(experiment, dry_run_of(experiment))


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> str:
    """40 training and 20 test images."""
    return f"data.root={write_fashion_mnist(tmp_path_factory.mktemp('images'))}"


@pytest.fixture
def faces(tmp_path: Path) -> tuple[str, ...]:
    """Six subjects, two in every part of BP4D but for the third, with one."""
    root = write_tree(tmp_path / "faces", Tree(frames=FRAMES))
    return f"data.root={root}", "data.folds=[1,2]", "model.weights=none", "data.augment=null"


@pytest.mark.parametrize(("overrides", "message"), [
    (["data.train_examples=41"], "data.train_examples: 41 asked for, but .* has 40"),
    (["data.train_examples=null", "data.test_examples=21"], "data.test_examples: 21 asked for, but .* has 20"),
    (["data.train_examples=null", "data.val_fraction=0.02"], "data.val_fraction: 0.02 of 40"),
    (["data.train_examples=4", "data.val_fraction=0", "train.batch_size=8", "train.replicas=8"], "batch of 4 .* 8 repl"),
])  # fmt: skip
def test_too_few_images(images: str, overrides: list[str], message: str):
    with pytest.raises(UserError, match=message):
        checked("smoke", images, "methods=[]", "data.test_examples=null", *overrides)


@pytest.mark.parametrize("batch_size", [1, 3, 39, 1000])
def test_a_dry_run_asks_for_no_more_images_than_the_real_run(images: str, batch_size: int):
    options = ("data.train_examples=null", "data.test_examples=null", f"train.batch_size={batch_size}")
    small = checked("smoke", images, *options)
    assert small.data.test_examples == 20 and 10 <= small.data.train_examples <= 40
    checked_again = check_data(small, small)
    assert checked_again == small


def test_faces_that_suffice(faces: tuple[str, ...]):
    small = checked("bp4d", *faces)
    assert small.data.frame_step == 10**9 and small.data.folds == [1]


@pytest.mark.parametrize(("overrides", "message"), [
    ([f"data.train_examples={3 * PER_SUBJECT + 1}"], r"data\.train_examples: 61 is more than the 60 .* of fold 1"),
    (["data.parts=[[F001],[F003,F004,M001,M002,M003]]", "data.val_fraction=0", f"data.train_examples={PER_SUBJECT + 1}"],
     r"21 is more than the 20 .* of fold 2"),
    (["data.parts=[[F001],[F003,F004,M001,M002,M003]]"], "part 2 leaves 1 subjects to train and validate"),
    (["data.parts=[[F001],[F003,F004,M001,M002]]"], "no part names M003"),
    (["data.frame_offset=1"], r"12 of 120 coded frames have no image"),
    (["data.aus=[45]"], r"no training face has any of AU45"),
    (["data.aus=[12,3]"], r"no column for AU3"),
])  # fmt: skip
def test_faces_that_do_not(faces: tuple[str, ...], overrides: list[str], message: str):
    with pytest.raises(UserError, match=message):
        checked("bp4d", *faces, "data.val_fraction=0.25", *overrides)


def test_a_label_in_the_middle_of_a_file(faces: tuple[str, ...], tmp_path: Path):
    path = tmp_path / "faces" / "AUCoding" / "AU_OCC" / "M002_T2.csv"
    path.write_text(path.read_text().replace("\n12,", "\n12,5"))
    with pytest.raises(UserError, match=r"M002_T2\.csv:6: column '1' is '5"):
        checked("bp4d", *faces)


def test_faces_that_are_neutral_at_first(faces: tuple[str, ...], tmp_path: Path):
    for path in (tmp_path / "faces" / "AUCoding" / "AU_OCC").iterdir():
        labels = np.zeros((FRAMES, len(HEADER_AUS)), int)
        labels[7] = 1
        write_labels(path, range(8, 8 + FRAMES), labels)
    assert checked("bp4d", *faces).data.frame_step == 1


@pytest.mark.parametrize(("overrides", "message"), [
    (["data.train_examples=1000000"], r"1000000 is more than the \d+ in the training part of fold 1"),
    (["data.subjects=6", "data.frames=3", "data.frame_step=2", "data.train_examples=49"], r"49 is more than the 48"),
    (["data.root={root}"], "holds other files"),
    (["data.root={root}/file/faces"], "file is not a folder"),
])  # fmt: skip
def test_faces_to_be_rendered(tmp_path: Path, overrides: list[str], message: str):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=message):
        checked("synthetic_faces", "data.val_fraction=0.25", *(each.format(root=tmp_path) for each in overrides))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_faces_to_be_rendered_that_suffice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    assert checked("synthetic_faces", "data.subjects=6", "data.train_examples=100").data.frames == 1
    assert not (tmp_path / "tfds").exists()
