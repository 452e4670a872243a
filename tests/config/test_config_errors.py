"""What a user reads when the configuration is wrong: every error at once, with its line, key and what to do."""

import re

import pytest

from pipeline.config import ConfigError, load_config
from pipeline.errors import UserError
from tests.config.config_samples import MINIMAL, errors_of, load_text

FACES = "data: {name: synthetic_faces}\nmodel: {name: au_network}\n"
NETWORK = FACES.replace("au_network", "au_network, %s")
BLOCKS = "methods: [{name: dropout, position: blocks}]"
Q = "methods: [{name: quantization, %s}]"
BP4D = "data: {name: bp4d%s}\nmodel: {name: au_network}\n"
MANY = """\
data: {name: cifar10, val_fraction: 0, rot: x}
noise: {kind: uniform, rat: 0.4}
methods:
  - {name: early_stopping}
  - name: quantization
    bits: 3
    activation_bits: 9
    warmup_epochs: 30
train:
  lr: 1e-4
  batch_size: "5"
"""


def says(error: str, line: int, key: str, *words: str) -> bool:
    """Whether an error is about this line and key and holds these words."""
    start = f"experiment.yaml:{line}: {key}: "
    return error.startswith(start) and all(word in error.removeprefix(start) for word in words)


def test_all_errors_are_reported_at_once_with_line_key_and_suggestion(tmp_path):
    expected = [
        (1, "data.rot", "'root'?"),
        (2, "noise.rat", "'rate'?"),
        (4, "methods.0", "validation", "data.val_fraction"),
        (6, "methods.1.bits", "'weight_bits'?"),
        (7, "methods.1.activation_bits", "<= 8", "not 9"),
        (8, "methods.1.warmup_epochs", "train.epochs (30)"),
        (10, "train.lr", "'learning_rate'?"),
        (11, "train.batch_size", "not '5'", "quotes"),
    ]
    errors = errors_of(tmp_path, MANY)
    assert len(errors) == len(expected)
    for error, parts in zip(errors, expected, strict=True):
        assert says(error, *parts), error


