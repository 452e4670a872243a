"""The report of a run on action units: F1 in every sentence, a table by unit, what is undefined or unknown."""

import json
import re
import statistics
from pathlib import Path

import numpy as np
import pytest

from pipeline.au_metrics import f1
from pipeline.report import compose, write_report
from pipeline.reporting import html, markdown
from pipeline.reporting.read import read_run
from tests.au_report_sample import AUS, BASELINE, DATA, PARTS, au_scores, write_au_sample
from tests.html_check import HtmlCheck
from tests.report_sample import edit_json, write_json
from tests.test_report_missing import JUNK, NONSENSE, paths_of, replaced


def written(run: Path) -> str:
    write_report(run)
    assert HtmlCheck((run / "report.html").read_text()).problems == []
    return (run / "report.md").read_text()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_au_sample(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def text(run: Path) -> str:
    return written(run)


def section(text: str, title: str) -> str:
    return text.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def rows(part: str) -> list[list[str]]:
    return [[cell.strip(" *") for cell in line.strip("|").split("|")] for line in part.splitlines() if line[:1] == "|"]


def all_scores(run: Path) -> dict[str, dict]:
    return {path.parent.name: json.loads(path.read_text()) for path in sorted(run.glob("seed*/scores.json"))}


def mean_of(scores: dict[str, dict], *path: str) -> float:
    values = list(scores.values())
    for key in path:
        values = [value[key] for value in values]
    return 100 * statistics.mean(values)


def test_the_verdict_speaks_of_f1_against_both_kinds_of_labels(run: Path, text: str):
    scores, baseline = all_scores(run), all_scores(run.parent / BASELINE)
    verdict = text.partition("\n\n| ")[0]
    reached, theirs = (mean_of(each, "metrics", "f1_mean") for each in (scores, baseline))
    assert f"reaches a mean F1 of {reached:.1f} % (mean of 4 runs" in verdict
    assert f"noisy labels of the same images it is {mean_of(scores, 'metrics_noisy', 'f1_mean'):.1f} %" in verdict
    trivial = mean_of(scores, "metrics", "f1_all_positive_mean")
    assert f"Calling every unit present would reach {trivial:.1f} %" in verdict
    assert f"the method gains {reached - theirs:.1f} points" in verdict
    assert "of the decisions on 10,000 images equal" in verdict


def test_no_word_of_accuracy_but_the_balanced_one(text: str):
    report = text.partition("## Reproduce")[0].replace("balanced accuracy", "")
    assert "accuracy" not in report.lower()
    assert NONSENSE.search(report) is None


def test_every_metric_of_every_unit_is_in_the_table(run: Path, text: str):
    scores, baseline = all_scores(run), all_scores(run.parent / BASELINE)
    head, *body = rows(section(text, "Action units"))
    assert head == [
        "action unit", "base rate", "F1, all present", "F1 at 0.5", "95 % interval", "F1 tuned", "threshold",
        "balanced accuracy", "MCC", "AUC", "baseline F1", "difference", "wrong labels memorised",
    ]  # fmt: skip
    for name, row in zip(AUS, body[1:], strict=False):
        assert row[0] == name
        metrics = ("base_rate", "f1_all_positive", "f1", "f1_tuned", "balanced_accuracy", "mcc", "auc")
        expected = [f"{mean_of(scores, 'metrics', key, name):.1f}" for key in metrics]
        assert row[1:4] + row[5:6] + row[7:10] == expected
        assert row[6] == "0.450"
        theirs = mean_of(baseline, "metrics", "f1", name)
        assert row[10] == f"{theirs:.1f}"
        change = f"{mean_of(scores, 'metrics', 'f1', name) - theirs:+.1f}".replace("-", "−")
        assert row[11:] == [change, f"{mean_of(scores, 'train_noisy_fit_per_au', name):.1f}"]
    foot = body[1 + len(AUS)]
    assert foot[:4] == [
        "mean",
        "–",
        *(f"{mean_of(scores, 'metrics', k):.1f}" for k in ("f1_all_positive_mean", "f1_mean")),
    ]
    noisy = body[-1]
    assert noisy[0] == "mean" and noisy[2] == f"{mean_of(scores, 'metrics_noisy', 'f1_mean'):.1f}"


def test_intervals_resample_subjects_over_all_seeds_and_folds(run: Path, text: str):
    counts: dict[str, np.ndarray] = {}
    for scores in all_scores(run).values():
        for subject, units in scores["subject_counts"].items():
            counts[subject] = counts.get(subject, 0) + np.array([units[name] for name in AUS])
    assert sorted(counts) == sorted(PARTS[1] + PARTS[2])
    rng, subjects = np.random.default_rng(5), sorted(counts)
    drawn = [f1(sum(counts[subject] for subject in rng.choice(subjects, len(subjects)))) for _ in range(3000)]
    for column, row in enumerate(rows(section(text, "Action units"))[2 : 2 + len(AUS)]):
        low, high = map(float, row[4].split(" to "))
        expected = np.quantile([100 * each[column] for each in drawn], [0.025, 0.975])
        assert (low, high) == pytest.approx(expected, abs=0.6)


def test_curves_and_results_are_in_f1(run: Path, text: str):
    assert "noisy validation F1" in section(text, "Results by seed")
    titles = rows(section(text, "Mean F1"))[0]
    assert [title.partition(":")[0] for title in titles[1::2]] == [
        "Noisy validation labels", "Clean test labels", "Noisy test labels",
    ]  # fmt: skip
    page = (run / "report.html").read_text()
    assert "mean F1 (%)" in page and "weighted cross-entropy (nats)" in page


def test_device_metrics_are_called_f1(text: str):
    assert "mean F1, Keras against LiteRT" in section(text, "Verification")
    assert rows(section(text, "Files and kernels"))[0][4] == "mean F1"
    assert "the one with the best validation F1" in section(text, "Files and kernels")


def test_the_faces_are_accounted_for(text: str):
    part = section(text, "Faces")
    head, _, *folds = rows(part)[:5]
    assert head == [
        "fold",
        *(f"{name} {what}" for name in ("train", "validation", "test") for what in ("images", "subjects")),
    ]
    assert folds[0] == ["1", "9,000", "2", "1,500", "1", "5,000", "4"]
    assert "frames without an image | 12" in part and "F001/T1/0003.jpg | truncated" in part
    assert "other" not in part and "fold 2, test: F003 F005 M002 M005" in part
    assert "crop" not in part and "side: 3.2" in part and "BlazeFace short range" in part


def test_faces_unknown_and_subjects_in_two_parts_are_said(run: Path, tmp_path: Path):
    copy = write_au_sample(tmp_path)
    subjects = {"1": {"train": ["F001", "F002"], "validation": ["F003"], "test": ["F002"]}}
    edit_json(copy / "data.json", subjects=subjects, skipped={})
    part = section(written(copy), "Faces")
    assert "In two parts of one fold: F002." in part and "The reader skipped nothing." in part
    edit_json(copy / "data.json", skipped="nobody knows")
    assert "What the reader skipped is not recorded." in section(written(copy), "Faces")
    (copy / "data.json").unlink()
    assert "data.json is not there" in section(written(copy), "Faces")


def test_an_undefined_metric_is_named_never_zero(tmp_path: Path):
    run = write_au_sample(tmp_path, folds=(1,))
    for seed in (1, 2):
        write_json(run / f"seed{seed}-fold1" / "scores.json", au_scores(seed, 1, 1.6, 0.2, absent=("AU2",)))
    text = written(run)
    row = next(row for row in rows(section(text, "Action units")) if row[0] == "AU2")
    assert [row[index] for index in (2, 3, 4, 5, 7, 8, 9, 11)] == [
        "undefined", "undefined", "–", "undefined", "undefined", "undefined", "undefined", "–",
    ]  # fmt: skip
    assert row[1] == "0.0"  # the base rate is known
    assert "Some metrics are undefined for AU2: see action units." in text
    assert re.search(r"Undefined, AU2: no positive label in the test part.* \(seed1-fold1, seed2-fold1\)", text)


def test_a_unit_undefined_in_one_fold_is_the_mean_of_the_others(tmp_path: Path):
    run = write_au_sample(tmp_path)
    write_json(run / "seed1-fold1" / "scores.json", au_scores(1, 1, 1.6, 0.2, absent=("AU2",)))
    known = [scores["metrics"]["f1"]["AU2"] for name, scores in all_scores(run).items() if name != "seed1-fold1"]
    row = next(row for row in rows(section(written(run), "Action units")) if row[0] == "AU2")
    assert row[3] == f"{100 * statistics.mean(known):.1f}"


def test_real_annotations_are_not_called_clean(tmp_path: Path):
    data = {"name": "bp4d", "folds": [1, 2], "val_fraction": 0.15}
    run = write_au_sample(tmp_path, config={"data": data, "noise": {"kind": "none"}})
    for folder in (run, run.parent / BASELINE):
        edit_json(folder / "data.json", truth_known=False)
    text = written(run)
    tile = next(row for row in rows(text) if row[0] == "wrong labels memorised")
    assert tile[1:] == ["unknown", "no label was changed; how many the annotators got wrong is unknown"]
    assert "given labels" in text and "No label was changed, so how many wrong ones it memorised is unknown." in text
    report = text.partition("## Reproduce")[0]
    assert re.search(r"\bclean\b", report) is None
    assert "Against the noisy labels" not in report


def test_an_unfinished_fold_is_named(tmp_path: Path):
    run = write_au_sample(tmp_path, folds=(1,), config={"data": {"name": "synthetic_faces", "folds": [1, 2]}})
    text = written(run)
    assert "UNFINISHED: seed1-fold2 and seed2-fold2 did not finish." in text


def test_without_scores_it_is_still_a_report_on_action_units(tmp_path: Path):
    run = write_au_sample(tmp_path)
    for path in run.glob("seed*/scores.json"):
        path.unlink()
    text = written(run)
    assert "No run has recorded scores of action units yet." in text
    assert "clean test F1 | missing" in text


@pytest.mark.parametrize("name", ["scores.json", "data.json"])
def test_any_value_may_be_of_another_kind(tmp_path: Path, name: str):
    run = write_au_sample(tmp_path, folds=(1,), config={"seeds": [1]})
    (run / "baseline.json").unlink()
    (run / "seed1-fold1" / "verification.json").unlink()
    path = run / name if name == "data.json" else run / "seed1-fold1" / name
    record = DATA if name == "data.json" else few_units(json.loads(path.read_text()))
    for place in paths_of(record):
        for junk in JUNK:
            path.write_text(json.dumps(replaced(record, place, junk)))
            document = compose(read_run(run))
            assert HtmlCheck(html.render(document)).problems == [], (place, junk)
            assert "## Reproduce" in markdown.render(document), (place, junk)


def few_units(scores: dict) -> dict:
    """The scores of one unit and two subjects, to have fewer places to spoil."""
    kept, subjects = AUS[0], PARTS[1][:2]

    def cut(value: object) -> object:
        if not isinstance(value, dict):
            return value
        if set(value) == set(AUS):
            return {kept: value[kept]}
        return {key: cut(entry) for key, entry in value.items() if key in subjects or key not in PARTS[1]}

    return cut(scores)
