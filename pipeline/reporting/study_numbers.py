"""What a study's report says of each variant: means over seeds and folds, and differences paired by them."""

from dataclasses import dataclass

from pipeline.au_intervals import Difference, paired_difference
from pipeline.reporting.read import mapping, number
from pipeline.reporting.summary import Spread, spread
from pipeline.reporting.terms import Terms, terms_of, truth_known
from pipeline.study.results import Result, Results

LEVEL = 0.95
Pairs = dict[tuple[int, int | None], float | None]


@dataclass(frozen=True)
class VariantNumbers:
    """One row of the table; shares in [0, 1]. `difference` is to the reference, `adjusted` with a wider interval."""

    name: str
    competes: bool
    wanted: int
    score: Spread | None
    units: dict[str, Spread | None]
    noisy: Spread | None
    memorised: Spread | None
    unseen: Spread | None
    difference: Difference
    adjusted: Difference


@dataclass(frozen=True)
class StudyNumbers:
    """All rows in the order of the study; `comparisons` is how many variants are compared with the reference."""

    terms: Terms
    multilabel: bool
    units: tuple[str, ...]
    rows: tuple[VariantNumbers, ...]
    reference: str
    comparisons: int

    @property
    def competing(self) -> tuple[VariantNumbers, ...]:
        """The rows that compete, the reference among them."""
        return tuple(row for row in self.rows if row.competes)

    @property
    def apart(self) -> tuple[VariantNumbers, ...]:
        """The rows that are there to compare with only."""
        return tuple(row for row in self.rows if not row.competes)


def study_numbers(results: Results) -> StudyNumbers:
    """The numbers of all variants, from the cells that are done."""
    done = [cell for cell in results.cells if cell.scores]
    multilabel = any(cell.scores.get("task") == "multilabel" for cell in done)
    data = next((mapping(cell.config, "data").get("name") for cell in done), None)
    units = tuple(dict.fromkeys(name for cell in done for name in mapping(cell.scores, "metrics", "f1")))
    named = terms_of(multilabel, data, _truth_known(done))
    comparisons = len(results.variants) - len(results.reference_only) - 1
    rows = tuple(_row(results, variant, named, units, comparisons) for variant in results.variants)
    return StudyNumbers(named, multilabel, units, rows, results.reference, comparisons)


def _truth_known(done: list[Result]) -> bool | None:
    """Whether the test labels are right; noise drawn in some variants makes them that for all."""
    recorded = {truth_known(cell.data) for cell in done}
    return True if True in recorded else False if False in recorded else None


def paired(results: Results, variant: str, *path: str) -> Pairs:
    """The numbers at `path` of scores.json by seed and fold, of the variant's cells that are done."""
    return {cell.pair: number(cell.scores, *path) for cell in results.of(variant)}


def _row(results: Results, variant: str, named: Terms, units: tuple[str, ...], comparisons: int) -> VariantNumbers:
    done, scores = results.of(variant), paired(results, variant, *named.score)
    reference = paired(results, results.reference, *named.score)
    return VariantNumbers(
        name=variant,
        competes=variant not in results.reference_only,
        wanted=sum(cell.variant == variant for cell in results.cells),
        score=spread(scores.values()),
        units={unit: _spread(done, "metrics", "f1", unit) for unit in units},
        noisy=_spread(done, "metrics_noisy", "f1_mean"),
        memorised=_spread(done, "train_noisy_fit"),
        unseen=_spread(done, "test_noisy_fit"),
        difference=paired_difference(scores, reference, LEVEL),
        adjusted=paired_difference(scores, reference, 1 - (1 - LEVEL) / max(comparisons, 1)),
    )


def _spread(cells: tuple[Result, ...], *path: str) -> Spread | None:
    return spread(number(cell.scores, *path) for cell in cells)
