"""The numbers of a study: paired differences, leaders, settings and trials, against SciPy and plain loops."""

import itertools
import shutil
import statistics
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from pipeline.errors import UserError
from pipeline.reports.study_load import best_by_validation, read_results
from pipeline.reports.study_numbers import StudyNumbers, leaders, paired_difference, study_numbers
from pipeline.reports.study_settings import sensitivity, sensitivity_of, setting_table, trial_table
from tests.reports.study_samples import (
    RATES,
    SEEDS,
    SETTINGS,
    edit_json,
    record,
    scores,
    training,
    write_grid,
    write_search,
    write_units,
)


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_grid(tmp_path_factory.mktemp("grid"))


@pytest.fixture
def study(grid: Path, tmp_path: Path) -> Path:
    """A copy to change."""
    return Path(shutil.copytree(grid, tmp_path / "study"))


def numbers_of(folder: Path) -> StudyNumbers:
    return study_numbers(read_results(folder))


def leaders_of(folder: Path):
    numbers = numbers_of(folder)
    return leaders(numbers, numbers.standing, numbers.comparison)


def set_accuracy(folder: Path, variant: str, setting: str, rate: float, values: tuple[float, ...]) -> None:
    for seed, value in zip(SEEDS, values, strict=True):
        edit_json(training(folder, variant, setting, rate, seed) / "scores.json", metrics={"accuracy": value})


def by_pair(*values: float) -> pd.Series:
    return pd.Series(values, pd.MultiIndex.from_tuples([(seed, 0) for seed in range(len(values))]), dtype=float)


def test_arms_conditions_and_cells_keep_the_order_of_the_study(grid: Path):
    results = read_results(grid)
    assert results.arms == tuple((variant, setting) for variant, own in SETTINGS.items() for setting in own)
    assert results.conditions == tuple({"noise.rate": rate} for rate in RATES)
    cells = results.select("quantization", "W8/A8", {"noise.rate": 0.4})
    assert [(cell.pair, cell.state) for cell in cells] == [((seed, None), "done") for seed in SEEDS]
    assert cells[0].values == {"quantization.weight_bits": 8, "quantization.activation_bits": 8}
    assert [line["epoch"] for line in cells[0].history()] == list(range(1, 13))


def test_two_axes_make_every_combination_of_their_values(study: Path):
    edit_json(study / "study.json", axes={"noise.rate": [0.0, 0.4], "train.epochs": [10, 20]}, cells=[])
    assert read_results(study).conditions == tuple(
        {"noise.rate": rate, "train.epochs": epochs} for rate in (0.0, 0.4) for epochs in (10, 20)
    )


@pytest.mark.parametrize("change", [{"format": 1}, None])
def test_another_folder_is_no_study(study: Path, change: dict | None):
    if change is None:
        (study / "study.json").unlink()
    else:
        edit_json(study / "study.json", **change)
    with pytest.raises(UserError, match="no study of this version"):
        read_results(study)


def test_differences_are_those_of_scipy(grid: Path):
    numbers = numbers_of(grid)
    assert numbers.comparisons == 2 * len(RATES)
    for place, rate in enumerate(RATES):
        baseline = scores(grid, "baseline", "", rate)
        for variant, setting in (("dropout", "rate 0.1"), ("quantization", "W4/A4")):
            row, own = numbers.comparison.loc[(place, variant)], scores(grid, variant, setting, rate)
            test = stats.ttest_rel(own, baseline)
            assert (row["low"], row["high"]) == pytest.approx(tuple(test.confidence_interval(0.95)))
            assert row["difference"] == pytest.approx((own - baseline).mean())
            assert (row["p"], row["p_adjusted"]) == pytest.approx((test.pvalue, min(1, 6 * test.pvalue)))
            assert (row["mean"], row["sd"]) == pytest.approx((own.mean(), own.std(ddof=1)))
            assert (row["setting"], row["n"], row["wanted"], row["pairs"]) == (setting, 3, 3, 3)


