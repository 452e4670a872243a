"""Noise on action units: counts, nesting, unknown labels, and what a user can get wrong."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.action_units.noise import annotate, corrupt_aus
from pipeline.errors import UserError

pytestmark = pytest.mark.filterwarnings("error")

AU_NAMES = ("AU1", "AU12", "AU24")
N = 3000
LABELS = np.random.default_rng(0).choice([0, 1, 9], (N, 3), p=[0.6, 0.3, 0.1]).astype(np.uint8)
SEQUENCES, FRAMES = np.repeat(np.arange(10), N // 10), np.tile(np.arange(N // 10), 10)


def per_label(**rates: float) -> SimpleNamespace:
    return SimpleNamespace(kind="per_label", rates=rates)


def corrupt(noise: SimpleNamespace, seed: int = 1, labels: np.ndarray = LABELS) -> tuple[np.ndarray, np.ndarray]:
    n = len(labels)
    return corrupt_aus(labels, noise, AU_NAMES, SEQUENCES[:n], FRAMES[:n], seed)


@given(n=st.integers(0, 300), percent=st.integers(0, 100), seed=st.integers(0, 2**40))
def test_exactly_the_share_of_the_known_labels_is_flipped(n: int, percent: int, seed: int):
    noisy, corrupted = corrupt(per_label(AU1=percent / 100, default=0.5), seed, LABELS[:n])
    for column, share in enumerate((percent, 50, 50)):
        known = flipped = 0
        for true, found, wrong in zip(LABELS[:n, column], noisy[:, column], corrupted[:, column], strict=True):
            known += true != 9
            flipped += wrong
            assert found == (1 - true if wrong else true)
        assert flipped == known * share // 100


def test_rates_belong_to_their_units_and_the_default_to_the_rest():
    _, corrupted = corrupt(per_label(AU12=0.0, default=0.2))
    assert not corrupted[:, 1].any() and corrupted[:, 0].any() and corrupted[:, 2].any()
    _, corrupted = corrupt(per_label(AU24=0.2))
    assert corrupted[:, 2].any() and not corrupted[:, :2].any()


def test_a_higher_rate_flips_what_a_lower_one_does():
    low, high = (corrupt(per_label(default=rate))[1] for rate in (0.2, 0.4))
    assert not (low & ~high).any() and high.sum() > low.sum()


def test_units_are_flipped_independently():
    _, corrupted = corrupt(per_label(default=0.5))
    assert abs(np.corrcoef(corrupted[:, :2].T)[0, 1]) < 0.1


def test_annotators_are_those_of_the_module():
    noisy, corrupted = corrupt(SimpleNamespace(kind="annotators", strength=1.5), 7)
    np.testing.assert_array_equal(noisy, annotate(LABELS, SEQUENCES, FRAMES, AU_NAMES, 1.5, 7))
    np.testing.assert_array_equal(corrupted, noisy != LABELS)
    assert corrupted.any()


@pytest.mark.parametrize(
    "noise", [SimpleNamespace(kind="none"), per_label(default=0.0), SimpleNamespace(kind="annotators", strength=0.0)]
)
def test_no_noise_gives_a_copy_of_the_labels(noise: SimpleNamespace):
    noisy, corrupted = corrupt(noise)
    np.testing.assert_array_equal(noisy, LABELS)
    assert noisy is not LABELS and not corrupted.any()


def test_same_seed_same_noise_other_seed_other_noise():
    before = LABELS.copy()
    first, again, other = (corrupt(per_label(default=0.3), seed)[1] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).mean() > 0.2
    np.testing.assert_array_equal(LABELS, before)


def test_a_rate_for_an_unknown_unit_is_a_user_error():
    with pytest.raises(UserError, match=r"noise\.rates: .*AU2, AU99.*AU1, AU12, AU24.*'default'"):
        corrupt(per_label(AU2=0.1, AU99=0.2))


def test_noise_for_classes_is_a_user_error():
    with pytest.raises(UserError, match=r"noise\.kind: 'uniform' is not for action units"):
        corrupt(SimpleNamespace(kind="uniform", rate=0.4))
