"""Metrics of action units against loops, and against scikit-learn where it has them."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as reference

from pipeline.action_units import metrics as au_metrics

pytestmark = pytest.mark.filterwarnings("error")

AU_NAMES = ("AU1", "AU2", "AU4", "AU6")
N = 400
RANDOM = np.random.default_rng(0)
LOGITS = RANDOM.normal(size=(N, 4)).astype(np.float32).round(1)  # with ties and zeros
LABELS = RANDOM.choice([0, 1, 9], (N, 4), p=[0.6, 0.3, 0.1]).astype(np.uint8)
WEIGHTS = np.array([0.5, 1.5, 1.25, 0.75])


def known(column: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels and logits of one unit without the unknown."""
    chosen = LABELS[:, column] != 9
    return LABELS[chosen, column], LOGITS[chosen, column]


def degenerate() -> np.ndarray:
    """Labels with a unit that is all unknown, one without positives, one without negatives, and one in order."""
    labels = LABELS.copy()
    labels[:, 0] = 9
    labels[labels[:, 1] == 1, 1] = 0
    labels[labels[:, 2] == 0, 2] = 1
    return labels


def test_probabilities_are_the_logistic_function_without_overflow():
    for logit in (-800.0, -3.5, 0.0, 0.25, 40.0, 800.0):
        expected = 1 / (1 + math.exp(-logit)) if logit > -700 else 0.0
        assert au_metrics.probabilities(np.array([logit]))[0] == pytest.approx(expected, rel=1e-12, abs=1e-300)


def test_a_probability_equal_to_the_threshold_is_present():
    assert au_metrics.decisions(np.array([[0.0]]))[0, 0]
    assert not au_metrics.decisions(np.array([[-1e-9]]))[0, 0]


def test_every_unit_has_its_own_threshold():
    decided = au_metrics.decisions(np.full((1, 4), 0.0), np.array([0.2, 0.5, 0.51, 0.9]))
    assert decided.tolist() == [[True, True, False, False]]


def test_counts_equal_a_loop_that_skips_unknown_labels():
    counted = au_metrics.counts(LOGITS >= 0, LABELS)
    for column in range(4):
        tally = {(True, 1): 0, (True, 0): 0, (False, 1): 0, (False, 0): 0}
        for logit, label in zip(LOGITS[:, column], LABELS[:, column], strict=True):
            if label != 9:
                tally[bool(logit >= 0), int(label)] += 1
        assert counted[column].tolist() == list(tally.values())


def test_metrics_equal_scikit_learn_on_the_known_labels():
    found = au_metrics.au_metrics(LOGITS, LABELS, AU_NAMES, np.full(4, 0.5), WEIGHTS)
    for column, name in enumerate(AU_NAMES):
        labels, logits = known(column)
        assert found["f1"][name] == pytest.approx(reference.f1_score(labels, logits >= 0))
        assert found["balanced_accuracy"][name] == pytest.approx(reference.balanced_accuracy_score(labels, logits >= 0))
        assert found["mcc"][name] == pytest.approx(reference.matthews_corrcoef(labels, logits >= 0))
        assert found["auc"][name] == pytest.approx(reference.roc_auc_score(labels, logits))
        assert found["base_rate"][name] == pytest.approx(labels.mean())
        assert found["f1_all_positive"][name] == pytest.approx(reference.f1_score(labels, np.ones_like(labels)))
    assert found["f1_mean"] == pytest.approx(sum(found["f1"].values()) / 4)
    assert found["f1_tuned"] == found["f1"]


@given(st.lists(st.tuples(st.integers(-3, 3), st.sampled_from([0, 1, 9])), min_size=1, max_size=40))
def test_auc_is_the_share_of_pairs_in_order(examples: list[tuple[int, int]]):
    pairs = [
        1.0 if positive > negative else 0.5 if positive == negative else 0.0
        for positive, label in examples for negative, other in examples if (label, other) == (1, 0)
    ]  # fmt: skip
    scores, labels = (np.array(column)[:, None] for column in zip(*examples, strict=True))
    found = au_metrics.auc(scores, labels)[0]
    assert math.isnan(found) if not pairs else found == pytest.approx(sum(pairs) / len(pairs))


def test_tuned_f1_uses_the_thresholds_and_nothing_else_does():
    thresholds = np.array([0.3, 0.7, 0.5, 0.1])
    found = au_metrics.au_metrics(LOGITS, LABELS, AU_NAMES, thresholds, WEIGHTS)
    plain = au_metrics.au_metrics(LOGITS, LABELS, AU_NAMES, np.full(4, 0.5), WEIGHTS)
    for column, name in enumerate(AU_NAMES):
        labels, logits = known(column)
        tuned = reference.f1_score(labels, logits >= math.log(thresholds[column] / (1 - thresholds[column])))
        assert found["f1_tuned"][name] == pytest.approx(tuned)
    assert {key: found[key] for key in found if "tuned" not in key} == {
        key: plain[key] for key in plain if "tuned" not in key
    }


