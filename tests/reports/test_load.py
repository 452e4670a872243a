"""A run folder as tables: every number as its file has it, what is missing as missing, what is damaged named."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import UserError
from pipeline.reports.load import column, is_run, is_study, load_run, number
from pipeline.reports.run_results import compare, missing_trainings, shipped
from pipeline.reports.study_folder import load_study
from pipeline.runs.folder import best_training, training_of, trainings_of
from tests.reports.au_run_samples import AUS, write_au_sample
from tests.reports.run_samples import BASELINE, EPOCHS, edit_json, write_json, write_sample_run


def record(run: Path, training: str, name: str) -> dict:
    return json.loads((run / training / name).read_text())


def test_a_row_a_training_with_the_numbers_of_its_files(tmp_path: Path):
    folder = write_sample_run(tmp_path)
    run = load_run(folder)
    assert run.notes == () and list(run.own["training"]) == ["seed1", "seed2", "seed3"]
    assert list(run.table["run"]) == [folder.name] * 3 + [BASELINE] * 3
    for row in run.table.to_dict("records"):
        files = folder if row["arm"] == "run" else folder.parent / BASELINE
        scores = record(files, row["training"], "scores.json")
        assert row["scores.metrics.accuracy"] == scores["metrics"]["accuracy"]
        assert row["scores.oracle.epoch"] == scores["oracle"]["epoch"]
        with np.load(files / row["training"] / "noise.npz") as noise:
            assert row["wrong_labels"] == noise["corrupted"][noise["train"]].sum()
    sizes = column(run.own, "verification.size_bytes.int8")
    assert list(sizes) == [325700.0] * 3 and column(run.table, "verification.size_bytes.int8")[3:].isna().all()


def test_a_row_an_epoch(tmp_path: Path):
    folder = write_sample_run(tmp_path)
    epochs = load_run(folder).epochs
    assert len(epochs) == 6 * EPOCHS
    line = json.loads((folder / "seed2" / "metrics.jsonl").read_text().splitlines()[4])
    row = epochs[(epochs["arm"] == "run") & (epochs["seed"] == 2) & (epochs["epoch"] == 5)].iloc[0]
    assert row["test_loss"] == line["test_loss"] and row["moving.val_accuracy"] == line["moving"]["val_accuracy"]


def test_action_units_and_folds(tmp_path: Path):
    folder = write_au_sample(tmp_path)
    run = load_run(folder)
    assert list(run.own["training"]) == [f"seed{seed}-fold{fold}" for seed in (1, 2) for fold in (1, 2)]
    scores = record(folder, "seed2-fold1", "scores.json")
    row = run.own[run.own["training"] == "seed2-fold1"].iloc[0]
    assert [row[f"scores.metrics.mcc.{name}"] for name in AUS] == list(scores["metrics"]["mcc"].values())
    assert row["scores"]["subject_counts"] == scores["subject_counts"]


def test_the_last_line_of_an_epoch_counts_and_damaged_ones_are_noted(tmp_path: Path):
    folder = write_sample_run(tmp_path, seeds=(1,))
    path = folder / "seed1" / "metrics.jsonl"
    again = {**json.loads(path.read_text().splitlines()[-1]), "test_loss": 7.25}
    path.write_text(path.read_text() + json.dumps(again) + '\n{"epoch": 31, "tes')
    run = load_run(folder)
    own = run.epochs[run.epochs["arm"] == "run"]
    assert len(own) == EPOCHS and own.iloc[-1]["test_loss"] == 7.25
    assert run.notes == ("seed1/metrics.jsonl: 1 damaged line(s)",)


@pytest.mark.parametrize("name", ["scores.json", "verification.json", "noise.npz"])
def test_damaged_files_are_noted_and_count_as_missing(tmp_path: Path, name: str):
    folder = write_sample_run(tmp_path)
    content = (folder / "seed1" / name).read_bytes()
    (folder / "seed1" / name).write_bytes(content[: len(content) // 2])
    run = load_run(folder)
    assert run.notes == (f"seed1/{name} is damaged",) and len(run.own) == 3
    assert len(run.finished) == (2 if name == "scores.json" else 3)
    assert len(run.verified) == (2 if name == "verification.json" else 3)


def test_an_empty_training_is_an_empty_row_and_other_folders_are_errors(tmp_path: Path):
    (tmp_path / "run" / "seed1").mkdir(parents=True)
    run = load_run(tmp_path / "run")
    assert (len(run.table), len(run.finished), len(run.epochs), run.config, run.notes) == (1, 0, 0, {}, ())
    assert not is_run(tmp_path) and not is_study(tmp_path)
    for folder in (tmp_path, tmp_path / "absent"):
        with pytest.raises(UserError):
            load_run(folder)
    with pytest.raises(UserError):
        load_study(tmp_path)


@pytest.mark.parametrize("value", [None, True, "1", [1], {}, math.nan, math.inf])
def test_only_finite_numbers_count(value: object):
    assert number({"a": value}, "a") is None and number(value, "a") is None
    assert number({"a": {"b": 3}}, "a", "b") == 3


def test_scores_are_compared_by_seed_folder(tmp_path: Path):
    folder = write_sample_run(tmp_path)
    (folder.parent / BASELINE / "seed2" / "scores.json").unlink()
    found = compare(load_run(folder), "metrics", "accuracy")
    scores = {
        (arm, seed): record(path, f"seed{seed}", "scores.json")["metrics"]["accuracy"]
        for arm, path, seeds in (("run", folder, (1, 2, 3)), ("baseline", folder.parent / BASELINE, (1, 3)))
        for seed in seeds
    }
    differences = [scores["run", seed] - scores["baseline", seed] for seed in (1, 3)]
    assert (found.own.n, found.baseline.n, found.difference.n) == (3, 2, 2)
    assert found.difference.mean == pytest.approx(sum(differences) / 2)


def test_missing_trainings_are_those_wanted_or_begun_without_scores(tmp_path: Path):
    folder = write_sample_run(tmp_path, config={"seeds": [1, 2, 3]})
    (folder / "seed2" / "scores.json").unlink()
    (folder / "seed3").rename(folder / "seed4")
    assert missing_trainings(load_run(folder)) == ["seed2", "seed3"]


def test_the_report_names_the_training_that_ships(tmp_path: Path):
    folder = write_sample_run(tmp_path)
    for seed, reached in ((1, 0.4), (2, 0.6), (3, 0.6)):
        edit_json(folder / f"seed{seed}" / "scores.json", val_accuracy=reached)
    assert shipped(load_run(folder))["training"] == "seed2"
    resolved = (folder / "resolved.yaml").read_text()
    (folder / "resolved.yaml").write_text(resolved.replace("- 1\n- 2\n- 3", "- 3\n- 2\n- 1"))
    assert shipped(load_run(folder))["training"] == "seed3"  # of equals the first of the configuration
    for seed in (1, 2, 3):
        edit_json(folder / f"seed{seed}" / "scores.json", val_accuracy=None)
    assert shipped(load_run(folder))["training"] == "seed3"
    for seed in (1, 2, 3):
        (folder / f"seed{seed}" / "verification.json").unlink()
    assert not shipped(load_run(folder))


def test_best_training_is_that_of_a_loop():
    scores = [("a", {"m": None}), ("b", {"m": 0.2}), ("c", {"m": 0.5}), ("d", {"m": 0.5}), ("e", {})]
    assert best_training(scores, "m") == "c" and best_training(scores[:1], "m") == "a"
    assert best_training(scores, "other") == "a"


def test_names_and_order_of_trainings():
    assert training_of("seed12") == (12, None) and training_of("seed1-fold2") == (1, 2)
    assert training_of("seed1-fold") is None and training_of("seed") is None and training_of("xseed1") is None
    assert trainings_of([2, 1]) == [(2, None), (1, None)]
    assert trainings_of([2, 1], [1, 3]) == [(2, 1), (1, 1), (2, 3), (1, 3)]


def test_a_run_without_configuration_or_status_is_still_a_run(tmp_path: Path):
    (tmp_path / "seed1").mkdir()
    assert is_run(tmp_path)
    write_json(tmp_path / "study.json", {})
    assert is_study(tmp_path)
