"""What every method would have reached had it stopped early: the rule by hand against the report's table."""

import math
import statistics
from pathlib import Path

import pytest

from pipeline.methods.pruning import Pruning
from pipeline.reporting.blocks import Table
from pipeline.reporting.study_numbers import study_numbers
from pipeline.reporting.study_stopped import stopped_blocks
from pipeline.run_files import write_jsonl
from pipeline.run_folder import seed_path
from pipeline.study.results import Result, Results
from tests.figure_sample import METHODS, methods_by_noise, without

T2 = 4.302653  # 97.5 % quantile of Student's t with 2 degrees of freedom
PATIENCE, EPOCHS, SEEDS = 6, 30, (1, 2, 3)
# the epoch of the lowest noisy validation loss; of pruning there is a lower one while it is not complete
LOWEST = {name: 8 + 2 * place for place, name in enumerate(METHODS)}


def validation_loss(cell: Result, epoch: int) -> float:
    if cell.variant == "pruning" and epoch == 3:
        return -1.0
    if cell.variant == "dropout":
        return 9.0 - epoch if epoch <= 4 or epoch > 25 else 20.0  # lower again, but after the patience is over
    return abs(epoch - LOWEST[cell.variant] - cell.seed)


def chosen(cell: Result) -> int:
    if cell.variant == "early stopping":  # its curve ends where it stopped
        return min(cell.history(), key=lambda line: line["val_loss"])["epoch"]
    return 4 if cell.variant == "dropout" else LOWEST[cell.variant] + cell.seed


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    found = methods_by_noise(tmp_path_factory.mktemp("methods"))
    for cell in found.cells:
        lines = [{**line, "val_loss": validation_loss(cell, line["epoch"])} for line in cell.history()]
        write_jsonl(seed_path(cell.folder, cell.seed, cell.fold) / "metrics.jsonl", lines)
    return found


def table(results: Results) -> Table:
    (found,) = (
        each for each in stopped_blocks(results, study_numbers(results), "early stopping") if isinstance(each, Table)
    )
    return found


def stopped(results: Results, variant: str, rate: float) -> list[float]:
    cells = results.select(variant, "", {"noise.rate": rate})
    return [100 * cell.history()[chosen(cell) - 1]["test_accuracy"] for cell in cells]


@pytest.mark.parametrize("variant", ["quantization", "dropout", "baseline"])
@pytest.mark.parametrize("rate", [0.0, 0.6])
def test_scores_are_those_of_the_epoch_the_rule_chooses(results: Results, variant: str, rate: float):
    ours, theirs = (stopped(results, name, rate) for name in (variant, "early stopping"))
    differences = [mine - other for mine, other in zip(ours, theirs, strict=True)]
    mean, half = statistics.mean(differences), T2 * statistics.stdev(differences) / math.sqrt(len(SEEDS))
    row = next(each for each in table(results).rows if each[0] == variant)
    place = results.axes["noise.rate"].index(rate) + 1
    assert row[place] == (
        f"{statistics.mean(ours):.1f} ({mean:+.1f}, {mean - half:+.1f} to {mean + half:+.1f})".replace("-", "−")
    )


def test_no_epoch_before_pruning_is_complete_is_chosen(results: Results):
    settled = Pruning(ratio=0.75).settled_from(EPOCHS)
    assert LOWEST["pruning"] + max(SEEDS) < settled + 1  # its own lowest comes too early as well
    row = next(each for each in table(results).rows if each[0] == "pruning")
    cells = results.select("pruning", "", {"noise.rate": 0.0})
    expected = statistics.mean(100 * cell.history()[settled]["test_accuracy"] for cell in cells)
    assert row[1].startswith(f"{expected:.1f} (")


def test_the_rival_stands_alone_and_first(results: Results):
    first = table(results).rows[0]
    assert first[0] == "early stopping" and not any("(" in each for each in first)


def test_nothing_is_said_without_validation_metrics(tmp_path: Path):
    found = methods_by_noise(tmp_path)
    assert list(stopped_blocks(found, study_numbers(found), "early stopping")) == []


def test_nothing_is_said_without_a_run_of_the_rival(results: Results):
    found = without(results, lambda cell: cell.variant == "early stopping")
    assert list(stopped_blocks(found, study_numbers(found), "early stopping")) == []


def test_a_method_whose_runs_are_missing_is_missing(results: Results):
    found = without(results, lambda cell: cell.variant == "dropout" and cell.condition["noise.rate"] == 0.6)
    row = next(each for each in table(found).rows if each[0] == "dropout")
    assert row[4] == "missing" and row[3] != "missing"


def test_where_neither_has_a_run_nothing_is_the_same(results: Results):
    gone = ("dropout", "early stopping")
    found = without(results, lambda cell: cell.variant in gone and cell.condition["noise.rate"] == 0.6)
    row = next(each for each in table(found).rows if each[0] == "dropout")
    assert row[4] == "missing"
