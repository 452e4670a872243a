"""Study files: what their cells are, and every error at once with its line."""

from pathlib import Path

import pytest

from pipeline.config import config_hash, load_config
from pipeline.config.messages import ConfigError
from pipeline.study.cell_run import rehearsed
from pipeline.study.cells import slug
from pipeline.study.config import load_study

BASE = "data: {name: synthetic_faces}\nmodel: {name: au_network}\ntrain: {epochs: 3}\nbaseline: true\n"
STUDY = """\
base: base.yaml
set: {train.batch_size: 32}
variants:
  baseline: []
  weight decay: [{name: weight_decay, rate: 0.01}]
  clean labels: {set: {noise: {kind: none}, train.epochs: 5}, reference_only: true}
seeds: [1, 7]
folds: [1, 3]
reference: baseline
"""


def written(folder: Path, study: str, base: str = BASE) -> Path:
    (folder / "base.yaml").write_text(base)
    (folder / "study.yaml").write_text(study)
    return folder / "study.yaml"


def errors_of(folder: Path, study: str, base: str = BASE) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_study(written(folder, study, base))
    return str(caught.value).replace(f"{folder}/", "").split("\n")


def test_every_variant_seed_and_fold_is_one_cell(tmp_path: Path):
    study = load_study(written(tmp_path, STUDY))
    found = [(cell.arm.variant, cell.seed, cell.fold) for cell in study.cells]
    names = ("baseline", "weight decay", "clean labels")
    assert found == [(name, seed, fold) for seed in (1, 7) for fold in (1, 3) for name in names]
    for cell in study.cells:
        experiment = cell.experiment
        assert (experiment.seeds, experiment.data.folds, experiment.baseline) == ([cell.seed], [cell.fold], False)
        assert experiment.train.batch_size == 32
        assert experiment.train.epochs == (5 if cell.arm.variant == "clean labels" else 3)
    assert study.cells[1].experiment.name == "weight-decay-seed1-fold1"
    assert study.cells[1].experiment.methods[0].rate == 0.01
    assert (study.name, study.reference) == ("study", "baseline")
    assert [name for name in study.variants if not study.competes(name)] == ["clean labels"]


def test_seeds_and_folds_default_to_those_of_the_base(tmp_path: Path):
    base = BASE.replace("synthetic_faces}", "synthetic_faces, folds: [2]}") + "seeds: [4]\n"
    (cell,) = load_study(written(tmp_path, "base: base.yaml\nvariants: {plain: []}\n", base)).cells
    assert (cell.arm.variant, cell.seed, cell.fold) == ("plain", 4, 2)


def test_a_dry_run_takes_every_arm_and_every_choice_of_data(tmp_path: Path):
    text = STUDY.replace("variants:", "axes: {noise.strength: [1, 2], data.train_examples: [90, 99]}\nvariants:")
    text = text.replace("  clean labels: {set: {noise: {kind: none}, train.epochs: 5}, reference_only: true}\n", "")
    cells = rehearsed(load_study(written(tmp_path, text, BASE + "noise: {kind: annotators}\n")))
    chosen = [(cell.arm.name, cell.experiment.data.train_examples, cell.fold) for cell in cells]
    assert sorted(chosen) == [
        ("baseline", 90, 1), ("baseline", 90, 3), ("baseline", 99, 1), ("baseline", 99, 3), ("weight decay", 90, 1),
    ]  # fmt: skip
    rates = "{methods: [{name: weight_decay}], axes: {weight_decay.rate: {min: 0.1, max: 1}}}"
    search = text.replace("[{name: weight_decay, rate: 0.01}]", rates) + "search: {kind: random, trials: 2}\n"
    cells = rehearsed(load_study(written(tmp_path, search, BASE + "noise: {kind: annotators}\n")))
    assert len(cells) == 5 and {cell.fold for cell in cells} == {1, 3}


def test_images_have_no_folds(tmp_path: Path):
    base = "data: {name: cifar10}\n"
    (cell,) = load_study(written(tmp_path, "base: base.yaml\nvariants: {plain: []}\n", base)).cells
    assert (cell.fold, cell.experiment.name) == (None, "plain-seed1")
    (error,) = errors_of(tmp_path, "base: base.yaml\nvariants: {plain: []}\nfolds: [1]\n", base)
    assert error.startswith("study.yaml:3: data.folds: unknown key")


