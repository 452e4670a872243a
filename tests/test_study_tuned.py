"""Variants tuned alike: what noisy validation chooses, by an independent loop, and what the report says of it."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from pipeline.study.report import write_study_report
from tests.html_check import HtmlCheck
from tests.report_sample import edit_json, write_json
from tests.study_sample import RATES, SETTINGS, write_grid
from tests.test_study_report import report, row

SEEDS = (1, 2, 3)
SECTION = "Each variant tuned by noisy validation"


@pytest.fixture(scope="module")
def complete(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """At noise 80 % validation chooses dropout's second setting, at 0 % quantization's second."""
    folder = write_grid(tmp_path_factory.mktemp("study"))
    write_study_report(folder)
    return folder


@pytest.fixture
def study(complete: Path, tmp_path: Path) -> Path:
    """A copy to change."""
    return Path(shutil.copytree(complete, tmp_path / "study"))


def path(folder: Path, variant: str, setting: str, rate: float, seed: int) -> Path:
    arm = f"{variant}-{setting}".replace("/", "-").replace(" ", "-").strip("-")
    return folder / "runs" / f"{arm}-{rate}-seed{seed}-1a2b3c4d" / f"seed{seed}" / "scores.json"


def scores(folder: Path, variant: str, setting: str, rate: float) -> tuple[np.ndarray, float]:
    """Test accuracy by seed, and the mean of that on noisy validation labels."""
    found = [json.loads(path(folder, variant, setting, rate, seed).read_text()) for seed in SEEDS]
    return np.array([each["metrics"]["accuracy"] for each in found]), np.mean([each["val_accuracy"] for each in found])


def signed(value: float) -> str:
    return f"{value:+.1f}".replace("-", "−")


def with_interval(values: np.ndarray) -> str:
    low, high = stats.t.interval(0.95, len(values) - 1, values.mean(), stats.sem(values))
    return f"{signed(values.mean())} ({signed(low)} to {signed(high)})"


def part(text: str) -> str:
    return text.partition(f"## {SECTION}\n")[2].partition("\n## ")[0]


def table(text: str, after: str) -> dict[str, list[str]]:
    """The cells of the table after a sentence, by the first one of each line."""
    lines = [line for line in text.partition(after)[2].partition("|\n\n")[0].splitlines() if line.startswith("|")]
    found = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {cells[0]: cells[1:] for cells in found}


def test_every_variant_stands_at_the_setting_of_the_best_noisy_validation(complete: Path):
    text = part((complete / "report.md").read_text())
    differences, margins = table(text, "Difference to baseline"), table(text, "How far the leader")
    chosen = set()
    for index, rate in enumerate(RATES):
        reached = {"baseline": scores(complete, "baseline", "", rate)[0]}
        for variant in ("dropout", "quantization"):
            validated = max(SETTINGS[variant], key=lambda name: scores(complete, variant, name, rate)[1])
            chosen.add((variant, rate, validated))
            reached[variant] = scores(complete, variant, validated, rate)[0]
            gain = 100 * (reached[variant] - reached["baseline"])
            assert differences[variant][index] == with_interval(gain)
            line = f"| {variant} | noise {100 * rate:.0f} % | "
            shown = next(each for each in text.splitlines() if each.startswith(line)).split(" | ")[3]
            assert shown == f"{validated}: {100 * reached[variant].mean():.1f}"
        leader = margins["leader"][index]
        if leader in reached:
            other = next(name for name in ("dropout", "quantization") if name != leader)
            assert margins[other][index] == with_interval(100 * (reached[leader] - reached[other]))
    assert {("dropout", 0.8, "rate 0.5"), ("quantization", 0.0, "W8/A8"), ("quantization", 0.4, "W4/A4")} <= chosen


def test_the_first_line_is_on_the_tuned_and_the_text_on_the_reference_settings_too(study: Path):
    for seed in SEEDS:
        edit_json(path(study, "quantization", "W2/A2", 0.8, seed), val_accuracy=0.99, metrics={"accuracy": 0.9})
    text = report(study)
    first = text.split("\n\n")[2].strip("*")
    baseline, tuned = scores(study, "baseline", "", 0.8)[0], scores(study, "quantization", "W2/A2", 0.8)[0]
    own = with_interval(100 * (tuned - baseline)).replace(" (", ", ").rstrip(")")
    assert first.startswith("Each variant tuned by noisy validation: quantization is best at noise 40 %")
    assert f"and 80 % ({own})" in first
    plain = (
        with_interval(100 * (scores(study, "quantization", "W4/A4", 0.8)[0] - baseline)).replace(" (", ", ").rstrip(")")
    )
    beforehand = text.partition(
        "At one setting each, chosen beforehand (dropout (rate 0.1) and quantization (W4/A4)): "
    )[2]
    assert f"and 80 % ({plain}): points over baseline" in beforehand
    assert row(text, "Results", "quantization")[3].startswith(
        f"{100 * scores(study, 'quantization', 'W4/A4', 0.8)[0].mean():.1f}"
    )
    assert HtmlCheck((study / "report.html").read_text()).problems == []


def test_hindsight_and_the_choice_among_all_variants_are_told_apart(study: Path):
    for seed in SEEDS:
        edit_json(path(study, "quantization", "W8/A8", 0.4, seed), metrics={"accuracy": 0.99}, val_accuracy=0.1)
        edit_json(path(study, "baseline", "", 0.4, seed), val_accuracy=0.999)
    text = report(study)
    baseline = scores(study, "baseline", "", 0.4)[0].mean()
    assert "noisy validation takes" in text and f"baseline {100 * baseline:.1f} % at noise 40 %" in text
    assert "In hindsight another setting reaches more: " in text
    assert "quantization (W8/A8) 99.0 % at noise 40 %" in text.partition("In hindsight")[2].partition(";")[0]
    assert "quantization (W8/A8) 99.0 %" not in text.split("\n\n")[2]


def test_where_validation_chooses_the_reference_settings_one_comparison_is_told(study: Path):
    for rate in RATES:
        for seed in SEEDS:
            for variant, setting in (("dropout", "rate 0.5"), ("quantization", "W8/A8"), ("quantization", "W2/A2")):
                edit_json(path(study, variant, setting, rate, seed), val_accuracy=0.1)
    text = report(study)
    assert text.split("\n\n")[2].startswith("**quantization is best at noise 40 %")
    assert "chosen beforehand, which noisy validation chooses too: dropout (rate 0.1) and quantization (W4/A4)." in text
    assert "Validation chooses the reference settings" in part(text) and "Difference to" not in part(text)


@pytest.mark.parametrize("lost", ["run", "validation"])
def test_nothing_is_tuned_before_all_settings_can_be_chosen_from(study: Path, lost: str):
    scored = path(study, "dropout", "rate 0.5", 0.4, 2)
    if lost == "run":
        shutil.rmtree(scored.parents[1])
    else:
        edit_json(scored, val_accuracy=None)
    text = report(study)
    assert "tuned by noisy validation:" not in text
    assert "They are compared once every setting has all its runs and their validation scores." in part(text)
    assert text.split("\n\n")[2].startswith("**quantization is best at noise 40 %")
    assert "Compared at one setting each, chosen beforehand: dropout (rate 0.1) and quantization (W4/A4)." in text
    assert "At one setting each" not in text and "In hindsight" not in text


def test_a_study_without_conditions_has_its_points_and_margins_too(tmp_path: Path):
    folder = write_grid(tmp_path, rates=(0.8,))
    manifest = json.loads((folder / "study.json").read_text())
    cells = [{**cell, "condition": {}} for cell in manifest["cells"]]
    write_json(folder / "study.json", {**manifest, "axes": {}, "cells": cells})
    text = part(report(folder))
    assert table(text, "Difference to baseline")["variant"] == ["points"]
    margin = scores(folder, "quantization", "W4/A4", 0.8)[0] - scores(folder, "dropout", "rate 0.5", 0.8)[0]
    assert table(text, "How far the leader")["dropout"] == [with_interval(100 * margin)]
    assert table(text, "How far the leader")["leader"] == ["quantization"]
