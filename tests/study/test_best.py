"""best.yaml: the arm with the best validation score over all its runs, as an experiment of its own."""

from pathlib import Path

import pytest

from pipeline.config import load_config
from pipeline.reports.study_load import read_results
from pipeline.study.best import write_best
from pipeline.study.config import Study, load_study
from pipeline.study.manifest import write_manifest
from tests.study.folder import GRID, finish, write_study

SCORES = {
    "baseline": 0.5,
    "dropout, rate 0.1, position head": 0.8,
    "dropout, rate 0.3, position head": 0.9,
    "cheat": 1.0,
}


@pytest.fixture
def study(tmp_path: Path) -> Study:
    variants = "variants:\n  cheat: {set: {noise: {kind: none}}, reference_only: true}\n"
    return load_study(write_study(tmp_path, GRID.replace("variants:\n", variants) + "reference: baseline\n"))


def test_the_best_of_the_competing_arms_that_are_done_is_an_experiment(study: Study, tmp_path: Path):
    write_manifest(study, tmp_path, "command", 1)
    unfinished = next(cell for cell in study.cells if cell.arm.name == "dropout, rate 0.3, position head")
    for cell in study.cells:
        if cell.arm.name in SCORES and cell is not unfinished:
            finish(cell, tmp_path, SCORES[cell.arm.name])
    write_best(study, read_results(tmp_path), tmp_path)
    best = load_config(tmp_path / "best.yaml")
    assert (best.name, best.seeds, best.noise.rate) == ("tiny-best", [1, 2], 0.4)  # the base's own noise
    assert [(method.name, method.rate, method.position) for method in best.methods] == [("dropout", 0.1, "head")]
    assert "80.00 %, mean of 4 runs over noise.rate" in (tmp_path / "best.yaml").read_text()

    finish(unfinished, tmp_path, 0.9)
    write_best(study, read_results(tmp_path), tmp_path)
    assert load_config(tmp_path / "best.yaml").methods[0].rate == 0.3


def test_without_a_finished_arm_there_is_none(study: Study, tmp_path: Path):
    write_manifest(study, tmp_path, "command", 1)
    (tmp_path / "best.yaml").write_text("name: of an earlier study\n")
    write_best(study, read_results(tmp_path), tmp_path)
    assert not (tmp_path / "best.yaml").exists()
