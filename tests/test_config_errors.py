"""What a user reads when the configuration is wrong: every error at once, with its line and what to do."""

import pytest

from pipeline.config import ConfigError, load_config
from pipeline.errors import UserError
from tests.config_samples import MINIMAL, errors_of, load_text

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


def test_all_errors_are_reported_at_once_with_line_key_and_suggestion(tmp_path):
    assert errors_of(tmp_path, MANY) == [
        "experiment.yaml:1: data.rot: unknown key. Did you mean 'root'?",
        "experiment.yaml:2: noise.rat: unknown key. Did you mean 'rate'?",
        "experiment.yaml:4: methods.0: early_stopping needs a validation split. "
        "Set data.val_fraction to more than 0, such as 0.1",
        "experiment.yaml:6: methods.1.bits: unknown key. Did you mean 'weight_bits'?",
        "experiment.yaml:7: methods.1.activation_bits: expected a value <= 8, not 9",
        "experiment.yaml:8: methods.1.warmup_epochs: must be less than train.epochs (30), but is 30",
        "experiment.yaml:10: train.lr: unknown key. Did you mean 'learning_rate'?",
        "experiment.yaml:11: train.batch_size: expected a whole number, not '5'. Remove the quotes",
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("train: {epocs: 3}", "train.epocs: unknown key. Did you mean 'epochs'?"),
        ("train: {batch: 3}", "train.batch: unknown key. Did you mean 'batch_size'?"),
        ("train: {zzz: 3}", "train.zzz: unknown key. Known here: 'epochs', 'batch_size', "),
        ("epochs: 3", "epochs: unknown key. Did you mean 'train.epochs'?"),
        ("seed: [3]", "seed: unknown key. Did you mean 'seeds'?"),
        ("train: {epochs: true}", "train.epochs: expected a whole number, not true"),
        ("train: {epochs: 3.0}", "train.epochs: expected a whole number, not 3.0"),
        ("train: {epochs:}", "train.epochs: expected a whole number, not null (empty)"),
        ("train: {epochs: 0}", "train.epochs: expected a value >= 1, not 0"),
        ("train: {epochs: [1]}", "train.epochs: expected a whole number, not a list"),
        ("train: {learning_rate: true}", "train.learning_rate: expected a number, not true"),
        ("train: {learning_rate: 0}", "train.learning_rate: expected a value > 0, not 0"),
        ("train: {learning_rate: .nan}", "train.learning_rate: expected a finite number, not nan"),
        ("train: {learning_rate: .inf}", "train.learning_rate: expected a finite number, not inf"),
        ("train: {learning_rate: 1e999}", "train.learning_rate: expected a finite number, not inf"),
        ("train: {learning_rate: '1e-3'}", "train.learning_rate: expected a number, not '1e-3'. Remove the quotes"),
        ("train: {optimizer: adamww}", "expected 'adam', 'adamw' or 'sgd', not 'adamww'. Did you mean 'adamw'?"),
        ("train: {batch_norm_momentum: 1}", "train.batch_norm_momentum: expected a value < 1 or 'auto', not 1"),
        ("train: {batch_norm_momentum: atuo}", "expected a number or 'auto', not 'atuo'. Did you mean 'auto'?"),
        ("train:", "train: expected a section (key: value), not null (empty)"),
        ("train: {schedule: cosine}", "train.schedule: expected a section (key: value), not 'cosine'. Write {kind: "),
        ("train: {schedule: {final: 0}}", "train.schedule.kind: missing. Give one of 'constant', 'cosine', "),
        ("train: {schedule: {kind: step, every: 3}}", "train.schedule.factor: missing. Give it: Factor of each step."),
        ("noise: {kind: none, rate: 0.1}", "noise.rate: unknown key for kind 'none'. It belongs to kind 'uniform', "),
        ("noise: {kind: none, rat: 0.1}", "unknown key. Did you mean 'rate' of kind 'uniform', 'pair_flip'?"),
        ("noise: {kind: unifrom, rate: 0.1}", "not 'unifrom'. Did you mean 'uniform'?"),
        ("noise: {kind: [1], rate: 0.1}", "noise.kind: expected one of 'none', 'uniform', 'pair_flip', 'matrix', "),
        ("noise: {kind: uniform}", "noise.rate: missing. Give it: Share of the training labels"),
        ("noise: {kind: uniform, rate: 40%}", "noise.rate: expected a number, not '40%'"),
        ("noise: {kind: uniform, rate: 40}", "noise.rate: expected a value <= 1, not 40"),
        ("model: {width: 8}", "model.name: missing. Give one of 'resnet20', 'au_network'"),
        (
            "model: {name: resnet}",
            "model.name: expected one of 'resnet20', 'au_network', not 'resnet'. Did you mean 'resnet20'?",
        ),
        ("model: resnet20", "model: expected a section (key: value), not 'resnet20'. Write {name: resnet20}"),
        ("model: {name: resnet20, depth: 21}", "model.depth: expected 6n + 2, such as 8, 14, 20, 32, 44 or 56, not 21"),
        ("model: {name: resnet20, depth: 2}", "model.depth: expected 6n + 2"),
        ("model: {name: resnet20, width: 257}", "model.width: expected a value <= 256, not 257"),
        ("methods: {name: dropout}", "methods: expected a list such as [a, b], not a section"),
        ("methods: [dropout]", "methods.0: expected a section (key: value), not 'dropout'. Write {name: dropout}"),
        ("methods: [{name: qat}]", "methods.0.name: expected one of 'early_stopping', "),
        ("methods: [{name: qat}]", "not 'qat'. Did you mean 'quantization'?"),
        ("methods: [{name: dropout, rate: 1}]", "methods.0.rate: expected a value < 1, not 1"),
        ("methods: [{name: dropout, p: 0.1}]", "methods.0.p: unknown key. Did you mean 'rate'?"),
        ("methods: [{name: quantization, residual_bits: 4}]", "residual_bits: expected 8 or 'same', not 4"),
        ("methods: [{name: quantization, overrides: [{weight_bits: 3}]}]", "overrides.0.layers: missing. Give it: "),
        ("seeds: []", "seeds: expected at least 1 entry, not an empty list"),
        ("seeds: [1, -1]", "seeds.1: expected a value >= 0, not -1"),
        ("seeds: 3", "seeds: expected a list such as [a, b], not 3"),
        ("baseline: yes", "baseline: expected true or false, not 'yes'. Write true"),
        ("baseline: 1", "baseline: expected true or false, not 1"),
        ("name: 3", "name: expected text, not 3. Put it in quotes"),
        ("name: ..", "name: expected letters, digits, '_', '-' and '.', the first a letter, a digit or '_', not '..'"),
        ("name: a/b", "name: expected letters, digits, "),
        ('name: "a\\n"', "name: expected letters, digits, "),
        ("name: ''", "name: expected letters, digits, "),
        ("verify: {code_mismatch: -0.1}", "verify.code_mismatch: expected a value >= 0, not -0.1"),
        ("1: 3", "1: unknown key. Known here: "),
    ],
)
def test_one_wrong_field(tmp_path, line, message):
    (error,) = errors_of(tmp_path, MINIMAL + line)
    assert error.startswith("experiment.yaml:2: ") and message in error


