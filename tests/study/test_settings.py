"""Conditions, settings and searches of a study file: what runs follow from it, and what is wrong with it."""

import itertools
import json
from pathlib import Path

import pytest

from pipeline.config import config_hash, load_config
from pipeline.config.messages import ConfigError
from pipeline.study.cells import MAX_SLUG, reference_setting, setting_name, slug
from pipeline.study.config import Study, load_study
from pipeline.study.manifest import write_manifest, write_trial
from pipeline.study.oracle import cells_of, decoded, dimensions, encoded

BASE = "data: {name: fashion_mnist}\nnoise: {kind: uniform, rate: 0.1}\nmodel: {name: resnet20}\n"
STUDY = """\
base: base.yaml
axes: {noise.rate: [0, 0.4]}
variants:
  baseline: []
  dropout:
    methods: [{name: dropout}]
    axes: {dropout.rate: [0.1, 0.5], dropout.position: [head, blocks]}
    reference: {dropout.rate: 0.5, dropout.position: head}
  quantization:
    methods: [{name: quantization}]
    settings:
      W8/A8: {quantization.weight_bits: 8, quantization.activation_bits: 8}
      W4/A4: {}
    reference: W4/A4
  clean: {set: {noise: {kind: none}}, reference_only: true}
seeds: [1, 2]
"""
SEARCH = """\
base: base.yaml
axes: {noise.rate: [0.2, 0.4]}
variants:
  baseline: []
  dropout:
    methods: [{name: dropout}]
    axes: {dropout.rate: {min: 0.05, max: 0.6}, dropout.position: [head, blocks]}
seeds: [1, 2]
search: {kind: bayesian, trials: 5}
"""
SETTINGS = {
    "baseline": [""],
    "dropout": [f"rate {rate}, position {place}" for rate in (0.1, 0.5) for place in ("head", "blocks")],
    "quantization": ["W8/A8", "W4/A4"],
    "clean": [""],
}


def load(folder: Path, text: str = STUDY, base: str = BASE) -> Study:
    (folder / "base.yaml").write_text(base)
    (folder / "study.yaml").write_text(text)
    return load_study(folder / "study.yaml")


def errors_of(folder: Path, text: str, base: str = BASE) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(folder, text, base)
    return str(caught.value).replace(f"{folder}/", "").split("\n")


def test_every_arm_is_run_at_every_condition_seed_by_seed(tmp_path: Path):
    study = load(tmp_path)
    found = [(cell.seed, cell.condition["noise.rate"], cell.arm.variant, cell.arm.setting) for cell in study.cells]
    arms = [(name, setting) for name, settings in SETTINGS.items() for setting in settings]
    assert found == [(seed, rate, *arm) for seed, rate, arm in itertools.product((1, 2), (0, 0.4), arms)]
    for cell in study.cells:
        assert cell.experiment.seeds == [cell.seed]
        if cell.arm.variant != "clean":
            assert cell.experiment.noise.rate == cell.condition["noise.rate"]


def test_settings_reach_the_method_they_name(tmp_path: Path):
    for cell in load(tmp_path).cells:
        methods = cell.experiment.methods
        if cell.arm.variant == "dropout":
            assert f"rate {methods[0].rate}, position {methods[0].position}" == cell.arm.setting
        if cell.arm.variant == "quantization":
            assert f"W{methods[0].weight_bits}/A{methods[0].activation_bits}" == cell.arm.setting


def references(study: Study) -> dict[str, str]:
    return {name: reference_setting(variant) for name, variant in study.file.variants.items()}


def test_references_are_the_first_or_the_named_setting(tmp_path: Path):
    expected = {"baseline": "", "dropout": "rate 0.5, position head", "quantization": "W4/A4", "clean": ""}
    assert references(load(tmp_path)) == expected
    text = STUDY.replace("    reference: W4/A4\n", "").replace(
        "    reference: {dropout.rate: 0.5, dropout.position: head}\n", ""
    )
    assert references(load(tmp_path, text))["dropout"] == "rate 0.1, position head"
    assert references(load(tmp_path, text))["quantization"] == "W8/A8"


def test_a_variant_that_sets_the_condition_itself_is_one_run_at_all_of_them(tmp_path: Path):
    study = load(tmp_path)
    clean = [cell for cell in study.cells if cell.arm.variant == "clean"]
    assert len(clean) == 4
    assert {cell.run_folder(tmp_path) for cell in clean if cell.seed == 1} == {clean[0].run_folder(tmp_path)}
    others = [cell.run_folder(tmp_path) for cell in study.cells if cell.arm.variant != "clean"]
    assert len(set(others)) == len(others)


