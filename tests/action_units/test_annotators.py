"""Simulated annotators: what they get wrong, how much, and what the result must not depend on."""

from itertools import pairwise

import numpy as np
import pytest

from pipeline.action_units.noise import ERRORS, annotate
from pipeline.errors import UserError

pytestmark = pytest.mark.filterwarnings("error")

AU_NAMES = ("AU4", "AU12", "AU23")
FRAMES = 450
SEQUENCES = 80


def recordings(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels (N, 3) in bouts of 60 frames on average, sequences and frames (N,)."""
    random = np.random.default_rng(seed)
    changes = random.random((SEQUENCES * FRAMES, 3)) < 1 / 60
    clean = (changes.cumsum(axis=0) % 2).astype(np.uint8)
    names = np.repeat([f"F{k:03d}_T1" for k in range(SEQUENCES)], FRAMES)
    return clean, names, np.tile(np.arange(FRAMES) + 2440, SEQUENCES)


CLEAN, NAMES, PLACES = recordings()


def noisy(strength: float = 1.0, seed: int = 1, **changes) -> np.ndarray:
    given = {"clean": CLEAN, "sequences": NAMES, "frames": PLACES, "au_names": AU_NAMES} | changes
    return annotate(**given, strength=strength, seed=seed)


def bouts(labels: np.ndarray) -> list[tuple[int, int]]:
    """First and last index of every run of ones, by walking along."""
    found, start = [], None
    for index, label in enumerate([*labels, 0]):
        if label == 1 and start is None:
            start = index
        if label != 1 and start is not None:
            found.append((start, index - 1))
            start = None
    return found


def one_sequence(strength: float, seed: int, frames: np.ndarray, clean: np.ndarray) -> np.ndarray:
    return annotate(clean[:, None], np.full(len(clean), "s"), frames, ("AU23",), strength, seed)[:, 0]


def test_no_strength_no_error():
    result = noisy(0.0)
    np.testing.assert_array_equal(result, CLEAN)
    assert result is not CLEAN and result.dtype == np.uint8


def test_errors_at_a_lower_strength_are_among_those_at_a_higher_one():
    wrong = [noisy(strength) != CLEAN for strength in (0.3, 0.6, 1.0, 2.0, 5.0)]
    for weaker, stronger in pairwise(wrong):
        assert not (weaker & ~stronger).any()
        assert weaker.sum() < stronger.sum()


def test_subtle_units_suffer_more():
    shares = (noisy() != CLEAN).mean(axis=0)
    assert shares[2] > shares[0] > shares[1] > 0.03
    assert shares[2] < 0.35


def test_errors_are_shifted_missed_and_invented_bouts():
    kinds = {"missed": 0, "shifted": 0, "invented": 0}
    result = noisy()
    for start in range(0, len(CLEAN), FRAMES):
        true, found = CLEAN[start : start + FRAMES, 2], result[start : start + FRAMES, 2]
        for first, last in bouts(true):
            coded = found[first : last + 1]
            kinds["missed"] += not coded.any()
            kinds["shifted"] += bool(coded.any() and not coded.all())
        kinds["invented"] += sum(not true[first : last + 1].any() for first, last in bouts(found))
    number = sum(len(bouts(CLEAN[start : start + FRAMES, 2])) for start in range(0, len(CLEAN), FRAMES))
    assert 0.2 < kinds["missed"] / number < 0.45
    assert 0.1 < kinds["shifted"] / number < 0.6
    assert kinds["invented"] > 0.1 * number


def test_wrong_labels_come_in_runs_not_alone():
    """A wrong label next to a wrong one is far likelier than a wrong label."""
    wrong = (noisy() != CLEAN)[:, 2]
    follows = wrong[1:][wrong[:-1]].mean()
    assert follows > 0.8 > 3 * wrong.mean()


def test_errors_gather_in_careless_sequences():
    """Of independent sequences, the wrong share would vary less than it does, and units would not vary together."""
    shares = (noisy() != CLEAN).reshape(SEQUENCES, FRAMES, 3).mean(axis=1)
    together = [np.corrcoef(shares.T)[pair] for pair in ((0, 1), (0, 2), (1, 2))]
    assert np.mean(together) > 0.1


def test_the_order_of_the_examples_does_not_matter():
    order = np.random.default_rng(3).permutation(len(CLEAN))
    mixed = noisy(clean=CLEAN[order], sequences=NAMES[order], frames=PLACES[order])
    np.testing.assert_array_equal(mixed, noisy()[order])


def test_annotating_a_sequence_does_not_depend_on_the_others():
    chosen = np.isin(NAMES, ["F007_T1", "F031_T1"])
    alone = noisy(clean=CLEAN[chosen], sequences=NAMES[chosen], frames=PLACES[chosen])
    np.testing.assert_array_equal(alone, noisy()[chosen])


def test_annotating_a_unit_does_not_depend_on_the_others():
    alone = noisy(clean=CLEAN[:, [2, 0]], au_names=("AU23", "AU4"))
    np.testing.assert_array_equal(alone, noisy()[:, [2, 0]])


def test_same_seed_same_errors_other_seed_other_errors():
    before = CLEAN.copy()
    np.testing.assert_array_equal(noisy(seed=4), noisy(seed=4))
    assert ((noisy(seed=4) != CLEAN) != (noisy(seed=5) != CLEAN)).mean() > 0.05
    np.testing.assert_array_equal(CLEAN, before)


def test_unknown_labels_stay_unknown():
    some = CLEAN.copy()
    some[::7] = 9
    result = noisy(5.0, clean=some)
    np.testing.assert_array_equal(result == 9, some == 9)
    assert set(np.unique(result)) == {0, 1, 9}


def test_spaced_frames_have_as_many_errors():
    """Every tenth frame of the same recordings: the shifts are in frames of the film, not in examples."""
    tenth = np.arange(len(CLEAN)) % 10 == 0
    few = noisy(clean=CLEAN[tenth], sequences=NAMES[tenth], frames=PLACES[tenth]) != CLEAN[tenth]
    assert few.mean() == pytest.approx((noisy() != CLEAN).mean(), rel=0.15)


def test_bounds_move_by_frames_not_by_examples():
    """Where a bout of examples a second apart is neither missed nor joined, its bounds hardly ever move."""
    frames = np.arange(20) * 1000
    clean = np.repeat([0, 1, 0, 1], 5).astype(np.uint8)
    moved = 0
    for seed in range(200):
        found = one_sequence(1.0, seed, frames, clean)
        moved += sum(
            found[first : last + 1].any() and not found[first : last + 1].all() for first, last in bouts(clean)
        )
    assert moved <= 10


def test_a_unit_that_is_always_on_is_never_shifted():
    """The film shows neither its onset nor its offset: it is coded whole or not at all."""
    frames = np.arange(100)
    seen = {tuple(np.unique(one_sequence(2.0, seed, frames, np.ones(100, np.uint8)))) for seed in range(60)}
    assert seen == {(0,), (1,)}


def test_units_without_a_row_in_the_table_are_annotated_too():
    assert "AU43" not in ERRORS
    share = (noisy(au_names=("AU43", "AU5", "AU20")) != CLEAN).mean()
    assert 0.03 < share < 0.3


@pytest.mark.parametrize("n", [0, 1])
def test_hardly_any_examples(n: int):
    assert noisy(clean=CLEAN[:n], sequences=NAMES[:n], frames=PLACES[:n]).shape == (n, 3)


@pytest.mark.parametrize("strength", [-0.1, float("nan"), float("inf"), 11])
def test_impossible_strengths_are_user_errors(strength: float):
    with pytest.raises(UserError, match=r"noise\.strength: .* is not between 0 \(no errors\) and 10"):
        noisy(strength)


def test_what_the_docstring_says_was_measured():
    """BP4D's base rates and bout lengths (public figures), two-state Markov chains of 450 frames."""
    rates = (0.203, 0.549, 0.562, 0.165)
    names, lengths = ("AU4", "AU7", "AU12", "AU23"), (73, 142, 184, 30)
    random = np.random.default_rng(0)
    clean = np.stack([chains(random, rate, length) for rate, length in zip(rates, lengths, strict=True)], axis=1)
    n = len(clean)
    found = annotate(clean, np.arange(n) // FRAMES, np.arange(n) % FRAMES, names, 1.0, 1)
    share = dict(zip(names, (found != clean).mean(axis=0), strict=True))
    assert share["AU4"] == pytest.approx(0.08, abs=0.02)
    assert share["AU7"] == pytest.approx(0.21, abs=0.03)
    assert share["AU12"] == pytest.approx(0.085, abs=0.02)
    assert share["AU23"] == pytest.approx(0.165, abs=0.02)


def chains(random: np.random.Generator, rate: float, length: float) -> np.ndarray:
    """300 sequences of FRAMES labels that are on for `rate` of the time, in bouts of `length` on average."""
    stop, start = 1 / length, rate / (length * (1 - rate))
    labels = np.zeros((300, FRAMES), np.uint8)
    labels[:, 0] = random.random(300) < rate
    for frame in range(1, FRAMES):
        change = random.random(300) < np.where(labels[:, frame - 1] == 1, stop, start)
        labels[:, frame] = labels[:, frame - 1] ^ change
    return labels.ravel()
