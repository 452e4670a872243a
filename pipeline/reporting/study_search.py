"""Trials of a random or bayesian search: ordered by their objective, and what the best one reaches on the test set."""

from collections.abc import Iterable
from dataclasses import dataclass

from pipeline.au_intervals import Difference
from pipeline.reporting import words
from pipeline.reporting.blocks import Block, Paragraph, Table, Tile
from pipeline.reporting.read import number
from pipeline.reporting.study_contest import in_points, shared
from pipeline.reporting.study_difference import paired_difference
from pipeline.reporting.study_numbers import Pairs, StudyNumbers, objective_of
from pipeline.reporting.study_words import arm_name
from pipeline.reporting.summary import Spread, spread
from pipeline.study.results import Result, Results

OBJECTIVES = {"val_accuracy": "validation accuracy", "val_f1": "validation F1"}
HONESTY = (
    "Trials were chosen by {objective} on labels as noisy as the training's, never by the test set, so the best trial's "
    "test score is an honest estimate; its objective, being the largest of many, is not."
)


@dataclass(frozen=True)
class Trial:
    """One setting of one variant; `objective` None while a run is missing, `difference` over runs, conditions averaged."""

    name: str
    variant: str
    setting: str
    cells: tuple[Result, ...]
    objective: float | None
    score: Spread | None
    difference: Difference

    @property
    def done(self) -> int:
        """How many of its runs are."""
        return sum(bool(cell.scores) for cell in self.cells)


def trials_of(results: Results, numbers: StudyNumbers) -> list[Trial]:
    """All trials, the best first, those without all their runs last."""
    setting = numbers.chosen[results.reference]
    against = () if setting is None else results.select(results.reference, setting)
    reference = _averaged(results, numbers, against)
    found = []
    for variant, setting in results.arms:
        cells = results.select(variant, setting)
        found.append(
            Trial(
                cells[0].trial,
                variant,
                setting,
                cells,
                objective_of(results, cells),
                spread(number(cell.scores, *numbers.terms.score) for cell in cells),
                paired_difference(_averaged(results, numbers, cells), reference),
            )
        )
    return sorted(found, key=lambda trial: (trial.objective is None, -(trial.objective or 0.0), trial.name))


def _averaged(results: Results, numbers: StudyNumbers, cells: tuple[Result, ...]) -> Pairs:
    """The score by seed and fold, averaged over the conditions; None where one of them is missing."""
    by_pair: dict = {}
    for cell in cells:
        by_pair.setdefault(cell.pair, []).append(number(cell.scores, *numbers.terms.score))
    return {
        pair: None if None in values or len(values) < len(results.conditions) else spread(values).mean
        for pair, values in by_pair.items()
    }


def search_headline(results: Results, numbers: StudyNumbers) -> str:
    """The best trial, and what it gains over the reference on the test set."""
    best = best_trial(results, numbers)
    if best is None:
        return "No result yet: no trial has all its runs."
    whole, objective = _whole(results, numbers), OBJECTIVES[results.search.objective]
    start = f"Best of {whole} {results.search.kind} trials by {objective}: {arm_name(best.variant, best.setting)}"
    reached = f"{words.percent(best.score.mean)} on the test set" if best.score else "its test metric is undefined"
    if best.variant == results.reference:
        return f"{start}, the reference itself, {reached}: no trial of another method beats it."
    if best.difference.mean is None:
        return f"{start}, {reached}. {words.capitalised(results.reference)} has no trial, so the gain is unknown."
    gain = f"{words.points(best.difference.mean)} over {results.reference}"
    return f"{start}, {reached}: {gain}. {_sure(best.difference, numbers)}"


def _sure(difference: Difference, numbers: StudyNumbers) -> str:
    if difference.low is None and difference.pairs > 1:
        return f"All {difference.pairs} pairs differ by the same, which gives no interval."
    if difference.low is None:
        return "One pair of runs only: it may be chance."
    interval = f"95 % interval {in_points(difference)}, {difference.pairs} pairs"
    if difference.low <= 0 <= difference.high:
        return f"It may be chance ({interval})."
    if difference.low > 0:
        return f"Hardly chance ({interval}), were the pairs independent; but they share test {shared(numbers)}."
    return f"Worse than it ({interval})."


def search_sentences(results: Results, numbers: StudyNumbers) -> Iterable[str]:
    """How the trials were chosen, and how many there are of the wanted."""
    yield f"{_whole(results, numbers)} of at most {results.search.trials} trials are done."
    yield "They are chosen by held-out labels as noisy as the training's, never by the test set."


def _whole(results: Results, numbers: StudyNumbers) -> int:
    return sum(trial.objective is not None for trial in trials_of(results, numbers))


def search_tiles(results: Results, numbers: StudyNumbers) -> list[Tile]:
    """The best trial by its objective and by the test set, and how many trials are done."""
    trials = Tile("trials done", str(_whole(results, numbers)), f"of at most {results.search.trials}")
    best = best_trial(results, numbers)
    if best is None:
        return [trials]
    interval = "" if best.difference.pairs < 2 else f" ({in_points(best.difference)})"
    gain = f"{words.points(best.difference.mean)} over {results.reference}{interval}"
    unknown = best.variant == results.reference or best.difference.mean is None
    name = f"{arm_name(best.variant, best.setting)}, trial {best.name}"
    return [
        Tile(f"best {OBJECTIVES[results.search.objective]}", words.percent(best.objective), name),
        Tile(f"its {numbers.terms.test}", words.percent(best.score.mean), "" if unknown else gain),
        trials,
    ]


def best_trial(results: Results, numbers: StudyNumbers) -> Trial | None:
    """The competing trial with the best objective of those that have all their runs."""
    trials = (trial for trial in trials_of(results, numbers) if results.competes(trial.variant))
    return next((trial for trial in trials if trial.objective is not None), None)


def trial_blocks(results: Results, numbers: StudyNumbers) -> Iterable[Block]:
    """The table of trials."""
    objective = OBJECTIVES[results.search.objective]
    yield Paragraph(
        f"Ordered by {objective} (mean over all runs of a trial), the best first. Difference: test score against the "
        f"trial of {results.reference}, conditions averaged, paired by seed and fold, 95 % t interval. "
        + HONESTY.format(objective=objective)
    )
    head = (
        "trial",
        "variant",
        "setting",
        objective,
        numbers.terms.test,
        f"against {results.reference}",
        "95 % interval",
    )
    rows = [_row(results, trial) for trial in trials_of(results, numbers)]
    yield Table((*head, "runs"), tuple(rows))


def _row(results: Results, trial: Trial) -> tuple[str, ...]:
    own = trial.variant == results.reference
    return (
        trial.name,
        trial.variant,
        trial.setting or words.NOT_APPLICABLE,
        words.percent(trial.objective),
        words.percent(trial.score.mean) if trial.score else words.MISSING,
        words.NOT_APPLICABLE if own else words.or_dash(words.points(trial.difference.mean)),
        words.NOT_APPLICABLE if own else in_points(trial.difference),
        f"{trial.done} of {len(trial.cells)}",
    )
