"""Any configuration either loads or raises ConfigError; every valid one survives the round trip."""

import copy
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.config import ConfigError, Experiment, config_hash, to_yaml
from pipeline.config.load import dump
from tests.config.config_samples import experiments, load_text, load_value

WORDS = ["name", "kind", "rate", "cifar10", "uniform", "dropout", "quantization", "val_loss", "auto", "same", "none"]
printable = st.characters(exclude_categories=["Cs", "Cc"])
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 300),
    st.integers(),
    st.floats(),
    st.sampled_from(WORDS),
    st.text(printable, max_size=5),
)
junk = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=3),
    max_leaves=6,
)
quick = settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture(scope="module")
def folder():
    with tempfile.TemporaryDirectory() as path:
        yield Path(path)


def loads_or_explains(load, *arguments):
    try:
        assert isinstance(load(*arguments), Experiment)
    except ConfigError as error:
        assert str(error)


def spots(value):
    """Every container in `value` with each of its keys."""
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, entry in list(entries):
        yield value, key
        yield from spots(entry)


def mutate(value, draw):
    container, key = draw(st.sampled_from(list(spots(value)) or [({}, None)]))
    action = draw(st.sampled_from(["replace", "delete", "add", "rename"]))
    if action == "replace" and key is not None:
        container[key] = draw(junk)
    elif action == "delete" and key is not None:
        del container[key]
    elif isinstance(container, dict) and key is not None:
        new = draw(st.sampled_from(WORDS) | st.text(printable, max_size=5))
        container[new] = draw(junk) if action == "add" else container.pop(key)


@quick
@given(value=experiments)
def test_every_valid_configuration_loads_and_survives_the_round_trip(folder, value):
    experiment = load_value(folder, value)
    again = load_text(folder, to_yaml(experiment))
    assert again == experiment and config_hash(again) == config_hash(experiment)


@quick
@given(value=experiments, data=st.data())
def test_a_mutated_configuration_loads_or_is_explained(folder, value, data):
    value = copy.deepcopy(value)
    for _ in range(data.draw(st.integers(1, 4))):
        mutate(value, data.draw)
    loads_or_explains(load_value, folder, value)


@quick
@given(value=experiments, data=st.data())
def test_mutated_text_loads_or_is_explained(folder, value, data):
    text = dump(value)
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 5)))
    insert = data.draw(st.text("[]{}:,-#&*!|>'\"%@`?\\\n\t 01.e~", max_size=5))
    loads_or_explains(load_text, folder, text[:start] + insert + text[end:])


@quick
@given(content=st.binary(max_size=40) | st.text(max_size=40))
def test_any_content_loads_or_is_explained(folder, content):
    if isinstance(content, str):
        content = content.encode(errors="surrogatepass")
    loads_or_explains(load_text, folder, content)


@quick
@given(value=experiments, override=st.text(max_size=12), data=st.data())
def test_any_override_loads_or_is_explained(folder, value, override, data):
    keys = [f"{key}.{inner}" for key, entry in value.items() if isinstance(entry, dict) for inner in entry]
    key = data.draw(st.sampled_from([*value, *keys, "methods.0", "seeds.0", "noise.kind", "model.name"]))
    text = data.draw(st.sampled_from([override, f"{key}={override}", f"{key}={dump(data.draw(junk))}"]))
    loads_or_explains(load_value, folder, value, text)
