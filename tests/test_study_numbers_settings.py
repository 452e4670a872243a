"""Settings of a method: relative gains and the sensitivity, against independent loops."""

import itertools
import json
import shutil
import statistics
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from pipeline.reporting.study_numbers import study_numbers
from pipeline.reporting.study_sensitivity import clearly_less, complete, sensitivity_of
from pipeline.reporting.study_settings import VariantSettings, least_sensitive, variant_settings
from pipeline.study.results import read_results
from tests.report_sample import edit_json
from tests.study_sample import RATES, SETTINGS, write_grid

SEEDS = (1, 2, 3, 4, 5)


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_grid(tmp_path_factory.mktemp("grid"), seeds=SEEDS)


@pytest.fixture
def study(grid: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(grid, tmp_path / "study"))


def settings_of(folder: Path) -> dict[str, VariantSettings]:
    results = read_results(folder)
    return {each.variant: each for each in variant_settings(results, study_numbers(results))}


def unit(folder: Path, arm: str, rate: float, seed: int) -> Path:
    return folder / "runs" / f"{arm}-{rate}-seed{seed}-1a2b3c4d" / f"seed{seed}"


def accuracy(folder: Path, arm: str, rate: float) -> list[float]:
    """By seed, straight from scores.json."""
    paths = (unit(folder, arm, rate, seed) / "scores.json" for seed in SEEDS)
    return [json.loads(path.read_text())["metrics"]["accuracy"] for path in paths]


def test_gains_are_relative_to_the_reference_setting_and_paired(grid: Path):
    found = settings_of(grid)
    assert list(found) == ["dropout", "quantization"]
    assert found["quantization"].reference == "W4/A4"
    for row in found["quantization"].rows:
        for rate, cell in zip(RATES, row, strict=True):
            ours = accuracy(grid, f"quantization-{cell.setting.replace('/', '-')}", rate)
            reference, overall = accuracy(grid, "quantization-W4-A4", rate), accuracy(grid, "baseline", rate)
            relative = [(mine - theirs) / theirs for mine, theirs in zip(ours, reference, strict=True)]
            assert cell.gain.mean == pytest.approx(np.mean(relative))
            if cell.setting != "W4/A4":
                low, high = stats.t.interval(0.95, len(SEEDS) - 1, np.mean(relative), stats.sem(relative))
                assert (cell.gain.low, cell.gain.high) == pytest.approx((low, high))
            assert cell.over_reference.mean == pytest.approx(np.subtract(ours, overall).mean())
    assert found["quantization"].rows[0][0].gain.mean == 0


def test_the_sensitivity_is_the_mean_over_conditions_of_the_deviation_over_settings(grid: Path):
    for variant, found in settings_of(grid).items():
        deviations, ranges = [], []
        for rate in RATES:
            arms = [f"{variant}-{setting.replace('/', '-').replace(' ', '-')}" for setting in SETTINGS[variant]]
            means = [sum(accuracy(grid, arm, rate)) / len(SEEDS) for arm in arms]
            middle = sum(means) / len(means)
            deviations.append((sum((mean - middle) ** 2 for mean in means) / (len(means) - 1)) ** 0.5)
            ranges.append(max(means) - min(means))
        assert found.sensitivity.value == pytest.approx(sum(deviations) / 3)
        assert found.sensitivity.range == pytest.approx(sum(ranges) / 3)
        assert (found.sensitivity.settings, found.sensitivity.conditions) == (len(SETTINGS[variant]), 3)
        assert found.sensitivity.pairs == len(SEEDS)


def drawn(settings: int, conditions: int, pairs: int, spread: float, noise: float, seed: int = 0) -> np.ndarray:
    """Scores (S, C, P): settings `spread` apart, what a pair has in common, and noise of each run."""
    rng = np.random.default_rng(seed)
    common = rng.normal(0, 0.05, (1, conditions, pairs))
    own = spread * np.linspace(-1, 1, settings)[:, None, None]
    return 0.7 + common + own + rng.normal(0, noise, (settings, conditions, pairs))


