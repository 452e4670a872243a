"""The figures of a study: numbers against the cells they are of, what is missing, texts that keep clear of each other."""

import math
import re
import statistics
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from pipeline.reporting import markdown
from pipeline.reporting.blocks import Document, Figure, Section, Verdict
from pipeline.reporting.paper_curves import BASELINE_ACCURACY, GAINS, NOISE
from pipeline.reporting.series_style import styles
from pipeline.reporting.study_figures import figure_files, figure_sections
from pipeline.reporting.study_numbers import study_numbers
from pipeline.reporting.study_settings import variant_settings
from pipeline.study.results import Results
from tests.figure_sample import METHODS, RATES, methods_by_noise, settings_by_noise, units_by_strength, without
from tests.svg_check import collisions, outside

T2, T3 = 4.302653, 3.182446  # 97.5 % quantiles of Student's t with 2 and 3 degrees of freedom
HERE = {"noise.rate": 0.4}


@pytest.fixture(scope="module")
def methods(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return methods_by_noise(tmp_path_factory.mktemp("methods"))


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return settings_by_noise(tmp_path_factory.mktemp("settings"), seeds=(1, 2, 3))


@pytest.fixture(scope="module")
def units() -> Results:
    return units_by_strength()


def sections(results: Results) -> dict[str, Section]:
    return {section.anchor: section for section in figure_sections(results, study_numbers(results))}


def figures(results: Results, anchor: str) -> list[Figure]:
    return [block for block in sections(results)[anchor].blocks if isinstance(block, Figure)]


def cell(figure: Figure, row: str, column: str) -> str:
    """A cell of the table of a figure's numbers."""
    return next(each for each in figure.numbers.rows if each[0] == row)[figure.numbers.head.index(column)]


def by_seed(results: Results, variant: str, condition: dict, setting: str = "") -> dict[int, float]:
    cells = results.select(variant, setting, condition)
    return {each.seed: each.scores["metrics"]["accuracy"] for each in cells if each.scores}


def gain(ours: dict, theirs: dict, quantile: float) -> str:
    """As the table of numbers says it, by hand."""
    differences = [100 * (ours[key] - theirs[key]) for key in ours if key in theirs]
    mean, n = statistics.mean(differences), len(differences)
    half = quantile * statistics.stdev(differences) / math.sqrt(n)
    return f"{mean:+.1f} [{mean - half:+.1f} to {mean + half:+.1f}] (n = {n})".replace("-", "−")


def curves(svg: str, css: str) -> list[list[tuple[float, float]]]:
    """The points of every line of a class."""
    paths = [each.get("d") for each in ElementTree.fromstring(svg).iter("path") if each.get("class") == f"line {css}"]
    return [[tuple(map(float, pair)) for pair in re.findall(r"([\d.]+) (-?[\d.]+)", path)] for path in paths]


@pytest.mark.parametrize("variant", ["quantization", "dropout"])
@pytest.mark.parametrize("rate", [0.4, 0.8])
def test_gains_and_scores_are_those_of_the_cells(methods: Results, variant: str, rate: float):
    (figure,) = figures(methods, "figure2")
    ours, theirs = (by_seed(methods, name, {"noise.rate": rate}) for name in (variant, "baseline"))
    assert cell(figure, f"{variant}, gain", f"{100 * rate:g} %") == gain(ours, theirs, T2)
    values = [100 * value for value in ours.values()]
    score = f"{statistics.mean(values):.1f} ± {statistics.stdev(values):.1f} (n = 3)"
    assert cell(figure, f"{variant}, score", f"{100 * rate:g} %") == score
    assert "paired by seed" in figure.caption and "95 % t interval, n = 3 pairs" in figure.caption


def test_every_method_has_a_curve_of_its_own_look(methods: Results):
    look = styles(methods)
    assert len(set(look.values())) == len(METHODS)
    gains, scores = figures(methods, "figure2")[0].panels
    for name, style in look.items():
        assert [len(curve) for curve in curves(scores, style.css)] == [len(RATES)]
        assert len(curves(gains, style.css)) == (name != "baseline")


def test_a_missing_cell_is_a_gap(methods: Results):
    results = without(methods, lambda each: each.variant == "dropout" and each.condition == HERE)
    (figure,) = figures(results, "figure2")
    assert cell(figure, "dropout, gain", "40 %") == "missing"
    assert [len(curve) for curve in curves(figure.panels[0], "s3")] == [2, 2]
    assert [len(curve) for curve in curves(figure.panels[0], "method")] == [5]


def test_a_missing_reference_leaves_no_gain(methods: Results):
    results = without(methods, lambda each: each.variant == "baseline" and each.condition == HERE)
    (figure,) = figures(results, "figure2")
    assert cell(figure, "quantization, gain", "40 %") == "missing"
    assert cell(figure, "quantization, score", "40 %") != "missing"


def test_fewer_pairs_are_counted(methods: Results):
    results = without(methods, lambda each: each.variant == "quantization" and each.seed == 3)
    (figure,) = figures(results, "figure2")
    assert "n = 2 to 3 pairs" in figure.caption
    assert cell(figure, "quantization, gain", "40 %").endswith("(n = 2)")


def test_variants_without_a_run_are_named(methods: Results):
    results = without(methods, lambda each: each.variant in ("pruning", "dropout"))
    for anchor in ("figure2", "figure1", "length"):
        assert "No run is done here of dropout and pruning." in figures(results, anchor)[0].caption


def test_nothing_done_is_said_and_leaves_no_file(methods: Results):
    results = without(methods, lambda each: True)
    for section in sections(results).values():
        assert [block.text[:2] for block in section.blocks] == ["No"]
    assert figure_files(figure_sections(results, study_numbers(results))) == {}


def test_the_papers_curves_stand_beside_ours_only_where_the_setting_is_theirs(methods: Results, tmp_path: Path):
    (note,) = [block for block in sections(methods)["figure2"].blocks if not isinstance(block, Figure)]
    assert "this study is on fashion_mnist" in note.text
    _, paper = figures(methods_by_noise(tmp_path, "cifar10"), "figure2")
    assert cell(paper, "quantization, paper", "40 %") == "5.5"
    assert cell(paper, "baseline, paper", "90 %") == "22.3"
    assert cell(paper, "quantization, ours", "90 %") == "–"
    titles = [re.search(r'class="title"[^>]*>([^<]*)', panel)[1] for panel in paper.panels]
    assert titles == [
        "baseline, accuracy",
        *(f"{name}, gain" for name in METHODS if name not in ("baseline", "label smoothing")),
    ]
    assert [len(curve) for curve in curves(paper.panels[-1], "method paper")] == [len(NOISE)]


@pytest.mark.parametrize(
    ("section", "change", "reason"),
    [
        ("data", {"train_examples": 6000}, "6000 of the 50000 images"),
        ("model", {"depth": 32}, "another network"),
        ("noise", {"kind": "pair_flip"}, "wrong in another way (pair_flip)"),
    ],
)
def test_another_setting_is_not_compared(tmp_path: Path, section: str, change: dict, reason: str):
    results = methods_by_noise(tmp_path, "cifar10", seeds=(1, 2))
    cells = tuple(
        replace(each, config={**each.config, section: {**each.config[section], **change}}) for each in results.cells
    )
    blocks = sections(replace(results, cells=cells))["figure2"].blocks
    assert reason in blocks[-1].text


def test_the_papers_numbers():
    assert all(len(values) == len(NOISE) == len(BASELINE_ACCURACY) for values in GAINS.values())
    at_40 = NOISE.index(40)
    assert (BASELINE_ACCURACY[at_40], GAINS["quantization"][at_40], GAINS["dropout"][at_40]) == (76.5, 5.5, 5.2)


def test_settings_are_compared_with_their_reference(settings: Results):
    gains, _ = figures(settings, "figure3")
    ours, theirs = (by_seed(settings, "quantization", HERE, name) for name in ("W2/A2", "W4/A4"))
    relative = [100 * (ours[seed] / theirs[seed] - 1) for seed in ours]
    mean, half = statistics.mean(relative), T2 * statistics.stdev(relative) / math.sqrt(3)
    expected = f"{mean:+.1f} [{mean - half:+.1f} to {mean + half:+.1f}] (n = 3)".replace("-", "−")
    assert cell(gains, "quantization, W2/A2", "40 %") == expected
    assert cell(gains, "quantization, W4/A4", "40 %") == "reference"
    assert len(gains.panels) == 5
    assert (
        len({re.findall(r'<text class="tick"[^>]*text-anchor="end">([^<]*)', panel)[0] for panel in gains.panels}) == 1
    )


def test_two_pairs_have_no_bars(tmp_path: Path):
    gains, _ = figures(settings_by_noise(tmp_path, seeds=(1, 2)), "figure3")
    assert "No bars" in gains.caption
    assert not any("whisker" in panel for panel in gains.panels)


def test_one_sensitivity_a_method(settings: Results):
    _, figure = figures(settings, "figure3")
    found = variant_settings(settings, study_numbers(settings))
    assert [row[:2] for row in figure.numbers.rows] == [
        (each.variant, f"{100 * each.sensitivity.value:.2f}") for each in found
    ]
    (panel,) = figure.panels
    assert panel.count('class="beside"') == len(found)


def test_a_study_without_settings_has_no_figure_of_them(methods: Results):
    assert "figure3" not in sections(methods)


def test_losses_and_memorisation_by_epoch(methods: Results):
    (figure,) = figures(methods, "figure1")
    assert len(figure.panels) == 3
    last = [each.history()[-1] for each in methods.select("quantization", "", HERE)]
    for name, key, factor in (
        ("Training loss", "train_eval_loss", 1), ("Test loss, clean labels", "test_loss", 1),
        ("Wrong training labels reproduced", "train_noisy_fit", 100),
    ):  # fmt: skip
        mean = statistics.mean(factor * line[key] for line in last)
        shown = cell(figure, f"{name}: quantization", "30").partition(" ")[0]
        assert float(shown) == pytest.approx(mean, rel=2e-3)
    assert len(curves(figure.panels[0], "method")) == len(curves(figure.panels[0], "s3 pale")) == 1


def test_objective_stands_in_for_a_loss_that_was_not_recorded(methods: Results, tmp_path: Path):
    cells = []
    for each in methods.select(condition=HERE):
        source = each.folder / f"seed{each.seed}" / "metrics.jsonl"
        target = tmp_path / each.run / f"seed{each.seed}" / "metrics.jsonl"
        target.parent.mkdir(parents=True)
        target.write_text(source.read_text().replace("train_eval_loss", "other").replace("train_noisy_fit", "another"))
        cells.append(replace(each, folder=tmp_path / each.run))
    (figure,) = figures(replace(methods, cells=tuple(cells), axes={"noise.rate": (0.4,)}), "figure1")
    assert "the method's own objective" in figure.caption
    assert "Not recorded: Wrong training labels reproduced." in figure.caption


def test_gain_by_epoch_is_paired(methods: Results):
    figure = figures(methods, "length")[0]
    ours, theirs = (
        {each.seed: each.history()[29]["test_accuracy"] for each in methods.select(name, "", HERE)}
        for name in ("quantization", "baseline")
    )
    assert cell(figure, "gain: quantization", "30") == gain(ours, theirs, T2).partition(" (")[0].replace("+", "")


def test_early_stopping_is_the_rival(methods: Results):
    figure = figures(methods, "length")[0]
    cells = methods.select("early stopping", "", HERE)
    kept = {each.seed: each.scores["metrics"]["accuracy"] for each in cells}
    theirs = {each.seed: each.history()[29]["test_accuracy"] for each in methods.select("baseline", "", HERE)}
    expected = gain(kept, theirs, T2).partition(" (")[0].replace("+", "")
    assert cell(figure, "gain: early stopping", "30") == expected
    assert cell(figure, "gain: early stopping", "1") == "–"
    scores = figure.panels[0]
    assert scores.count('class="mark s1"') - 2 == len(cells)  # one a run, beside the marks at its end and its label
    (rule,) = re.findall(r'class="line s1 rival" d="M44 ([\d.]+)H', scores)
    assert float(rule) < curves(scores, "baseline")[0][-1][1]  # higher up: better than what the baseline ends with


def test_stale_statistics_are_dashed_beside_the_honest_gain(methods: Results):
    figure = figures(methods, "length")[1]
    stale, theirs = (
        {each.seed: each.history()[29]["moving"]["test_accuracy"] for each in methods.select(name, "", HERE)}
        for name in ("quantization", "baseline")
    )
    expected = gain(stale, theirs, T2).partition(" (")[0].replace("+", "")
    assert cell(figure, "quantization, moving", "30") == expected
    claimed, honest = (
        re.sub(r"(?<![\d.−])(?=\d)", "+", cell(figure, f"quantization, {kind}", "30"))
        .replace("[", "(")
        .replace("]", ")")
        for kind in ("moving", "re-estimated")
    )
    assert f"quantization at epoch 30: {claimed} by moving averages, {honest} anew." in figure.caption
    assert all("dashed" in panel and "solid" in panel for panel in figure.panels)


def test_one_kind_of_statistics_is_said(methods: Results, tmp_path: Path):
    cells = []
    for each in methods.select(condition=HERE):
        source = each.folder / f"seed{each.seed}" / "metrics.jsonl"
        target = tmp_path / each.run / f"seed{each.seed}" / "metrics.jsonl"
        target.parent.mkdir(parents=True)
        target.write_text(re.sub(r', "moving": \{[^}]*\}', "", source.read_text()))
        cells.append(replace(each, folder=tmp_path / each.run))
    figure = figures(replace(methods, cells=tuple(cells), axes={"noise.rate": (0.4,)}), "length")[1]
    assert "one kind of batch-norm statistics only" in figure.caption
    assert not any("dashed" in panel for panel in figure.panels)


def test_score_against_cost_takes_the_file_that_computes_what_was_scored(settings: Results):
    (figure,) = figures(settings, "pareto")
    for setting in ("W4/A4", "W8/A8"):
        assert cell(figure, f"quantization ({setting})", "file") == "int8"
        assert cell(figure, f"quantization ({setting})", "size") == "326 kB"
    assert (cell(figure, "baseline", "file"), cell(figure, "baseline", "size")) == ("float32", "1,118 kB")
    cells = settings.select("quantization", "W4/A4", HERE)
    times = [each.verification["latency_ms"]["int8"]["median"] for each in cells]
    shown = cell(figure, "quantization (W4/A4)", "latency")
    assert shown == f"{statistics.median(times):.3f} ms ({min(times):.3f} ms to {max(times):.3f} ms)"
    assert len(figure.numbers.rows) == 23


def test_runs_that_were_not_converted_are_said(methods: Results):
    results = replace(methods, cells=tuple(replace(each, verification={}) for each in methods.cells))
    (note,) = sections(results)["pareto"].blocks
    assert "converted and verified" in note.text


def test_differences_by_action_unit(units: Results):
    (figure,) = figures(units, "units")
    condition = {"noise.strength": 2.0}
    ours, theirs = (
        {each.pair: each.scores["metrics"]["f1"]["AU12"] for each in units.select(name, "", condition)}
        for name in ("quantization", "baseline")
    )
    assert cell(figure, "AU12", "quantization") == gain(ours, theirs, T3)
    assert "paired by seed and fold, n = 4 pairs" in figure.caption
    assert "78 comparisons" in figure.caption
    assert len(figure.panels) == 6


def test_classes_have_no_figure_by_action_unit(methods: Results):
    assert "units" not in sections(methods)


def test_other_axes_get_a_figure_each(methods: Results):
    cells = tuple(
        replace(each, condition={**each.condition, "data.train_examples": size})
        for size in (2000, 4000)
        for each in methods.cells
    )
    axes = {**methods.axes, "data.train_examples": (2000, 4000)}
    found = figures(replace(methods, cells=cells, axes=axes), "figure2")
    assert len(found) == 2
    assert "data train examples 2000" in found[0].panels[0] and "data train examples 4000" in found[1].panels[0]


def test_a_study_without_conditions_has_curves_by_epoch_only(methods: Results):
    cells = tuple(replace(each, condition={}) for each in methods.select(condition=HERE))
    assert list(sections(replace(methods, cells=cells, axes={}))) == ["figure1", "length", "pareto"]


@pytest.mark.parametrize("name", ["methods", "settings", "units"])
def test_no_text_covers_another_or_leaves_its_picture(name: str, request: pytest.FixtureRequest):
    results = request.getfixturevalue(name)
    for section in sections(results).values():
        for figure in section.blocks:
            for panel in figure.panels if isinstance(figure, Figure) else ():
                assert collisions(panel) == []
                assert outside(panel) == []


def test_long_names_of_variants_stay_inside(methods: Results):
    long = {name: f"{name} of a rather long description" for name in methods.variants}
    results = replace(
        methods, variants=tuple(long.values()), reference=long["baseline"], settings={name: {"": {}} for name in long.values()},
        reference_settings=dict.fromkeys(long.values(), ""),
        cells=tuple(replace(each, variant=long[each.variant]) for each in methods.cells),
    )  # fmt: skip
    (figure,) = figures(results, "figure2")
    for panel in figure.panels:
        assert collisions(panel) == outside(panel) == []


def test_files_stand_alone_and_are_the_same_every_time(settings: Results):
    numbers = study_numbers(settings)
    files = figure_files(figure_sections(settings, numbers))
    assert list(files) == [
        "figure2.svg", "figure3.svg", "figure3-2.svg", "figure1.svg", "length.svg", "length-2.svg", "pareto.svg"
    ]  # fmt: skip
    assert files == figure_files(figure_sections(settings, numbers))
    for svg in files.values():
        assert ElementTree.fromstring(svg).tag == "{http://www.w3.org/2000/svg}svg"
        assert "var(" not in svg


def test_markdown_has_the_numbers(methods: Results):
    document = Document("t", "s", Verdict("pass", "h", "v"), (), figure_sections(methods, study_numbers(methods)))
    text = markdown.render(document)
    assert "| quantization, gain |" in text
    assert "s1 rival" not in text