def test_the_loss_is_the_weighted_mean_over_known_labels():
    total, number = 0.0, 0
    for logits, labels in zip(LOGITS.tolist(), LABELS, strict=True):
        for logit, label, weight in zip(logits, labels, WEIGHTS, strict=True):
            if label != 9:
                probability = 1 / (1 + math.exp(-logit))
                total -= weight * math.log(probability if label == 1 else 1 - probability)
                number += 1
    assert au_metrics.cross_entropy(LOGITS, LABELS, WEIGHTS) == pytest.approx(total / number, rel=1e-9)


def test_units_without_weight_are_not_in_the_loss():
    weights = np.array([0.0, 1.0, 1.0, 0.0])
    expected = au_metrics.cross_entropy(LOGITS[:, 1:3], LABELS[:, 1:3], np.ones(2))
    assert au_metrics.cross_entropy(LOGITS, LABELS, weights) == pytest.approx(expected)


@pytest.mark.parametrize("labels", [np.full((3, 4), 9), np.zeros((0, 4), np.uint8)])
def test_nothing_known_gives_none_everywhere(labels: np.ndarray):
    logits = np.zeros(labels.shape)
    found = au_metrics.au_metrics(logits, labels, AU_NAMES, np.full(4, 0.5), WEIGHTS)
    for value in found.values():
        assert value is None or set(value.values()) == {None}
    assert au_metrics.mean_f1(logits, labels) is None


def test_undefined_metrics_are_none_and_not_in_the_mean():
    found = au_metrics.au_metrics(LOGITS, degenerate(), AU_NAMES, np.full(4, 0.5), WEIGHTS)
    assert [found["f1"][name] is None for name in AU_NAMES] == [True, True, False, False]
    for metric in ("balanced_accuracy", "mcc", "auc"):
        assert [found[metric][name] is None for name in AU_NAMES] == [True, True, True, False]
    assert found["base_rate"] == {"AU1": None, "AU2": 0.0, "AU4": 1.0, "AU6": found["base_rate"]["AU6"]}
    assert found["f1_all_positive"]["AU4"] == 1.0
    assert found["f1_mean"] == pytest.approx((found["f1"]["AU4"] + found["f1"]["AU6"]) / 2)
    assert found["mcc_mean"] == found["mcc"]["AU6"]
    assert au_metrics.mean_f1(LOGITS, degenerate()) == found["f1_mean"]


def test_undefined_metrics_are_explained():
    said = au_metrics.undefined(degenerate(), AU_NAMES, "test")
    expected = (("AU1: no known ", 0), ("AU2: no positive ", 4), ("AU4: no negative ", 3))
    for sentence, (start, metrics) in zip(said, expected, strict=True):
        assert sentence.startswith(start) and "in the test part" in sentence
        assert sum(metric in sentence for metric in ("F1", "balanced accuracy", "MCC", "AUC")) == metrics


def test_f1_without_a_hit_is_zero_where_there_are_positives():
    assert au_metrics.f1(np.array([[0, 3, 2, 5]]))[0] == 0.0


def test_mcc_of_equal_decisions_is_zero():
    assert au_metrics.mcc(np.array([[4, 6, 0, 0], [0, 0, 4, 6]])).tolist() == [0.0, 0.0]


def test_agreement_equals_a_loop_over_the_chosen_known_labels():
    chosen = RANDOM.random(LABELS.shape) < 0.3
    hits, number = np.zeros(4), np.zeros(4)
    for row in range(N):
        for column in range(4):
            if chosen[row, column] and LABELS[row, column] != 9:
                number[column] += 1
                hits[column] += (LOGITS[row, column] >= 0) == (LABELS[row, column] == 1)
    assert au_metrics.agreement(LOGITS, LABELS, chosen) == pytest.approx(hits.sum() / number.sum())
    np.testing.assert_allclose(au_metrics.agreement_per_au(LOGITS, LABELS, chosen), hits / number)


def test_agreement_of_nothing_is_none():
    assert au_metrics.agreement(LOGITS, LABELS, None) is None
    assert au_metrics.agreement(LOGITS, LABELS, LABELS == 9) is None
    assert np.isnan(au_metrics.agreement_per_au(LOGITS, LABELS, LABELS == 9)).all()