@pytest.mark.parametrize(("line", "key", "words"), [
    ("train: {epocs: 3}", "train.epocs", ["'epochs'?"]),
    ("train: {batch: 3}", "train.batch", ["'batch_size'?"]),
    ("train: {zzz: 3}", "train.zzz", ["'epochs', 'batch_size', "]),
    ("epochs: 3", "epochs", ["'train.epochs'?", "train: {epochs: 3}"]),
    ("seed: [3]", "seed", ["'seeds'?"]),
    ("train: {epochs: true}", "train.epochs", ["whole number", "not true"]),
    ("train: {epochs: 3.0}", "train.epochs", ["whole number", "not 3.0", "Write 3"]),
    ("train: {epochs: 1e3}", "train.epochs", ["Write 1000"]),
    ("train: {epochs: 1_000}", "train.epochs", ["Write 1000 without _"]),
    ("train: {epochs: '1,000'}", "train.epochs", ["Write 1000"]),
    ("train: {epochs: 1,000}", "train.000", ["Write 1,000 as 1000"]),
    ("train: {epochs: 0o17}", "train.epochs", ["Write 15"]),
    ("train: {epochs: 6k}", "train.epochs", ["Write 6000"]),
    ("train: {epochs: \"30\\u00a0\"}", "train.epochs", ["Write 30"]),
    ("train: {epochs: 2.5}", "train.epochs", ["not 2.5"]),
    ("train: {epochs:3}", "train.epochs:3", ["epochs: 3, with a space"]),
    ("train: epochs = 3", "train", ["epochs: 3, with a space"]),
    ("train: {learning_rate: 1_0.5}", "train.learning_rate", ["Write 10.5 without _"]),
    ("train: {learning_rate: 1e\u22123}", "train.learning_rate", ["Write 0.001"]),
    ("train:\tepochs", "not valid YAML", ["Use spaces"]),
    ("train: {epochs: '9e999999k'}", "train.epochs", ["whole number"]),
    ("train.epochs: 3", "train.epochs", ["Write train: {epochs: 3}"]),
    ("train.schedule.kind: cosine", "train.schedule.kind", ["Write train: {schedule: {kind: cosine}}"]),
    ("train: {train.epochs: 3}", "train.train.epochs", ["Write epochs: 3"]),
    ("train: {epochs.: 3}", "train.epochs.", ["mean 'epochs'?"]),
    ("methods.0.name: dropout", "methods.0.name", ["Write methods: [{name: dropout}]"]),
    ("quantization.weight_bits: 4", "quantization.weight_bits", ["methods: [{name: quantization, weight_bits: 4}]"]),
    ("data.root: /x", "data.root", ["Write data: {root: /x}"]),
    ("train: {epochs:}", "train.epochs", ["whole number", "empty"]),
    ("train: {epochs: 0}", "train.epochs", [">= 1"]),
    ("train: {epochs: [1]}", "train.epochs", ["whole number", "list"]),
    ("train: {learning_rate: true}", "train.learning_rate", ["number", "not true"]),
    ("train: {learning_rate: 0}", "train.learning_rate", ["> 0"]),
    ("train: {learning_rate: .nan}", "train.learning_rate", ["finite", "not nan"]),
    ("train: {learning_rate: .inf}", "train.learning_rate", ["finite", "not inf"]),
    ("train: {learning_rate: 1e999}", "train.learning_rate", ["finite", "not inf"]),
    ("train: {learning_rate: '1e-3'}", "train.learning_rate", ["number", "quotes"]),
    ("train: {optimizer: adamww}", "train.optimizer", ["'adam'", "'sgd'", "mean 'adamw'?"]),
    ("train: {batch_norm_momentum: 1}", "train.batch_norm_momentum", ["< 1", "'auto'"]),
    ("train: {batch_norm_momentum: atuo}", "train.batch_norm_momentum", ["number", "mean 'auto'?"]),
    ("train:", "train", ["section", "empty"]),
    ("train: {schedule: cosine}", "train.schedule", ["Write {kind: cosine}"]),
    ("train: {schedule: {final: 0}}", "train.schedule.kind", ["missing", "'constant', 'cosine', "]),
    ("train: {schedule: {kind: step, every: 3}}", "train.schedule.factor", ["missing", "Factor of each step"]),
    ("train: {batch_size: 10, replicas: 4}", "train.replicas", ["train.batch_size (10)"]),
    ("train: {momentum: 0.9}", "train.momentum", ["sgd", "is adam"]),
    ("train: {optimizer: sgd, weight_decay: 0.1}", "train.weight_decay", ["adamw", "is sgd"]),
    ("noise: {kind: none, rate: 0.1}", "noise.rate", ["kind 'none'", "kind 'uniform', 'pair_flip'"]),
    ("noise: {kind: none, rat: 0.1}", "noise.rat", ["'rate' of kind 'uniform', 'pair_flip'?"]),
    ("noise: {kind: unifrom, rate: 0.1}", "noise.kind", ["mean 'uniform'?"]),
    ("noise: {kind: [1], rate: 0.1}", "noise.kind", ["'none', 'uniform', 'pair_flip', 'matrix', "]),
    ("noise: {kind: uniform}", "noise.rate", ["missing", "Share of the training labels"]),
    ("noise: {kind: uniform, rate: 40%}", "noise.rate", ["number", "'40%'", "Write 0.4"]),
    ("noise: {kind: uniform, rate: '0,4'}", "noise.rate", ["Write 0.4"]),
    ("noise: None", "noise", ["Write {kind: none}"]),
    ("noise: {kind: uniform, rate: 40}", "noise.rate", ["<= 1"]),
    ("model: {width: 8}", "model.name", ["missing", "'resnet20', 'au_network'"]),
    ("model: {name: resnet}", "model.name", ["'au_network'", "mean 'resnet20'?"]),
    ("model: resnet20", "model", ["Write {name: resnet20}"]),
    ("model: {name: resnet20, depth: 21}", "model.depth", ["6n + 2", "14, 20", "not 21"]),
    ("model: {name: resnet20, depth: 2}", "model.depth", ["6n + 2"]),
    ("model: {name: resnet20, width: 257}", "model.width", ["<= 256"]),
    ("methods: {name: dropout}", "methods", ["list such as [a, b]"]),
    ("methods: [dropout]", "methods.0", ["Write {name: dropout}"]),
    ("methods: [{name: qat}]", "methods.0.name", ["'early_stopping', ", "mean 'quantization'?"]),
    ("methods: [{name: dropout, rate: 1}]", "methods.0.rate", ["< 1"]),
    ("methods: [{name: dropout, p: 0.1}]", "methods.0.p", ["'rate'?"]),
    (Q % "residual_bits: 4", "methods.0.residual_bits", ["8 or 'same'"]),
    (Q % "overrides: [{weight_bits: 3}]", "methods.0.overrides.0.layers", ["missing", "pattern"]),
    (Q % "overrides: [{layers: 's2*'}]", "methods.0.overrides.0", ["weight_bits, activation_bits"]),
    (Q % "au_bits: {AU1: 8}", "methods.0.au_bits", ["heads: per_au"]),
    ("methods: [{name: dropout}, {name: dropout}]", "methods.1", ["'dropout'", "twice", "entry 0"]),
    ("methods: [{name: pruning, begin: 0.5, end: 0.5}]", "methods.0", ["begin (0.5)", "end (0.5)"]),
    ("methods: [{name: pruning, ratio: 0.99999999999}]", "methods.0.ratio", ["16 filters (model.width)"]),
    ("methods: [{name: early_stopping, monitor: val_f1}]", "methods.0.monitor", ["val_loss or val_accuracy"]),
    ("seeds: []", "seeds", ["at least 1"]),
    ("seeds: [1, -1]", "seeds.1", [">= 0"]),
    ("seeds: 3", "seeds", ["list such as [a, b]", "Write [3]"]),
    ("seeds: '1, 2'", "seeds", ["Write [1, 2]"]),
    ("methods: dropout", "methods", ["Write [{name: dropout}]"]),
    ("train: {evaluate_train_examples: None}", "train.evaluate_train_examples", ["Write null"]),
    ("seeds: [4, 5, 4]", "seeds.2", ["4", "twice", "entry 0"]),
    ("baseline: yes", "baseline", ["Write true"]),
    ("baseline: 1", "baseline", ["true or false", "Write true"]),
    ("baseline: off", "baseline", ["Write false"]),
    ("baseline: n", "baseline", ["Write false"]),
    ("name: 3", "name", ["quotes"]),
    ("name: ..", "name", ["letters, digits"]),
    ("name: a/b", "name", ["letters, digits"]),
    ('name: "a\\n"', "name", ["letters, digits"]),
    ("name: ''", "name", ["letters, digits"]),
    ("verify: {code_mismatch: -0.1}", "verify.code_mismatch", [">= 0"]),
    ("1: 3", "1", ["Known here: "]),
    ("noise: {kind: annotators}", "noise.kind", ["cifar10", "none, uniform, pair_flip or matrix"]),
    ("model: {name: au_network}", "model.name", ["cifar10", "{name: resnet20}"]),
    ("loss: {dice: 0.5}", "loss", ["action units", "Remove"]),
])  # fmt: skip
def test_one_wrong_setting_of_an_image_experiment(tmp_path, line, key, words):
    (error,) = errors_of(tmp_path, MINIMAL + line)
    assert says(error, 2, key, *words), error


