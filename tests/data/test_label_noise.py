"""Label noise: counts, distributions, and independence of everything but labels, config and seed."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.data.label_noise import corrupt
from pipeline.errors import UserError
from pipeline.runs.sampling import stream

pytestmark = pytest.mark.filterwarnings("error")

LABELS = np.arange(60_000) % 10
NONE = SimpleNamespace(kind="none")


def uniform(rate: float) -> SimpleNamespace:
    return SimpleNamespace(kind="uniform", rate=rate)


def pair_flip(rate: float) -> SimpleNamespace:
    return SimpleNamespace(kind="pair_flip", rate=rate)


def by_matrix(matrix: object) -> SimpleNamespace:
    return SimpleNamespace(kind="matrix", matrix=matrix)


MATRIX = [[0.7, 0.0, 0.1], [0.3, 1.0, 0.2], [0.0, 0.0, 0.7]]


@given(n=st.integers(1, 300), rate=st.integers(0, 100), seed=st.integers(0, 2**40))
def test_pair_flip_moves_exactly_the_share_to_the_next_class(n: int, rate: int, seed: int) -> None:
    labels = np.random.default_rng(n).integers(0, 10, n)
    noisy = corrupt(labels, 10, pair_flip(rate / 100), seed)
    flipped = 0
    for true, found, corrupted in zip(labels, noisy.labels, noisy.corrupted, strict=True):
        assert found == ((true + 1) % 10 if corrupted else true)
        flipped += corrupted
    assert flipped == n * rate // 100


@pytest.mark.parametrize(("n", "rate", "count"), [(100, 0.29, 29), (100, 0.57, 57), (100, 1.0, 100), (7, 0.1, 0)])
def test_uniform_redraws_exactly_the_share(n: int, rate: float, count: int) -> None:
    """With a million classes a redrawn label hits the true one about never, so that corrupted counts the drawn."""
    assert corrupt(np.zeros(n, int), 10**6, uniform(rate), 1).corrupted.sum() == count


def test_uniform_draws_over_all_classes_the_true_one_included() -> None:
    noisy = corrupt(LABELS, 10, uniform(1.0), 1)
    counts = np.zeros((10, 10), int)
    for true, found in zip(LABELS, noisy.labels, strict=True):
        counts[true, found] += 1
    assert abs(counts - 600).max() < 5 * np.sqrt(600 * 0.9)
    assert abs(noisy.corrupted.mean() - 0.9) < 0.01


def test_uniform_leaves_the_rest_and_corrupts_nine_tenths_of_the_share() -> None:
    noisy = corrupt(LABELS, 10, uniform(0.4), 3)
    assert abs(noisy.corrupted.mean() - 0.36) < 5 * np.sqrt(0.4 * 0.09 / len(LABELS))
    np.testing.assert_array_equal(noisy.labels[~noisy.corrupted], LABELS[~noisy.corrupted])


@pytest.mark.parametrize("make", [uniform, pair_flip])
def test_a_higher_rate_touches_what_a_lower_one_does(make: object) -> None:
    low, high = (corrupt(LABELS, 10, make(rate), 1) for rate in (0.2, 0.4))
    np.testing.assert_array_equal(low.labels[low.corrupted], high.labels[low.corrupted])


def test_examples_are_chosen_at_random() -> None:
    where = np.flatnonzero(corrupt(LABELS, 10, pair_flip(0.2), 1).corrupted)
    assert abs(where.mean() / len(LABELS) - 0.5) < 0.01


def test_matrix_draws_by_the_column_of_the_true_class() -> None:
    labels = np.arange(90_000) % 3
    noisy = corrupt(labels, 3, by_matrix(MATRIX), 1)
    shares = np.zeros((3, 3))
    for true, found in zip(labels, noisy.labels, strict=True):
        shares[found, true] += 1 / 30_000
    assert abs(shares - MATRIX).max() < 0.015
    assert (shares[np.array(MATRIX) == 0] == 0).all()


def test_matrix_equals_a_loop_over_the_same_draws() -> None:
    labels = np.arange(300) % 3
    expected = []
    for true, draw in zip(labels, stream("noise", 5).random(300), strict=True):
        found, reached = 0, MATRIX[0][true]
        while draw >= reached:
            found += 1
            reached += MATRIX[found][true]
        expected.append(found)
    np.testing.assert_array_equal(corrupt(labels, 3, by_matrix(MATRIX), 5).labels, expected)


def test_matrix_with_rounded_columns_stays_within_possible_classes() -> None:
    third = 0.333333333333
    matrix = [[third] * 4, [third] * 4, [third] * 4, [0.0] * 4]
    assert set(corrupt(np.arange(40_000) % 4, 4, by_matrix(matrix), 1).labels) == {0, 1, 2}


def test_the_identity_matrix_and_none_change_nothing() -> None:
    for noise in (NONE, by_matrix(np.eye(10).tolist()), uniform(0.0), pair_flip(0)):
        noisy = corrupt(LABELS, 10, noise, 1)
        np.testing.assert_array_equal(noisy.labels, LABELS)
        assert not noisy.corrupted.any() and noisy.labels is not LABELS


@pytest.mark.parametrize("noise", [uniform(0.4), pair_flip(0.4), by_matrix(np.full((10, 10), 0.1).tolist())])
def test_same_seed_same_noise_other_seed_other_noise(noise: SimpleNamespace) -> None:
    before = LABELS.copy()
    first = corrupt(LABELS, 10, noise, 1)
    np.random.seed(7)  # the global state must not matter
    again, other = corrupt(LABELS, 10, noise, 1), corrupt(LABELS, 10, noise, 2)
    np.testing.assert_array_equal(first.labels, again.labels)
    assert (first.labels != other.labels).mean() > 0.2
    np.testing.assert_array_equal(LABELS, before)
    assert first.labels.dtype == np.int64 and first.corrupted.dtype == bool
    np.testing.assert_array_equal(first.corrupted, first.labels != LABELS)


@pytest.mark.parametrize(
    ("matrix", "shape"), [(MATRIX, "3 x 3"), ([[0.1] * 9] * 10, "10 x 9"), ([[0.1] * 10] * 9 + [[1.0]], "10 x 1/10")]
)
def test_matrix_of_another_shape_is_a_user_error(matrix: list, shape: str) -> None:
    with pytest.raises(UserError, match=rf"noise\.matrix: .*10 x 10, not {shape}"):
        corrupt(LABELS, 10, by_matrix(matrix), 1)


def test_unknown_kind_is_a_user_error() -> None:
    with pytest.raises(UserError, match=r"noise\.kind: 'salt'"):
        corrupt(LABELS, 10, SimpleNamespace(kind="salt"), 1)