def test_the_space_holds_exactly_the_cells(tmp_path: Path):
    """Every combination of active dimensions is a trial of one cell, in the order of the cells."""
    study = load(tmp_path)
    found = []
    for values in trials(study):
        (cell,) = cells_of(study, values)
        found.append(cell)
    assert found == list(study.cells)


def trials(study: Study) -> list[dict]:
    """All combinations of a space, the first dimension outermost."""
    points = [{}]
    for name, values, variant in dimensions(study):
        grown = []
        for point in points:
            active = variant in (None, point.get("variant"))
            grown += [{**point, name: value} for value in values] if active else [point]
        points = grown
    return points


def test_a_trial_of_a_search_is_one_arm_at_all_conditions_and_seeds(tmp_path: Path):
    study = load(tmp_path, SEARCH)
    assert study.cells == ()
    (_, rate, position) = dimensions(study)
    assert (rate[0], rate[1].low, rate[1].high, rate[2]) == ("dropout/dropout.rate", 0.05, 0.6, "dropout")
    assert position == ("dropout/dropout.position", ("head", "blocks"), "dropout")
    cells = cells_of(
        study, {"variant": "dropout", "dropout/dropout.rate": 0.123456789, "dropout/dropout.position": "head"}
    )
    assert [(cell.condition["noise.rate"], cell.seed) for cell in cells] == [(0.2, 1), (0.2, 2), (0.4, 1), (0.4, 2)]
    assert {cell.experiment.methods[0].rate for cell in cells} == {0.123456789}
    assert cells[0].arm.setting == "rate 0.123457, position head"
    near = cells_of(
        study, {"variant": "dropout", "dropout/dropout.rate": 0.12345678, "dropout/dropout.position": "head"}
    )
    assert near[0].experiment.name != cells[0].experiment.name
    assert len(cells_of(study, {"variant": "baseline"})) == 4
    assert study.search.objective == "val_accuracy"


def test_the_child_finds_the_run_folder_the_study_expects(tmp_path: Path):
    for cell in load(tmp_path).cells:
        assert config_hash(load_config(cell.write_config(tmp_path))) == config_hash(cell.experiment)


def test_the_digest_knows_what_runs_follow(tmp_path: Path):
    study = load(tmp_path)
    assert load(tmp_path, STUDY + "# a remark\n").digest == study.digest
    changed = {
        "variant dropout": load(tmp_path, STUDY.replace("dropout.rate: [0.1, 0.5]", "dropout.rate: [0.2, 0.5]")),
        "axes": load(tmp_path, STUDY.replace("[0, 0.4]", "[0, 0.4, 0.6]")),
        "seeds": load(tmp_path, STUDY.replace("[1, 2]", "[1, 2, 3]")),
        "references": load(tmp_path, STUDY + "reference: dropout\n"),
    }
    for part, other in changed.items():
        assert other.digest != study.digest
        assert [name for name in study.parts if study.parts[name] != other.parts[name]] == [part]
    base = load(tmp_path, STUDY, BASE + "train: {epochs: 3}\n")
    assert {name for name in study.parts if study.parts[name] != base.parts[name]} == {
        f"variant {name}" for name in SETTINGS
    }


