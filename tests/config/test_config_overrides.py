"""`--set KEY=VALUE`."""

import pytest

from tests.config.config_samples import MINIMAL, errors_of, load_text

NOISY = "data: {name: cifar10}\nnoise: {kind: uniform, rate: 0.4}\n"
METHODS = "data: {name: cifar10}\nmethods: [{name: quantization, weight_bits: 3}, {name: dropout}]\n"


def test_overrides_reach_every_level(tmp_path):
    experiment = load_text(
        tmp_path, METHODS, "train.epochs=3", "methods.0.weight_bits=2", "methods.1={name: early_stopping, patience: 2}",
        "seeds=[1, 2]", "name=other", "data.root=", "train.learning_rate=1e-5", "train.schedule={kind: cosine}",
        "train.schedule.final=0.1", "baseline=true",
    )  # fmt: skip
    assert experiment.train.epochs == 3 and experiment.train.learning_rate == 1e-5
    assert experiment.methods[0].weight_bits == 2 and experiment.methods[1].patience == 2
    assert experiment.seeds == [1, 2] and experiment.name == "other" and experiment.data.root is None
    assert experiment.train.schedule.final == 0.1 and experiment.baseline is True


def test_the_last_override_of_a_key_counts(tmp_path):
    assert load_text(tmp_path, MINIMAL, "train.epochs=3", "train.epochs=4").train.epochs == 4
    assert load_text(tmp_path, MINIMAL, "train.epochs=x", "train={epochs: 4}").train.epochs == 4


def test_a_value_may_hold_an_equals_sign(tmp_path):
    assert load_text(tmp_path, MINIMAL, "data.root=/a=b").data.root == "/a=b"


def test_a_union_is_overridden_as_a_whole_or_by_its_fields(tmp_path):
    assert load_text(tmp_path, MINIMAL, "noise={kind: uniform, rate: 0.2}").noise.rate == 0.2
    assert load_text(tmp_path, NOISY, "noise.rate=0.2").noise.rate == 0.2
    assert load_text(tmp_path, MINIMAL, "noise.kind=pair_flip", "noise.rate=1").noise.kind == "pair_flip"


def test_another_kind_keeps_the_fields_it_shares_and_leaves_the_others(tmp_path):
    flipped = load_text(tmp_path, NOISY, "noise.kind=pair_flip").noise
    assert (flipped.kind, flipped.rate) == ("pair_flip", 0.4)
    assert load_text(tmp_path, NOISY, "noise.kind=none").noise.kind == "none"


def test_another_kind_does_not_hide_a_contradicting_override(tmp_path):
    (error,) = errors_of(tmp_path, NOISY, "noise.rate=0.2", "noise.kind=none")
    assert error.startswith("--set noise.rate=0.2: noise.rate: ") and "kind 'none'" in error


def test_a_section_the_file_leaves_out_starts_from_its_default(tmp_path):
    model = load_text(tmp_path, MINIMAL, "model.width=8").model
    assert (model.name, model.width) == ("resnet20", 8)


def test_a_list_the_file_leaves_out_starts_from_its_default(tmp_path):
    assert load_text(tmp_path, MINIMAL, "seeds.0=7").seeds == [7]
    (error,) = errors_of(tmp_path, MINIMAL, "methods.0.rate=0.2")
    assert error.startswith("--set methods.0.rate=0.2: methods: ") and "empty" in error


def test_an_override_repairs_what_is_wrong_in_the_file(tmp_path):
    text = "data: {name: cifar10}\nseeds: [01]\ntrain: {epochs: x, batch_size: 1, batch_size: 2}\n"
    experiment = load_text(tmp_path, text, "seeds=[1]", "train={}")
    assert experiment.train.epochs == 30 and experiment.seeds == [1]


@pytest.mark.parametrize(("override", "key", "word"), [
    ("train.epocs=3", "train.epocs: ", "'epochs'?"),
    ("train.epochs=x", "train.epochs: ", "whole number"),
    ("train.epochs=", "train.epochs: ", "empty"),
    ("train.epochs=03", "train.epochs: ", "Write 3, or '03'"),
    ("train={epochs: 3, epochs: 4}", "train.epochs: ", "--set train={epochs: 3, epochs: 4}"),
    ("train.epochs", "", "train.epochs=3"),
    ("=3", "", "KEY=VALUE"),
    ("train..epochs=3", "", "KEY=VALUE"),
    ("", "", "KEY=VALUE"),
    ("seeds=[1", "seeds: ", "not valid YAML"),
    ("seeds.1=2", "seeds: ", "seeds=[...]"),
    ("methods.2.rate=2", "methods: ", "0 to 1"),
    ("methods.dropout.rate=2", "methods: ", "0 to 1"),
    ("methods.²=2", "methods: ", "0 to 1"),
    ("data.name.x=2", "data.name: ", "plain value"),
    ("zzz.x=2", "zzz: ", "Known here: "),
    ("noise.rate=0.2", "noise.rate: ", "kind 'uniform', 'pair_flip'"),
    ("methods.0.warmup_epochs=30", "methods.0.warmup_epochs: ", "train.epochs (30)"),
])  # fmt: skip
def test_a_wrong_override_is_reported_as_it_was_given(tmp_path, override, key, word):
    (error,) = errors_of(tmp_path, METHODS, override)
    start = f"--set {override}: {key}"
    assert error.startswith(start) and word in error.removeprefix(start)


def test_a_contradiction_is_reported_at_the_override_that_made_it(tmp_path):
    text = "data: {name: cifar10}\nmethods: [{name: early_stopping}]\n"
    (error,) = errors_of(tmp_path, text, "data.val_fraction=0")
    assert error.startswith("--set data.val_fraction=0: methods.0: ")


def test_wrong_overrides_and_a_wrong_file_are_reported_together(tmp_path):
    errors = errors_of(tmp_path, "data: {name: cifar10}\nbaseline: 3\n", "nonsense", "train.epocs=3", "seeds=[1")
    places = ["--set nonsense", "--set seeds=[1", "--set train.epocs=3", "experiment.yaml:2"]
    assert [error.split(": ")[0] for error in errors] == places