def test_missing_data_names_the_choices(tmp_path):
    assert errors_of(tmp_path, "seeds: [1]") == [
        "experiment.yaml:1: data: missing. Give one of {name: fashion_mnist}, {name: cifar10}, "
        "{name: bp4d}, {name: synthetic_faces}"
    ]


MATRIX_OF_2 = "noise: {kind: matrix, matrix: [[1, 0], [0, 1]]}"
UNBALANCED = (
    "noise: {kind: matrix, matrix: [[0.5"
    + ", 0" * 9
    + "], "
    + ", ".join("[" + ", ".join(str(int(row == column)) for column in range(10)) + "]" for row in range(1, 10))
    + "]}"
)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("seeds: [4, 5, 4]", "seeds.2: the seed 4 is given twice, first as seeds.0. Remove one"),
        (
            "methods: [{name: dropout}, {name: dropout}]",
            "methods.1: the method 'dropout' is given twice, first as methods.0. Remove one",
        ),
        (MATRIX_OF_2, "noise.matrix: must be 10 x 10, the classes of cifar10, but is 2 rows of 2 numbers"),
        ("noise: {kind: matrix, matrix: []}", "noise.matrix: must be 10 x 10, the classes of cifar10, but is empty"),
        (UNBALANCED, "noise.matrix: column 0 sums to 0.5, not 1"),
        ("methods: [{name: pruning, begin: 0.5, end: 0.5}]", "methods.0: begin (0.5) must be smaller than end (0.5)"),
        (
            "methods: [{name: pruning, ratio: 0.99999999999}]",
            "methods.0.ratio: 0.99999999999 leaves no filter in the layers of 16 filters (model.width). Give less",
        ),
        (
            "methods: [{name: quantization, overrides: [{layers: 's2*'}]}]",
            "methods.0.overrides.0: changes nothing. Give weight_bits, activation_bits or both",
        ),
        (
            "train: {momentum: 0.9}",
            "train.momentum: is for optimizer: sgd, but the optimizer is adam. Remove one of the two",
        ),
        (
            "train: {weight_decay: 0.0, optimizer: sgd}",
            "train.weight_decay: is for optimizer: adamw, but the optimizer is sgd. Remove one of the two",
        ),
    ],
)
def test_fields_that_do_not_go_together(tmp_path, line, message):
    (error,) = errors_of(tmp_path, MINIMAL + line)
    assert error.startswith(f"experiment.yaml:2: {message}")


