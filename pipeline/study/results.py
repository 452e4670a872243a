"""The results of a study, read from its folder: study.json and trials/ say which cells belong to it, the runs the rest."""

import itertools
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal

import yaml

from pipeline.errors import RunFailed, UserError
from pipeline.reporting.read import Json
from pipeline.run_files import read_json, read_jsonl
from pipeline.run_folder import seed_path
from pipeline.study.manifest import MANIFEST, STUDY_FORMAT, TRIALS

STUDY_TEXT = "study.yaml"
Pair = tuple[int, int | None]  # seed, fold
Condition = dict[str, Any]  # dotted key and value, {} in a study without axes
State = Literal["not begun", "unfinished", "failed", "done"]


@dataclass(frozen=True)
class Result:
    """What one cell has come to; `scores` and `verification` are empty unless its run is done."""

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
        """By what it is paired with another arm's cell at the same condition: seed and fold."""
        return self.seed, self.fold

    @property
    def arm(self) -> tuple[str, str]:
        """Variant and setting."""
        return self.variant, self.setting

    def history(self) -> list[dict]:
        """The lines of metrics.jsonl, one an epoch; [] where the file is absent or damaged."""
        try:
            lines = read_jsonl(seed_path(self.folder, self.seed, self.fold) / "metrics.jsonl")
        except RunFailed:
            return []
        return list({line["epoch"]: line for line in lines if "epoch" in line}.values())


@dataclass(frozen=True)
class Search:
    """How the space is searched; `objective` is a key of scores.json, None without a validation part."""

    kind: Literal["grid", "random", "bayesian"]
    trials: int | None
    objective: str | None
    seed: int


@dataclass(frozen=True)
class Results:
    """All cells of a study, done or not."""

    name: str
    variants: tuple[str, ...]
    reference_only: tuple[str, ...]
    reference: str
    settings: Mapping[str, Mapping[str, Json]]  # variant, setting: the values of its own axes
    reference_settings: Mapping[str, str]
    axes: Mapping[str, tuple]
    seeds: tuple[int, ...]
    folds: tuple[int | None, ...]
    search: Search
    command: str
    cells: tuple[Result, ...]

    @cached_property
    def arms(self) -> tuple[tuple[str, str], ...]:
        """(variant, setting) in the order of the study; a search has those of its trials, in the order of these."""
        grid = self.search.kind == "grid"
        wanted = [(variant, setting) for variant in self.variants for setting in self.settings[variant] if grid]
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

    Raises UserError if it is none or another version's, RunFailed if its manifest is damaged.
    """
    record = read_json(folder / MANIFEST)
    if record is None or record.get("format") != STUDY_FORMAT:
        raise UserError(f"{folder}: there is no study of this version; python -m pipeline.study makes studies/NAME/")
    variants = {each["name"]: each for each in record["variants"]}
    return Results(
        name=record["name"],
        variants=tuple(variants),
        reference_only=tuple(name for name, each in variants.items() if each["reference_only"]),
        reference=record["reference"],
        settings={
            name: {setting["name"]: setting["values"] for setting in each["settings"]}
            for name, each in variants.items()
        },
        reference_settings={name: each["reference_setting"] for name, each in variants.items()},
        axes={key: tuple(values) for key, values in record["axes"].items()},
        seeds=tuple(record["seeds"]),
        folds=tuple(record["folds"]) or (None,),
        search=Search(**{key: record["search"][key] for key in ("kind", "trials", "objective", "seed")}),
        command=record["command"],
        cells=tuple(_result(folder, cell, trial) for cell, trial in _cells(folder, record)),
    )


def _cells(folder: Path, record: Json) -> Iterable[tuple[Json, str]]:
    """The cells of the manifest and then those of each trial, with the trial's name; each counts once."""
    trials = (read_json(path) for path in sorted((folder / TRIALS).glob("[!.]*.json")))
    listed = [(cell, "") for cell in record["cells"]]
    listed += [(cell, str(trial["trial"])) for trial in trials for cell in trial["cells"]]
    seen: set[str] = set()
    for cell, trial in listed:
        key = json.dumps([cell[name] for name in ("variant", "setting", "condition", "seed", "fold")])
        if key not in seen:
            seen.add(key)
            yield cell, trial


def _result(folder: Path, cell: Json, trial: str) -> Result:
    run = folder / cell["run"]
    unit = seed_path(run, cell["seed"], cell["fold"])
    config, data, scores, verification = {}, {}, {}, {}
    try:
        status = read_json(run / "status.json") or {"state": "unfinished"}
        state, message = status["state"], status.get("message", "")
        config, data = _config(run / "resolved.yaml"), read_json(run / "data.json") or {}
        if state == "done":
            scores, verification = (read_json(unit / f"{name}.json") or {} for name in ("scores", "verification"))
            state, message = ("done", message) if scores else ("failed", "its scores.json is not there")
    except RunFailed as damaged:
        state, message, scores, verification = "failed", str(damaged), {}, {}
    state = "not begun" if not run.is_dir() else state if state in ("done", "failed") else "unfinished"
    keys = ("variant", "setting", "values", "condition", "seed", "fold")
    return Result(
        *(cell[key] for key in keys), state, message, cell["run"], config, data, scores, verification, run, trial
    )


def _config(path: Path) -> Json:
    return _parsed(path.read_text(encoding="utf-8")) if path.is_file() else {}


@lru_cache(maxsize=4096)
def _parsed(text: str) -> Json:
    """A run's resolved configuration; remembered, as the report is made anew after every run of a study."""
    try:
        config = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as error:
        raise RunFailed("its resolved.yaml is damaged") from error
    return config if isinstance(config, dict) else {}
