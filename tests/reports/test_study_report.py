"""The report of a study: its files, tables and figures, whatever of the study is done."""

import csv
import io
import json
import re
import shutil
from itertools import product
from pathlib import Path
from unittest.mock import patch
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from pipeline.reports.load import read_epochs
from pipeline.reports.render import Figure, Page, Table
from pipeline.reports.study_figures import is_figure2_setting
from pipeline.reports.study_load import read_results
from pipeline.reports.study_numbers import by_epoch, gains_by_epoch, study_numbers
from pipeline.reports.study_plots import Line, front, value_range
from pipeline.reports.study_report import study_page, write_study_report
from pipeline.reports.study_tables import PAPER
from pipeline.reports.style import METHOD
from tests.reports.html_check import HtmlCheck
from tests.reports.study_samples import (
    AUS,
    PLAIN,
    RATES,
    SEEDS,
    edit_json,
    record,
    scores,
    training,
    write_grid,
    write_json,
    write_search,
    write_units,
)

GRID_COLUMNS = (
    "variant setting competes noise.rate dropout.rate quantization.weight_bits quantization.activation_bits seed fold state "
    "accuracy loss train_noisy_fit val_accuracy epochs_run epoch_selected best_epoch_test_accuracy best_epoch float32_bytes "
    "int8_bytes message run"
)  # fmt: skip


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With its report."""
    folder = write_grid(tmp_path_factory.mktemp("grid"))
    write_study_report(folder)
    return folder


@pytest.fixture(scope="module")
def plain_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_grid(tmp_path_factory.mktemp("plain"), PLAIN)


@pytest.fixture
def plain(plain_source: Path, tmp_path: Path) -> Path:
    """Four variants without settings, one of them early stopping; a copy to change."""
    return Path(shutil.copytree(plain_source, tmp_path / "study"))


@pytest.fixture(scope="module")
def units_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_units(tmp_path_factory.mktemp("units"))


@pytest.fixture
def units(units_source: Path, tmp_path: Path) -> Path:
    """A study on action units without conditions; a copy to change."""
    return Path(shutil.copytree(units_source, tmp_path / "study"))


def page_of(folder: Path) -> Page:
    """The report with empty pictures, whose drawing takes most of the time."""
    with patch("pipeline.reports.study_plots.figure_svg", lambda figure, label: '<svg viewBox="0 0 380 250"></svg>'):
        return study_page(read_results(folder), "base: base.yaml", has_best=False)


def blocks(page: Page, anchor: str) -> tuple:
    return next((section.blocks for section in page.sections if section.anchor == anchor), ())


def tables(page: Page, anchor: str) -> list[Table]:
    return [block for block in blocks(page, anchor) if isinstance(block, Table)]


def texts(page: Page, anchor: str) -> str:
    return "\n".join(getattr(block, "text", "") for block in blocks(page, anchor))


def row(table: Table, name: str) -> tuple[str, ...]:
    return next(line for line in (*table.rows, *table.foot) if line[0] == name)


def shown(values: np.ndarray) -> str:
    return f"{100 * values.mean():.1f} ± {100 * values.std(ddof=1):.1f}"


def gain(values: np.ndarray) -> str:
    low, high = stats.t.interval(0.95, len(values) - 1, values.mean(), stats.sem(values))
    return f"{100 * values.mean():+.1f} ({100 * low:+.1f} to {100 * high:+.1f})".replace("-", "−")


def rows_of(folder: Path, name: str = "results.csv") -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO((folder / name).read_text())))


def test_the_page_is_well_formed_and_asks_for_nothing(grid: Path):
    check = HtmlCheck((grid / "report.html").read_text())
    assert check.problems == [] and "script" not in check.tags
    assert not [value for _, name, value in check.attributes if name in ("src", "href") and not value.startswith("#")]
    files = re.findall(r"\]\((\S+\.svg)\)", (grid / "report.md").read_text())
    assert {"figure1.svg", "figure2.svg", "figure3.svg", "pareto.svg"} <= set(files)
    assert {path.name for path in grid.glob("*.svg")} == set(files)


def test_pictures_stand_alone_and_are_the_same_every_time(plain: Path):
    write_study_report(plain)
    first = {path.name: path.read_bytes() for path in plain.glob("*.svg")}
    write_study_report(plain)
    assert first == {path.name: path.read_bytes() for path in plain.glob("*.svg")}
    for svg in first.values():
        root = ElementTree.fromstring(svg)
        assert root.tag == "{http://www.w3.org/2000/svg}svg" and root.iter("{http://www.w3.org/2000/svg}text")
    words = " ".join(ElementTree.fromstring(first["figure2.svg"]).itertext())
    assert all(name in words for name in PLAIN)


def test_pictures_of_an_earlier_report_go_and_others_stay(plain: Path):
    for name in ("figure3-2.svg", "table1.svg", "mine.svg"):
        (plain / name).write_text("<svg/>")
    write_study_report(plain)
    assert not (plain / "figure3-2.svg").exists() and not (plain / "table1.svg").exists()
    assert (plain / "mine.svg").exists()


def test_results_have_the_known_columns_and_the_numbers_of_scores_json(grid: Path):
    found = rows_of(grid)
    assert " ".join(found[0]) == GRID_COLUMNS and len(found) == len(read_results(grid).cells)
    for line in found:
        own = record(grid, line["variant"], line["setting"], float(line["noise.rate"]), int(line["seed"]))
        assert float(line["accuracy"]) == own["metrics"]["accuracy"]
        assert line["train_noisy_fit"] == ("" if own["train_noisy_fit"] is None else repr(own["train_noisy_fit"]))
        fixed = [line[key] for key in ("competes", "state", "float32_bytes", "epochs_run")]
        assert fixed == ["yes", "done", "300000", "12"]
        assert line["dropout.rate"] == (line["setting"].removeprefix("rate ") if line["variant"] == "dropout" else "")


def test_times_are_in_timings_only(plain: Path):
    write_study_report(plain)
    before = (plain / "results.csv").read_bytes()
    edit_json(training(plain, "dropout", "", 0.4, 2) / "scores.json", seconds=99.5)
    write_study_report(plain)
    assert (plain / "results.csv").read_bytes() == before
    found = rows_of(plain, "timings.csv")
    assert list(found[0])[-4:] == ["state", "seconds", "float32_ms", "int8_ms"]
    assert sorted({line["seconds"] for line in found}) == ["61.5", "99.5"]


def test_a_setting_that_is_also_a_condition_does_not_overwrite_it(plain: Path):
    manifest = json.loads((plain / "study.json").read_text())
    edit_json(plain / "study.json", cells=[{**cell, "values": {"noise.rate": 0.1}} for cell in manifest["cells"]])
    write_study_report(plain)
    assert {line["noise.rate"] for line in rows_of(plain)} == {"0.0", "0.4", "0.8"}


def test_scores_and_differences_stand_by_condition(grid: Path):
    page = page_of(grid)
    table, differences = tables(page, "table")[0], tables(page, "differences")[0]
    for place, rate in enumerate(RATES):
        own, baseline = scores(grid, "quantization", "W4/A4", rate), scores(grid, "baseline", "", rate)
        assert row(table, "quantization")[place + 1] == shown(own)
        assert row(differences, "quantization")[place + 1].rstrip("*") == gain(own - baseline)
    (tests,) = tables(page, "differences")[2:]
    p = stats.ttest_rel(scores(grid, "dropout", "rate 0.1", 0.4), scores(grid, "baseline", "", 0.4)).pvalue
    shown_p = float(row(tests, "Noise 40 %, dropout")[1].removeprefix("< "))
    assert tests.folded and shown_p == (0.001 if p < 0.001 else pytest.approx(p, rel=0.06))


def test_the_summary_names_the_leader_and_who_is_tied(plain: Path):
    for seed, shift in zip(SEEDS, (0.0, 0.01, 0.02), strict=True):
        for variant, value in (("baseline", 0.4), ("dropout", 0.5), ("quantization", 0.52 - shift)):
            edit_json(training(plain, variant, "", 0.8, seed) / "scores.json", metrics={"accuracy": value + shift})
        edit_json(
            training(plain, "early stopping", "", 0.8, seed) / "scores.json", metrics={"accuracy": 0.2 + 3 * shift}
        )
    page = page_of(plain)
    sentence = next(text for text in page.verdict.summary if text.startswith("Noise 80 %"))
    assert "quantization leads" in sentence and "Statistically tied: dropout" in sentence
    assert "early stopping" not in sentence and page.verdict.state == "pass"
    assert [tile.value for tile in page.tiles if tile.label == "noise 80 %"] == ["+11.0"]


def test_nobody_leads_where_nobody_is_significantly_better(tmp_path: Path):
    folder = write_grid(tmp_path, PLAIN, (0.4,), seeds=(1,))
    page = page_of(folder)
    assert page.verdict.state == "unverified" and "no variant is significantly better" in page.verdict.headline.lower()
    assert row(tables(page, "differences")[0], "leader")[1] == "none"


def test_missing_and_failed_runs_are_named_and_left_out(plain: Path):
    dropout = scores(plain, "dropout", "", 0.4)
    shutil.rmtree(training(plain, "dropout", "", 0.4, 2).parent)
    failed = training(plain, "quantization", "", 0.4, 1).parent
    edit_json(failed / "status.json", state="failed", message="out of memory")
    for seed in SEEDS:
        shutil.rmtree(training(plain, "dropout", "", 0.8, seed).parent)
    page = page_of(plain)
    assert (
        page.verdict.state == "unfinished" and "5 of 36 runs are missing, 1 of them failed" in page.verdict.warnings[0]
    )
    assert row(tables(page, "table")[0], "dropout")[2:] == (
        shown(dropout[[0, 2]]) + ", n = 2 of 3",
        "missing",
    )
    assert row(tables(page, "differences")[0], "dropout")[3] == "missing"
    assert f"runs/{failed.name} failed: out of memory." in texts(page, "runs")
    assert [line[4] for line in tables(page, "runs")[0].rows].count("not begun") == 4


def test_nothing_is_done_yet(plain: Path):
    shutil.rmtree(plain / "runs")
    write_study_report(plain)
    page = page_of(plain)
    assert page.verdict.state == "unfinished" and page.tiles[-1].value == "0 of 36"
    assert not any(isinstance(block, Figure) for section in page.sections for block in section.blocks)
    assert {line["state"] for line in rows_of(plain)} == {"not begun"} and not list(plain.glob("*.svg"))


def test_table_1_has_the_action_units_and_stands_beside_the_papers(units: Path):
    page = page_of(units)
    ours, paper = tables(page, "table")
    records = [record(units, "quantization", "", None, seed, fold)["metrics"] for seed in (1, 2) for fold in (1, 2)]
    expected = [shown(np.array([each["f1"][au] for each in records])) for au in AUS]
    assert ours.head == ("variant", "1", "4", "12", "mean", "n")
    assert row(ours, "quantization")[1:] == (
        *expected,
        shown(np.array([each["f1_mean"] for each in records])),
        "4 of 4",
    )
    assert [line[0] for line in ours.foot] == ["float, clean labels", "all AUs present"]
    assert row(ours, "all AUs present")[1:5] == ("20.0", "30.0", "40.0", "30.0") and len(paper.head) == 14
    for values in PAPER.values():
        assert np.mean(values[:-1]) == pytest.approx(values[-1], abs=0.06)
    assert {"figure2", "figure3", "tuned", "trials"}.isdisjoint(section.anchor for section in page.sections)


def test_differences_by_action_unit(units: Path):
    figure = blocks(page_of(units), "units")[0]
    found = {
        name: np.array(
            [record(units, name, "", None, *each)["metrics"]["f1"]["AU4"] for each in product((1, 2), (1, 2))]
        )
        for name in ("baseline", "quantization")
    }
    assert len(figure.panels) == 2  # what does not compete has none
    assert row(figure.numbers, "AU4")[2] == gain(found["quantization"] - found["baseline"])


def test_labels_nobody_checked_are_given_and_undefined_metrics_are_named(units: Path):
    for path in units.glob("runs/*/data.json"):
        edit_json(path, truth_known=False)
    own = record(units, "dropout", "", None, 1, 2)
    own["metrics"]["f1"]["AU4"], own["undefined"] = None, ["f1 of AU4: no positive label in the test part"]
    write_json(training(units, "dropout", "", None, 1, 2) / "scores.json", own)
    page = page_of(units)
    assert "given test F1" in tables(page, "table")[0].caption
    assert "no positive label in the test part (1 run)" in texts(page, "table")


def test_gains_by_epoch_are_paired(plain: Path):
    results = read_results(plain)
    curves = {
        name: np.array([
            [line["test_accuracy"] for line in read_epochs(training(plain, name, "", 0.4, seed) / "metrics.jsonl", [])]
            for seed in SEEDS
        ])
        for name in ("baseline", "quantization")
    }  # fmt: skip
    found = {name: by_epoch(results.select(name, "", {"noise.rate": 0.4}), "test_accuracy") for name in PLAIN}
    gains, expected = gains_by_epoch(found, "baseline"), curves["quantization"] - curves["baseline"]
    assert list(gains["quantization"]["difference"]) == pytest.approx(expected.mean(axis=0))
    interval = stats.ttest_1samp(expected[:, -1], 0).confidence_interval(0.95)
    assert tuple(gains["quantization"].iloc[-1][["low", "high"]]) == pytest.approx(tuple(interval))
    assert len(gains["early stopping"]) < len(gains["dropout"]) and "baseline" not in gains


def test_curves_and_costs_say_what_was_not_recorded(plain: Path):
    for path in plain.glob("runs/*/seed*"):
        (path / "metrics.jsonl").unlink()
        (path / "verification.json").unlink()
    page = page_of(plain)
    assert "recorded a loss" in texts(page, "figure1")
    assert "unknown" in texts(page, "pareto")


def test_costs_are_those_of_the_file_that_computes_what_was_scored(plain: Path):
    table = blocks(page_of(plain), "pareto")[0].numbers
    assert row(table, "quantization")[3:5] == ("int8", "90.0 kB")
    assert row(table, "dropout")[3:5] == ("float32", "300 kB")


def test_the_front_is_what_nothing_beats():
    points = ((1, 50), (2, 60), (3, 55), (2, 40), (4, 60), (5, 61))
    found = front(pd.DataFrame(points, columns=["cost", "score"]))
    assert list(found.itertuples(index=False, name=None)) == [(1, 50), (2, 60), (5, 61)]


def test_spreads_widen_an_axis_only_so_far():
    points = pd.DataFrame({"mean": [10.0, 20.0], "low": [9.0, -500.0], "high": [11.0, 700.0]})
    low, high = value_range([Line("a", METHOD, points, "bars")])
    assert -5 < low <= 0 and 30 <= high < 35
    assert value_range([Line("a", METHOD, points)])[0] > 9


@pytest.mark.parametrize(
    ("section", "change"),
    [("data", {"name": "fashion_mnist"}), ("data", {"train_examples": 4000}), ("model", {"width": 8}),
     ("noise", {"kind": "pair_flip"})],
)  # fmt: skip
def test_only_the_papers_setting_is_compared_with_its_figure_2(section: str, change: dict):
    config = {"data": {"name": "cifar10"}, "model": {"name": "resnet20"}, "noise": {"kind": "uniform"}}
    assert is_figure2_setting(config, "noise.rate") and not is_figure2_setting(config, "train.epochs")
    assert not is_figure2_setting({**config, section: {**config[section], **change}}, "noise.rate")


def test_the_papers_curves_stand_beside_ours(plain: Path):
    for path in plain.glob("runs/*/resolved.yaml"):
        path.write_text(
            path.read_text().replace("name: fashion_mnist", "name: cifar10").replace("  train_examples: 4000\n", "")
        )
    table = blocks(page_of(plain), "figure2")[0].numbers
    own = scores(plain, "quantization", "", 0.4) - scores(plain, "baseline", "", 0.4)
    assert row(table, "quantization, gain")[2] == gain(own)
    assert row(table, "quantization, gain, paper")[1:] == ("0.4", "5.5", "19.6")


def test_the_best_file_is_named_where_it_is(plain: Path):
    write_study_report(plain)
    assert "best.yaml in this folder" not in (plain / "report.md").read_text()
    (plain / "best.yaml").write_text("")
    write_study_report(plain)
    assert "best.yaml in this folder" in (plain / "report.md").read_text()


def test_the_tuned_comparison_comes_first(grid: Path):
    page = page_of(grid)
    numbers = study_numbers(read_results(grid))
    assert page.sections[0].anchor == "tuned" and page.verdict.headline.startswith("Tuned on noisy validation labels")
    choices = tables(page, "tuned")[0]
    assert [line[0] for line in choices.rows if line[1] == "noise 40 %"] == ["dropout", "quantization", "any variant"]
    assert row(choices, "dropout")[2] == f"rate 0.1: {100 * numbers.comparison.loc[(0, 'dropout'), 'mean']:.1f}"


def test_a_search_reports_its_trials(tmp_path: Path):
    folder = write_search(tmp_path)
    write_study_report(folder)
    assert rows_of(folder)[0]["trial"] == "0000"
    page = page_of(folder)
    first = tables(page, "trials")[0].rows[0]
    assert page.sections[0].anchor == "trials" and first[2] in page.verdict.headline
    assert page.tiles[0].detail == f"trial {first[0]}" and page.tiles[3].value == "4"
    for path in folder.glob("trials/*.json"):
        path.unlink()
    assert page_of(folder).verdict.headline.startswith("No result yet")