def test_missing_data_names_the_choices(tmp_path):
    (error,) = errors_of(tmp_path, "seeds: [1]")
    assert says(error, 1, "data", "missing")
    assert set(re.findall(r"{name: (\w+)}", error)) == {"fashion_mnist", "cifar10", "bp4d", "synthetic_faces"}


MATRIX_OF_2 = "noise: {kind: matrix, matrix: [[1, 0], [0, 1]]}"
HALF = [[0.5 if row == column == 0 else float(row == column) for column in range(10)] for row in range(10)]
UNBALANCED = f"noise: {{kind: matrix, matrix: {HALF}}}"


@pytest.mark.parametrize(("line", "words"), [
    (MATRIX_OF_2, ["10 x 10", "cifar10", "2 rows of 2"]),
    ("noise: {kind: matrix, matrix: []}", ["10 x 10", "empty"]),
    (UNBALANCED, ["column 0", "0.5"]),
])  # fmt: skip
def test_a_noise_matrix_has_a_row_and_column_per_class_and_columns_that_sum_to_1(tmp_path, line, words):
    (error,) = errors_of(tmp_path, MINIMAL + line)
    assert says(error, 2, "noise.matrix", *words), error


@pytest.mark.parametrize(("text", "line", "key", "words"), [
    ("data: {name: synthetic_faces}", 1, "model.name", ["synthetic_faces", "{name: au_network}"]),
    (FACES + "noise: {kind: uniform, rate: 0.1}", 3, "noise.kind", ["none, per_label or annotators"]),
    (FACES + "noise: {kind: per_label, rates: {AU3: 0.1}}", 3, "noise.rates.AU3", ["data.aus", "AU1, AU2"]),
    (FACES + Q % "au_bits: {AU3: 8}", 3, "methods.0.au_bits.AU3", ["data.aus", "AU1, AU2"]),
    (FACES + "methods: [{name: early_stopping, monitor: val_accuracy}]", 3, "methods.0.monitor", ["or val_f1"]),
    (BP4D % ", parts: [[F001], [F002, F001]]", 1, "data.parts.1", ["'F001'", "part 1"]),
    (BP4D % ", folds: [4]", 1, "data.folds.0", ["3 parts"]),
    (BP4D % ", folds: [1, 1]", 1, "data.folds.1", ["twice"]),
    (BP4D % ", aus: [1, 1]", 1, "data.aus.1", ["twice"]),
    (FACES.replace("faces}", "faces, aus: [3]}"), 1, "data.aus.0", ["AU3", "1, 2, 4"]),
    (NETWORK % "encoder: inception_v3", 1, "data.image_size", ["inception_v3", "75 pixels"]),
    (NETWORK % "encoder: mobilenet_v2" + BLOCKS, 3, "methods.0.position", ["mobilenet_v2", "Use head"]),
    (NETWORK % "weights: imagenet", 2, "model.weights", ["small_resnet", "none"]),
])  # fmt: skip
def test_one_wrong_setting_of_an_action_unit_experiment(tmp_path, text, line, key, words):
    (error,) = errors_of(tmp_path, text)
    assert says(error, line, key, *words), error