def test_memorised_share_and_its_paired_difference(grid: Path):
    table = numbers_of(grid).comparison
    baseline, own = (
        scores(grid, name, setting, 0.8, "train_noisy_fit")
        for name, setting in (("baseline", ""), ("quantization", "W4/A4"))
    )
    assert table.loc[(2, "baseline"), "memorised"] == pytest.approx(baseline.mean())
    assert table.loc[(2, "quantization"), "memorised_difference"] == pytest.approx((own - baseline).mean())
    assert np.isnan(table.loc[(0, "baseline"), "memorised"])


def test_only_pairs_of_finished_runs_count(study: Path):
    shutil.rmtree(training(study, "baseline", "", 0.4, 2).parent)
    edit_json(training(study, "dropout", "rate 0.1", 0.4, 3).parent / "status.json", state="failed", message="no")
    (training(study, "quantization", "W4/A4", 0.8, 1) / "scores.json").write_text("{")
    table = numbers_of(study).comparison
    dropout = table.loc[(1, "dropout")]
    assert (dropout["pairs"], dropout["n"], dropout["wanted"]) == (1, 2, 3)
    assert np.isnan(dropout["low"]) and np.isfinite(dropout["difference"])
    assert list(table.xs("quantization", level="variant")["pairs"]) == [3, 2, 2]
    cells = read_results(study).select("quantization", "W4/A4", {"noise.rate": 0.8})
    assert [cell.state for cell in cells] == ["failed", "done", "done"] and "scores.json" in cells[0].message


def test_equal_differences_have_no_interval():
    found = paired_difference(by_pair(0.5, 0.6, 0.7), by_pair(0.4, 0.5, 0.6))
    assert found["difference"] == pytest.approx(0.1) and found["pairs"] == 3
    assert found[["low", "high", "p"]].isna().all()


def test_what_does_not_compete_is_no_comparison_and_has_no_adjusted_p_value(tmp_path: Path):
    numbers = numbers_of(write_units(tmp_path, seeds=(1,), strengths=(0.5, 1.0)))
    assert numbers.comparisons == 2 * 2
    apart = numbers.comparison[~numbers.comparison["competes"]]
    assert set(apart.index.get_level_values("variant")) == {"float, clean labels"}
    assert apart["p_adjusted"].isna().all() and apart["p"].notna().all()


def test_runs_are_paired_by_seed_and_fold(tmp_path: Path):
    folder = write_units(tmp_path)
    row = numbers_of(folder).comparison.loc[(0, "quantization")]
    found = {
        name: [record(folder, name, "", None, seed, fold)["metrics"]["f1_mean"] for seed in (1, 2) for fold in (1, 2)]
        for name in ("baseline", "quantization")
    }
    interval = stats.ttest_rel(found["quantization"], found["baseline"]).confidence_interval(0.95)
    assert (row["low"], row["high"], row["pairs"]) == pytest.approx((*interval, 4))


def test_the_leader_and_its_margins(study: Path):
    set_accuracy(study, "baseline", "", 0.8, (0.40, 0.41, 0.42))
    set_accuracy(study, "dropout", "rate 0.1", 0.8, (0.50, 0.52, 0.53))
    set_accuracy(study, "quantization", "W4/A4", 0.8, (0.51, 0.52, 0.51))
    found = leaders_of(study)[2]
    ours, theirs = (scores(study, name, own, 0.8) for name, own in (("dropout", "rate 0.1"), ("quantization", "W4/A4")))
    interval = stats.ttest_rel(ours, theirs).confidence_interval(0.95)
    assert (found.leader, found.best, found.tied) == ("dropout", "dropout", ["quantization"])
    assert tuple(found.margins.loc["quantization", ["low", "high"]]) == pytest.approx(tuple(interval))
    set_accuracy(study, "quantization", "W4/A4", 0.8, (0.45, 0.46, 0.48))
    assert leaders_of(study)[2].tied == []


