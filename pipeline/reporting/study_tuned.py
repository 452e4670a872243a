"""The comparison with all variants tuned alike: in every run the setting that noisy validation chooses there."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from pipeline.methods.early_stopping import EarlyStopping
from pipeline.reporting import words
from pipeline.reporting.read import number
from pipeline.reporting.series_style import method_names
from pipeline.reporting.study_contest import ranking
from pipeline.reporting.study_difference import paired_difference
from pipeline.reporting.study_numbers import ArmNumbers, Standing, StudyNumbers, condition_numbers
from pipeline.reporting.study_stopped import STOPPING, stopped_scores
from pipeline.reporting.study_words import arm_name
from pipeline.reporting.summary import Spread, spread
from pipeline.study.results import Condition, Result, Results

NEVER = 10**9  # epochs of patience
NO_DIFFERENCE = paired_difference({}, {})


@dataclass(frozen=True)
class Free:
    """What validation reaches when it may choose the variant too: the arms it takes, in words, and their scores."""

    arms: str
    score: Spread


@dataclass(frozen=True)
class Tuned:
    """`numbers` at the settings chosen by seed and fold; `free`: the choice among all variants, at every condition.

    `is_reference`: whether the settings chosen are the reference settings, everywhere.
    """

    numbers: StudyNumbers
    free: tuple[Free | None, ...]
    is_reference: bool


def tune(results: Results, numbers: StudyNumbers) -> Tuned | None:
    """The comparison at the settings chosen; None without settings, or while it lacks runs at one of the conditions.

    Beside it the reference stopped early, where no variant is that.
    """
    if results.search.kind != "grid" or not any(_has_settings(results, name) for name in results.variants):
        return None
    tables, stopped, free, same = [], [], [], True
    for condition in results.conditions:
        standing = {name: _standing(results, numbers, name, condition) for name in results.variants}
        table = condition_numbers(results, standing, condition, numbers.terms, numbers.units, numbers.comparisons)
        if len(ranking(table)) < 2:
            return None
        competing = [own for name, own in standing.items() if results.competes(name)]
        free.append(_free(numbers, competing))
        tables.append(table)
        stopped.append(_stopped(table.row(results.reference), standing[results.reference].cells, numbers))
        same &= all(own.setting == results.reference_settings[name] for name, own in standing.items())
    if any(row.score for row in stopped) and not any(
        STOPPING in method_names(results, name) for name in results.variants
    ):
        tables = [replace(table, rows=(*table.rows, row)) for table, row in zip(tables, stopped, strict=True)]
    return Tuned(replace(numbers, chosen={}, conditions=tuple(tables)), tuple(free), same)


def _has_settings(results: Results, variant: str) -> bool:
    return len(results.settings[variant]) > 1 and results.competes(variant)


def _standing(results: Results, numbers: StudyNumbers, variant: str, condition: Condition) -> Standing:
    """The cells chosen, one a seed and fold; a variant without settings, or that does not compete, as it is."""
    reference = results.reference_settings[variant]
    own = results.select(variant, reference, condition)
    if not _has_settings(results, variant):
        return Standing(reference, len(own), own)
    by_pair: dict = {}
    for cell in results.select(variant, None, condition):
        by_pair.setdefault(cell.pair, []).append(cell)
    chosen = tuple(filter(None, (_chosen(cells, numbers.terms.val_key) for cells in by_pair.values())))
    return Standing(_counted([cell.setting for cell in chosen]), len(by_pair), chosen)


def _chosen(cells: Sequence[Result], key: str) -> Result | None:
    """The cell of one seed and fold with the best noisy validation, the first of equal ones; never one that failed.

    None while a run is missing, or without a validation score.
    """
    able = [cell for cell in cells if cell.state != "failed"]
    if not able or any(number(cell.scores, key) is None for cell in able):
        return None
    return max(able, key=lambda cell: number(cell.scores, key))


def _counted(names: Iterable[str]) -> str:
    """`W4/A4`, or `W4/A4 (2 runs) and W8/A8 (1)` where seeds and folds differ."""
    counts = Counter(names).most_common()
    if len(counts) < 2:
        return "".join(name for name, _ in counts)
    (first, most), *others = counts
    runs = f"{most} run{'s' * (most > 1)}"
    return words.listing([f"{first} ({runs})", *(f"{name} ({count})" for name, count in others)])


def _free(numbers: StudyNumbers, standing: Sequence[Standing]) -> Free | None:
    """The arm of the best noisy validation of every seed and fold, of all that compete; None where it cannot tell."""
    by_pair: dict = {}
    for cell in (cell for own in standing for cell in own.cells):
        by_pair.setdefault(cell.pair, []).append(cell)
    if any(len(cells) < len(standing) for cells in by_pair.values()):
        return None
    chosen = [_chosen(cells, numbers.terms.val_key) for cells in by_pair.values()]
    scores = None if None in chosen else spread(number(cell.scores, *numbers.terms.score) for cell in chosen)
    return scores and Free(_counted([arm_name(cell.variant, cell.setting) for cell in chosen]), scores)


def _stopped(reference: ArmNumbers, cells: Sequence[Result], numbers: StudyNumbers) -> ArmNumbers:
    """The reference at the epoch of its best noisy validation, as settings are chosen, read off the curves of its runs."""
    rule = EarlyStopping(monitor=numbers.terms.val_key, patience=NEVER)
    scores = stopped_scores(cells, rule, numbers.terms.test_key)
    return replace(
        reference,
        variant=f"{reference.variant} stopped early",
        competes=False,
        scores=scores,
        score=spread(scores.values()),
        units={},
        noisy=None,
        memorised=None,
        unseen=None,
        lost=None,
        difference=paired_difference(scores, reference.scores),
        adjusted=NO_DIFFERENCE,
        memorised_difference=NO_DIFFERENCE,
    )
