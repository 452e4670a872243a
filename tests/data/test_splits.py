"""Shares counted exactly, streams that do not touch each other, subsets and validation splits."""

from decimal import Decimal
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.data.splits import training_subset, validation_split
from pipeline.errors import UserError
from pipeline.runs.sampling import count_of, stream


@given(n=st.integers(0, 100_000), hundredths=st.integers(0, 100))
def test_count_is_the_floor_in_decimal_numbers(n: int, hundredths: int) -> None:
    assert count_of(n, hundredths / 100) == n * hundredths // 100


@pytest.mark.parametrize(("n", "share", "count"), [(100, 0.29, 29), (100, 0.57, 57), (10, 1, 10), (10**6, 1e-5, 10)])
def test_count_where_floats_go_wrong(n: int, share: float, count: int) -> None:
    assert count_of(n, share) == count == int(n * Decimal(str(share)))


def test_streams_differ_by_purpose_seed_and_address() -> None:
    addresses = [(5,), (6,), (5, 0), (5, 1), (5, 0, 0), (5 + 2**32,), (5 + 2**32, 1)]
    draws = {
        stream(purpose, *address).integers(2**62)
        for purpose in ("subset", "split", "noise", "order", "augmentation")
        for address in addresses
    }
    assert len(draws) == 5 * len(addresses)


def test_subsets_are_nested_random_and_in_file_order() -> None:
    sizes = (1, 10, 300, 999, 1000)
    subsets = [training_subset(1000, size) for size in sizes]
    assert [len(np.unique(subset)) for subset in subsets] == list(sizes)
    assert all((np.diff(subset) > 0).all() for subset in subsets)
    assert all(set(small) <= set(large) for small, large in pairwise(subsets))
    assert 400 < subsets[2].mean() < 600  # a head of the file would give 149.5
    np.testing.assert_array_equal(training_subset(1000, 300), subsets[2])


@given(n=st.integers(2, 500), fraction=st.sampled_from([0.0, 0.1, 0.29, 0.5]), seed=st.integers(0, 2**40))
def test_split_is_a_partition(n: int, fraction: float, seed: int) -> None:
    if fraction > 0 and count_of(n, fraction) == 0:
        with pytest.raises(UserError, match=r"data\.val_fraction"):
            validation_split(n, fraction, seed)
        return
    train, validation = validation_split(n, fraction, seed)
    assert len(validation) == count_of(n, fraction)
    np.testing.assert_array_equal(np.sort(np.concatenate([train, validation])), np.arange(n))
    assert (np.diff(train) > 0).all() and (np.diff(validation) > 0).all()


def test_split_depends_on_the_seed_only() -> None:
    first, again, other = (validation_split(1000, 0.1, seed)[1] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert len(set(first) & set(other)) < 30