def test_a_study_is_sent_to_its_own_command(tmp_path):
    (error,) = errors_of(tmp_path, "base: synthetic_faces.yaml\nvariants: {a: []}")
    assert "python -m pipeline.study --config" in error


def test_early_stopping_needs_at_least_one_validation_image(tmp_path):
    text = "data: {name: cifar10, train_examples: 9}\nmethods: [{name: early_stopping}]"
    (error,) = errors_of(tmp_path, text)
    assert says(error, 2, "methods.0", "0.1 of 9", "data.val_fraction or data.train_examples")
    assert load_text(tmp_path, text.replace("9", "10")).methods[0].name == "early_stopping"


def test_rules_between_fields_say_nothing_about_fields_that_are_wrong_themselves(tmp_path):
    text = "methods: [{name: quantization, warmup_epochs: 50}]\ntrain: {%s: 60}\n"
    assert len(errors_of(tmp_path, MINIMAL + text % "epochz")) == 1
    assert len(errors_of(tmp_path, MINIMAL + text % "learning_rate: -1, epochs")) == 1
    assert len(errors_of(tmp_path, MINIMAL + text % "learning_rate: -1, batch_size")) == 2
    assert len(errors_of(tmp_path, "data: {name: cifar11}\n" + MATRIX_OF_2)) == 1
    assert len(errors_of(tmp_path, FACES + "noise: {kind: per_label, rates: {AU1: 2}}")) == 1
    assert len(errors_of(tmp_path, BP4D % ", folds: [x, 4]")) == 1