def test_a_higher_mean_that_is_not_significant_does_not_hide_a_leader(study: Path):
    set_accuracy(study, "baseline", "", 0.8, (0.4, 0.4, 0.4))
    set_accuracy(study, "dropout", "rate 0.1", 0.8, (0.2, 0.6, 0.9))
    set_accuracy(study, "quantization", "W4/A4", 0.8, (0.45, 0.46, 0.44))
    found = leaders_of(study)[2]
    assert (found.leader, found.best, found.tied) == ("quantization", "dropout", ["dropout"])


def test_nobody_leads_on_one_pair_of_runs(tmp_path: Path):
    found = leaders_of(write_grid(tmp_path, seeds=(1,)))
    assert [each.leader for each in found] == [None] * 3 and all(each.best for each in found)


def test_best_by_validation_needs_every_run_and_takes_the_first_of_equals(study: Path):
    def arms():
        return {
            arm: read_results(study).select(*arm, {"noise.rate": 0.4})
            for arm in (("baseline", ""), ("dropout", "rate 0.1"))
        }

    for variant, setting in (("baseline", ""), ("dropout", "rate 0.1")):
        for seed in SEEDS:
            edit_json(training(study, variant, setting, 0.4, seed) / "scores.json", val_accuracy=0.25)
    assert best_by_validation(arms(), "val_accuracy") == (("baseline", ""), 0.25)
    edit_json(training(study, "baseline", "", 0.4, 2).parent / "status.json", state="failed")
    assert best_by_validation(arms(), "val_accuracy") == (("dropout", "rate 0.1"), 0.25)
    edit_json(training(study, "dropout", "rate 0.1", 0.4, 3) / "scores.json", val_accuracy=None)
    assert best_by_validation(arms(), "val_accuracy") is None
    assert best_by_validation(arms(), None) is None


def test_settings_are_compared_with_their_reference_and_the_study_s(grid: Path):
    table = setting_table(numbers_of(grid), "quantization")
    for place, rate in enumerate(RATES):
        reference, baseline = scores(grid, "quantization", "W4/A4", rate), scores(grid, "baseline", "", rate)
        for setting in ("W8/A8", "W2/A2"):
            row, own = table.loc[(setting, place)], scores(grid, "quantization", setting, rate)
            relative = (own - reference) / reference
            interval = stats.ttest_1samp(relative, 0).confidence_interval(0.95)
            assert (row["difference"], row["low"], row["high"]) == pytest.approx((relative.mean(), *interval))
            assert row["over_difference"] == pytest.approx((own - baseline).mean())


def test_the_sensitivity_is_the_mean_over_conditions_of_the_deviation_over_settings(grid: Path):
    numbers = numbers_of(grid)
    for variant in ("dropout", "quantization"):
        means = [[scores(grid, variant, own, rate).mean() for own in SETTINGS[variant]] for rate in RATES]
        found = sensitivity(numbers, variant)
        assert found.value == pytest.approx(statistics.mean(map(statistics.stdev, means)))
        assert (found.settings, found.pairs, found.interval) == (len(SETTINGS[variant]), 3, None)
    without = {
        name: statistics.mean(
            statistics.stdev(
                scores(grid, "quantization", own, rate).mean() for own in SETTINGS["quantization"] if own != name
            )
            for rate in RATES
        )
        for name in SETTINGS["quantization"]
    }
    lowest = min(without, key=without.__getitem__)
    assert sensitivity(numbers, "quantization").without == (lowest, pytest.approx(without[lowest]))
    assert sensitivity(numbers, "dropout").without is None and sensitivity(numbers, "baseline") is None


def test_a_setting_without_a_complete_pair_is_left_out_of_the_sensitivity_and_then_pairs_with_a_gap(study: Path):
    for seed in SEEDS:
        shutil.rmtree(training(study, "quantization", "W2/A2", 0.8, seed).parent)
    shutil.rmtree(training(study, "quantization", "W8/A8", 0.0, 2).parent)
    found = sensitivity(numbers_of(study), "quantization")
    assert (found.settings, found.pairs) == (2, 2)
    means = []
    for rate in RATES:
        records = [[record(study, "quantization", own, rate, seed) for seed in (1, 3)] for own in ("W4/A4", "W8/A8")]
        means.append([statistics.mean(each["metrics"]["accuracy"] for each in own) for own in records])
    assert found.value == pytest.approx(statistics.mean(map(statistics.stdev, means)))


