"""The report of a study: who won and how sure, the table, what is missing."""

import csv
import json
import math
import shutil
import statistics
from pathlib import Path
from xml.etree import ElementTree

import pytest

from pipeline.errors import UserError
from pipeline.reporting.paper_table import ROWS, UNITS, paper_table
from pipeline.study.report import write_study_report
from tests.au_report_sample import AUS
from tests.html_check import HtmlCheck
from tests.report_sample import edit_json
from tests.study_sample import VARIANTS, write_study

T3 = 3.182446  # 97.5 % quantile of Student's t with 3 degrees of freedom
PAIRS = [(seed, fold) for seed in (1, 2) for fold in (1, 2)]


@pytest.fixture(scope="module")
def complete(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_study(tmp_path_factory.mktemp("study"))
    write_study_report(folder)
    return folder


@pytest.fixture
def study(complete: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(complete, tmp_path / "study"))


def report(folder: Path) -> str:
    write_study_report(folder)
    assert HtmlCheck((folder / "report.html").read_text()).problems == []
    return (folder / "report.md").read_text()


def scores(folder: Path, variant: str) -> dict[tuple[int, int], dict]:
    """scores.json of a variant by seed and fold."""
    start = variant.replace(", ", "-").replace(" ", "-")
    return {
        (seed, fold): json.loads(
            (folder / "runs" / f"{start}-seed{seed}-fold{fold}-1a2b3c4d" / f"seed{seed}-fold{fold}" / "scores.json")
            .read_text()
        )
        for seed, fold in PAIRS
    }  # fmt: skip


def row(markdown: str, section: str, name: str) -> list[str]:
    """The cells of the row `name` in a section."""
    part = markdown.partition(f"## {section}")[2].partition("\n## ")[0]
    line = next(line for line in part.splitlines() if line.strip("| *").startswith(name))
    return [cell.strip(" *") for cell in line.strip("|").split("|")]


def test_the_first_line_says_who_won_and_how_sure(complete: Path):
    text = (complete / "report.md").read_text()
    ours, theirs = (
        {pair: found["metrics"]["f1_mean"] for pair, found in scores(complete, name).items()}
        for name in ("quantization", "baseline")
    )
    differences = [100 * (ours[pair] - theirs[pair]) for pair in PAIRS]
    mean, half = statistics.mean(differences), T3 * statistics.stdev(differences) / math.sqrt(len(PAIRS))
    headline = text.split("\n\n")[2]
    assert headline == (
        f"**quantization is best: {mean:+.1f} points over baseline. Hardly chance (95 % interval {mean - half:+.1f} to "
        f"{mean + half:+.1f}, 4 pairs, also counting all 2 comparisons), were the pairs independent; but they share test "
        "subjects.**"
    )
    assert row(text, "Differences", "quantization")[1:3] == [
        f"{mean:+.1f} points", f"{mean - half:+.1f} to {mean + half:+.1f}",
    ]  # fmt: skip


def test_the_table_has_the_papers_layout(complete: Path):
    text = (complete / "report.md").read_text()
    assert row(text, "Table 1", "variant") == ["variant", *(name[2:] for name in AUS), "avg", "n"]
    for variant in VARIANTS:
        found = [each["metrics"] for each in scores(complete, variant).values()]
        means = [f"{100 * statistics.mean(each['f1'][name] for each in found):.1f}" for name in AUS]
        averages = [100 * each["f1_mean"] for each in found]
        average = f"{statistics.mean(averages):.1f} ± {statistics.stdev(averages):.1f}"
        assert row(text, "Table 1", variant) == [variant, *means, average, "4"]
    all_present = [
        each["metrics"]["f1_all_positive_mean"] for name in VARIANTS for each in scores(complete, name).values()
    ]
    assert row(text, "Table 1", "all present")[-2] == f"{100 * statistics.mean(all_present):.1f}"


def test_what_the_last_epoch_lost_to_the_best_one_stands_in_the_differences(complete: Path):
    text = (complete / "report.md").read_text()
    assert row(text, "Differences", "variant")[-3] == "below best epoch"
    found = scores(complete, "dropout").values()
    lost = statistics.mean(each["oracle"]["test_f1"] - each["metrics"]["f1_mean"] for each in found)
    assert row(text, "Differences", "dropout")[-3] == f"{100 * lost:.1f} points"


def test_without_axes_and_settings_no_section_asks_for_them(complete: Path):
    titles = [line for line in (complete / "report.md").read_text().splitlines() if line.startswith("## ")]
    assert titles[:3] == ["## Table 1", "## Differences to baseline", "## Result and memorisation"]
    assert not any("noise" in title or "ettings" in title for title in titles)


def test_what_does_not_compete_stands_apart(complete: Path):
    page = (complete / "report.html").read_text()
    foot = page.partition("<tfoot>")[2].partition("</tfoot>")[0]
    assert "float, clean labels" in foot and "baseline" not in foot
    text = (complete / "report.md").read_text()
    assert "For comparison, float, clean labels: " in text
    assert "best: float" not in text


def test_results_hold_one_row_a_run_with_the_numbers_of_scores_json(complete: Path):
    with (complete / "results.csv").open(newline="") as file:
        found = list(csv.DictReader(file))
    assert [(row["variant"], int(row["seed"]), int(row["fold"])) for row in found] == [
        (name, seed, fold) for seed, fold in PAIRS for name in VARIANTS
    ]
    assert {line["variant"] for line in found if line["competes"] == "no"} == {"float, clean labels"}
    for line in [line for line in found if line["variant"] == "baseline"]:
        original = scores(complete, "baseline")[int(line["seed"]), int(line["fold"])]
        assert float(line["f1_mean"]) == original["metrics"]["f1_mean"]
        assert float(line["f1_AU12"]) == original["metrics"]["f1"]["AU12"]
        assert float(line["noisy_f1_mean"]) == original["metrics_noisy"]["f1_mean"]
        assert float(line["train_noisy_fit"]) == original["train_noisy_fit"]
        assert float(line["memorised_AU12"]) == original["train_noisy_fit_per_au"]["AU12"]
        assert int(line["int8_bytes"]) == 325700


def test_the_picture_stands_alone(complete: Path):
    root = ElementTree.fromstring((complete / "table1.svg").read_text())
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    said = {"".join(element.itertext()) for element in root.iter("{http://www.w3.org/2000/svg}text")}
    assert said >= {*VARIANTS, "Clean test F1 (%)", "Wrong training labels memorised (%)"}
    assert "var(" not in (complete / "table1.svg").read_text()


def test_the_papers_table_adds_up():
    for values in ROWS.values():
        *units, average = values
        assert len(units) == len(UNITS)
        assert statistics.mean(units) == pytest.approx(average, abs=0.06)
    assert paper_table().rows[5][-1] == "62.5"


def test_a_missing_run_is_shown_and_left_out(study: Path):
    run = study / "runs" / "dropout-seed2-fold1-1a2b3c4d"
    edit_json(run / "status.json", state="failed", message="the disk is full")
    shutil.rmtree(study / "runs" / "dropout-seed2-fold2-1a2b3c4d")
    text = report(study)
    assert "2 of 16 runs are missing, 1 of them failed: every number is without them." in text
    assert row(text, "Table 1", "dropout")[-1] == "2 of 4"
    assert "dropout-seed2-fold1-1a2b3c4d failed: the disk is full." in text
    states = [line.split("|")[4].strip() for line in text.splitlines() if line.startswith("| dropout | 2 |")]
    assert states == ["failed", "not begun"]
    assert row(text, "Differences", "dropout")[-5] == "2"


def test_a_variant_without_any_run_is_missing_not_zero(study: Path):
    for run in study.glob("runs/quantization-*"):
        shutil.rmtree(run)
    text = report(study)
    assert row(text, "Table 1", "quantization") == ["quantization", *["missing"] * 13, "0 of 4"]
    assert text.split("\n\n")[2].startswith(("**dropout ", "**No variant is clearly above baseline"))


def test_nothing_done_yet(study: Path):
    shutil.rmtree(study / "runs")
    text = report(study)
    assert "**No result yet" in text and "16 of 16 runs are missing" in text
    assert "Nothing has finished yet." in text


def test_pictures_of_an_earlier_report_go(study: Path):
    shutil.rmtree(study / "runs")
    for name in ("figure3-2.svg", "length.svg", "mine.svg"):
        (study / name).write_text("<svg/>")
    assert (study / "table1.svg").exists()
    write_study_report(study)
    assert [path.name for path in study.glob("*.svg")] == ["mine.svg"]


def test_a_reference_alone_has_no_comparison(tmp_path: Path):
    text = report(write_study(tmp_path, variants={"baseline": VARIANTS["baseline"]}, strengths=(0.5, 2.0)))
    assert "**No comparison: no other variant competes with baseline.**" in text
    assert "Nothing has finished yet." not in text and "Nothing to compare with baseline" in text


def test_an_undefined_unit_is_named_and_left_out(study: Path):
    path = study / "runs" / "baseline-seed1-fold1-1a2b3c4d" / "seed1-fold1" / "scores.json"
    record = json.loads(path.read_text())
    record["metrics"]["f1"]["AU2"] = None
    record["undefined"] = ["AU2: no positive label in the test part, so no F1"]
    path.write_text(json.dumps(record))
    text = report(study)
    others = [found["metrics"]["f1"]["AU2"] for pair, found in scores(study, "baseline").items() if pair != (1, 1)]
    assert row(text, "Table 1", "baseline")[2] == f"{100 * statistics.mean(others):.1f}"
    assert "Undefined, AU2: no positive label in the test part, so no F1 (baseline-seed1-fold1)." in text


@pytest.mark.parametrize(
    ("skills", "words"),
    [
        ({"baseline": (1.6, 0.1), "worse": (1.0, 0.1)}, "clearly above baseline; the highest is worse, −"),
        ({"baseline": (1.3, 0.1), "same": (1.301, 0.1), "alike": (1.3, 0.1)}, "No variant is clearly above baseline"),
    ],
)
def test_no_winner_without_a_difference(tmp_path: Path, skills: dict, words: str):
    assert words in report(write_study(tmp_path, variants=skills)).split("\n\n")[2]


def test_what_unseen_people_get_wrong_stands_beside_the_memorised_share(complete: Path):
    text = (complete / "report.md").read_text()
    share = statistics.mean(found["test_noisy_fit"] for found in scores(complete, "dropout").values())
    assert row(text, "Differences", "variant")[-2] == "wrong labels of unseen people"
    assert row(text, "Differences", "dropout")[-2] == f"{100 * share:.1f} %"


def test_labels_nobody_checked_are_given_not_clean(study: Path):
    for path in study.glob("runs/*/data.json"):
        edit_json(path, truth_known=False)
    for path in study.glob("runs/*/seed*/scores.json"):
        edit_json(path, train_noisy_fit=None if "dropout" in str(path) else 0.5)
    text = report(study)
    assert "given test labels" in text and "Mean given test F1 in order" in text and "clean test" not in text
    page = (study / "report.html").read_text()
    assert "unknown" in page and "nothing to memorise" not in page


def test_without_a_validation_part_one_sentence_says_so(study: Path):
    for path in study.glob("runs/*/resolved.yaml"):
        path.write_text(path.read_text().replace("val_fraction: 0.15", "val_fraction: 0.0"))
    reasons = [f"{name}: no known label in the validation part, so its threshold stays 0.5" for name in AUS]
    for path in study.glob("runs/*/seed*/scores.json"):
        edit_json(path, undefined=reasons)
    text = report(study)
    assert text.count("No validation part: thresholds stay 0.5") == 1 and "no known label" not in text


def test_one_pair_proves_nothing(tmp_path: Path):
    text = report(write_study(tmp_path, seeds=(1,), folds=(1,)))
    assert "One pair proves nothing." in text
    assert row(text, "Table 1", "baseline")[-2].count("±") == 0


def test_a_folder_that_is_no_study(tmp_path: Path):
    with pytest.raises(UserError, match="there is no study"):
        write_study_report(tmp_path)


def test_the_best_setting_of_a_study_without_conditions_is_repeated_by_its_file(study: Path):
    (study / "best.yaml").write_text("name: best\n")
    assert "repeats it" in report(study)
