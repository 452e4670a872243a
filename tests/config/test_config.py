"""The configuration as a whole: defaults, equality, hash, YAML and JSON schema, what it imports."""

import hashlib
import json

import pytest
from pydantic import ValidationError

from pipeline.config import SCHEMA_FILE, Experiment, config_hash, json_schema, load_config, schema_text, to_yaml
from pipeline.config.schema import Train
from pipeline.data.settings import DATA_SETS
from pipeline.errors import UserError
from pipeline.methods import METHODS
from tests.config.config_samples import MINIMAL, load_text

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


def test_defaults_that_no_hash_below_would_show(tmp_path):
    experiment = load_text(tmp_path, MINIMAL)
    assert (experiment.name, experiment.noise.kind, experiment.methods) == ("experiment", "none", [])
    assert (experiment.model.name, experiment.model.depth, experiment.train.optimizer) == ("resnet20", 20, "adam")
    assert experiment.train.schedule.kind == "constant" and experiment.verify.latency_runs == 200


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


# The hash names the run folder: a change would train everything again, and no older run would be found.
HASHES = {
    "bp4d": "e9424471",
    "cifar10": "0b632ed1",
    "fashion_mnist": "5d26406f",
    "smoke": "c3b0e570",
    "synthetic_faces": "261e064b",
}


@pytest.mark.parametrize("name", HASHES)
def test_the_hashes_of_the_shipped_configurations_never_change(name):
    assert config_hash(load_config(SCHEMA_FILE.with_name(f"{name}.yaml"))) == HASHES[name]


def test_the_hash_of_a_configuration_with_every_method_never_changes(tmp_path):
    methods = "\n".join(f"- {{name: {name}}}" for name in sorted(METHODS))
    text = f"data: {{name: fashion_mnist}}\nmethods:\n{methods}\nmodel: {{name: resnet20, depth: 8}}\n"
    text += "noise: {kind: pair_flip, rate: 0.2}\ntrain: {optimizer: sgd, schedule: {kind: cosine}}\n"
    assert config_hash(load_text(tmp_path, text)) == "ec3f4237"
    dumped = to_yaml(load_text(tmp_path, text))
    assert hashlib.sha256(dumped.encode()).hexdigest()[:8] == "28af7575"  # also the order of the fields


def test_probabilities_change_the_hash_and_logits_do_not(tmp_path):
    plain, logits, shares = (
        load_text(tmp_path, MINIMAL, *overrides)
        for overrides in ((), ("convert.outputs=logits",), ("convert.outputs=probabilities",))
    )
    assert config_hash(plain) == config_hash(logits) != config_hash(shares)
    assert to_yaml(plain) == to_yaml(logits) and load_text(tmp_path, to_yaml(shares)) == shares
    with pytest.raises(UserError, match=r"outputs.*Set io: float32"):
        load_text(tmp_path, MINIMAL, "convert.outputs=probabilities", "convert.io=int8")


@pytest.mark.parametrize("data_set", DATA_SETS.values(), ids=DATA_SETS)
def test_every_data_set_brings_the_facts_that_other_stages_ask_for(data_set, tmp_path):
    name = data_set.model_fields["name"].default
    text = f"data: {{name: {name}}}\nmodel: {{name: {data_set.network}}}\nnoise: {{kind: none}}\n"
    data = load_text(tmp_path, text).data
    assert type(data) is data_set and data.license and data.limits.endswith(".")
    assert data.validation_metric == {"multiclass": "val_accuracy", "multilabel": "val_f1"}[data.task]
    assert bool(data.au_names) == (data.task == "multilabel") and "none" in data.noise_kinds
    assert data.unknown_aus(["AU99", "default"]) == (["AU99"] if data.au_names else [])
    small = data.small(batch_size=16)
    assert type(data).model_validate(small.model_dump()) == small
    assert small.test_examples <= 32


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


def test_sections_made_in_python_are_checked_too():
    with pytest.raises(ValidationError, match=r"replicas: must divide train\.batch_size \(10\)"):
        Train(batch_size=10, replicas=4)


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
