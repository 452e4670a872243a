"""Configurations for the tests: a plain one, and hypothesis strategies for all valid ones."""

from pathlib import Path

import pytest
from hypothesis import strategies as st

from pipeline.config import ConfigError, Experiment, load_config
from pipeline.config.load import dump

MINIMAL = "data: {name: cifar10}\n"


def load_text(folder: Path, text: str | bytes, *overrides: str) -> Experiment:
    """The experiment in `text`, written to experiment.yaml."""
    path = folder / "experiment.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_config(path, overrides)


def load_value(folder: Path, value: object, *overrides: str) -> Experiment:
    """The experiment in plain values."""
    return load_text(folder, dump(value), *overrides)


def errors_of(folder: Path, text: str | bytes, *overrides: str) -> list[str]:
    """The lines of the ConfigError that `text` raises, without the folder."""
    with pytest.raises(ConfigError) as caught:
        load_text(folder, text, *overrides)
    return str(caught.value).replace(f"{folder}/", "").split("\n")


def number(low: float, high: float, **options) -> st.SearchStrategy:
    """Floats of a range, and the whole numbers in it."""
    return st.floats(low, high, **options)


def section(required: dict, optional: dict) -> st.SearchStrategy:
    """Mappings with all of the required and some of the optional keys."""
    return st.fixed_dictionaries(required, optional=optional)


count = st.integers(1, 10**6)
bits = st.integers(2, 8)
share = st.integers(0, 1) | number(0, 1)
below_one = number(0, 1, exclude_max=True)
data = section({"name": st.sampled_from(["cifar10", "fashion_mnist"])}, {
    "root": st.none() | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1),
    "train_examples": st.none() | st.integers(1000, 50000), "test_examples": st.none() | count,
    "val_fraction": number(0.01, 0.5), "augment": st.booleans(),
})  # fmt: skip
IDENTITY = [[float(row == column) for column in range(10)] for row in range(10)]
noise = st.one_of(
    section({"kind": st.just("none")}, {}),
    section({"kind": st.sampled_from(["uniform", "pair_flip"]), "rate": share}, {}),
    section({"kind": st.just("matrix"), "matrix": st.just(IDENTITY)}, {}),
)
model = section({"name": st.just("resnet20")}, {
    "depth": st.integers(1, 20).map(lambda n: 6 * n + 2), "width": st.integers(1, 256),
    "shortcut": st.sampled_from(["identity", "projection"]),
})  # fmt: skip
layer_bits = section({"layers": st.text("abs*?[]12_", min_size=1), "weight_bits": bits}, {"activation_bits": bits})
METHODS = {
    "early_stopping": section(
        {}, {"patience": count, "monitor": st.sampled_from(["val_loss", "val_accuracy"]), "min_delta": number(0, 10)}
    ),
    "weight_decay": section({}, {"rate": number(0, 10), "kind": st.sampled_from(["l2", "decoupled"])}),
    "dropout": section({}, {"rate": below_one, "position": st.sampled_from(["head", "blocks", "stages"])}),
    "label_smoothing": section({}, {"alpha": below_one}),
    "pruning": section({}, {"ratio": number(0, 0.99), "begin": number(0, 0.4), "end": number(0.5, 1)}),
    "quantization": section({}, {
        "weight_bits": bits, "activation_bits": bits, "first_last_bits": bits, "ema_momentum": below_one,
        "residual_bits": st.sampled_from([8, "same"]), "activation_range": st.sampled_from(["symmetric", "unsigned"]),
        "batch_norm": st.sampled_from(["keep", "fold"]), "warmup_epochs": st.integers(0, 9),
        "overrides": st.lists(layer_bits, max_size=2),
    }),
}  # fmt: skip
NAMED = {name: fields.map(lambda given, name=name: {"name": name} | given) for name, fields in METHODS.items()}
names = st.lists(st.sampled_from(sorted(METHODS)), unique=True)
methods = names.flatmap(lambda chosen: st.tuples(*(NAMED[name] for name in chosen))).map(list)
factor = number(0.01, 1)
schedule = st.one_of(
    section({"kind": st.just("constant")}, {}),
    section({"kind": st.just("cosine")}, {"final": share}),
    section({"kind": st.just("step"), "every": count, "factor": factor}, {}),
    section({"kind": st.just("exponential"), "factor": factor}, {}),
)
TRAIN = {
    "epochs": st.integers(10, 500), "batch_size": count, "learning_rate": number(1e-8, 10), "schedule": schedule,
    "statistics": st.sampled_from(["reestimate", "moving"]), "statistics_batches": count,
    "batch_norm_momentum": below_one | st.just("auto"), "log_both_statistics": st.booleans(), "evaluate_every": count,
    "checkpoint_minutes": number(0, 1e6),
}  # fmt: skip
train = st.one_of(
    section({}, TRAIN | {"optimizer": st.just("adam")}),
    section({"optimizer": st.just("sgd")}, TRAIN | {"momentum": below_one}),
    section({"optimizer": st.just("adamw")}, TRAIN | {"weight_decay": number(0, 10)}),
)
convert = section({}, {
    **dict.fromkeys(["int8", "int4", "float32", "per_channel_dense"], st.booleans()),
    "io": st.sampled_from(["float32", "int8"]), "weight_storage": st.sampled_from(["narrow", "scaled"]),
})  # fmt: skip
verify = section({}, {
    "examples": st.none() | count, "code_mismatch": share, "decision_agreement": share,
    "metric_delta": number(0, 100), "latency_runs": count,
})  # fmt: skip
experiments = section({"data": data}, {
    "name": st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,30}", fullmatch=True), "noise": noise, "model": model,
    "methods": methods, "train": train, "seeds": st.lists(st.integers(0, 2**31 - 1), min_size=1, unique=True),
    "baseline": st.booleans(), "convert": convert, "verify": verify,
})  # fmt: skip