def test_early_stopping_needs_at_least_one_validation_image(tmp_path):
    text = "data: {name: cifar10, train_examples: 9}\nmethods: [{name: early_stopping}]"
    (error,) = errors_of(tmp_path, text)
    assert "a share of 0.1 of 9 training images leaves none" in error
    assert load_text(tmp_path, text.replace("9", "10")).methods[0].name == "early_stopping"


def test_checks_across_fields_say_nothing_about_fields_that_are_wrong_themselves(tmp_path):
    text = "methods: [{name: quantization, warmup_epochs: 50}]\ntrain: {%s: 60}\n"
    assert len(errors_of(tmp_path, MINIMAL + text % "epochz")) == 1
    assert len(errors_of(tmp_path, MINIMAL + text % "learning_rate: -1, epochs")) == 1
    assert len(errors_of(tmp_path, MINIMAL + text % "learning_rate: -1, batch_size")) == 2
    assert len(errors_of(tmp_path, "data: {name: cifar11}\n" + MATRIX_OF_2)) == 1


def test_a_broken_entry_does_not_hide_errors_beside_it(tmp_path):
    text = "methods: [{name: qunatization}, {name: early_stopping}]\nseeds: [-1, 3, 3]\n"
    errors = errors_of(tmp_path, "data: {name: cifar10, val_fraction: 0}\n" + text)
    assert [error.split(": ")[1] for error in errors] == ["methods.0.name", "methods.1", "seeds.0", "seeds.2"]


def test_a_missing_file_with_a_similar_name_is_suggested(tmp_path):
    (tmp_path / "cifar10.yaml").write_text(MINIMAL)
    with pytest.raises(ConfigError, match=r"cifar1\.yaml: no such file\. Did you mean '.*cifar10\.yaml'\?"):
        load_config(tmp_path / "cifar1.yaml")