def test_the_child_finds_the_run_folder_the_study_expects(tmp_path: Path):
    for cell in load_study(written(tmp_path, STUDY)).cells:
        assert config_hash(load_config(cell.write_config(tmp_path))) == config_hash(cell.experiment)


def test_all_errors_at_once_each_at_its_line(tmp_path: Path):
    study = """\
base: base.yaml
set: {train.epocs: 15}
variants:
  baseline: []
  dropout:
    methods:
      - {name: dropout, rate: 2.0}
    set: {noise: {kind: none}, train.batch_size: 0}
"""
    errors = errors_of(tmp_path, study)
    assert errors == [
        "study.yaml:2: train.epocs: unknown key. Did you mean 'epochs'?",
        "study.yaml:7: methods.0.rate: expected a value < 1, not 2.0",
        "study.yaml:8: train.batch_size: expected a value >= 1, not 0",
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("seeds: [1, 7]", "seeds: [1, 1]"), "study.yaml:7: seeds: given twice: every number may occur once"),
        (("folds: [1, 3]", "folds: [1, 1]"), "study.yaml:8: folds: given twice: every number may occur once"),
        (("folds: [1, 3]", "folds: [4]"), "study.yaml:8: data.folds.0: there are 3 parts"),
        (("seeds: [1, 7]", "seeds: 1"), "study.yaml:7: seeds: expected a list such as [a, b], not 1"),
        (("seeds:", "sedes:"), "study.yaml:7: sedes: unknown key. Did you mean 'seeds'?"),
        (("reference: baseline", "reference: best"), "study.yaml:9: reference: there is no variant 'best'"),
        (("reference: baseline", "reference: clean labels"), "study.yaml:9: reference: 'clean labels' does not compete"),
        (("train.batch_size: 32", "seeds: [3]"), "study.yaml:2: set.seeds: cannot be set here. Give seeds of the study"),
        (("train.batch_size: 32", "data.folds: [3]"), "study.yaml:2: set.data.folds: cannot be set here"),
        (("  clean labels", "  weight-decay"), "study.yaml:6: variants.weight-decay: its runs would be named like"),
        (("set: {noise", "sett: {noise"), "study.yaml:6: variants.clean labels.sett: unknown key. Did you mean 'set'?"),
        (("base: base.yaml\n", ""), "study.yaml:1: base: missing. Give it: The base experiment's YAML"),
        (("base: base.yaml", "base: bose.yaml"), "study.yaml:1: base: bose.yaml: no such file. Did you mean"),
        (("base: base.yaml", "base: ."), "study.yaml:1: base: "),
        (("train.batch_size: 32", "train: {epochs: 3}"), "study.yaml:2: set.train: a whole section would lose its other "
            "settings. Write train.epochs: 3"),
        (("train.batch_size: 32", "data.crop: {side: 3.0}"), "study.yaml:2: set.data.crop: a whole section would lose "
            "its other settings. Write data.crop.side: 3.0"),
        (("noise: {kind: none}, train.epochs: 5", "verify: {}"), "study.yaml:6: variants.clean labels.set.verify: a "
            "whole section would lose its other settings. Write verify.KEY: VALUE"),
        (("  baseline: []\n", "  baseline: []\n  baseline: []\n"), "study.yaml:5: variants.baseline: given twice"),
        (("baseline: []", "baseline: {methods: 3}"), "study.yaml:4: variants.baseline.methods: expected a list"),
        (("{noise: {kind: none}", "{data: {name: cifar10}, model: {name: resnet20}"), "data.folds: unknown key"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, change: tuple[str, str], message: str):
    assert message in "\n".join(errors_of(tmp_path, STUDY.replace(*change)))


def test_two_kinds_of_labels_do_not_fit_one_table(tmp_path: Path):
    study = (
        "base: base.yaml\nvariants:\n  faces: []\n  things: {set: {data: {name: cifar10}, model: {name: resnet20}}}\n"
    )
    (error,) = errors_of(tmp_path, study)
    assert error.startswith("study.yaml:4: variants.things: has another kind of labels than 'faces'")


@pytest.mark.parametrize("change", [("seeds: [1, 7]", "seeds: [1, 1]"), ("folds: [1, 3]", "folds: [1, 1]")])
def test_what_is_given_twice_is_told_once(tmp_path: Path, change: tuple[str, str]):
    (error,) = errors_of(tmp_path, STUDY.replace(*change))
    assert "given twice: every number may occur once" in error


