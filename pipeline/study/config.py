"""A study's YAML file, checked as a whole: every arm at every condition is a valid experiment before anything runs."""

import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.config import config_hash, load_config
from pipeline.config.load import Document, yaml_text
from pipeline.config.messages import ConfigError, KeyPath, Place, Problem
from pipeline.config.schema import Experiment
from pipeline.study.cells import (
    HASH_DIGITS,
    Arm,
    Cell,
    cells_at,
    first_arm,
    folds_of,
    named_points,
    reference_setting,
    settings_of,
    shown,
    slug,
    target,
)
from pipeline.study.checks import Finding, check_alike, check_file, check_objective, reference_of, validation_metric
from pipeline.study.schema import GRID, Range, Search, StudyFile, read_document, validated

Condition = dict[str, object]
Arms = list[tuple[Arm, Experiment]]
Origin = tuple[KeyPath, KeyPath]  # a path in the study, and the path in the experiment that it sets
MAX_PROBED = 256  # combinations of a search's values that are checked before it begins


@dataclass(frozen=True)
class Builder:
    """Makes experiments from a study file; `document` knows the line of every key."""

    file: StudyFile
    base: Path
    document: Document

    @property
    def conditions(self) -> list[Condition]:
        """Every point of the study's axes, the first axis outermost; [{}] without any."""
        axes = self.file.axes
        return [dict(zip(axes, point, strict=True)) for point in itertools.product(*axes.values())]

    def experiment(self, arm: Arm, condition: Mapping[str, object]) -> Experiment:
        """The experiment of an arm at a condition, with all seeds and folds.

        Raises ConfigError with the lines of the study that caused the errors.
        """
        overrides = self._overrides(arm, condition)
        try:
            return load_config(self.base, list(overrides))
        except ConfigError as error:
            raise ConfigError([self._here(problem, overrides) for problem in error.problems]) from None

    def cells(self, arm: Arm) -> Iterator[Cell]:
        """The cells of an arm; where a condition means nothing to it, the run is the same at all of them."""
        name = slug(arm.name)
        if self.file.search.kind != GRID and arm.values:  # ranges: names are to six digits
            name += f"-{_digest(dict(arm.values))[:HASH_DIGITS]}"
        for condition in self.conditions:
            applying = {key: value for key, value in condition.items() if self._applies(key, arm.variant)}
            parts = [slug(f"{key.rpartition('.')[2]}{shown(value)}") for key, value in applying.items()]
            yield from cells_at(arm, condition, self.experiment(arm, condition), "-".join([name, *parts]))

    def _applies(self, key: str, variant: str) -> bool:
        """Whether the condition `key` means anything to a variant: not if it sets that key, or what contains it."""
        return not any(f"{key}.".startswith(f"{own}.") for own in self.file.variants[variant].overrides)

    def _overrides(self, arm: Arm, condition: Mapping[str, object]) -> dict[str, Origin]:
        """KEY=VALUE to its origin, in the order in which they apply."""
        file, name, variant = self.file, arm.variant, self.file.variants[arm.variant]
        applying = [(key, value) for key, value in condition.items() if self._applies(key, name)]
        section = ("settings", arm.setting) if variant.settings else ("axes",)
        wanted = [(("set", key), key, value) for key, value in file.overrides.items()]
        wanted += [(("axes", key), key, value) for key, value in applying]
        wanted += [(("variants", name, "set", key), key, value) for key, value in variant.overrides.items()]
        wanted += [(("variants", name, "methods"), "methods", variant.methods), ((), "baseline", False)]
        for key, value in arm.values.items():
            wanted.append((("variants", name, *section, key), target(key, variant), value))
        for key, aim, numbers in (("seeds", "seeds", file.seeds), ("folds", "data.folds", file.folds)):
            if numbers is not None:
                wanted.append(((key,), aim, list(dict.fromkeys(numbers))))
        return {f"{key}={json.dumps(value)}": (path, _steps(key)) for path, key, value in wanted}

    def _here(self, problem: Problem, overrides: Mapping[str, Origin]) -> Problem:
        """The problem at the line of the study that caused it; one in the base file stays where it is."""
        if problem.place == Place(str(self.base)):  # the file as a whole
            return Problem(self.document.place(("base",)), ("base",), f"{self.base}: {problem.message}")
        known = overrides.get(problem.place.source.removeprefix("--set "))
        if known is None:
            return problem
        path, key = known
        below = problem.path[len(key) :]
        is_setting = key[:1] == ("methods",) and path[-1] != "methods"
        named = (*_steps(path[-1]), *below) if is_setting else problem.path  # dropout.rate, not methods.0.rate
        return Problem(self.document.place((*path, *below)), named, problem.message)


@dataclass(frozen=True)
class Study:
    """A checked study.

    `parts` names what decides which runs there are and which are compared, each with a digest: every variant, the axes,
    seeds, folds, the search, the references. `cells` are those of a grid in the order in which they run, none for a search.
    """

    name: str
    text: str
    path: Path
    file: StudyFile
    seeds: tuple[int, ...]
    folds: tuple[int | None, ...]
    search: Search
    parts: Mapping[str, str]
    cells: tuple[Cell, ...]
    builder: Builder

    @property
    def digest(self) -> str:
        """sha256 in hex of all `parts`."""
        return _digest(dict(self.parts))

    @property
    def variants(self) -> tuple[str, ...]:
        """The names of the variants."""
        return tuple(self.file.variants)

    @property
    def reference(self) -> str:
        """The variant differences are taken to."""
        return reference_of(self.file)

    def competes(self, variant: str) -> bool:
        """Whether a variant is compared with the reference, not only shown."""
        return not self.file.variants[variant].reference_only

    @property
    def runs(self) -> int:
        """How many runs there are; of a search, how many there are at most."""
        if self.search.kind != GRID:
            return self.search.trials * len(self.builder.conditions) * len(self.seeds) * len(self.folds)
        return len({cell.run_folder(Path()) for cell in self.cells})


