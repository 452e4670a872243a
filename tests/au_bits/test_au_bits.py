"""Choosing the bits of every action unit's head."""

from itertools import product

import numpy as np
import pytest

from pipeline.action_units.labels import UNKNOWN
from pipeline.au_bits.candidates import choose_bits, head_sizes, sensitivity, size_bytes
from pipeline.errors import UserError

AUS = ("AU1", "AU6", "AU12")
SIZES = {"AU1": 80, "AU6": 160, "AU12": 80}
TABLE = {
    "AU1": {2: 0.50, 3: 0.60, 4: 0.61, 8: 0.60},
    "AU6": {2: 0.70, 3: 0.70, 4: 0.71, 8: 0.75},
    "AU12": {2: None, 3: None, 4: None, 8: None},
}


def noisy_prediction(labels: np.ndarray):
    """A predictor whose logits are the clearer the more bits there are."""
    noise = np.random.default_rng(1).normal(size=labels.shape)

    def predict(bits: int) -> np.ndarray:
        return np.where(labels == 1, 1.0, -1.0) * bits + 3 * noise

    return predict


def test_sensitivity_is_the_f1_of_known_labels():
    rng = np.random.default_rng(0)
    labels = rng.choice([0, 1, UNKNOWN], (200, 3)).astype(np.uint8)
    labels[:, 2] = 0
    predict = noisy_prediction(labels)
    table = sensitivity(predict, labels, AUS, (8, 2))
    for column, name in enumerate(AUS[:2]):
        for bits in (2, 8):
            decided = [logit >= 0 for logit in predict(bits)[:, column]]
            pairs = [pair for pair in zip(decided, labels[:, column].tolist(), strict=True) if pair[1] != UNKNOWN]
            hits = sum(present and label == 1 for present, label in pairs)
            errors = sum(present != (label == 1) for present, label in pairs)
            assert table[name][bits] == pytest.approx(2 * hits / (2 * hits + errors))
        assert table[name][2] < table[name][8]
    assert table["AU12"] == {2: None, 8: None}


def test_head_sizes_count_the_hidden_layers():
    weights = {f"{name}_{part}": 10 * number for number, name in enumerate(AUS, 1) for part in ("dense1", "dense2")}
    assert head_sizes(weights | {"AU1_logit": 5, "conv0": 7}, AUS) == {"AU1": 20, "AU6": 40, "AU12": 60}


@pytest.mark.parametrize(("tolerance", "expected"), [
    (0.0, {"AU1": 4, "AU6": 8, "AU12": 3}),
    (0.01, {"AU1": 3, "AU6": 8, "AU12": 3}),
    (0.05, {"AU1": 3, "AU6": 2, "AU12": 3}),
    (1.0, {"AU1": 2, "AU6": 2, "AU12": 3}),
])  # fmt: skip
def test_the_fewest_bits_within_the_tolerance(tolerance: float, expected: dict):
    assert choose_bits(TABLE, SIZES, tolerance + 1e-12, uniform=3) == expected


def test_the_budget_takes_the_cheapest_steps():
    """From 4, 8, 3 bits (230 bytes): AU6 loses 0.0005 F1 a byte down to 4 or 3 bits, less down to 2; AU1 loses 0.001."""
    assert choose_bits(TABLE, SIZES, 0.0, size_budget=110, uniform=3) == {"AU1": 4, "AU6": 2, "AU12": 3}
    assert choose_bits(TABLE, SIZES, 0.0, size_budget=105, uniform=3) == {"AU1": 3, "AU6": 2, "AU12": 3}
    assert choose_bits(TABLE, SIZES, 0.0, size_budget=1000, uniform=3) == {"AU1": 4, "AU6": 8, "AU12": 3}


def test_a_budget_is_kept_and_no_head_gains_bits():
    rng = np.random.default_rng(2)
    for _ in range(50):
        table = {name: dict(zip((2, 3, 4, 8), rng.random(4).tolist(), strict=True)) for name in AUS}
        budget = float(rng.uniform(80, 320))
        free, kept = choose_bits(table, SIZES, 0.05), choose_bits(table, SIZES, 0.05, budget)
        assert size_bytes(kept, SIZES) <= budget
        assert all(kept[name] <= free[name] for name in AUS)


def test_without_a_budget_fewer_bits_anywhere_would_break_the_tolerance():
    chosen = choose_bits(TABLE, SIZES, 0.02)
    for name, bits in product(AUS[:2], (2, 3, 4, 8)):
        if bits < chosen[name]:
            assert TABLE[name][bits] < max(TABLE[name].values()) - 0.02


def test_a_budget_that_nothing_fits():
    with pytest.raises(UserError, match="take 80 bytes at the fewest bits tried, more than 79"):
        choose_bits(TABLE, SIZES, 0.0, size_budget=79)


@pytest.mark.parametrize(
    ("budget", "expected"), [(None, (8, 4)), (120, (8, 4)), (70, (3, 4)), (60, (2, 4)), (50, (2, 3)), (40, (2, 2))]
)
def test_a_unit_without_f1_keeps_the_equal_bits_and_is_the_last_to_lose_some(budget, expected: tuple[int, int]):
    table = {"AU1": {2: 0.5, 3: 0.6, 8: 0.7}, "AU12": {2: None, 3: None, 8: None}}
    sizes = {"AU1": 80, "AU12": 80}
    assert tuple(choose_bits(table, sizes, 0.01, budget, uniform=4).values()) == expected
    assert choose_bits(table, sizes, 0.01) == {"AU1": 8, "AU12": 8}
