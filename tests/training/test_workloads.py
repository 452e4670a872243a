"""What an experiment on faces is made of: parts by subject, noise on top of the labels, the truth where it is known."""

from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np
import pytest

from pipeline.action_units.labels import UNKNOWN, AuSet
from pipeline.config import load_config
from pipeline.errors import UserError
from pipeline.runs.folder import Training, seed_path
from pipeline.training.data import evenly_spaced
from pipeline.training.faces import Faces
from tests.data.bp4d_trees import Tree, write_tree

SHIPPED = Path(__file__).resolve().parents[2] / "qat_configs"
SUBJECTS = ("F001", "F002", "F003", "F004", "F005", "F006")
FRAMES = 10
CONFIG = """
data: {name: bp4d, aus: [1, 12], parts: [[F001, F002], [F003, F004], [F005, F006]], folds: [1, 3], val_fraction: 0.25}
model: {name: au_network}
"""


@pytest.fixture
def faces() -> AuSet:
    """6 subjects with 10 frames each; AU12 is unknown in every fifth frame."""
    draws = np.random.default_rng(0)
    count = FRAMES * len(SUBJECTS)
    labels = draws.integers(0, 2, size=(count, 2)).astype(np.uint8)
    labels[::5, 1] = UNKNOWN
    return AuSet(
        images=draws.integers(0, 256, size=(count, 24, 24, 3), dtype=np.uint8),
        labels=labels,
        clean_labels=None,
        subjects=np.repeat(SUBJECTS, FRAMES),
        tasks=np.array(["T1"] * count),
        frames=np.tile(np.arange(FRAMES), len(SUBJECTS)),
        au_names=("AU1", "AU12"),
    )


def workload(tmp_path: Path, faces: AuSet, *overrides: str) -> Faces:
    path = tmp_path / "faces.yaml"
    path.write_text(CONFIG)
    return Faces(load_config(path, overrides), faces)


def subjects_of(images: np.ndarray, faces: AuSet) -> set[str]:
    """The subjects whose images these are; every random image is unique."""
    owner = {image.tobytes(): subject for image, subject in zip(faces.images, faces.subjects, strict=True)}
    return {str(owner[image.tobytes()]) for image in images}


def test_a_training_for_every_fold_and_seed(tmp_path, faces):
    trainings = workload(tmp_path, faces, "seeds=[1,2]").trainings()
    assert trainings == [Training(1, 1), Training(2, 1), Training(1, 3), Training(2, 3)]
    assert seed_path(Path("run"), trainings[3].seed, trainings[3].fold) == Path("run/seed2-fold3")
    assert (trainings[0].title, trainings[0].name) == ("seed 1, fold 1", "1-fold1")
    assert (Training(4).title, Training(4).name) == ("seed 4", 4)


@pytest.mark.parametrize("fold", [1, 3])
def test_parts_share_no_subject_and_the_fold_is_tested_on(tmp_path, faces, fold):
    data = workload(tmp_path, faces).training_data(Training(1, fold), tmp_path)
    found = [subjects_of(images, faces) for images in (data.train_images, data.val_images, data.test_images)]
    assert found[2] == {1: {"F001", "F002"}, 3: {"F005", "F006"}}[fold]
    assert len(found[1]) == 1 and set.union(*found) == set(SUBJECTS)
    assert sum(map(len, found)) == len(SUBJECTS)
    assert set(data.test_subjects) == found[2]


def test_without_noise_the_wrong_labels_are_unknown(tmp_path, faces):
    data = workload(tmp_path, faces).training_data(Training(1, 1), tmp_path)
    assert data.corrupted is None and data.val_clean_labels is None and data.test_noisy_labels is None
    np.testing.assert_array_equal(data.test_labels, faces.labels[np.isin(faces.subjects, ["F001", "F002"])])


def test_noise_on_top_of_the_labels_makes_them_the_truth(tmp_path, faces):
    work = workload(tmp_path, faces, "noise={kind: per_label, rates: {default: 0.3}}")
    data = work.training_data(Training(1, 1), tmp_path)
    test = faces.labels[np.isin(faces.subjects, ["F001", "F002"])]
    np.testing.assert_array_equal(data.test_labels, test)
    changed = data.test_noisy_labels != test
    assert changed.any() and not changed[test == UNKNOWN].any()
    kept = np.load(tmp_path / "noise.npz")
    truth = faces.labels[kept["train"]]
    np.testing.assert_array_equal(data.corrupted, (data.train_labels != truth))
    assert data.corrupted.any()