def test_a_broken_entry_does_not_hide_errors_beside_it(tmp_path):
    text = "methods: [{name: qunatization}, {name: early_stopping}]\nseeds: [-1, 3, 3]\n"
    errors = errors_of(tmp_path, "data: {name: cifar10, val_fraction: 0}\n" + text)
    assert [error.split(": ")[1] for error in errors] == ["methods.0.name", "methods.1", "seeds.0", "seeds.2"]


def test_wrong_fields_hide_neither_rules_within_a_section_nor_rules_between_sections(tmp_path):
    text = """\
data: {name: bp4d, image_size: big, folds: [1, 1]}
noise: {kind: uniform, rate: 0.1}
model: {name: au_network, width: 0, weights: imagenet}
methods: [{name: quantization, weight_bits: x, warmup_epochs: 4, overrides: [{layers: a}]}]
train: {epochs: 4, batch_size: 7, replicas: 2, momentum: 0.5, evaluate_every: 0}
"""
    keys = "data.image_size data.folds.1 noise.kind model.width model.weights methods.0.weight_bits "
    keys += "methods.0.warmup_epochs methods.0.overrides.0 train.replicas train.momentum train.evaluate_every"
    assert {error.split(": ")[1] for error in errors_of(tmp_path, text)} == set(keys.split())


def test_a_value_that_cannot_be_read_does_not_hide_rules_between_others(tmp_path):
    text = "seeds: [01]\nmethods: [{name: early_stopping}]\ndata: {name: cifar10, val_fraction: 0}"
    assert [error.split(": ")[1] for error in errors_of(tmp_path, text)] == ["seeds.0", "methods.0"]


def test_a_missing_file_with_a_similar_name_is_suggested(tmp_path):
    (tmp_path / "cifar10.yaml").write_text(MINIMAL)
    with pytest.raises(ConfigError, match=r"cifar1\.yaml: no such file.*'.*cifar10\.yaml'\?"):
        load_config(tmp_path / "cifar1.yaml")


@pytest.mark.parametrize("name", ["", "x" * 300, "a\0b", "no/such/folder.yaml"])
def test_a_path_that_cannot_be_read_is_a_user_error(tmp_path, name):
    with pytest.raises(UserError, match=r"cannot be read|no such file"):
        load_config(tmp_path / name)


@pytest.mark.parametrize(("content", "line", "word"), [
    (b"", 1, "data: {name: cifar10}"),
    (b"# only a comment\n", 1, "empty"),
    (b"- data\n", 1, "sections"),
    (b"hello", 1, "sections"),
    (b"data: {name: cifar10}\nname: \xff\n", 2, "UTF-8"),
    ("data: {name: cifar10}".encode("utf-16"), 1, "UTF-8"),
    (b"data: {name: cifar10\nseeds: [1]\n", 2, "not valid YAML"),
    (b"data: {name: cifar10}\n\tseeds: [1]\n", 2, "not valid YAML"),
    (b"data: {name: cifar10}\nname: a\x07b\n", 2, "U+0007"),
    (b'data: {name: cifar10}\nname: "\\UFFFFFFFF"\n', 2, "escape"),
    (b"a: 1\n---\nb: 2\n", 2, "another document"),
    (b"a: &x [1]\nb: *x\n", 2, "aliases"),
    (b"[" * 5000, 1, "nested too deeply"),
])  # fmt: skip
def test_a_file_that_is_no_configuration_at_all(tmp_path, content, line, word):
    (error,) = errors_of(tmp_path, content)
    assert error.startswith(f"experiment.yaml:{line}: ") and word in error


def test_a_byte_order_mark_is_no_error(tmp_path):
    assert load_text(tmp_path, b"\xef\xbb\xbf" + MINIMAL.encode()).data.name == "cifar10"
