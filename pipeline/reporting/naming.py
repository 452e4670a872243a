"""What the run is called in sentences and in charts, from its resolved configuration."""

from collections.abc import Callable, Mapping
from typing import Any

from pipeline.reporting.labels import training_labels
from pipeline.reporting.read import Json, Run, mapping, number, sequence
from pipeline.reporting.words import listing, percent

BASELINE = "baseline"
MOST_RATES = 4  # of single action units in a phrase

METHOD_NAMES: Mapping[str, Callable[[Json], str]] = {
    "quantization": lambda m: f"W{m.get('weight_bits', 4)}/A{m.get('activation_bits', 4)} quantization",
    "pruning": lambda m: f"{percent(number(m, 'ratio'), 0)} pruning",
    "dropout": lambda m: f"dropout {m.get('rate')}",
    "weight_decay": lambda m: f"weight decay {m.get('rate')}",
    "label_smoothing": lambda m: f"label smoothing {m.get('alpha')}",
    "early_stopping": lambda m: "early stopping",
}


SHORT_NAMES = {"weight_decay": "decay", "label_smoothing": "smoothing", "early_stopping": "early stop"}


def methods(run: Run) -> list[Json]:
    """The method sections of the configuration."""
    return [method for method in sequence(run.config, "methods") if isinstance(method, dict)]


def method_name(run: Run) -> str:
    """`W4/A4 quantization and dropout 0.1`; empty if the run applies no method."""
    names = [METHOD_NAMES.get(str(m.get("name")), lambda m: str(m.get("name")))(m) for m in methods(run)]
    return listing(names) if names else ""


def short_name(run: Run) -> str:
    """A label of at most 10 letters for the end of a curve."""
    names = [str(method.get("name")) for method in methods(run)]
    if not names:
        return BASELINE if run.config else "this run"
    if len(names) > 1:
        return "quantized" if "quantization" in names else "method"
    if names[0] == "quantization":
        return method_name(run).split()[0]
    return SHORT_NAMES.get(names[0], names[0][:10])


def data_name(run: Run) -> str:
    """The data set's name, or words that it is unknown."""
    return str(mapping(run.config, "data").get("name", "a data set this folder does not name"))


def noise_phrase(run: Run) -> str:
    """`40 % uniform label noise`, `clean labels`, or words for another kind."""
    noise = mapping(run.config, "noise")
    kind: Any = noise.get("kind", "none") if run.config else None
    if kind is None:
        return "label noise this folder does not record"
    if kind == "none":
        return f"{training_labels(run)} labels"
    if kind == "annotators":
        return f"label noise as annotators make it (strength {noise.get('strength')})"
    if kind == "per_label":
        return f"label noise by action unit{_rates(mapping(noise, 'rates'))}"
    rate = number(noise, "rate")
    words = str(kind).replace("_", "-")
    return f"{words} label noise" if rate is None else f"{percent(rate, 0)} {words} label noise"


def _rates(rates: Json) -> str:
    """` (AU12 5 %, others 10 %)`, the range if there are many; empty if none is recorded."""
    known = {name: share for name in rates if (share := number(rates, name)) is not None}
    if not known:
        return ""
    if len(known) > MOST_RATES:
        return f" ({_rate(min(known.values()))} to {_rate(max(known.values()))})"
    default = known.pop("default", None)
    others = [] if default is None else [f"{'others ' * bool(known)}{_rate(default)}"]
    return f" ({', '.join([f'{name} {_rate(share)}' for name, share in known.items()] + others)})"


def _rate(share: float) -> str:
    return f"{100 * share:.3g} %"


def unit_noun(run: Run) -> str:
    """What one training is called: `run` when there are folds, else `seed`."""
    return "run" if any(seed.fold is not None for seed in run.seeds) else "seed"


def unit_word(run: Run, n: int) -> str:
    """`3 seeds`, or `6 runs (seeds and folds)` when there are folds."""
    if unit_noun(run) == "run":
        return f"{n} runs (seeds and folds)" if n != 1 else "1 run (one seed, one fold)"
    return f"{n} seeds" if n != 1 else "1 seed"


def is_baseline(run: Run) -> bool:
    """Whether the run applies no method, so that others are compared with it."""
    return bool(run.config) and not methods(run)
