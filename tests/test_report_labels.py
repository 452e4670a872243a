"""What a report on action units calls its labels: decided by what the run recorded, not by the name of the data."""

import json
from pathlib import Path

import numpy as np
import pytest

from pipeline.report import write_report
from tests.au_report_sample import AUS, BASELINE, au_scores, write_au_sample
from tests.report_sample import edit_json, write_json
from tests.test_report_units import all_scores, mean_of, rows, section, written

CLEANED = {"data": {"name": "bp4d", "folds": [1, 2], "val_fraction": 0.15}, "noise": {"kind": "none"}}
TILE = "wrong labels memorised"


def tile(text: str, name: str) -> list[str]:
    return next(row for row in rows(text) if row[0] == name)[1:]


def with_clean_labels_beside(folder: Path) -> Path:
    """A run on a folder in BP4D's layout that holds clean labels beside the annotators', no noise drawn on top."""
    run = write_au_sample(folder, config=CLEANED)
    for each in (run, run.parent / BASELINE):
        for path in each.glob("seed*/scores.json"):
            seed, fold = (int(part[-1]) for part in path.parent.name.split("-"))
            write_json(path, au_scores(seed, fold, 1.6, 0.2))
            np.savez(path.parent / "noise.npz", corrupted=np.eye(len(AUS), dtype=bool), train=np.arange(len(AUS)))
    return run


def test_clean_labels_beside_the_given_ones_come_first(tmp_path: Path):
    run = with_clean_labels_beside(tmp_path)
    text, scores = written(run), all_scores(run)
    assert "Trained on bp4d with given labels" in text
    assert "on subjects it never saw, against the clean labels. Against the given labels of the same images" in text
    assert f"it is {mean_of(scores, 'metrics_noisy', 'f1_mean'):.1f} %" in text
    assert tile(text, TILE)[0] == "20.0 %" and tile(text, "clean test F1")
    assert "Against the given labels of the same test images:" in section(text, "Action units")
    assert "given validation F1" in section(text, "Results by seed")
    noise = section(text, "Label noise")
    assert "Beside the given labels the data hold clean ones" in noise
    assert rows(noise)[2][1:3] == ["12 of 144", "8.3 %"]


@pytest.mark.parametrize(
    ("recorded", "noise", "value"),
    [
        (True, "none", "none"),
        (False, "none", "unknown"),
        (True, "annotators", "20.0 %"),
        (None, "annotators", "20.0 %"),
    ],
)
@pytest.mark.parametrize("name", ["bp4d", "synthetic_faces"])
def test_the_memorised_share_is_none_only_where_the_truth_is_known(
    tmp_path: Path, name: str, recorded: bool | None, noise: str, value: str
):
    config = {"data": {"name": name, "folds": [1, 2]}, "noise": {"kind": noise, "strength": 1.0}}
    run = write_au_sample(tmp_path, config=config)
    edit_json(run / "data.json", truth_known=recorded)
    assert tile(written(run), TILE)[0] == value


def test_without_the_fact_the_name_of_the_data_decides(tmp_path: Path):
    config = {"data": {"name": "bp4d", "folds": [1, 2]}, "noise": {"kind": "none"}}
    run = write_au_sample(tmp_path, config=config)
    edit_json(run / "data.json", truth_known=None)
    assert tile(written(run), TILE)[0] == "unknown" and "given test F1" in written(run)


def test_noise_of_strength_0_leaves_nothing_to_memorise(tmp_path: Path):
    run = write_au_sample(tmp_path, config={"noise": {"kind": "none"}})
    resolved = (run / "resolved.yaml").read_text().replace("kind: none", "kind: annotators\n  strength: 0")
    (run / "resolved.yaml").write_text(resolved)
    text = written(run)
    assert tile(text, TILE)[0] == "none" and "Against the noisy" not in text


def test_without_noisy_test_labels_nothing_is_said_of_them(tmp_path: Path):
    text = written(write_au_sample(tmp_path, config={"noise": {"kind": "none"}}))
    report = text.partition("## Reproduce")[0]
    assert "Against the" not in report and "Noisy test labels" not in report and "Given test labels" not in report
    assert tile(text, TILE) == ["none", "the training labels were left clean"]


def test_an_earlier_record_that_measured_equal_labels_twice_says_it_once(tmp_path: Path):
    run = write_au_sample(tmp_path, config={"noise": {"kind": "none"}})
    edit_json(run / "data.json", truth_known=None)
    for path in run.glob("seed*/scores.json"):
        edit_json(path, metrics_noisy=json.loads(path.read_text())["metrics"])
    assert "Against the" not in written(run).partition("## Reproduce")[0]


def test_reproduced_labels_of_unseen_people_stand_beside_the_memorised_ones(tmp_path: Path):
    run = write_au_sample(tmp_path)
    ours, theirs = (f"{mean_of(all_scores(each), 'test_noisy_fit'):.1f} %" for each in (run, run.parent / BASELINE))
    text = written(run)
    assert (
        f"It reproduces 20.0 % of the wrong training labels ({ours} of the wrong labels of people it never saw: what it "
        f"gets wrong anyway); the baseline 70.0 % ({theirs})."
    ) in text
    assert tile(text, TILE)[1] == f"people never seen: {ours}; baseline: 70.0 %"
    head, _, first = rows(section(text, "Results by seed"))[:3]
    assert head[3:5] == [TILE, "wrong labels of unseen people"]
    assert first[4] == f"{100 * all_scores(run)['seed1-fold1']['test_noisy_fit']:.1f} %"
    assert {len(row) for row in rows(section(text, "Results by seed"))} == {len(head)}


