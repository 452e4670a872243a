"""The report of a study with conditions and settings: what wins where, how sure, what is missing, tables for others."""

import csv
import json
import math
import shutil
import statistics
from itertools import product
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline.reporting.study_sensitivity import DEFINITION
from pipeline.study.best import write_best
from pipeline.study.report import write_study_report
from pipeline.study.results import read_results
from tests.html_check import HtmlCheck
from tests.report_sample import edit_json
from tests.study_sample import RATES, write_grid, write_study
from tests.test_study_report import report, row

T2 = 4.302653  # 97.5 % quantile of Student's t with 2 degrees of freedom
SEEDS = (1, 2, 3)
METHODS = ("weight decay", "dropout", "label smoothing", "quantization")


@pytest.fixture(scope="module")
def complete(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Noisy validation chooses the reference settings; test_study_tuned.py is on where it does not."""
    folder = write_grid(tmp_path_factory.mktemp("study"))
    for arm, rate, seed in product(("dropout-rate-0.5", "quantization-W8-A8", "quantization-W2-A2"), RATES, SEEDS):
        edit_json(scores_path(folder, arm, rate, seed), val_accuracy=0.2)
    write_study_report(folder)
    return folder


@pytest.fixture
def study(complete: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(complete, tmp_path / "study"))


@pytest.fixture
def plain_grid(tmp_path: Path) -> Path:
    """Methods without settings at two noise rates."""
    settings = {name: {"": {}} for name in ("baseline", *METHODS)}
    strengths = {(name, ""): (0.6 - 0.1 * index, 0.004 * index) for index, name in enumerate(settings)}
    return write_grid(tmp_path / "plain", seeds=(1, 2), rates=(0.0, 0.8), settings=settings, strengths=strengths)


def scores_path(folder: Path, arm: str, rate: float, seed: int) -> Path:
    return folder / "runs" / f"{arm}-{rate}-seed{seed}-1a2b3c4d" / f"seed{seed}" / "scores.json"


def set_accuracy(folder: Path, arm: str, rate: float, by_seed: dict[int, float]) -> None:
    for seed, value in by_seed.items():
        edit_json(scores_path(folder, arm, rate, seed), metrics={"accuracy": value})


def differences(folder: Path, arm: str, rate: float) -> list[float]:
    """In points, to the baseline, by seed."""
    ours, theirs = (
        [json.loads(scores_path(folder, name, rate, seed).read_text())["metrics"]["accuracy"] for seed in SEEDS]
        for name in (arm, "baseline")
    )
    return [100 * (mine - other) for mine, other in zip(ours, theirs, strict=True)]


def with_interval(values: list[float]) -> str:
    mean, half = statistics.mean(values), T2 * statistics.stdev(values) / math.sqrt(3)
    return f"{mean:+.1f}, {mean - half:+.1f} to {mean + half:+.1f}".replace("-", "−")


def headline(text: str) -> str:
    return text.split("\n\n")[2].strip("*")


def test_the_first_line_says_what_won_where_and_how_sure(complete: Path):
    at40, at80 = (with_interval(differences(complete, "quantization-W4-A4", rate)) for rate in (0.4, 0.8))
    at0 = with_interval(differences(complete, "dropout-rate-0.1", 0.0))
    assert headline((complete / "report.md").read_text()) == (
        f"quantization is best at noise 40 % ({at40}) and 80 % ({at80}): points over baseline, 95 % intervals, 3 pairs of "
        "runs each. Counting all 6 comparisons this holds too. No variant is clearly above baseline at noise 0 % "
        f"(highest: dropout {at0})."
    )


def test_two_winners_have_their_own_conditions(study: Path):
    for arm, rate in (("dropout-rate-0.1", 0.8), ("dropout-rate-0.1", 0.0)):
        set_accuracy(study, arm, rate, {1: 0.9, 2: 0.905, 3: 0.91})
    for rate in RATES:
        set_accuracy(study, "baseline", rate, dict.fromkeys(SEEDS, 0.6))
    text = report(study)
    assert headline(text).startswith("dropout is best at noise 0 % (+30.5, +29.3 to +31.7) and 80 % (+30.5, +29.3 to")
    assert "; quantization is best at noise 40 % (" in headline(text)


def test_who_is_level_with_the_leader_is_said_beside_it(study: Path):
    set_accuracy(study, "baseline", 0.4, dict.fromkeys(SEEDS, 0.5))
    set_accuracy(study, "quantization-W4-A4", 0.4, {1: 0.7, 2: 0.701, 3: 0.702})
    set_accuracy(study, "dropout-rate-0.1", 0.4, {1: 0.6, 2: 0.71, 3: 0.65})
    text = report(study)
    assert "quantization leads at noise 40 % (+20.1, +19.9 to +20.3)" in headline(text)
    assert "Not clearly behind the leader: dropout (at noise 40 %)." in headline(text)
    assert row(text, "Results", "not clearly behind")[1:] == ["–", "dropout", "–"]
    told = "Above baseline with 95 % confidence: quantization (at noise 40 % and 80 %); dropout (at noise 40 %). "
    assert f"{told}Of these counting all 6 comparisons: only quantization (at noise 40 % and 80 %)." in text
    margins = text.partition("How far each condition's leader is ahead")[2]
    shown = with_interval([10.0, -0.9, 5.2]).replace(", ", " (") + ")"
    assert row("## margins\n" + margins, "margins", "dropout")[2] == shown


def test_where_the_reference_wins_it_says_so(study: Path):
    for rate in RATES:
        set_accuracy(study, "baseline", rate, {1: 0.95, 2: 0.951, 3: 0.952})
    text = report(study)
    assert "No variant is clearly above baseline at noise 0 % (highest: " in headline(text)
    assert "Below baseline with 95 % confidence: dropout and quantization (at noise 0 % to 80 %)" in text
    assert '<section class="verdict pass">' in (study / "report.html").read_text()


def test_no_clear_winner_is_no_pass_though_another_is_clearly_worse(study: Path):
    for rate in RATES:
        set_accuracy(study, "baseline", rate, dict.fromkeys(SEEDS, 0.6))
        set_accuracy(study, "dropout-rate-0.1", rate, {1: 0.62, 2: 0.59, 3: 0.61})
        set_accuracy(study, "quantization-W4-A4", rate, {1: 0.3, 2: 0.301, 3: 0.302})
    text = report(study)
    assert headline(text).startswith("No variant is clearly above") and "Below baseline with 95 % confidence" in text
    assert '<section class="verdict unverified">' in (study / "report.html").read_text()


def test_a_clear_winner_anywhere_passes(complete: Path):
    assert '<section class="verdict pass">' in (complete / "report.html").read_text()


def test_equal_differences_have_no_interval_and_prove_nothing(study: Path):
    for rate in RATES:
        set_accuracy(study, "baseline", rate, dict.fromkeys(SEEDS, 0.6))
        set_accuracy(study, "dropout-rate-0.1", rate, dict.fromkeys(SEEDS, 0.9))
        set_accuracy(study, "quantization-W4-A4", rate, {1: 0.5, 2: 0.55, 3: 0.51})
    text = report(study)
    assert "baseline at noise 0 % (highest: dropout +30.0, no interval, all pairs alike)" in headline(text)
    assert "+30.0 to +30.0" not in text


def test_memorisation_is_told_apart_only_beyond_its_interval(study: Path):
    for seed in SEEDS:
        for arm, share in (
            ("baseline", 0.5),
            ("dropout-rate-0.1", 0.5 + 0.1 * (seed - 2)),
            ("quantization-W4-A4", 0.1),
        ):
            share += 0.001 * seed * (arm == "baseline")
            edit_json(scores_path(study, arm, 0.8, seed), train_noisy_fit=share)
    told = "Wrong training labels memorised at noise 80 %: "
    assert told + "fewer by quantization (10.0 %) than by baseline (50.2 %), 95 % intervals." in report(study)
    for seed in SEEDS:
        edit_json(scores_path(study, "quantization-W4-A4", 0.8, seed), train_noisy_fit=0.5 + 0.1 * (2 - seed))
    assert told + "no clear difference to baseline in memorisation." in report(study)


def test_one_pair_each_proves_nothing(tmp_path: Path):
    text = report(write_grid(tmp_path, seeds=(1,)))
    assert "No variant is clearly above baseline at noise 0 % (highest: " in headline(text)
    assert "points over baseline, one pair of runs each, which proves nothing" in headline(text)
    assert "this has no interval: a description, no claim" in text
    page = HtmlCheck((tmp_path / "report.html").read_text())
    assert page.problems == []
    assert '<section class="verdict unverified">' in (tmp_path / "report.html").read_text()


def test_many_conditions_are_named_by_stretches(tmp_path: Path):
    rates = tuple(index / 10 for index in range(8))
    strengths = {("baseline", ""): (0.6, 0.0), ("quantization", ""): (0.1, -0.05)}
    folder = write_grid(tmp_path, rates=rates, settings={name: {"": {}} for name, _ in strengths}, strengths=strengths)
    text = report(folder)
    assert headline(text).startswith("quantization is best at noise 0 % to 70 % (+")
    assert row(text, "Results", "condition") == ["condition", "baseline", "quantization", "leader"]
    assert row(text, "Results", "noise 70 %")[3].startswith("quantization")


def test_scores_stand_by_condition_with_their_spread(complete: Path):
    text = (complete / "report.md").read_text()
    assert "n = 3 everywhere" in text
    found = [json.loads(scores_path(complete, "baseline", 0.4, seed).read_text()) for seed in SEEDS]
    values = [100 * each["metrics"]["accuracy"] for each in found]
    assert row(text, "Results", "variant")[1:] == ["noise 0 %", "noise 40 %", "noise 80 %"]
    assert row(text, "Results", "baseline")[2] == f"{statistics.mean(values):.1f} ± {statistics.stdev(values):.1f}"
    assert row(text, "Results", "leader") == ["leader", "none clearly above baseline", "quantization", "quantization"]
    shown = with_interval(differences(complete, "quantization-W4-A4", 0.8)).replace(", ", " (") + ")"
    assert row(text, "Differences", "quantization")[3] == shown


def test_missing_cells_are_missing_everywhere(study: Path):
    for path in study.glob("runs/*-0.8-*"):
        shutil.rmtree(path)
    shutil.rmtree(study / "runs" / "quantization-W4-A4-0.4-seed3-1a2b3c4d")
    failed = study / "runs" / "dropout-rate-0.1-0.0-seed2-1a2b3c4d" / "status.json"
    edit_json(failed, state="failed", message="training diverged in epoch 3: a gradient of layer 'conv0'")
    text = report(study)
    assert "20 of 54 runs are missing, 1 of them failed: every number is without them." in text
    assert "No comparison yet at noise 80 %." in headline(text)
    assert row(text, "Results", "baseline")[3] == "missing"
    assert row(text, "Results", "quantization")[2].endswith(", n 2 of 3")
    assert row(text, "Differences", "quantization")[3] == "missing"
    assert "dropout-rate-0.1-0.0-seed2-1a2b3c4d failed: training diverged in epoch 3: a gradient of layer" in text
    assert row(text, "Settings\n", "dropout")[1] == "missing" and text.count(DEFINITION) == 1
    assert "Sensitivity to settings, least first" not in text


def test_nothing_is_done_yet(study: Path):
    shutil.rmtree(study / "runs")
    text = report(study)
    assert headline(text) == "No result yet: no run of baseline is done, or none beside it."
    assert "54 of 54 runs are missing" in text


def test_the_settings_are_compared_with_their_reference_and_the_study_s(complete: Path):
    text = (complete / "report.md").read_text()
    assert "Each variant stands here at its reference setting: dropout (rate 0.1) and quantization (W4/A4)." in text
    assert text.count(DEFINITION) == 1
    part = text.partition("Relative gain over W4/A4")[2].partition("Gain over baseline")[0]
    line = next(line for line in part.splitlines() if line.startswith("| W8/A8"))
    ours, theirs = (
        [json.loads(scores_path(complete, f"quantization-{name}", 0.8, seed).read_text())["metrics"]["accuracy"] for seed in SEEDS]
        for name in ("W8-A8", "W4-A4")
    )  # fmt: skip
    gains = [100 * (mine - other) / other for mine, other in zip(ours, theirs, strict=True)]
    assert line.split("|")[4].strip() == with_interval(gains).replace(", ", " % (") + ")"
    assert "With 3 pairs of runs this has no interval: a description, no claim." in text


def test_no_claim_on_sensitivity_that_the_resamples_contradict(tmp_path: Path):
    seeds = (1, 2, 3, 4, 5)
    study = write_grid(tmp_path, seeds=seeds)
    assert "dropout is clearly less sensitive than quantization." in report(study)
    for setting in ("W8-A8", "W2-A2"):
        for rate in RATES:
            reference = [json.loads(scores_path(study, "quantization-W4-A4", rate, seed).read_text()) for seed in seeds]
            gap = 0.045 if setting == "W8-A8" else 0.0
            values = [each["metrics"]["accuracy"] - gap * (1 + (seed == 2)) for seed, each in enumerate(reference)]
            set_accuracy(study, f"quantization-{setting}", rate, dict(zip(seeds, values, strict=True)))
    text = report(study)
    assert "not clearly less sensitive than" in text and "is clearly less" not in text


def test_results_have_a_column_a_condition_and_setting_and_no_time(complete: Path):
    with (complete / "results.csv").open(newline="") as file:
        found = list(csv.DictReader(file))
    assert len(found) == 6 * 3 * 3
    first = ["variant", "setting", "competes", "noise.rate", "dropout.rate", "quantization.weight_bits"]
    assert list(found[0])[:6] == first
    line = next(line for line in found if (line["setting"], line["noise.rate"], line["seed"]) == ("W8/A8", "0.4", "2"))
    assert (line["quantization.activation_bits"], line["dropout.rate"], line["fold"]) == ("8", "", "")
    original = json.loads(scores_path(complete, "quantization-W8-A8", 0.4, 2).read_text())
    assert line["accuracy"] == repr(original["metrics"]["accuracy"])
    assert line["best_epoch_test_accuracy"] == repr(original["oracle"]["test_accuracy"])
    assert line["best_epoch"] == str(original["oracle"]["epoch"])
    assert not any("seconds" in key or key.endswith("_ms") for key in line)
    with (complete / "timings.csv").open(newline="") as file:
        timed = list(csv.DictReader(file))
    assert [row["setting"] for row in timed] == [row["setting"] for row in found]
    assert (timed[0]["seconds"], timed[0]["int8_ms"]) == ("63.5", "0.574")


def test_a_setting_that_is_also_a_condition_does_not_overwrite_it(study: Path):
    record = json.loads((study / "study.json").read_text())
    for cell in record["cells"]:
        if cell["variant"] == "quantization":
            cell["values"]["noise.rate"] = 0.9
    (study / "study.json").write_text(json.dumps(record))
    write_study_report(study)
    for table in ("results.csv", "timings.csv"):
        with (study / table).open(newline="") as file:
            found = [line for line in csv.DictReader(file) if line["variant"] == "quantization"]
        assert {line["noise.rate"] for line in found} == {str(rate) for rate in RATES}


def test_results_do_not_change_with_the_time_a_run_took(study: Path):
    before = (study / "results.csv").read_bytes()
    edit_json(scores_path(study, "baseline", 0.4, 1), seconds=999.0)
    write_study_report(study)
    assert (study / "results.csv").read_bytes() == before
    assert "999.0" in (study / "timings.csv").read_text()


def test_the_method_note_says_what_is_shared_and_what_is_not(study: Path):
    for path in study.glob("runs/dropout-rate-0.5-*/resolved.yaml"):
        path.write_text(path.read_text().replace("epochs: 30", "epochs: 15"))
    text = report(study)
    note = text.partition("## How this was measured")[2].partition("## ")[0]
    assert "share the training images, the wrong labels, the order of the batches and the initial weights" in note
    assert "dropout (rate 0.5) (by train.epochs) differs from baseline" in note
    assert "drawn anew over all classes, the true one included" in note
    assert "estimated anew on 32 training batches" in note
    assert "all 6 comparisons with baseline together" in note


def test_what_distinguishes_any_pair_is_an_exception(study: Path):
    for rate, name, value in ((0.4, "epochs: 30", "epochs: 15"), (0.8, "train_examples: 6000", "train_examples: 3000")):
        path = study / "runs" / f"dropout-rate-0.5-{rate}-seed3-1a2b3c4d" / "resolved.yaml"
        assert name in path.read_text()
        path.write_text(path.read_text().replace(name, value))
    assert "dropout (rate 0.5) (by train.epochs, data.train_examples) differs from baseline" in report(study)


def test_the_best_file_is_named_only_where_it_is(study: Path):
    assert "best.yaml" not in report(study)
    (study / "best.yaml").write_text("name: best\n")
    text = report(study)
    assert "best mean validation accuracy over all runs, as an experiment of its own" in text
    assert "runs it at the base experiment's own noise.rate, not at the study's conditions." in text


def test_without_an_objective_no_best_file_is_named(study: Path):
    (study / "best.yaml").write_text("name: best\n")
    edit_json(study / "study.json", search={"kind": "grid", "trials": None, "objective": None, "seed": 0})
    assert "best.yaml" not in report(study)


def test_a_best_file_of_an_earlier_report_goes_where_no_arm_is_done(study: Path):
    shutil.rmtree(study / "runs")
    (study / "best.yaml").write_text("name: best\n")
    wanted = SimpleNamespace(search=SimpleNamespace(objective="val_accuracy"))
    write_best(wanted, read_results(study), study)
    assert not (study / "best.yaml").exists()


def test_a_large_study_lists_only_what_is_not_done(plain_grid: Path, tmp_path: Path):
    folder = write_grid(tmp_path / "large", seeds=(1, 2, 3, 4), rates=(0.0, 0.4, 0.8))
    shutil.rmtree(folder / "runs" / "baseline-0.4-seed3-1a2b3c4d")
    part = report(folder).partition("## Runs")[2].partition("## ")[0]
    assert "71 of 72 runs are done: results.csv has a row for each. Not done:" in part
    assert part.count("runs/") == 1
    assert report(plain_grid).partition("## Runs")[2].count("runs/") == 20


def test_action_units_have_a_table_a_condition(tmp_path: Path):
    text = report(write_study(tmp_path, seeds=(1,), strengths=(0.5, 2.0)))
    part = text.partition("## Results")[2].partition("\n## ")[0]
    assert part.count("| **all present**") == 3  # two of ours, and the paper's
    assert "Noise strength 0.5:" in part and "The paper's Table 1" in part
    assert row(text, "Results", "variant")[1:] == ["noise strength 0.5", "noise strength 2"]