def test_the_sensitivity_is_the_same_whichever_setting_is_the_reference():
    scores = drawn(4, 3, 3, 0.02, 0.004)
    for reference in scores:
        assert sensitivity_of(scores - reference).value == pytest.approx(sensitivity_of(scores).value)


def test_the_interval_is_that_of_all_resamples():
    scores = drawn(4, 3, 5, 0.02, 0.02)
    values = []
    for pairs in itertools.product(range(5), repeat=5):
        means = scores[:, :, list(pairs)].mean(axis=2)
        values.append(np.mean([np.std([row[c] for row in means], ddof=1) for c in range(3)]))
    assert sensitivity_of(scores).interval == pytest.approx(tuple(np.quantile(values, [0.025, 0.975])), rel=0.06)
    assert sensitivity_of(scores[:, :, :4]).interval is None  # four pairs: little more than their range


def test_the_farthest_setting_is_the_one_that_adds_most(grid: Path):
    found = settings_of(grid)
    assert found["dropout"].farthest is None  # of two settings one has no deviation
    left = {}
    for without in SETTINGS["quantization"]:
        arms = [f"quantization-{name.replace('/', '-')}" for name in SETTINGS["quantization"] if name != without]
        left[without] = statistics.mean(
            statistics.stdev(statistics.mean(accuracy(grid, arm, rate)) for arm in arms) for rate in RATES
        )
    lowest = min(left, key=left.__getitem__)
    assert found["quantization"].farthest == (lowest, pytest.approx(left[lowest]))


def test_chance_alone_is_what_equal_settings_show():
    """Over many studies whose settings are equal, the root of the mean square sensitivity is that by chance alone."""
    found = [sensitivity_of(drawn(5, 1, 3, 0.0, 0.01, seed)) for seed in range(400)]
    expected = 0.01 / np.sqrt(3)
    assert np.sqrt(np.mean([each.value**2 for each in found])) == pytest.approx(expected, rel=0.05)
    assert np.sqrt(np.mean([each.chance**2 for each in found])) == pytest.approx(expected, rel=0.05)
    assert sensitivity_of(drawn(5, 1, 1, 0.0, 0.01)).chance is None


@pytest.mark.parametrize(("spread", "clear"), [(0.05, True), (0.0101, False)])
def test_less_sensitive_is_only_what_the_resamples_agree_on(spread: float, clear: bool):
    calm, other = drawn(4, 3, 5, 0.01, 0.01, 1), drawn(6, 3, 5, spread, 0.01, 2)
    assert clearly_less(calm, other) is clear
    assert not clearly_less(other, calm)
    assert not clearly_less(calm[:, :, :4], other[:, :, :4])


def test_a_setting_without_a_whole_pair_is_left_out_and_then_pairs_with_a_gap():
    table = {(s, c, p): 0.5 for s in "abc" for c in (0, 1) for p in (1, 2, 3)}
    for gap in [("b", 0, 1), ("b", 1, 2), ("b", 0, 3), ("c", 1, 2)]:
        del table[gap]
    assert complete(table, ("a", "b", "c"), (0, 1), (1, 2, 3)) == (("a", "c"), (1, 3))
    assert complete({}, ("a",), (0,), (1,)) == ((), ())


def test_a_setting_that_always_fails_is_named_not_hidden(study: Path):
    for seed in SEEDS:
        shutil.rmtree(unit(study, "quantization-W2-A2", 0.8, seed).parent)
    found = settings_of(study)["quantization"]
    assert found.left_out == ("W2/A2",)
    assert (found.sensitivity.settings, found.sensitivity.pairs) == (2, len(SEEDS))
    assert [best is None for best in found.best_in_hindsight()] == [False, False, True]


def test_the_least_sensitive_competes_and_is_compared_over_the_same_pairs(grid: Path, study: Path):
    results = read_results(grid)
    numbers = study_numbers(results)
    assert least_sensitive(results, numbers, variant_settings(results, numbers)) == ("dropout", ["quantization"])
    manifest = json.loads((study / "study.json").read_text())
    manifest["variants"][1]["reference_only"] = True
    edit_json(study / "study.json", **manifest)
    results = read_results(study)
    numbers = study_numbers(results)
    assert least_sensitive(results, numbers, variant_settings(results, numbers)) == ("quantization", [])
