"""Folds are exclusive by subject."""

import pytest

from pipeline.data.bp4d.folds import BP4D_PARTS, fold_split
from pipeline.errors import UserError

EVERYBODY = [f"F{number:03d}" for number in range(1, 24)] + [f"M{number:03d}" for number in range(1, 19)]


def test_parts_are_those_of_bp4d():
    assert sorted(subject for part in BP4D_PARTS for subject in part) == EVERYBODY
    assert [len(part) for part in BP4D_PARTS] == [14, 14, 13]


@pytest.mark.parametrize("fold", [1, 2, 3])
@pytest.mark.parametrize(("fraction", "held_out"), [(0.15, 4), (0.0, 0), (0.01, 1), (0.5, (13, 14))])
def test_every_subject_is_in_one_share(fold: int, fraction: float, held_out):
    train, val, test = fold_split(reversed(EVERYBODY), fold, None, fraction, seed=1)
    assert sorted(train + val + test) == EVERYBODY
    assert set(test) == set(BP4D_PARTS[fold - 1])
    assert len(val) in (held_out if isinstance(held_out, tuple) else (held_out,))
    assert all(list(share) == sorted(share) for share in (train, val, test))


def test_validation_depends_on_seed_and_fold_only():
    draws = {seed: fold_split(EVERYBODY, 1, None, 0.15, seed)[1] for seed in range(8)}
    assert draws[3] == fold_split(list(reversed(EVERYBODY)) * 2, 1, BP4D_PARTS, 0.15, 3)[1]
    assert len(set(draws.values())) > 4


def test_the_users_parts_may_name_absent_subjects():
    train, val, test = fold_split(["a", "b", "c"], 2, [["a", "b", "x"], ["c", "y"]], 0.5, seed=0)
    assert test == ("c",) and sorted(train + val) == ["a", "b"] and len(val) == 1


def test_capitals_make_no_difference():
    assert fold_split(["S1", "S2", "S3"], 1, [["s1"], ["s2", "S3"]], 0, seed=0) == (("S2", "S3"), (), ("S1",))


@pytest.mark.parametrize(("present", "fold", "parts", "message"), [
    ("abc", 1, ["ab", "Bc"], "data.parts: B, b in two parts"),
    ("abc", 1, ["ab", "bc"], "data.parts: b in two parts"),
    ("abcd", 1, ["a", "bc"], "no part names d"),
    ("abc", 3, ["ab", "c"], "data.folds: there is no part 3, only 1 to 2"),
    ("ab", 1, ["ab", "c"], "leaves 0 subjects to train and validate on and 2 to test"),
    ("ab", 2, ["ab", "c"], "and 0 to test"),
    ("ab", 1, ["a", "b"], "leaves 1 subjects .* validation takes 1"),
])  # fmt: skip
def test_impossible_folds(present: str, fold: int, parts: list[str], message: str):
    with pytest.raises(UserError, match=message):
        fold_split(present, fold, parts, 0.15, seed=0)