@pytest.mark.parametrize("name", ["", "x" * 300, "a\0b", "no/such/folder.yaml"])
def test_a_path_that_cannot_be_read_is_a_user_error(tmp_path, name):
    with pytest.raises(UserError, match=r"cannot be read|no such file"):
        load_config(tmp_path / name)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "experiment.yaml:1: the file is empty. Give at least data: {name: cifar10}"),
        (b"# only a comment\n", "experiment.yaml:1: the file is empty"),
        (b"- data\n", "experiment.yaml:1: expected sections (key: value) at the top of the file"),
        (b"hello", "experiment.yaml:1: expected sections (key: value) at the top of the file"),
        (b"data: {name: cifar10}\nname: \xff\n", "experiment.yaml:2: not UTF-8 text. Save the file as UTF-8"),
        ("data: {name: cifar10}".encode("utf-16"), "experiment.yaml:1: not UTF-8 text"),
        (b"data: {name: cifar10\nseeds: [1]\n", "experiment.yaml:2: not valid YAML: "),
        (b"data: {name: cifar10}\n\tseeds: [1]\n", "experiment.yaml:2: not valid YAML: "),
        (b"data: {name: cifar10}\nname: a\x07b\n", "experiment.yaml:2: the character U+0007 is not allowed in YAML"),
        (b'data: {name: cifar10}\nname: "\\UFFFFFFFF"\n', "experiment.yaml:2: not valid YAML: a number in an escape"),
        (b"a: 1\n---\nb: 2\n", "experiment.yaml:2: not valid YAML: but found another document"),
        (b"a: &x [1]\nb: *x\n", "experiment.yaml:2: not valid YAML: aliases (*name) are not read; write the value out"),
        (b"[" * 5000, "experiment.yaml:1: nested too deeply"),
    ],
)
def test_a_file_that_is_no_configuration_at_all(tmp_path, content, message):
    (error,) = errors_of(tmp_path, content)
    assert error.startswith(message)


def test_a_byte_order_mark_is_no_error(tmp_path):
    assert load_text(tmp_path, b"\xef\xbb\xbf" + MINIMAL.encode()).data.name == "cifar10"


FACES = "data: {name: synthetic_faces}\nmodel: {name: au_network}\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("data: {name: synthetic_faces}", "model.name: is not for synthetic_faces. Write model: {name: au_network}"),
        (MINIMAL + "model: {name: au_network}", "model.name: is not for"),
        (FACES + "noise: {kind: uniform, rate: 0.1}", "noise.kind: is not for synthetic_faces. Use none, per_label or"),
        (MINIMAL + "noise: {kind: annotators}", "noise.kind: is not for"),
        (MINIMAL + "loss: {dice: 0.5}", "loss: is for action units"),
        (FACES + "noise: {kind: per_label, rates: {AU3: 0.1}}", "noise.rates.AU3: is none of the data's action units"),
        (
            FACES + "methods: [{name: quantization, au_bits: {AU3: 8}}]",
            "au_bits.AU3: is none of the data's action units",
        ),
        (
            MINIMAL + "methods: [{name: quantization, au_bits: {AU1: 8}}]",
            "au_bits: needs a network with a head for every",
        ),
        (FACES + "methods: [{name: early_stopping, monitor: val_accuracy}]", "Use val_loss or val_f1"),
        (MINIMAL + "methods: [{name: early_stopping, monitor: val_f1}]", "Use val_loss or val_accuracy"),
        (
            "data: {name: bp4d, parts: [[F001], [F002, F001]]}\nmodel: {name: au_network}",
            "data.parts.1: the subject 'F001' is in part 1 already: a subject is in one part only",
        ),
        ("data: {name: bp4d, folds: [4]}\nmodel: {name: au_network}", "there are 3 parts to test on"),
        ("data: {name: bp4d, folds: [1, 1]}\nmodel: {name: au_network}", "the fold 1 is given twice"),
        (
            "data: {name: synthetic_faces, aus: [3]}\nmodel: {name: au_network}",
            "data.aus.0: AU3 is not rendered; there are",
        ),
        (
            FACES.replace("au_network", "au_network, encoder: inception_v3"),
            "inception_v3 needs images of 75 pixels or more",
        ),
        (
            FACES.replace("au_network", "au_network, encoder: mobilenet_v2")
            + "methods: [{name: dropout, position: blocks}]",
            "mobilenet_v2 has dropout in its heads only",
        ),
        (
            FACES.replace("au_network", "au_network, weights: imagenet"),
            "there are no ImageNet weights for small_resnet",
        ),
        ("base: synthetic_faces.yaml\nvariants: {a: []}", "this is a study, not an experiment"),
        ("data: {name: bp4d, aus: [1, 1]}\nmodel: {name: au_network}", "a list without repetitions"),
    ],
)
def test_faces_and_images_do_not_mix(tmp_path, text, message):
    (error,) = errors_of(tmp_path, text)
    assert message in error