@pytest.mark.parametrize("name", ["bose.yaml", ".", "base.yaml/x"])
def test_a_base_that_is_no_file_is_told_once_at_its_line(tmp_path: Path, name: str):
    (error,) = errors_of(tmp_path, STUDY.replace("base: base.yaml", f"base: {name}"))
    assert error.startswith("study.yaml:1: base: ") and ("no such file" in error or "cannot be read" in error)


def test_unions_may_be_set_whole(tmp_path: Path):
    study = STUDY.replace("train.batch_size: 32", "train.schedule: {kind: cosine}, noise: {kind: annotators}")
    cell = load_study(written(tmp_path, study)).cells[0]
    assert (cell.experiment.train.schedule.kind, cell.experiment.noise.kind) == ("cosine", "annotators")
    study = STUDY.replace(
        "train.batch_size: 32", "noise: {kind: per_label, rates: {default: 0.1}}, noise.rates: {AU1: 0.2}"
    )
    assert load_study(written(tmp_path, study)).cells[0].experiment.noise.rates == {"AU1": 0.2}


def test_an_experiment_is_no_study(tmp_path: Path):
    (tmp_path / "base.yaml").write_text(BASE)
    with pytest.raises(ConfigError) as caught:
        load_study(tmp_path / "base.yaml")
    said = f"this is an experiment, not a study: python -m pipeline.run --config {tmp_path}/base.yaml"
    assert str(caught.value) == f"{tmp_path}/base.yaml:1: {said}"


def test_all_variants_are_tested_on_the_same_images(tmp_path: Path):
    study = """\
base: base.yaml
variants:
  baseline: []
  small:
    set: {data.image_size: 48, data.crop.side: 3.0, data.val_fraction: 0.3, data.train_examples: 90}
  noisy:
    set:
      noise.kind: annotators
      noise.strength: 0.5
  apart: {set: {noise: {kind: annotators}, data.frames: 12}, reference_only: true}
"""
    other = "is tested on other images than 'baseline' (data.{}). Put it under the study's set:"
    assert errors_of(tmp_path, study) == [
        f"study.yaml:5: variants.small.set.data.image_size: {other.format('image_size')}",
        f"study.yaml:5: variants.small.set.data.crop.side: {other.format('crop')}",
        "study.yaml:8: variants.noisy.set.noise.kind: has other label noise than 'baseline'. Say reference_only: true, then "
        "it does not compete",
        f"study.yaml:10: variants.apart.set.data.frames: {other.format('frames')}",
    ]


def test_the_reference_alone_may_be_the_one_that_differs(tmp_path: Path):
    study = "base: base.yaml\nvariants:\n  first: {set: {data.frames: 9}}\n  second: []\n"
    (error,) = errors_of(tmp_path, study)
    assert error.startswith("study.yaml:3: variants.first.set.data.frames: is tested on other images than 'first'")


def test_image_sets_of_other_roots_do_not_compare(tmp_path: Path):
    base = "data: {name: cifar10}\n"
    study = "base: base.yaml\nvariants:\n  here: []\n  there: {set: {data.root: /x, data.augment: false}}\n"
    (error,) = errors_of(tmp_path, study, base)
    assert error.startswith("study.yaml:4: variants.there.set.data.root: is tested on other images than 'here'")


def test_errors_of_the_base_are_told_once_at_the_base(tmp_path: Path):
    errors = errors_of(tmp_path, STUDY, BASE.replace("epochs: 3", "epochs: three"))
    assert errors == ["base.yaml:3: train.epochs: expected a whole number, not 'three'"]


@pytest.mark.parametrize("text", ["", "- a\n", "3\n", "a: [\n", "\0"])
def test_what_is_no_study_is_refused(tmp_path: Path, text: str):
    assert errors_of(tmp_path, text)[0].startswith("study.yaml:")


@pytest.mark.parametrize("name", ["missing.yaml", ".", "\0"])
def test_what_is_no_file_is_refused(tmp_path: Path, name: str):
    with pytest.raises(ConfigError):
        load_study(tmp_path / name)


def test_slugs_are_names_of_folders():
    assert slug("W4/A4, clean") == "W4-A4-clean"
    assert slug("../..") == "study"
