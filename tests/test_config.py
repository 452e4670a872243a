"""The configuration as a whole: defaults, equality, hash, YAML and JSON schema, what it imports."""

import json
import subprocess
import sys

import pytest

from pipeline.config import SCHEMA_FILE, Experiment, config_hash, json_schema, schema_text, to_yaml
from tests.config_samples import MINIMAL, load_text

FULL = """
name: full
data: {name: fashion_mnist, root: /data, train_examples: 6000, val_fraction: 0, augment: true}
noise: {kind: uniform, rate: 4e-1}
model: {name: resnet20, depth: 8, width: 4}
methods:
  - {name: quantization, residual_bits: same, overrides: [{layers: 's2*', weight_bits: 2}]}
  - {name: dropout, rate: 0}
train: {optimizer: sgd, learning_rate: 1e-4, momentum: 0.5, schedule: {kind: step, every: 2, factor: 1}}
seeds: [3, 1]
"""


def test_defaults_are_those_of_the_specification(tmp_path):
    experiment = load_text(tmp_path, MINIMAL)
    assert experiment.name == "experiment"
    assert experiment.data.model_dump() == {
        "name": "cifar10",
        "root": None,
        "train_examples": None,
        "test_examples": None,
        "val_fraction": 0.1,
        "augment": True,
    }
    assert experiment.noise.kind == "none"
    assert (experiment.model.name, experiment.model.depth, experiment.model.width) == ("resnet20", 20, 16)
    assert experiment.methods == [] and experiment.seeds == [1] and experiment.baseline is False
    assert (experiment.train.epochs, experiment.train.batch_size, experiment.train.optimizer) == (30, 128, "adam")
    assert experiment.train.learning_rate == 1e-3 and experiment.train.schedule.kind == "constant"
    assert experiment.convert.weight_storage == "narrow" and experiment.convert.io == "float32"
    assert experiment.verify.model_dump() == {
        "examples": None,
        "code_mismatch": 0.0,
        "decision_agreement": 0.999,
        "fake_quant_agreement": 0.99,
        "metric_delta": 0.1,
        "latency_runs": 200,
    }


def test_values_of_the_file_arrive_with_their_types(tmp_path):
    experiment = load_text(tmp_path, FULL)
    quantization, dropout = experiment.methods
    assert experiment.train.learning_rate == 1e-4 and experiment.noise.rate == 0.4
    assert isinstance(dropout.rate, float) and isinstance(experiment.data.val_fraction, float)
    assert quantization.residual_bits == "same" and quantization.overrides[0].weight_bits == 2
    assert experiment.train.schedule.every == 2 and experiment.seeds == [3, 1]


@pytest.mark.parametrize(
    ("file", "name"), [("cifar10.yaml", "cifar10"), ("my run (2).yaml", "my-run-2-"), ("...yaml", "experiment")]
)
def test_the_name_is_by_default_the_files_name_fit_for_a_folder(tmp_path, file, name):
    from pipeline.config import load_config

    (tmp_path / file).write_text(MINIMAL)
    assert load_config(tmp_path / file).name == name


@pytest.mark.parametrize("text", [MINIMAL, FULL])
def test_resolved_yaml_loads_back_to_an_equal_experiment(tmp_path, text):
    experiment = load_text(tmp_path, text)
    assert load_text(tmp_path, to_yaml(experiment)) == experiment


def test_resolved_yaml_leaves_out_what_the_optimizer_does_not_use(tmp_path):
    assert "momentum: 0.5" in to_yaml(load_text(tmp_path, FULL))
    resolved = to_yaml(load_text(tmp_path, MINIMAL))
    assert " momentum:" not in resolved and "weight_decay" not in resolved


def test_text_that_looks_like_another_type_survives_the_round_trip(tmp_path):
    for root in ["1e-4", "007", "yes", "null", "1:30", " x ", "a: b", "é\n#", "0x1F", ".5"]:
        experiment = load_text(tmp_path, f"data: {{name: cifar10, root: {json.dumps(root)}}}")
        assert experiment.data.root == root
        assert load_text(tmp_path, to_yaml(experiment)).data.root == root


def test_the_hash_depends_on_values_only(tmp_path):
    first = config_hash(load_text(tmp_path, "data: {name: cifar10}\nseeds: [1]\nnoise: {kind: uniform, rate: 1}\n"))
    same = config_hash(load_text(tmp_path, "# x\nnoise:\n  rate: 1.0\n  kind: uniform\ndata:\n  name: cifar10\n"))
    other = config_hash(load_text(tmp_path, "data: {name: cifar10}\nnoise: {kind: uniform, rate: 0.9}\n"))
    assert first == same != other
    assert len(first) == 8 and int(first, 16) >= 0


def test_loading_imports_no_tensorflow(tmp_path):
    (tmp_path / "a.yaml").write_text(FULL)
    code = (
        "import sys; from pipeline.config import load_config, to_yaml, json_schema\n"
        "to_yaml(load_config(sys.argv[1])); json_schema()\n"
        "print([name for name in sys.modules if name.split('.')[0] in ('tensorflow', 'tf_keras', 'keras')])"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "a.yaml")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_the_schema_file_is_up_to_date():
    assert SCHEMA_FILE.read_text() == schema_text(), "run: python -m pipeline.config"


def test_every_key_of_the_schema_is_described_and_every_reference_resolves():
    schema = json_schema()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["required"] == ["data"]
    for section in [schema, *schema["$defs"].values()]:
        assert section["additionalProperties"] is False
        for key, field in section["properties"].items():
            assert "const" in field or field.get("description", "").endswith("."), key
    for reference in _references(schema):
        assert reference.removeprefix("#/$defs/") in schema["$defs"]


def test_the_schema_asks_for_the_name_of_every_member_of_a_union():
    definitions = json_schema()["$defs"]
    assert definitions["Quantization"]["required"] == ["name"]
    assert definitions["UniformNoise"]["required"] == ["kind", "rate"]
    assert definitions["WeightDecay"]["required"] == ["name"]


def test_an_experiment_cannot_be_changed(tmp_path):
    experiment = load_text(tmp_path, MINIMAL)
    assert isinstance(experiment, Experiment)
    with pytest.raises(ValueError, match="frozen"):
        experiment.name = "other"


def _references(value):
    if isinstance(value, dict):
        yield from [value["$ref"]] if "$ref" in value else []
        for entry in value.values():
            yield from _references(entry)
    elif isinstance(value, list):
        for entry in value:
            yield from _references(entry)