def test_manifest_and_trials_name_every_run(tmp_path: Path):
    study = load(tmp_path)
    write_manifest(study, tmp_path, "the command", 1)
    manifest = json.loads((tmp_path / "study.json").read_text())
    assert [cell["run"] for cell in manifest["cells"]] == [
        f"runs/{cell.run_folder(tmp_path).name}" for cell in study.cells
    ]
    assert manifest["variants"][1]["reference_setting"] == "rate 0.5, position head"
    assert [each["name"] for each in manifest["variants"][1]["settings"]] == SETTINGS["dropout"]
    search = load(tmp_path, SEARCH)
    write_manifest(search, tmp_path, "the command", 1)
    assert json.loads((tmp_path / "study.json").read_text())["variants"][1]["settings"] == []
    write_trial("0003", cells_of(search, {"variant": "baseline"}), tmp_path)
    trial = json.loads((tmp_path / "trials" / "0003.json").read_text())
    assert (trial["trial"], len(trial["cells"])) == ("0003", 4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("noise.rate: [0, 0.4]", "noise.rat: [0, 0.4]"), "study.yaml:2: noise.rat: unknown key. Did you mean 'rate'?"),
        (("noise.rate: [0, 0.4]", "noise.rate: [0, 1.4]"), "study.yaml:2: noise.rate: expected a value <= 1, not 1.4"),
        (("noise.rate: [0, 0.4]", "noise.rate: [0, 0]"), "study.yaml:2: axes.noise.rate: a value is given twice"),
        (("noise.rate: [0, 0.4]", "noise.rate: []"), "study.yaml:2: axes.noise.rate: expected at least 1 entry"),
        (("noise.rate: [0, 0.4]", "noise.rate: 0.4"), "study.yaml:2: axes.noise.rate: expected a list"),
        (("noise.rate: [0, 0.4]", "noise.rate: [[0]]"), "expected a number, text, true or false, not"),
        (("noise.rate: [0, 0.4]", "seeds: [3]"), "study.yaml:2: axes.seeds: cannot be set here. Give seeds of the study"),
        (("dropout.rate: [0.1, 0.5]", "dropout.rate: [0.1, 2.5]"), "study.yaml:7: dropout.rate: expected a value < 1, not 2.5"),
        (("dropout.rate: [0.1, 0.5]", "dropout.rat: [0.1, 0.5]"), "study.yaml:8: variants.dropout.reference: is none of"),
        (("dropout.rate: [0.1, 0.5]", "pruning.ratio: [0.1, 0.5]"), "variants.dropout.axes.pruning.ratio: 'dropout' has "
            "no method 'pruning'. Put {name: pruning} into its methods"),
        (("dropout.rate: [0.1, 0.5]", "dropout.rate: {min: 0.1, max: 0.5}"), "a range is for search: {kind: random}"),
        (("W8/A8: {quantization.weight_bits: 8", "W8/A8: {quantization.weight_bits: 80"), "study.yaml:12: "
            "quantization.weight_bits: expected"),
        (("    reference: W4/A4", "    reference: W5/A5"), "study.yaml:14: variants.quantization.reference: there "
            "is no setting 'W5/A5'"),
        (("      W4/A4: {}", "      W8-A8: {}"), "its runs would be named like those of 'quantization, W8/A8'. Rename one"),
        (("    reference: W4/A4", "    axes: {quantization.weight_bits: [2]}"), "a variant has axes or settings, not both"),
        (("seeds: [1, 2]", "search: {kind: random}"), "study.yaml:16: search: kind: random needs trials"),
        (("seeds: [1, 2]", "search: {trials: 4}"), "study.yaml:16: search.trials: a grid tries every setting"),
        (("seeds: [1, 2]", "search: {kind: best}"), "study.yaml:16: search.kind: expected 'grid', 'random' or 'bayesian'"),
        (("seeds: [1, 2]", "search: {objective: val_f1}"), "study.yaml:16: search.objective: is not measured for fashion_mnist"),
        (("seeds: [1, 2]", "search: {trails: 4}"), "study.yaml:16: search.trails: unknown key. Did you mean 'trials'?"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, change: tuple[str, str], message: str):
    assert change[0] in STUDY
    assert message in "\n".join(errors_of(tmp_path, STUDY.replace(*change)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("min: 0.05, max: 0.6", "min: 0.6, max: 0.05"), "min must be less than max, but they are 0.6 and 0.05"),
        (("min: 0.05, max: 0.6", "min: 0.05, max: 1.6"), "study.yaml:7: dropout.rate: expected a value < 1, not 1.6"),
        (("min: 0.05, max: 0.6", "min: 0.0, max: 0.6, scale: log"), "a log scale begins above 0, not at 0.0"),
        (("min: 0.05, max: 0.6", "min: 0.05, mux: 0.6"), "study.yaml:7: variants.dropout.axes.dropout.rate.mux: unknown key"),
        (("min: 0.05, max: 0.6", "min: 0.05"), "variants.dropout.axes.dropout.rate.max: missing. Give it: Largest value."),
        (("axes: {noise", "set: {data.val_fraction: 0}\naxes: {noise"), "needs a validation part to choose by"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_search_is_said(tmp_path: Path, change: tuple[str, str], message: str):
    assert change[0] in SEARCH
    assert message in "\n".join(errors_of(tmp_path, SEARCH.replace(*change)))


def test_all_settings_out_of_range_are_found_at_once(tmp_path: Path):
    text = STUDY.replace("[0.1, 0.5]", "[0.5, 2.0, -1]").replace("weight_bits: 8", "weight_bits: 99")
    found = "\n".join(errors_of(tmp_path, text))
    assert "not 2.0" in found and "not -1" in found and "not 99" in found


@pytest.mark.parametrize("values", [(1, 2), (0.5, 1.5), ("a", "b"), (True, False), (0, 0.5), (8, "same"), (True, 2)])
def test_a_choice_is_of_one_type_and_can_be_taken_back(values: tuple):
    assert len({type(value) for value in encoded(values)}) == 1
    assert tuple(decoded(value, values) for value in encoded(values)) == values


def test_settings_are_named_shortly_but_clearly():
    assert setting_name({"dropout.rate": 0.1, "dropout.position": "head"}) == "rate 0.1, position head"
    assert setting_name({"dropout.rate": 0.1, "weight_decay.rate": 2}) == "dropout.rate 0.1, weight_decay.rate 2"
    assert setting_name({}) == ""


def test_long_names_stay_apart():
    long = "a method " * 12
    assert slug(long + "1") != slug(long + "2")
    assert len(slug(long + "1")) == MAX_SLUG


def test_other_noise_is_found_at_any_condition(tmp_path: Path):
    text = STUDY.replace("  baseline: []\n", "  baseline: []\n  cheat: {set: {noise.rate: 0}}\n")
    (error,) = errors_of(tmp_path, text)
    assert error.startswith("study.yaml:5: variants.cheat.set.noise.rate: has other label noise than 'baseline'")


def test_a_setting_is_no_condition(tmp_path: Path):
    text = STUDY.replace("axes: {noise.rate: [0, 0.4]}", "axes: {noise.rate: [0, 0.4], train.epochs: [1, 2]}")
    text = text.replace("dropout.position: [head, blocks]", "train.epochs: [1, 3]").replace(
        "    reference: {dropout.rate: 0.5, dropout.position: head}\n", ""
    )
    assert "train.epochs: is a condition of the study already (axes.train.epochs)" in "\n".join(
        errors_of(tmp_path, text)
    )


def test_settings_alike_to_six_digits_are_refused(tmp_path: Path):
    text = STUDY.replace("dropout.rate: [0.1, 0.5]", "dropout.rate: [0.1, 0.10000000001, 0.5]")
    assert "a value is given twice (to six digits)" in "\n".join(errors_of(tmp_path, text))
    text = STUDY.replace("  clean:", "  'quantization, W4/A4': []\n  clean:")
    assert "its runs would be named like those of 'quantization, W4/A4'" in "\n".join(errors_of(tmp_path, text))


@pytest.mark.parametrize(
    ("stretch", "message"),
    [
        ("{min: 0, max: 1}", "only whole numbers would be tried. Write min: 0.0, max: 1.0"),
        ("{min: 0.1, max: 0.5, step: 2}", "the step 2 is longer than the range"),
        ("{min: 0.1, max: 0.5, scale: log, step: 0.01}", "step is a factor on a log scale"),
    ],
)
def test_ranges_that_keras_tuner_would_take_otherwise_are_refused(tmp_path: Path, stretch: str, message: str):
    text = SEARCH.replace("methods: [{name: dropout}]", "methods: [{name: dropout}, {name: weight_decay}]").replace(
        "dropout.rate: {min: 0.05, max: 0.6}", f"weight_decay.rate: {stretch}"
    )
    assert message in "\n".join(errors_of(tmp_path, text))


def test_a_range_of_whole_numbers_is_right_where_the_key_takes_no_others(tmp_path: Path):
    text = SEARCH.replace("{name: dropout}", "{name: quantization}").replace(
        "dropout.rate: {min: 0.05, max: 0.6}, dropout.position: [head, blocks]",
        "quantization.weight_bits: {min: 2, max: 8}",
    )
    assert [(values.low, values.high) for _, values, _ in list(dimensions(load(tmp_path, text)))[1:]] == [(2, 8)]


def test_every_corner_of_a_search_is_tried_before_it_begins(tmp_path: Path):
    text = SEARCH.replace("{name: dropout}", "{name: pruning}").replace(
        "dropout.rate: {min: 0.05, max: 0.6}, dropout.position: [head, blocks]",
        "pruning.begin: [0.1, 0.6], pruning.end: [0.5, 0.9]",
    )
    (error,) = errors_of(tmp_path, text)
    assert error == "study.yaml:6: methods.0: begin (0.6) must be smaller than end (0.5)"
