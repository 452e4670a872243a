"""What a study's report says of each arm: means over seeds and folds, and differences paired by them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.au_intervals import Difference
from pipeline.reporting.read import mapping, number
from pipeline.reporting.study_difference import paired_difference
from pipeline.reporting.summary import Spread, spread
from pipeline.reporting.terms import Terms, terms_of, truth_known
from pipeline.study.results import Condition, Pair, Result, Results

LEVEL, MEMORISED = 0.95, "train_noisy_fit"
Pairs = dict[Pair, float | None]


@dataclass(frozen=True)
class Standing:
    """The cells that speak for a variant at a condition, `wanted` of them when all are done, and their setting in words."""

    setting: str
    wanted: int
    cells: tuple[Result, ...]


@dataclass(frozen=True)
class ArmNumbers:
    """One arm at one condition; shares in [0, 1]. Differences are to the reference, `adjusted` with a wider interval.

    `scores`: by seed and fold. `lost`: the score of the epoch best on the test set minus that of the epoch that counts.
    """

    variant: str
    setting: str
    competes: bool
    wanted: int
    scores: Pairs
    score: Spread | None
    units: dict[str, Spread | None]
    noisy: Spread | None
    memorised: Spread | None
    unseen: Spread | None
    lost: Spread | None
    difference: Difference
    adjusted: Difference
    memorised_difference: Difference


@dataclass(frozen=True)
class ConditionNumbers:
    """One row a variant, in the order of the study."""

    condition: Condition
    rows: tuple[ArmNumbers, ...]

    @property
    def competing(self) -> tuple[ArmNumbers, ...]:
        """The rows that compete, the reference among them."""
        return tuple(row for row in self.rows if row.competes)

    @property
    def apart(self) -> tuple[ArmNumbers, ...]:
        """The rows that are there to compare with only."""
        return tuple(row for row in self.rows if not row.competes)

    def row(self, variant: str) -> ArmNumbers:
        """The row of a variant."""
        return next(row for row in self.rows if row.variant == variant)


@dataclass(frozen=True)
class StudyNumbers:
    """Every variant at its `chosen` setting, by condition; `comparisons` is how many differences there are in all."""

    terms: Terms
    multilabel: bool
    units: tuple[str, ...]
    reference: str
    chosen: Mapping[str, str | None]
    conditions: tuple[ConditionNumbers, ...]
    comparisons: int


def study_numbers(results: Results) -> StudyNumbers:
    """The numbers from the cells that are done."""
    done = [cell for cell in results.cells if cell.scores]
    multilabel = any(cell.scores.get("task") == "multilabel" for cell in done)
    data = next((mapping(cell.config, "data").get("name") for cell in done), None)
    units = tuple(dict.fromkeys(name for cell in done for name in mapping(cell.scores, "metrics", "f1")))
    named = terms_of(multilabel, data, _truth_known(done))
    chosen = chosen_settings(results)
    comparisons = (len(results.variants) - len(results.reference_only) - 1) * len(results.conditions)
    conditions = tuple(
        condition_numbers(
            results,
            {variant: standing_at(results, variant, chosen, condition) for variant in results.variants},
            condition,
            named,
            units,
            comparisons,
        )
        for condition in results.conditions
    )
    return StudyNumbers(named, multilabel, units, results.reference, chosen, conditions, comparisons)


def condition_numbers(
    results: Results,
    standing: Mapping[str, Standing],
    condition: Condition,
    named: Terms,
    units: tuple[str, ...],
    comparisons: int,
) -> ConditionNumbers:
    """Every variant as it stands at one condition."""
    others = standing[results.reference].cells
    rows = (_row(results, variant, own, others, named, units, comparisons) for variant, own in standing.items())
    return ConditionNumbers(condition, tuple(rows))


def chosen_settings(results: Results) -> dict[str, str | None]:
    """The setting that stands for each variant: its reference, in a search its best by the objective; None: no trial."""
    if results.search.kind == "grid":
        return dict(results.reference_settings)
    best: dict[str, str | None] = {}
    for variant in results.variants:
        reached = {
            setting: objective_of(results, results.select(variant, setting))
            for name, setting in results.arms
            if name == variant
        }
        known = {setting: value for setting, value in reached.items() if value is not None}
        best[variant] = max(known, key=known.__getitem__, default=next(iter(reached), None))
    return best


def objective_of(results: Results, cells: Sequence[Result]) -> float | None:
    """The mean of what a search maximises over `cells`, None unless all are done and have it."""
    values = [number(cell.scores, results.search.objective) for cell in cells]
    return None if not values or None in values else spread(values).mean


def paired(cells: Sequence[Result], *path: str) -> Pairs:
    """The numbers at `path` of scores.json by seed and fold, of the cells of one arm at one condition that are done."""
    return {cell.pair: number(cell.scores, *path) for cell in cells if cell.scores}


def oracle_loss(cell: Result, terms: Terms) -> float | None:
    """How much better the epoch best on the test set was than the one that counts."""
    best, counted = number(cell.scores, "oracle", terms.test_key), number(cell.scores, *terms.score)
    return None if best is None or counted is None else best - counted


def _truth_known(done: list[Result]) -> bool | None:
    """Whether the test labels are right; noise drawn in some variants makes them that for all."""
    recorded = {truth_known(cell.data) for cell in done}
    return True if True in recorded else False if False in recorded else None


def standing_at(results: Results, variant: str, chosen: Mapping[str, str | None], condition: Condition) -> Standing:
    """A variant at its `chosen` setting."""
    setting = chosen[variant]
    cells = () if setting is None else results.select(variant, setting, condition)
    return Standing(setting or "", len(cells), cells)


def _row(
    results: Results,
    variant: str,
    own: Standing,
    others: Sequence[Result],
    named: Terms,
    units: tuple[str, ...],
    comparisons: int,
) -> ArmNumbers:
    cells = own.cells
    scores, reference = paired(cells, *named.score), paired(others, *named.score)
    return ArmNumbers(
        variant=variant,
        setting=own.setting,
        competes=results.competes(variant),
        wanted=own.wanted,
        scores=scores,
        score=spread(scores.values()),
        units={unit: _spread(cells, "metrics", "f1", unit) for unit in units},
        noisy=_spread(cells, "metrics_noisy", "f1_mean"),
        memorised=_spread(cells, MEMORISED),
        unseen=_spread(cells, "test_noisy_fit"),
        lost=spread(oracle_loss(cell, named) for cell in cells),
        difference=paired_difference(scores, reference, LEVEL),
        adjusted=paired_difference(scores, reference, 1 - (1 - LEVEL) / max(comparisons, 1)),
        memorised_difference=paired_difference(paired(cells, MEMORISED), paired(others, MEMORISED), LEVEL),
    )


def _spread(cells: Sequence[Result], *path: str) -> Spread | None:
    return spread(number(cell.scores, *path) for cell in cells)