def load_study(path: str | Path) -> Study:
    """The study in the YAML file `path`.

    Raises ConfigError that lists every error of the file, of the base and of all arms with file and line.
    """
    path = Path(path)
    text = yaml_text(path)
    document = read_document(path, text)
    file, problems = validated(document)
    if file is None:
        raise ConfigError(problems)
    found = list(check_file(file))
    problems += _problems(found, document)
    builder = Builder(file, path.parent / file.base, document)
    unclear = {at[1] for at, _ in found if at[2:3] in (("axes",), ("settings",))}  # variants whose settings are wrong
    wanted = [arm for name in file.variants if name not in unclear for arm in _arms(name, file)]
    arms, found = _experiments(builder, wanted)
    problems += found
    if problems:
        raise ConfigError(problems)
    return _study(path, text, builder, arms)


def _study(path: Path, text: str, builder: Builder, arms: Arms) -> Study:
    file, (_, first) = builder.file, arms[0]
    seeds, folds = tuple(first.seeds), folds_of(first)
    objective = file.search.objective or validation_metric(first)
    return Study(
        name=file.name or slug(path.stem),
        text=text,
        path=path,
        file=file,
        seeds=seeds,
        folds=folds,
        search=file.search.model_copy(update={"objective": objective}),
        parts=_parts(file, arms, seeds, folds),
        cells=tuple(_grid(builder, [arm for arm, _ in arms])) if file.search.kind == GRID else (),
        builder=builder,
    )


def _grid(builder: Builder, arms: list[Arm]) -> list[Cell]:
    """All cells of a grid: seed by seed, fold by fold, so that results can be compared before all of them are there."""
    cells, conditions = [cell for arm in arms for cell in builder.cells(arm)], builder.conditions
    return sorted(cells, key=lambda cell: (cell.seed, cell.fold or 0, conditions.index(cell.condition)))


def _parts(file: StudyFile, arms: Arms, seeds: tuple, folds: tuple) -> dict[str, str]:
    parts = {}
    for name, variant in file.variants.items():
        runs = [
            (arm.setting, config_hash(experiment.model_copy(update={"seeds": [0], "name": "one"})))
            for arm, experiment in arms
            if arm.variant == name
        ]
        ranges = {key: axis.model_dump() for key, axis in variant.axes.items() if isinstance(axis, Range)}
        parts[f"variant {name}"] = _digest([runs, ranges])
    chosen = {name: (variant.reference_only, reference_setting(variant)) for name, variant in file.variants.items()}
    return {
        **parts,
        "axes": _digest(file.axes),
        "seeds": _digest(seeds),
        "folds": _digest(folds),
        "search": _digest(file.search.model_dump()),
        "references": _digest([reference_of(file), chosen]),
    }


def _arms(name: str, file: StudyFile) -> Iterator[Arm]:
    """The arms of a variant; for a search those that show whether any of its values is out of range."""
    variant = file.variants[name]
    points = settings_of(variant).items()
    if file.search.kind != GRID and variant.axes:
        ends = {key: [axis.low, axis.high] if isinstance(axis, Range) else axis for key, axis in variant.axes.items()}
        points = itertools.islice(named_points(ends), MAX_PROBED)
    for setting, values in points:
        yield Arm(name, setting, values)


def _experiments(builder: Builder, wanted: list[Arm]) -> tuple[Arms, list[Problem]]:
    """Each arm with its experiment at the first condition, and what is wrong with any of them at any condition."""
    file, at_conditions, problems = builder.file, [], []
    for condition in builder.conditions:
        at_conditions.append([])
        for arm in wanted:
            try:
                at_conditions[-1].append((arm, builder.experiment(arm, condition)))
            except ConfigError as error:
                problems += error.problems
    if not problems and any(arm.variant == reference_of(file) for arm in wanted):
        for arms in at_conditions:
            problems += _problems([*check_alike(arms, file), *check_objective(arms, file)], builder.document)
        problems += _problems(_whole_numbers(builder, wanted), builder.document)
    return at_conditions[0], problems


def _whole_numbers(builder: Builder, arms: list[Arm]) -> Iterator[Finding]:
    """Ranges that would try whole numbers only, though their key takes any number."""
    for name in {arm.variant: None for arm in arms}:
        variant = builder.file.variants[name]
        arm = first_arm(name, variant)
        for key, axis in variant.axes.items():
            if not isinstance(axis, Range) or axis.step is not None or {type(axis.low), type(axis.high)} != {int}:
                continue
            try:
                between = (axis.low + axis.high) / 2 + 0.25
                builder.experiment(Arm(name, arm.setting, {**arm.values, key: between}), builder.conditions[0])
            except ConfigError:
                continue
            advice = f"Write min: {axis.low}.0, max: {axis.high}.0, or give step: 1"
            yield ("variants", name, "axes", key), f"only whole numbers would be tried. {advice}"


def _problems(findings: Iterable[Finding], document: Document) -> list[Problem]:
    return [Problem(document.place(path), path, message) for path, message in findings]


def _steps(key: str) -> KeyPath:
    return tuple(int(step) if step.isdigit() else step for step in key.split("."))


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":"), default=str).encode()).hexdigest()
