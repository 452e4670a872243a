"""A study's YAML file, checked as a whole: every arm at every condition is a valid experiment before anything runs."""

import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.config import config_hash
from pipeline.config_problems import ConfigError, Problem
from pipeline.config_schema import Experiment, FaceData
from pipeline.config_yaml import Document, yaml_text
from pipeline.study.build import Builder
from pipeline.study.cells import HASH_DIGITS, Arm, Cell, cells_at, slug
from pipeline.study.checks import Finding, check_alike, check_file, check_objective, reference_of, validation_metric
from pipeline.study.reading import read_document, validated
from pipeline.study.schema import Range, Search, StudyFile, Variant
from pipeline.study.settings import (
    FOLD,
    GRID,
    SEED,
    VARIANT,
    Dimension,
    decoded,
    dimensions,
    point_of,
    reference_setting,
    setting_name,
    settings_of,
)
from pipeline.study.settings import shown as short

Condition = dict[str, object]
Arms = list[tuple[Arm, Experiment]]
MOST_PROBED = 256  # combinations of a search's values that are looked at before it begins


@dataclass(frozen=True)
class Study:
    """A checked study.

    `parts` says by name what decides about its runs: a digest of every variant, the axes, seeds, folds, the search, and
    of what is compared with what.
    `cells` are those of a grid in the order in which they run, none for a search.
    """

    name: str
    text: str
    path: Path
    file: StudyFile
    variants: tuple[str, ...]
    reference_only: tuple[str, ...]
    reference: str
    reference_settings: Mapping[str, str]
    axes: Mapping[str, tuple]
    seeds: tuple[int, ...]
    folds: tuple[int | None, ...]
    search: Search
    space: tuple[Dimension, ...]
    parts: Mapping[str, str]
    cells: tuple[Cell, ...]
    builder: Builder

    @property
    def digest(self) -> str:
        """sha256 in hex of all `parts`."""
        return _digest(dict(self.parts))

    @property
    def conditions(self) -> list[Condition]:
        """Every point of the axes, [{}] without any."""
        return conditions_of(self.file)

    def first_values(self, name: str) -> dict[str, object]:
        """The hyperparameters of a search's trial of a variant, each at its first or lowest value."""
        own = [each for each in self.space if not each.when or name in each.when[VARIANT]]
        return {each.name: each.low if each.values is None else each.values[0] for each in own} | {VARIANT: name}

    def cells_of(self, values: Mapping[str, object]) -> tuple[Cell, ...]:
        """The cells of a trial whose hyperparameters have these values: one in a grid, else all of one arm."""
        name = values[VARIANT]
        setting, point = point_of(values, name, self.file.variants[name])
        if self.search.kind != GRID:
            return tuple(_cells(self.builder, Arm(name, setting, point), self.conditions, searched=True))
        condition = {key: decoded(values[key], given) for key, given in self.axes.items()}
        wanted = (name, setting, condition, values[SEED], values.get(FOLD))
        return tuple(
            cell
            for cell in self.cells
            if (cell.arm.variant, cell.arm.setting, cell.condition, cell.seed, cell.fold) == wanted
        )


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
    arms = _experiments(builder, problems, {at[1] for at, _ in found if at[2:3] in (("axes",), ("settings",))})
    if problems:
        raise ConfigError(problems)
    return _study(path, text, builder, arms)


def conditions_of(file: StudyFile) -> list[Condition]:
    """Every point of the study's axes, the first axis outermost; [{}] without any."""
    return [dict(zip(file.axes, point, strict=True)) for point in itertools.product(*file.axes.values())]


def _study(path: Path, text: str, builder: Builder, arms: Arms) -> Study:
    file, (_, first) = builder.file, arms[0]
    seeds = tuple(first.seeds)
    folds = tuple(first.data.folds) if isinstance(first.data, FaceData) else (None,)
    cells = tuple(_grid(builder, [arm for arm, _ in arms])) if file.search.kind == GRID else ()
    objective = file.search.objective or validation_metric(first)
    space = dimensions(file, seeds, folds)
    return Study(
        name=file.name or slug(path.stem),
        text=text,
        path=path,
        file=file,
        variants=tuple(file.variants),
        reference_only=tuple(name for name, variant in file.variants.items() if variant.reference_only),
        reference=reference_of(file),
        reference_settings={name: reference_setting(variant) for name, variant in file.variants.items()},
        axes={key: tuple(values) for key, values in file.axes.items()},
        seeds=seeds,
        folds=folds,
        search=file.search.model_copy(update={"objective": objective}),
        space=space,
        parts=_parts(file, arms, seeds, folds),
        cells=cells,
        builder=builder,
    )