def test_without_that_share_only_the_first_is_shown(tmp_path: Path):
    run = write_au_sample(tmp_path)
    for path in run.parent.glob("*/seed*/scores.json"):
        edit_json(path, test_noisy_fit=None)
    text = written(run)
    assert "It memorised 20.0 % of the wrong training labels; the baseline 70.0 %." in text
    assert "unseen people" not in text and tile(text, TILE)[1] == "baseline: 70.0 %"


@pytest.mark.parametrize(
    ("rates", "words"),
    [
        ({"default": 0.1}, "label noise by action unit (10 %)"),
        ({"default": 0.1, "AU12": 0.005}, "label noise by action unit (AU12 0.5 %, others 10 %)"),
        ({name: 0.01 * number for number, name in enumerate(AUS, 1)}, "label noise by action unit (1 % to 12 %)"),
        ("junk", "label noise by action unit,"),
    ],
)
def test_rates_by_action_unit_are_told(tmp_path: Path, rates: object, words: str):
    assert words in written(write_au_sample(tmp_path, config={"noise": {"kind": "per_label", "rates": rates}}))


def test_folds_are_called_runs_and_the_baseline_a_baseline(tmp_path: Path):
    run = write_au_sample(tmp_path, config={"seeds": [1]})
    text = written(run)
    assert "2 runs (seeds and folds) together" in text and "seeds together" not in text
    assert "range over the runs" in text and "the result of each run" in (run / "report.html").read_text()
    write_report(run.parent / BASELINE)
    own = (run.parent / BASELINE / "report.md").read_text()
    assert (
        "This run is a baseline itself" in own
        and "No baseline" not in own
        and "a baseline itself" in tile(own, TILE)[1]
    )


def test_without_a_validation_part_one_sentence_says_so(tmp_path: Path):
    run = write_au_sample(tmp_path, config={"data": {"name": "synthetic_faces", "folds": [1, 2], "val_fraction": 0.0}})
    reasons = [f"{name}: no known label in the validation part, so its threshold stays 0.5" for name in AUS]
    for path in run.glob("seed*/scores.json"):
        edit_json(path, undefined=[*reasons, "AU2: no negative label in the test part, so no MCC"])
    text = written(run)
    assert (
        text.count("No validation part: thresholds stay 0.5, and the shipped model was not chosen by validation.") == 1
    )
    assert "no known label" not in text and "Some metrics are undefined for AU2: see action units." in text


def test_validation_subjects_without_known_labels_are_named_by_unit(tmp_path: Path):
    run = write_au_sample(tmp_path)
    for path in run.glob("seed*/scores.json"):
        edit_json(path, undefined=["AU2: no known label in the validation part, so its threshold stays 0.5"])
    text = written(run)
    assert "No validation part" not in text
    assert "Undefined, AU2: no known label in the validation part" in section(text, "Action units")


def test_a_tuned_threshold_that_says_yes_to_all_is_marked(tmp_path: Path):
    run = write_au_sample(tmp_path)
    for path in run.glob("seed*/scores.json"):
        record = json.loads(path.read_text())
        record["metrics"]["f1_tuned"]["AU4"] = record["metrics"]["f1_all_positive"]["AU4"]
        record["metrics"]["f1_mean"] = record["metrics"]["f1_all_positive_mean"] - 0.01
        record["thresholds"] |= {"AU4": 0.000123456, "AU6": 0.2 if "seed1" in str(path) else 0.34567}
        write_json(path, record)
    text = written(run)
    table = {row[0]: row for row in reversed(rows(section(text, "Action units"))) if len(row) > 9}
    assert table["AU4"][5].endswith(" †") and table["AU4"][6] == "0.000123" and table["AU6"][6] == "0.200 to 0.346"
    assert [name for name, row in table.items() if row[5].endswith("†")] == ["AU4"]
    assert "† Tuned thresholds are no better than calling every face present" in text
    assert "Careful:** The mean F1 at 0.5" in text and "is no better than calling every unit present" in text


def test_nothing_is_marked_in_an_ordinary_run(tmp_path: Path):
    text = written(write_au_sample(tmp_path))
    assert "†" not in text and "Careful" not in text


def test_few_subjects_have_no_interval(tmp_path: Path):
    few, enough = (written(write_au_sample(tmp_path / str(len(folds)), folds=folds)) for folds in ((1,), (1, 2)))
    table = [row for row in rows(section(few, "Action units")) if row[0] in AUS and len(row) > 9]
    assert {row[4] for row in table} == {"–"} and "whiskers" not in few
    assert "No interval: 4 test subjects are too few for a bootstrap over subjects (at least 8)." in few
    assert "of the counts of all seeds and folds pooled (not of the mean), bootstrap over 8 test subjects" in enough