def drawn(settings: int, conditions: int, pairs: int, spread: float, noise: float, seed: int = 0) -> np.ndarray:
    """Scores (S, C, P): settings `spread` apart, what a pair has in common, and noise of each run."""
    rng = np.random.default_rng(seed)
    common = rng.normal(0, 0.05, (1, conditions, pairs))
    own = spread * np.linspace(-1, 1, settings)[:, None, None]
    return 0.7 + common + own + rng.normal(0, noise, (settings, conditions, pairs))


def test_the_bootstrap_interval_is_that_of_all_resamples():
    scored = drawn(4, 3, 5, 0.02, 0.02)
    values = []
    for pairs in itertools.product(range(5), repeat=5):
        means = scored[:, :, list(pairs)].mean(axis=2)
        values.append(np.mean([np.std(means[:, c], ddof=1) for c in range(3)]))
    expected = tuple(np.quantile(values, [0.025, 0.975]))
    assert sensitivity_of(scored, "abcd").interval == pytest.approx(expected, rel=0.06)
    assert sensitivity_of(scored[:, :, :4], "abcd").interval is None  # four pairs: little more than their range


def test_chance_alone_is_what_equal_settings_show():
    """Over many studies whose settings are equal, the root of the mean square sensitivity is that by chance alone."""
    found = [sensitivity_of(drawn(5, 1, 3, 0.0, 0.01, seed), "abcde") for seed in range(400)]
    expected = 0.01 / np.sqrt(3)
    assert np.sqrt(np.mean([each.value**2 for each in found])) == pytest.approx(expected, rel=0.05)
    assert np.sqrt(np.mean([each.chance**2 for each in found])) == pytest.approx(expected, rel=0.05)


def trial_scores(folder: Path, setting: str, *path: str) -> np.ndarray:
    """(rates, seeds) of a trial's runs; setting "" is the baseline's."""
    found = []
    for rate in RATES:
        records = [record(folder, "dropout" if setting else "baseline", setting, rate, seed) for seed in (1, 2)]
        found.append([each["metrics"]["accuracy"] if path == () else each[path[0]] for each in records])
    return np.array(found)


def test_trials_are_ordered_by_noisy_validation_and_compared_over_averaged_conditions(tmp_path: Path):
    folder = write_search(tmp_path)
    table = trial_table(numbers_of(folder))
    means = {
        setting: trial_scores(folder, setting, "val_accuracy").mean()
        for setting in ("", *map("rate {}".format, (0.1, 0.35, 0.5)))
    }
    assert list(table["setting"]) == sorted(means, key=lambda name: -means[name])
    assert list(table["objective"]) == pytest.approx(sorted(means.values(), reverse=True))
    row = table[table["setting"] == "rate 0.35"].iloc[0]
    gains = trial_scores(folder, "rate 0.35").mean(axis=0) - trial_scores(folder, "").mean(axis=0)
    assert (row["difference"], row["pairs"]) == pytest.approx((gains.mean(), 2))
    best = max((name for name in means if name), key=means.__getitem__)
    assert numbers_of(folder).chosen == {"baseline": "", "dropout": best}


def test_a_trial_that_lacks_a_run_is_not_chosen_and_comes_last(tmp_path: Path):
    folder = write_search(tmp_path)
    best = numbers_of(folder).chosen["dropout"]
    shutil.rmtree(training(folder, "dropout", best, 0.4, 2).parent)
    numbers = numbers_of(folder)
    assert numbers.chosen["dropout"] != best
    last = trial_table(numbers).iloc[-1]
    assert (last["setting"], last["n"], last["wanted"]) == (best, 5, 6) and np.isnan(last["objective"])
