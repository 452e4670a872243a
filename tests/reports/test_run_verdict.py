"""What the verdict says of trainings that learned nothing, and of runs resumed under other conditions."""

from pathlib import Path

import pytest

from pipeline.reports.load import read_run
from pipeline.reports.run_verdict import judge
from tests.reports.run_samples import BASELINE, edit_json, write_sample_run

GUESS = ["the accuracy of 10.0% is not clearly better than 10.0%"]


@pytest.fixture
def changed(tmp_path: Path) -> Path:
    return write_sample_run(tmp_path)


def verdict_of(run: Path) -> str:
    """What the verdict says, a line each: headline, failures, warnings."""
    said = judge(read_run(run))
    return "\n".join([said.headline, *said.failures, *said.warnings])


def test_a_run_that_learned_nothing_does_not_pass(changed: Path):
    for seed in (1, 2, 3):
        edit_json(changed / f"seed{seed}" / "scores.json", no_better_than_chance=GUESS)
    said = verdict_of(changed)
    assert "NO BETTER THAN CHANCE: " in said and "seed2: the accuracy of 10.0%" in said and "not shipped" not in said
    edit_json(changed / "status.json", state="failed", message="NOT SHIPPED: seed 1 is no better than chance")
    assert "NO BETTER THAN CHANCE: " in verdict_of(changed) and "not shipped" in verdict_of(changed)
    (changed / "seed3" / "verification.json").unlink()
    assert "FAIL: the run stopped. NOT SHIPPED" in verdict_of(changed)


def test_one_training_of_several_at_chance_is_a_warning(changed: Path):
    edit_json(changed / "seed2" / "scores.json", no_better_than_chance=GUESS)
    edit_json(changed.parent / BASELINE / "seed1" / "scores.json", no_better_than_chance=GUESS)
    said = verdict_of(changed)
    assert "PASS: " in said and "No better than chance: seed2: the accuracy" in said
    assert "The baseline is no better than chance: seed1: the accuracy" in said


def test_a_run_resumed_under_other_conditions_says_so(changed: Path):
    edit_json(changed / "environment.json", resumed=["TensorFlow's intra-op threads: 1, before 2"])
    assert "Resumed under other conditions (TensorFlow's intra-op threads: 1, before 2)" in verdict_of(changed)
