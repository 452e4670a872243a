"""What counts as having learned nothing: accuracy, AUC and loss, each near its limit."""

import math

import numpy as np
import pytest

from pipeline.action_units.metrics import auc
from pipeline.training.chance import MARGIN, chance_of_action_units, chance_of_classes, grown_loss
from pipeline.training.multilabel import Multilabel
from pipeline.training.tasks import Multiclass
from tests.training.training_samples import tiny_data

LABELS = np.repeat(np.arange(10), 50)  # the most frequent class has 10 %
LIMIT = 0.1 + MARGIN * math.sqrt(0.1 * 0.9 / 500)


@pytest.mark.parametrize(
    ("accuracy", "at_chance"), [(0.0, True), (0.1, True), (LIMIT - 1e-6, True), (LIMIT + 1e-6, False), (1.0, False)]
)
def test_an_accuracy_must_be_clearly_above_the_most_frequent_class(accuracy: float, at_chance: bool):
    assert bool(chance_of_classes(accuracy, LABELS)) is at_chance


def test_always_answering_the_most_frequent_of_unequal_classes_is_chance():
    labels = np.r_[np.zeros(900, int), np.ones(100, int)]
    (found,) = chance_of_classes(0.9, labels)
    assert "90.0%" in found and not chance_of_classes(0.95, labels)


def test_few_test_images_are_no_evidence():
    assert not chance_of_classes(0.1, LABELS[::5])
    assert not chance_of_action_units([0.5], np.tile([[0], [1]], (50, 1)))


def samples(strength: float, n: int = 400) -> tuple[list[float], np.ndarray]:
    """AUC of three action units, and their labels, of which some are unknown; scores follow the labels by `strength`."""
    random = np.random.default_rng(0)
    labels = (random.random((n, 3)) < 0.3).astype(np.uint8)
    scores = random.normal(size=(n, 3)) + strength * labels
    labels[:20, 0] = 9
    return auc(scores, labels).tolist(), labels


def test_unrelated_scores_are_chance_and_weakly_related_ones_are_not():
    assert chance_of_action_units(*samples(0)) and not chance_of_action_units(*samples(0.4))


def test_equal_outputs_for_all_images_are_chance_and_undefined_units_do_not_count():
    labels = samples(0)[1]
    assert chance_of_action_units([0.5, 0.5, None], labels) and not chance_of_action_units([None] * 3, labels)


@pytest.mark.parametrize(("loss", "grown"), [(2.3, False), (6.8, False), (7.0, True), (1.9e6, True), (None, False)])
def test_a_loss_above_three_times_that_of_a_guess_grew(loss: float | None, grown: bool):
    assert bool(grown_loss(loss, math.log(10))) is grown


def test_the_tasks_compare_with_their_own_guess():
    data = tiny_data()
    line = {"train_eval_loss": 1e6, "test_accuracy": 1.0}
    assert "a guess has 1.1." in Multiclass(3).no_better_than_chance(line, {}, data)[0]  # ln 3
    labels = np.array([[0, 1], [1, 9]], np.uint8)
    faces = type(data)(*(labels if part is data.train_labels else part for part in vars(data).values()))
    task, details = Multilabel(("AU1", "AU2"), np.array([1.0, 2.0])), {"metrics": {"auc": {}}}
    assert f"a guess has {math.log(2) * 4 / 3:.3g}." in task.no_better_than_chance(line, details, faces)[0]
    assert not task.no_better_than_chance({"train_eval_loss": 2.0}, details, faces)
