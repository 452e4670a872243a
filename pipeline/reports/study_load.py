"""A study's folder as data, and what its conditions and variants are called.

study.json and trials/ say which runs belong to it, the run folders what they reached.
"""

import itertools
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import Any, Literal, TypeVar

import pandas as pd

from pipeline.reports.load import Json, mapping, number, read_epochs, sequence
from pipeline.reports.study_folder import load_study
from pipeline.runs.folder import seed_path
from pipeline.runs.names import METRICS

BEST = "best.yaml"
RATE, USUAL_RATE = "noise.rate", 0.4  # at which curves over the epochs are shown
COPIED_SCORES = (
    "train_noisy_fit", "train_clean_fit", "test_noisy_fit", "val_accuracy", "val_clean_accuracy", "val_f1", "val_clean_f1",
    "epochs_run", "epoch_selected",
)  # fmt: skip

Pair = tuple[int, int | None]  # seed, fold
Condition = dict[str, Any]  # dotted key and value, {} in a study without axes
State = Literal["not begun", "unfinished", "failed", "done"]
Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Result:
    """One run of a study; `scores` and `verification` are empty unless it is done."""

    variant: str
    setting: str
    values: Json
    condition: Condition
    seed: int
    fold: int | None
    state: State
    message: str
    run: str
    config: Json
    data: Json
    scores: Json
    verification: Json
    folder: Path = field(default=Path(), repr=False)
    trial: str = ""

    @property
    def pair(self) -> Pair:
        """Seed and fold, by which runs of different arms at one condition are paired."""
        return self.seed, self.fold

    @property
    def arm(self) -> tuple[str, str]:
        """Variant and setting."""
        return self.variant, self.setting

    def history(self) -> list[Json]:
        """The lines of metrics.jsonl, one an epoch, without damaged ones; [] where the file is absent."""
        return read_epochs(seed_path(self.folder, self.seed, self.fold) / METRICS, [])


@dataclass(frozen=True)
class Results:
    """All runs of a study, done or not; it calls them cells, each one arm at one condition, seed and fold."""

    name: str
    variants: tuple[str, ...]
    reference_only: tuple[str, ...]
    reference: str
    settings: Mapping[str, Mapping[str, Json]]  # variant, setting: the values of its own axes
    reference_settings: Mapping[str, str]
    axes: Mapping[str, tuple]
    seeds: tuple[int, ...]
    folds: tuple[int | None, ...]
    search: Literal["grid", "random", "bayesian"]
    max_trials: int | None
    objective: str | None  # a key of scores.json; None without a validation part
    command: str
    cells: tuple[Result, ...]

    @property
    def is_grid(self) -> bool:
        """Whether every setting is tried; else a search tries some."""
        return self.search == "grid"

    @property
    def has_folds(self) -> bool:
        """Whether its runs are of folds of the subjects."""
        return self.folds != (None,)

    @cached_property
    def arms(self) -> tuple[tuple[str, str], ...]:
        """(variant, setting) in the order of the study; a search has those of its trials, in the order of these."""
        wanted = [(variant, setting) for variant in self.variants for setting in self.settings[variant] if self.is_grid]
        found = sorted((cell.arm for cell in self.cells), key=lambda arm: self.variants.index(arm[0]))
        return tuple(dict.fromkeys((*wanted, *found)))

    @cached_property
    def conditions(self) -> tuple[Condition, ...]:
        """Every point of the study's axes, the first axis outermost; ({},) without axes."""
        return tuple(dict(zip(self.axes, point, strict=True)) for point in itertools.product(*self.axes.values()))

    def select(
        self, variant: str | None = None, setting: str | None = None, condition: Condition | None = None
    ) -> tuple[Result, ...]:
        """The cells, done or not, of what is given; None: of any."""
        return tuple(
            cell
            for cell in self.cells
            if variant in (None, cell.variant)
            and setting in (None, cell.setting)
            and condition in (None, cell.condition)
        )

    def competes(self, variant: str) -> bool:
        """Whether a variant is compared with the reference, not only shown."""
        return variant not in self.reference_only


def read_results(folder: Path) -> Results:
    """The results in the folder of a study.

    Raises UserError if it is none or another version's, or if its manifest or a trial's file is damaged.
    """
    record, cells = load_study(folder)
    variants = {each["name"]: each for each in record["variants"]}
    return Results(
        name=str(record["name"]),
        variants=tuple(variants),
        reference_only=tuple(name for name, each in variants.items() if each["reference_only"]),
        reference=record["reference"],
        settings={name: {own["name"]: own["values"] for own in each["settings"]} for name, each in variants.items()},
        reference_settings={name: each["reference_setting"] for name, each in variants.items()},
        axes={key: tuple(values) for key, values in record["axes"].items()},
        seeds=tuple(record["seeds"]),
        folds=tuple(record["folds"]) or (None,),
        search=record["search"]["kind"],
        max_trials=record["search"]["trials"],
        objective=record["search"]["objective"],
        command=record["command"],
        cells=tuple(Result(**cell) for cell in cells),
    )


def best_by_validation(candidates: Mapping[Key, Sequence[Result]], objective: str | None) -> tuple[Key, float] | None:
    """The candidate whose runs have the best mean `objective`, and that mean; the first of equal ones.

    A candidate with a run that is not done, or has no such score, is left out; None if that is every one. The
    objective is measured on held-out examples with noisy labels, so the choice has not seen the truth.
    """
    means = {}
    for key, cells in candidates.items():
        values = [number(cell.scores, objective) for cell in cells] if objective else []
        if values and None not in values:
            means[key] = fmean(values)
    best = max(means, key=means.__getitem__, default=None)
    return None if best is None else (best, means[best])