def test_labels_with_a_known_truth_need_no_added_noise(tmp_path, faces):
    clean = np.where(faces.labels == UNKNOWN, 0, faces.labels).astype(np.uint8)
    noisy = clean.copy()
    noisy[::3, 0] = 1 - noisy[::3, 0]
    known = replace(faces, labels=noisy, clean_labels=clean)
    data = workload(tmp_path, known).training_data(Training(1, 1), tmp_path)
    kept = np.load(tmp_path / "noise.npz")["train"]
    np.testing.assert_array_equal(data.corrupted, noisy[kept] != clean[kept])
    test = np.isin(faces.subjects, ["F001", "F002"])
    np.testing.assert_array_equal(data.test_labels, clean[test])
    np.testing.assert_array_equal(data.test_noisy_labels, noisy[test])


def test_fewer_examples(tmp_path, faces):
    work = workload(tmp_path, faces, "data.train_examples=7", "data.test_examples=4")
    data = work.training_data(Training(1, 1), tmp_path)
    assert [len(images) for images in (data.train_images, data.val_images, data.test_images)] == [7, 4, 4]
    assert set(data.test_subjects) == {"F001", "F002"}  # spread over the part
    few = data.for_evaluation(3)
    assert len(few.train_images) == 3 and few.test_images is data.test_images
    with pytest.raises(
        UserError, match=r"data\.train_examples: 700 is more than the 30 in the training part of fold 1"
    ):
        workload(tmp_path, faces, "data.train_examples=700").training_data(Training(1, 1), tmp_path)


def test_facts_name_the_subjects_of_every_fold(tmp_path, faces):
    facts = workload(tmp_path, replace(faces, skipped={"frames without an image": 3}, crop={"side": 3.2})).facts()
    assert facts["skipped"] == {"frames without an image": 3} and facts["crop"] == {"side": 3.2}
    assert facts["subjects"]["1"]["test"] == ["F001", "F002"] and facts["examples"]["3"]["test"] == 20
    assert sorted(chain(*facts["subjects"]["3"].values())) == sorted(SUBJECTS)


@pytest.mark.parametrize(("n", "count"), [(10, 3), (10, 10), (10, 11), (10, None), (7, 7), (0, 5), (1000, 999)])
def test_evenly_spaced(n, count):
    chosen = evenly_spaced(n, count)
    expected = min(n, n if count is None else count)
    assert len(chosen) == len(set(chosen)) == expected
    assert not expected or (chosen[0] == 0 and np.diff(chosen).max(initial=0) <= -(-n // expected))


def test_no_positive_label_at_all_is_refused(tmp_path, faces):
    never = replace(faces, labels=np.where(faces.labels == 1, 0, faces.labels).astype(np.uint8))
    work = workload(tmp_path, never)
    with pytest.raises(UserError, match="no training face has any of AU1, AU12"):
        work.task(work.training_data(Training(1, 1), tmp_path))


def test_every_seed_validates_on_the_same_subjects(tmp_path, faces):
    work = workload(tmp_path, faces)
    assert len({tuple(work.training_data(Training(seed, 1), tmp_path).val_subjects) for seed in range(5)}) == 1


@pytest.mark.parametrize("weights", ["nowhere.h5", "imagenet"])
def test_missing_weights_are_found_before_the_data_are_read(tmp_path, monkeypatch, weights):
    """The tree is found, but nothing of it is cut out: no cache appears."""
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    monkeypatch.setattr("tf_keras.utils.get_file", refuse)  # no machine downloads anything here
    root = write_tree(tmp_path / "bp4d", Tree(frames=1))
    overrides = [f"data.root={root}", "data.image_size=48", "model.encoder=mobilenet_v2", f"model.weights={weights}"]
    experiment = load_config(SHIPPED / "bp4d.yaml", overrides)
    with pytest.raises(UserError, match=r"model\.weights"):
        Faces.load(experiment, None)
    assert not (tmp_path / "tfds").exists()


def refuse(*_, **__):
    raise OSError("no connection")
