"""Schedules against their formulas, optimizers against NumPy."""

import math

import numpy as np
import pytest
import tensorflow as tf

from pipeline.config.schema import CosineSchedule, ExponentialSchedule, StepSchedule
from pipeline.training.optimizers import learning_rate, make_optimizer
from tests.training.training_samples import settings, tiny_network

STEPS = 10


SCHEDULES = {
    "constant": ({}, lambda step: 0.1),
    "cosine": (
        {"schedule": CosineSchedule(final=0.2)}, lambda step: 0.02 + 0.08 * (1 + math.cos(math.pi * step / 40)) / 2,
    ),
    "step": ({"schedule": StepSchedule(every=2, factor=0.1)}, lambda step: 0.1 * 0.1 ** (step // 20)),
    "exponential": ({"schedule": ExponentialSchedule(factor=0.5)}, None),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "formula"), SCHEDULES.values(), ids=SCHEDULES)
def test_schedules_follow_their_formulas(changes: dict, formula):
    section = settings(epochs=4, learning_rate=0.1, **changes)
    values = [learning_rate(section, step, STEPS) for step in range(4 * STEPS)]
    if formula:
        assert values == pytest.approx([formula(step) for step in range(4 * STEPS)])
    else:
        assert values[::STEPS] == pytest.approx([0.1, 0.05, 0.025, 0.0125])
        assert values == sorted(values, reverse=True)


def updated(section, gradient: float, steps: int) -> tuple[list[np.ndarray], list[np.ndarray], list[str]]:
    """Variables before and after some steps with the same gradient everywhere."""
    model = tiny_network()
    variables = model.trainable_variables
    optimizer = make_optimizer(section, model)
    before = [variable.numpy() for variable in variables]
    for _ in range(steps):
        optimizer.apply_gradients([(tf.fill(variable.shape, gradient), variable) for variable in variables])
    return before, [variable.numpy() for variable in variables], [variable.name for variable in variables]


def test_adam_takes_the_steps_of_kingma_and_ba():
    before, after, _ = updated(settings(optimizer="adam", learning_rate=0.01), 0.3, 3)
    moved, m, v = 0.0, 0.0, 0.0
    for step in range(1, 4):
        m, v = 0.9 * m + 0.1 * 0.3, 0.999 * v + 0.001 * 0.09
        moved += 0.01 * (m / (1 - 0.9**step)) / (math.sqrt(v / (1 - 0.999**step)) + 1e-7)
    for old, new in zip(before, after, strict=True):
        np.testing.assert_allclose(new, old - moved, atol=1e-6)


def test_adamw_decays_kernels_and_nothing_else():
    section = settings(optimizer="adamw", learning_rate=0.1, weight_decay=0.5)
    before, after, names = updated(section, 0.0, 1)
    for old, new, name in zip(before, after, names, strict=True):
        share = 0.95 if name.endswith("kernel:0") else 1.0
        np.testing.assert_allclose(new, old * share, rtol=1e-6)


def test_sgd_keeps_its_momentum():
    before, after, _ = updated(settings(optimizer="sgd", learning_rate=0.1, momentum=0.5), 1.0, 3)
    for old, new in zip(before, after, strict=True):
        np.testing.assert_allclose(new, old - 0.1 * (1 + 1.5 + 1.75), rtol=1e-5, atol=1e-6)


def test_the_variables_exist_before_the_first_step():
    model = tiny_network()
    optimizer = make_optimizer(settings(), model)
    assert len(optimizer.variables) == 1 + 2 * len(model.trainable_variables)