def results_table(results: Results) -> pd.DataFrame:
    """One row a run, as in results.csv: what it is of, its state and the numbers that are the same at every repetition."""
    last = [{"message": cell.message, "run": cell.run} for cell in results.cells]
    table = _table(results, [_numbers(cell) for cell in results.cells])
    return table.join(pd.DataFrame(last, table.index, ["message", "run"], dtype=object))


def timings_table(results: Results) -> pd.DataFrame:
    """One row a run, as in timings.csv: seconds of training and milliseconds of a decision."""
    return _table(results, [_timings(cell) for cell in results.cells])


def _table(results: Results, numbers: Sequence[Mapping[str, float | None]]) -> pd.DataFrame:
    """What a run is of: trial in a search, arm, whether it competes, a column a condition's and a setting's key, ...

    Values are objects, so that whole numbers stay whole beside missing ones.
    """
    keys = dict.fromkeys(key for each in results.cells for key in each.values if key not in results.axes)
    trial = [] if results.is_grid else ["trial"]
    head = [*trial, "variant", "setting", "competes", *results.axes, *keys, "seed", "fold", "state"]
    rows = [
        {
            **{key: cell.values.get(key) for key in keys},
            **{key: getattr(cell, key) for key in (*trial, "variant", "setting", "seed", "fold", "state")},
            "competes": "yes" if results.competes(cell.variant) else "no",
            **cell.condition,
        }
        for cell in results.cells
    ]
    index = range(len(rows))
    return pd.DataFrame(rows, index, head, dtype=object).join(pd.DataFrame(list(numbers), index, dtype=object))


def _numbers(cell: Result) -> dict[str, float | None]:
    """Column to number: f1_mean, f1_AU1, noisy_f1_mean, int8_bytes ..."""
    if not cell.scores:
        return {}
    sizes, best = mapping(cell.verification, "size_bytes"), mapping(cell.scores, "oracle")
    return {
        **_flat(mapping(cell.scores, "metrics")),
        **{f"noisy_{key}": value for key, value in _flat(mapping(cell.scores, "metrics_noisy")).items()},
        **{key: number(cell.scores, key) for key in COPIED_SCORES if key in cell.scores},
        **{f"best_epoch_{key}" if key != "epoch" else "best_epoch": number(best, key) for key in best},
        **{f"memorised_{au}": number(share) for au, share in mapping(cell.scores, "train_noisy_fit_per_au").items()},
        **{f"{kind}_bytes": number(sizes, kind) for kind in sizes},
    }


def _timings(cell: Result) -> dict[str, float | None]:
    latencies = mapping(cell.verification, "latency_ms")
    seconds = {"seconds": number(cell.scores, "seconds")} if cell.scores else {}
    return seconds | {f"{kind}_ms": number(latencies, kind, "median") for kind in latencies}


def _flat(metrics: Json) -> dict[str, float | None]:
    flat: dict[str, float | None] = {}
    for key, value in metrics.items():
        if isinstance(value, Mapping):
            flat |= {f"{key}_{name}": number(value, name) for name in value}
        else:
            flat[key] = number(value)
    return flat


def condition_name(condition: Condition) -> str:
    """Such as `noise 40 %`, `noise strength 1, train epochs 20`; empty without axes."""
    return ", ".join(f"{_key_name(key)} {_value_name(key, value)}" for key, value in condition.items())


def at(condition: Condition) -> str:
    """` at noise 40 %`; empty without axes."""
    return f" at {condition_name(condition)}" if condition else ""


def arm_name(variant: str, setting: str) -> str:
    """`quantization (W4/A4)`; the variant alone where it has no settings."""
    return f"{variant} ({setting})" if setting else variant


def setting_label(setting: str, values: Mapping) -> str:
    """A setting's name, its values alone where that is long."""
    return ", ".join(_value_name("", value) for value in values.values()) if len(setting) > 14 and values else setting


def axis_name(results: Results, axis: str) -> str:
    """What stands below a chart against an axis of the conditions."""
    kinds = {mapping(cell.config, "noise").get("kind") for cell in results.cells if cell.config} - {"none"}
    if axis == RATE:
        return "training labels resampled uniformly (%)" if kinds == {"uniform"} else "noisy training labels (%)"
    return "strength of the annotators' errors" if axis == "noise.strength" else _key_name(axis)


def numeric_axis(results: Results) -> str | None:
    """The axis of a figure against the conditions: of numbers, at least two; label noise before others."""
    axes = [key for key, values in results.axes.items() if len(values) > 1 and all(map(_is_number, values))]
    return min(axes, key=lambda key: (not key.startswith("noise."), axes.index(key)), default=None)


def usual_condition(results: Results) -> Condition:
    """Where curves over the epochs are shown: the noise rate nearest 40 %, else the highest number; {} without axes."""
    return {key: _usual(key, values) for key, values in results.axes.items()}


def method_names(results: Results, variant: str) -> tuple[str, ...]:
    """The methods of a variant by the configuration of its first run that has one."""
    config = next((cell.config for cell in results.select(variant) if cell.config), {})
    return tuple(str(method.get("name")) for method in sequence(config, "methods") if isinstance(method, Mapping))


def capitalized(text: str) -> str:
    """`text` with a capital first letter, the others as they are."""
    return text[:1].upper() + text[1:]


def _key_name(key: str) -> str:
    return "noise" if key == RATE else key.replace(".", " ").replace("_", " ")


def _value_name(key: str, value: object) -> str:
    if not _is_number(value):
        return str(value)
    return f"{100 * value:.4g} %" if key == RATE else f"{value:.6g}"


def _usual(key: str, values: Sequence) -> object:
    if not all(map(_is_number, values)):
        return values[0]
    return min(values, key=lambda rate: (abs(rate - USUAL_RATE), rate)) if key == RATE else max(values)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