def _grid(builder: Builder, arms: list[Arm]) -> Iterator[Cell]:
    """All cells of a grid: seed by seed, fold by fold, so that a part of them compares already."""
    conditions = conditions_of(builder.file)
    cells = [cell for arm in arms for cell in _cells(builder, arm, conditions)]
    order = {_key(condition): index for index, condition in enumerate(conditions)}
    yield from sorted(cells, key=lambda cell: (cell.seed, cell.fold or 0, order[_key(cell.condition)]))


def _cells(builder: Builder, arm: Arm, conditions: list[Condition], searched: bool = False) -> Iterator[Cell]:
    """The cells of an arm; where a condition means nothing to it, the run is the same at all of them."""
    name = slug(arm.name)
    if searched and arm.values:
        name += f"-{_digest(dict(arm.values))[:HASH_DIGITS]}"
    for condition in conditions:
        applying = {key: value for key, value in condition.items() if builder.applies(key, arm.variant)}
        parts = [f"{key.rpartition('.')[2]}{short(value)}" for key, value in applying.items()]
        full = "-".join([name, *(slug(part) for part in parts)])
        yield from cells_at(arm, condition, builder.experiment(arm, condition), full)


def _parts(file: StudyFile, arms: Arms, seeds: tuple, folds: tuple) -> dict[str, str]:
    """Name to digest of everything that decides which runs there are, and which of them were to be compared."""
    parts = {}
    for name, variant in file.variants.items():
        runs = [
            (arm.setting, config_hash(experiment.model_copy(update={"seeds": [0], "name": "one"})))
            for arm, experiment in arms
            if arm.variant == name
        ]
        ranges = {key: axis.model_dump() for key, axis in variant.axes.items() if isinstance(axis, Range)}
        parts[f"variant {name}"] = _digest([runs, ranges])
    search = file.search.model_dump()
    chosen = {name: (variant.reference_only, reference_setting(variant)) for name, variant in file.variants.items()}
    return {
        **parts,
        "axes": _digest(file.axes),
        "seeds": _digest(seeds),
        "folds": _digest(folds),
        "search": _digest(search),
        "references": _digest([reference_of(file), chosen]),
    }


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":"), default=str).encode()).hexdigest()


def _key(value: object) -> str:
    return json.dumps(value, sort_keys=True)


def _experiments(builder: Builder, problems: list[Problem], broken: set) -> Arms:
    """Each arm with its experiment at the first condition; what is wrong with any, at any condition, is a problem.

    Without the variants in `broken`, whose settings cannot be told.
    """
    file, at_conditions, found = builder.file, [], []
    wanted = [
        arm
        for name, variant in file.variants.items()
        if name not in broken
        for arm in _arms(name, variant, file.search.kind == GRID)
    ]
    for condition in conditions_of(file):
        at_conditions.append([])
        for arm in wanted:
            try:
                at_conditions[-1].append((arm, builder.experiment(arm, condition)))
            except ConfigError as error:
                found += error.problems
    problems += found
    if not found and any(arm.variant == reference_of(file) for arm in wanted):
        for arms in at_conditions:
            problems += _problems([*check_alike(arms, file), *check_objective(arms, file)], builder.document)
        problems += _problems(_whole_numbers(builder, at_conditions[0]), builder.document)
    return at_conditions[0]


def _whole_numbers(builder: Builder, arms: Arms) -> Iterator[Finding]:
    """Ranges that would try whole numbers only, though their key takes any number."""
    for arm in {arm.variant: arm for arm, _ in arms}.values():
        for key, axis in builder.file.variants[arm.variant].axes.items():
            if isinstance(axis, Range) and axis.step is None and type(axis.low) is type(axis.high) is int:
                try:
                    between = Arm(arm.variant, arm.setting, {**arm.values, key: (axis.low + axis.high) / 2 + 0.25})
                    builder.experiment(between, conditions_of(builder.file)[0])
                except ConfigError:
                    continue
                message = (
                    f"only whole numbers would be tried. Write min: {axis.low}.0, max: {axis.high}.0, or give step: 1"
                )
                yield ("variants", arm.variant, "axes", key), message


def _arms(name: str, variant: Variant, grid: bool) -> Iterator[Arm]:
    """The arms of a variant; for a search those that show whether any of its values is out of range."""
    if grid or variant.settings or not variant.axes:
        for setting, values in settings_of(variant).items():
            yield Arm(name, setting, values)
        return
    ends = {key: [axis.low, axis.high] if isinstance(axis, Range) else axis for key, axis in variant.axes.items()}
    for point in itertools.islice(itertools.product(*ends.values()), MOST_PROBED):
        values = dict(zip(ends, point, strict=True))
        yield Arm(name, setting_name(values), values)


def _problems(findings: Iterable[Finding], document: Document) -> list[Problem]:
    return [Problem(document.place(path), path, message) for path, message in findings]
