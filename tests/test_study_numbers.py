"""The numbers of a study: differences paired by seed and fold at each condition, against SciPy."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from pipeline.reporting.study_contest import Contest, contests, is_above, ranking
from pipeline.reporting.study_numbers import StudyNumbers, study_numbers
from pipeline.study.results import Results, read_results
from tests.report_sample import edit_json
from tests.study_sample import RATES, SETTINGS, write_grid, write_search, write_study

SEEDS = (1, 2, 3)


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_grid(tmp_path_factory.mktemp("grid"))


@pytest.fixture
def study(grid: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(grid, tmp_path / "study"))


def numbers_of(folder: Path) -> tuple[Results, StudyNumbers]:
    results = read_results(folder)
    return results, study_numbers(results)


def scores(folder: Path, variant: str, setting: str, rate: float) -> dict[int, dict]:
    """scores.json of an arm at a noise rate by seed, straight from the files the manifest names."""
    found = {}
    for cell in json.loads((folder / "study.json").read_text())["cells"]:
        if (cell["variant"], cell["setting"], cell["condition"]["noise.rate"]) == (variant, setting, rate):
            path = folder / cell["run"] / f"seed{cell['seed']}" / "scores.json"
            found[cell["seed"]] = json.loads(path.read_text())
    return found


def test_the_order_of_arms_and_conditions_is_the_study_s(grid: Path):
    results = read_results(grid)
    assert results.arms == tuple((variant, setting) for variant, own in SETTINGS.items() for setting in own)
    assert results.conditions == tuple({"noise.rate": rate} for rate in RATES)
    cells = results.select("quantization", "W8/A8", {"noise.rate": 0.4})
    assert [(cell.seed, cell.fold, cell.state) for cell in cells] == [(seed, None, "done") for seed in SEEDS]
    assert cells[0].values == {"quantization.weight_bits": 8, "quantization.activation_bits": 8}
    assert [line["epoch"] for line in cells[0].history()] == list(range(1, 31))


def test_two_axes_make_every_combination_of_their_values(grid: Path, tmp_path: Path):
    folder = Path(shutil.copytree(grid, tmp_path / "study"))
    edit_json(folder / "study.json", axes={"noise.rate": [0.0, 0.4], "train.epochs": [10, 20]}, cells=[])
    assert read_results(folder).conditions == tuple(
        {"noise.rate": rate, "train.epochs": epochs} for rate in (0.0, 0.4) for epochs in (10, 20)
    )


def test_differences_are_those_of_scipy_by_condition(grid: Path):
    _, numbers = numbers_of(grid)
    assert numbers.comparisons == 2 * 3
    for table in numbers.conditions:
        rate = table.condition["noise.rate"]
        for row in table.rows[1:]:
            assert row.setting == next(iter(SETTINGS[row.variant]))
            ours, theirs = (
                [found[seed]["metrics"]["accuracy"] for seed in SEEDS]
                for found in (scores(grid, row.variant, row.setting, rate), scores(grid, "baseline", "", rate))
            )
            test = stats.ttest_rel(ours, theirs)
            for level, found in ((0.95, row.difference), (1 - 0.05 / 6, row.adjusted)):
                interval = test.confidence_interval(level)
                assert (found.low, found.high) == pytest.approx((interval.low, interval.high), abs=1e-12)
                assert found.mean == pytest.approx(np.subtract(ours, theirs).mean(), abs=1e-12)
            assert row.score.deviation == pytest.approx(np.std(ours, ddof=1))


def test_what_the_last_epoch_lost_is_paired_within_each_run(grid: Path):
    _, numbers = numbers_of(grid)
    found = scores(grid, "baseline", "", 0.8).values()
    lost = [each["oracle"]["test_accuracy"] - each["metrics"]["accuracy"] for each in found]
    assert numbers.conditions[2].row("baseline").lost.values == pytest.approx(lost)
    assert min(lost) > 0.05


def test_only_pairs_of_finished_runs_count(study: Path):
    shutil.rmtree(study / "runs" / "baseline-0.4-seed2-1a2b3c4d")
    edit_json(study / "runs" / "dropout-rate-0.1-0.4-seed3-1a2b3c4d" / "status.json", state="failed", message="no")
    _, numbers = numbers_of(study)
    dropout, quantization = (numbers.conditions[1].row(name) for name in ("dropout", "quantization"))
    assert (dropout.difference.pairs, dropout.difference.low, dropout.score.n, dropout.wanted) == (1, None, 2, 3)
    assert (quantization.difference.pairs, quantization.score.n) == (2, 3)
    assert all(row.difference.pairs == 3 for row in numbers.conditions[0].rows)


def test_what_does_not_compete_is_no_comparison(tmp_path: Path):
    _, numbers = numbers_of(write_study(tmp_path, seeds=(1,), strengths=(0.5, 1.0)))
    assert numbers.comparisons == 2 * 2
    assert [row.variant for row in numbers.conditions[0].apart] == ["float, clean labels"]
    assert [table.condition for table in numbers.conditions] == [{"noise.strength": 0.5}, {"noise.strength": 1.0}]


def test_the_margin_is_paired_between_the_leader_and_another(grid: Path):
    _, numbers = numbers_of(grid)
    table = numbers.conditions[2]
    assert [row.variant for row in ranking(table)] == ["quantization", "dropout", "baseline"]
    ours, theirs = (
        [scores(grid, variant, setting, 0.8)[seed]["metrics"]["accuracy"] for seed in SEEDS]
        for variant, setting in (("quantization", "W4/A4"), ("dropout", "rate 0.1"))
    )
    interval = stats.ttest_rel(ours, theirs).confidence_interval(0.95)
    contest = contests(numbers)[2]
    assert contest.leader.variant == "quantization"
    found = contest.margins["dropout"]
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))


@pytest.mark.parametrize(
    ("gains", "expected"),
    [
        ((0.10, 0.101, 0.102), (True, True)),
        ((0.09, 0.11, 0.13), (True, False)),
        ((0.10, -0.11, 0.12), (False, False)),
        ((0.10,), (False, False)),
    ],
)
def test_how_sure_a_gain_is(study: Path, gains: tuple[float, ...], expected: tuple[bool, bool]):
    contest = contest_with(study, {"quantization-W4-A4": gains})
    row = contest.table.row("quantization")
    assert (is_above(row.difference), is_above(row.adjusted)) == expected


def contest_with(study: Path, gains: dict[str, tuple[float, ...]]) -> Contest:
    """The contest at noise 40 % with these gains over a baseline of 0.5 by seed; runs of further seeds are missing."""
    for seed in SEEDS:
        for arm, values in {"baseline": (0.0,) * 3, **gains}.items():
            run = study / "runs" / f"{arm}-0.4-seed{seed}-1a2b3c4d"
            if seed > len(values):
                shutil.rmtree(run)
            else:
                edit_json(run / f"seed{seed}" / "scores.json", metrics={"accuracy": 0.5 + values[seed - 1]})
    return contests(numbers_of(study)[1])[1]


def test_a_higher_mean_that_may_be_chance_does_not_hide_a_clear_leader(study: Path):
    contest = contest_with(study, {"dropout-rate-0.1": (0.04, 0.042, 0.044), "quantization-W4-A4": (0.3, -0.1, 0.01)})
    assert contest.nearest.variant == "quantization"
    assert (contest.leader.variant, contest.level, contest.verb) == ("dropout", ["quantization"], "leads")


def test_the_leader_is_best_where_it_is_clearly_ahead_of_all_others(study: Path):
    contest = contest_with(study, {"dropout-rate-0.1": (0.04, 0.042, 0.044), "quantization-W4-A4": (0.2, 0.21, 0.22)})
    assert (contest.leader.variant, contest.level, contest.verb) == ("quantization", [], "is best")


def test_one_pair_is_neither_ahead_nor_behind(study: Path):
    contest = contest_with(study, {"dropout-rate-0.1": (0.04, 0.042, 0.044), "quantization-W4-A4": (0.01,)})
    assert (contest.leader.variant, contest.level) == ("dropout", ["quantization"])


def test_a_search_shows_each_variant_at_the_trial_best_by_validation(tmp_path: Path):
    folder = write_search(tmp_path)
    results, numbers = numbers_of(folder)
    means = {}
    for path in (folder / "trials").glob("*.json"):
        trial = json.loads(path.read_text())
        values = [
            json.loads((folder / cell["run"] / f"seed{cell['seed']}" / "scores.json").read_text())["val_accuracy"]
            for cell in trial["cells"]
        ]
        means[trial["cells"][0]["variant"], trial["cells"][0]["setting"]] = np.mean(values)
    best = max((key for key in means if key[0] == "dropout"), key=means.__getitem__)
    assert numbers.chosen == {"baseline": "", "dropout": best[1]}
    assert len(results.cells) == 4 * 3 * 2
    assert results.select("dropout", best[1])[0].trial


def test_a_trial_that_lacks_a_run_is_not_chosen(tmp_path: Path):
    folder = write_search(tmp_path)
    _, numbers = numbers_of(folder)
    best = numbers.chosen["dropout"]
    shutil.rmtree(folder / "runs" / f"dropout-{best.replace(' ', '-')}-0.8-seed2-1a2b3c4d")
    _, numbers = numbers_of(folder)
    assert numbers.chosen["dropout"] not in (best, None)


def test_a_damaged_scores_file_is_a_failed_run_that_is_named(study: Path):
    path = study / "runs" / "baseline-0.4-seed2-1a2b3c4d" / "seed2" / "scores.json"
    path.write_text("{")
    cell = next(cell for cell in read_results(study).cells if cell.run == "runs/baseline-0.4-seed2-1a2b3c4d")
    assert cell.state == "failed" and "scores.json" in cell.message and cell.scores == {}


def test_no_history_where_there_is_no_file(study: Path):
    shutil.rmtree(study / "runs")
    cell = read_results(study).cells[0]
    assert (cell.state, cell.history()) == ("not begun", [])
