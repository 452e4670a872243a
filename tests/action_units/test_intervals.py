"""Bootstrap over subjects against resampling one by one, paired differences against SciPy's test."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from pipeline.action_units.intervals import bootstrap_f1, subject_counts

pytestmark = pytest.mark.filterwarnings("error")

AU_NAMES = ("AU1", "AU2")
RANDOM = np.random.default_rng(0)
SUBJECTS = np.array([f"F{k:03d}" for k in RANDOM.integers(0, 12, 900)])
LABELS = (RANDOM.random((900, 2)) < [0.4, 0.2]).astype(np.uint8)
DECIDED = RANDOM.random((900, 2)) < np.where(LABELS == 1, 0.7, 0.2)


def counted(labels: np.ndarray = LABELS) -> dict:
    return subject_counts(DECIDED, labels, SUBJECTS, AU_NAMES)


def test_counts_of_a_subject_are_its_own():
    labels = LABELS.copy()
    labels[::5] = 9
    found = counted(labels)
    assert set(found) == set(SUBJECTS.tolist())
    for subject, row in found.items():
        for column, name in enumerate(AU_NAMES):
            tally = [0, 0, 0, 0]
            for index in range(900):
                if SUBJECTS[index] == subject and labels[index, column] != 9:
                    tally[(not DECIDED[index, column]) * 2 + (labels[index, column] != 1) * 1] += 1
            tp, fp, fn, tn = tally
            assert row[name] == [tp, fp, fn, tn]


def test_bootstrap_equals_drawing_subjects_and_pooling_their_frames():
    found = bootstrap_f1(counted(), n=2000, seed=1)
    random, names = np.random.default_rng(9), np.unique(SUBJECTS)
    frames = {name: np.flatnonzero(name == SUBJECTS) for name in names}
    drawn = [np.concatenate([frames[name] for name in random.choice(names, len(names))]) for _ in range(300)]
    scores = np.array([[f1_score(LABELS[index, k], DECIDED[index, k]) for k in range(2)] for index in drawn])
    for column, name in enumerate(AU_NAMES):
        np.testing.assert_allclose(found["f1"][name], np.quantile(scores[:, column], [0.025, 0.975]), atol=0.02)
    np.testing.assert_allclose(found["f1_mean"], np.quantile(scores.mean(axis=1), [0.025, 0.975]), atol=0.02)


def test_subjects_that_differ_make_wider_intervals_than_frames_that_do():
    """Half of the subjects right, half wrong: twelve subjects say little, however many frames they have."""
    split = {f"F{k}": {"AU1": [100, 0, 0, 100] if k % 2 else [0, 100, 100, 0]} for k in range(12)}
    alike = {f"F{k}": {"AU1": [50, 50, 50, 50]} for k in range(12)}
    low, high = bootstrap_f1(split)["f1"]["AU1"]
    assert low < 0.3 and high > 0.7
    assert bootstrap_f1(alike)["f1"]["AU1"] == [0.5, 0.5]


def test_a_higher_level_is_wider_and_the_seed_decides():
    narrow, wide = (bootstrap_f1(counted(), seed=1, level=level)["f1_mean"] for level in (0.5, 0.99))
    assert wide[0] < narrow[0] < narrow[1] < wide[1]
    assert bootstrap_f1(counted(), seed=1) == bootstrap_f1(counted(), seed=1) != bootstrap_f1(counted(), seed=2)


def test_a_unit_without_positives_has_no_interval_and_is_not_in_the_mean():
    labels = LABELS.copy()
    labels[:, 1] = 0
    found = bootstrap_f1(counted(labels))
    assert found["f1"]["AU2"] is None
    np.testing.assert_allclose(found["f1_mean"], found["f1"]["AU1"])


def test_resamples_without_a_positive_are_left_out():
    """Only one of three subjects shows the unit: about 30 % of the resamples have it not."""
    table = {"F1": {"AU1": [8, 2, 2, 8]}, "F2": {"AU1": [0, 0, 0, 20]}, "F3": {"AU1": [0, 0, 0, 20]}}
    low, high = bootstrap_f1(table)["f1"]["AU1"]
    assert low == high == pytest.approx(0.8)


@pytest.mark.parametrize("table", [{}, {"F1": {"AU1": [1, 1, 1, 1]}}])
def test_fewer_than_two_subjects_have_no_interval(table: dict):
    found = bootstrap_f1(table)
    assert found["f1_mean"] is None and set(found["f1"].values()) <= {None}
