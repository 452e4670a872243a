"""The settings of variants: what each reaches, how much depends on them, and which ones noisy validation chooses."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from pydantic import TypeAdapter, ValidationError

from pipeline.methods import AnyMethod, EarlyStopping
from pipeline.reports.load import number
from pipeline.reports.statistics import bootstrap_interval
from pipeline.reports.study_load import Result, Results, arm_name, best_by_validation, method_names
from pipeline.reports.study_numbers import GAIN, StudyNumbers, by_pair, compare, counted, mean_gain, paired_difference
from pipeline.reports.terms import Terms
from pipeline.training.selection import Selection, selection_rule

MIN_BOOTSTRAP_PAIRS = 5  # of three pairs 95 % of the resamples are just the range of the three
METHODS = TypeAdapter(list[AnyMethod])


def setting_table(numbers: StudyNumbers, variant: str) -> pd.DataFrame:
    """What the settings of a variant reach, indexed by `setting` and `place`.

    Columns: wanted, n, mean, sd; as of `mean_gain` the relative gain over the variant's reference setting, and with
    `over_` before their names the difference to the study's reference.
    """
    results, found = numbers.results, []
    rows = dict(list(numbers.runs.groupby(["place", "variant", "setting"])))
    for place in range(len(results.conditions)):
        reference, overall = (
            by_pair(rows.get((place, name, results.reference_settings[name]), numbers.runs[:0]))
            for name in (variant, results.reference)
        )
        for setting in results.settings[variant]:
            own = rows.get((place, variant, setting), numbers.runs[:0])
            score = by_pair(own)
            relative = (score - reference) / reference.where(reference != 0)
            found.append({
                "setting": setting, "place": place, "wanted": len(own), "n": len(score), "mean": score.mean(),
                "sd": score.std(), **mean_gain(relative.dropna()),
                **paired_difference(score, overall).add_prefix("over_"),
            })  # fmt: skip
    return pd.DataFrame(found).set_index(["setting", "place"])


@dataclass(frozen=True)
class Sensitivity:
    """Shares, not points; `interval` is the 95 % bootstrap over pairs, None for fewer than MIN_BOOTSTRAP_PAIRS.

    `chance`: what equal settings would show, None for a single pair. `without`: the setting that adds most to the
    value, and the value without it; None for fewer than three settings.
    """

    value: float
    chance: float | None
    interval: tuple[float, float] | None
    without: tuple[str, float] | None
    settings: int
    pairs: int


def sensitivity(numbers: StudyNumbers, variant: str) -> Sensitivity | None:
    """How much the score depends on the settings: their standard deviation, averaged over the conditions.

    Of the settings that have a seed and fold done at every condition, and the seeds and folds that these all have.
    """
    runs = numbers.runs[(numbers.runs["variant"] == variant) & (numbers.runs["place"] >= 0)]
    wide = runs.pivot(index=["seed", "fold"], columns=["setting", "place"], values="score")
    places = range(len(numbers.results.conditions))
    scores = {
        name: wide.reindex(columns=[(name, place) for place in places]) for name in numbers.results.settings[variant]
    }
    scores = {name: own for name, own in scores.items() if own.notna().all(axis=1).any()}
    if len(scores) < 2 or not len(whole := pd.concat(scores.values(), axis=1).dropna()):
        return None
    return sensitivity_of(whole.to_numpy().T.reshape(len(scores), len(places), -1), [*scores])


def sensitivity_of(scores: np.ndarray, names: Sequence[str]) -> Sensitivity:
    """The sensitivity from `scores` (settings, conditions, pairs) of at least two settings called `names`."""
    means, pairs = scores.mean(axis=2), scores.shape[2]
    left = [_spread(np.delete(means, place, axis=0)) for place in range(len(names))] if len(names) > 2 else []
    return Sensitivity(
        value=_spread(means),
        chance=_chance(scores) if pairs > 1 else None,
        interval=bootstrap_interval(np.moveaxis(scores, 2, 0), lambda drawn: _spread(drawn.mean(axis=0)))
        if pairs >= MIN_BOOTSTRAP_PAIRS
        else None,
        without=(names[int(np.argmin(left))], min(left)) if left else None,
        settings=len(names),
        pairs=pairs,
    )


def _spread(means: np.ndarray) -> float:
    """Of means (settings, conditions)."""
    return float(means.std(axis=0, ddof=1).mean())


def _chance(scores: np.ndarray) -> float:
    """The standard error of a setting's mean, beside what the settings of a pair have in common; mean over conditions."""
    settings, _, pairs = scores.shape
    common = (
        scores.mean(axis=2, keepdims=True) + scores.mean(axis=0, keepdims=True) - scores.mean((0, 2), keepdims=True)
    )
    residual = ((scores - common) ** 2).sum(axis=(0, 2)) / ((settings - 1) * (pairs - 1))
    return float(np.sqrt(residual / pairs).mean())


@dataclass(frozen=True)
class Tuned:
    """The comparison with every run at the setting that its own noisy validation chose.

    `free`: by condition the same with the variant chosen too, as (arms in words, mean score), None where unknown.
    `is_reference`: whether the settings chosen are the reference settings everywhere.
    """

    rows: pd.DataFrame
    comparison: pd.DataFrame
    free: tuple[tuple[str, float] | None, ...]
    is_reference: bool


def tune(numbers: StudyNumbers) -> Tuned | None:
    """In every run, of equal seed and fold, the setting with the best noisy validation; the first of equal ones.

    None without settings, or while a condition has no run to compare. Beside it the reference stopped early, where no
    variant is that.
    """
    results = numbers.results
    if not results.is_grid or not any(_has_settings(results, name) for name in results.variants):
        return None
    parts, free = [], []
    for place in range(len(results.conditions)):
        own = {name: _tuned_rows(numbers, name, place) for name in results.variants}
        parts += own.values()
        free.append(_free(numbers, [rows for name, rows in own.items() if results.competes(name)]))
    rows = pd.concat([part for part in parts if len(part)])
    table = compare(numbers, rows)
    compared = table[table["competes"] & table["difference"].notna()].groupby("place").size()
    if (compared.reindex(range(len(results.conditions)), fill_value=0) < 2).any():
        return None
    same = (table["setting"] == table.index.get_level_values("variant").map(results.reference_settings)).all()
    if not any("early_stopping" in method_names(results, name) for name in results.variants):
        rows = pd.concat([rows, _stopped(numbers, rows)])
        table = compare(numbers, rows)
    return Tuned(rows, table, tuple(free), bool(same))


def _has_settings(results: Results, variant: str) -> bool:
    return len(results.settings[variant]) > 1 and results.competes(variant)


def _tuned_rows(numbers: StudyNumbers, variant: str, place: int) -> pd.DataFrame:
    """One row a seed and fold; without a score where validation cannot choose (yet)."""
    tuned = _has_settings(numbers.results, variant)
    rows = numbers.runs if tuned else numbers.standing
    rows = rows[(rows["variant"] == variant) & (rows["place"] == place)]
    if not tuned or rows.empty:
        return rows
    return pd.concat([_choice(numbers, own) for _, own in rows.groupby(["seed", "fold"], sort=False)])


def _choice(numbers: StudyNumbers, rows: pd.DataFrame) -> pd.DataFrame:
    """The row of one seed and fold with the best noisy validation, never one that failed.

    A row without a score while a run is missing or has no validation score: the choice is among all settings or none.
    """
    able = rows[rows["state"] != "failed"]
    cells = {index: [numbers.results.cells[index]] for index in able.index}
    best = best_by_validation(cells, numbers.terms.val_key)
    if best and able["validation"].notna().all():
        return rows.loc[[best[0]]]
    undecided = rows.iloc[[0]].copy()
    undecided["setting"], undecided["state"] = "", "unfinished"
    undecided[undecided.select_dtypes("number").columns.difference(["seed", "fold", "place"])] = np.nan
    return undecided


def _free(numbers: StudyNumbers, parts: Sequence[pd.DataFrame]) -> tuple[str, float] | None:
    """The arms that noisy validation chooses among all that compete, and their mean score; None where it cannot tell."""
    groups = [own for _, own in pd.concat(parts).groupby(["seed", "fold"], sort=False)]
    if any(len(own) < len(parts) for own in groups):
        return None
    chosen = pd.concat([_choice(numbers, own) for own in groups])
    if chosen["score"].isna().any():
        return None
    return counted([arm_name(row.variant, row.setting) for row in chosen.itertuples()]), chosen["score"].mean()


def _stopped(numbers: StudyNumbers, rows: pd.DataFrame) -> pd.DataFrame:
    """The reference's runs at the epoch of the best noisy validation, chosen as the settings are."""
    own = rows[rows["variant"] == numbers.results.reference]
    found = own[["seed", "fold", "place", "state"]].copy()
    found["score"] = [_stopped_score(numbers.results.cells[index], numbers.terms) for index in own.index]
    return found.assign(variant=f"{numbers.results.reference} stopped early", setting="", competes=False)


def _stopped_score(cell: Result, terms: Terms) -> float:
    """The test score at the epoch of the best validation score; nan without one, or where the run is not done.

    As in training, an epoch before the run's own methods have settled is never chosen.
    """
    rule, history, epochs = EarlyStopping(monitor=terms.val_key), cell.history(), number(cell.config, "train", "epochs")
    if not cell.scores or epochs is None or not any(map(rule.is_measured, history)):
        return np.nan
    try:
        methods = METHODS.validate_python(cell.config.get("methods", []))
    except ValidationError:
        return np.nan
    chosen = Selection(rule, selection_rule(methods, int(epochs)).unsettled).epoch(history)
    score = number(next(line for line in history if line["epoch"] == chosen), terms.test_key)
    return np.nan if score is None else score


def trial_table(numbers: StudyNumbers) -> pd.DataFrame:
    """The trials of a search, the best first, those without all their runs last; indexed by `trial`.

    Columns: variant, setting, competes, objective (mean over all runs, nan while one is missing), mean (test score),
    wanted, n, and those of `mean_gain` to the reference's trial, conditions averaged.
    """
    results, found = numbers.results, []
    rows = {arm: own for arm, own in numbers.runs.groupby(["variant", "setting"])}
    reference = rows.get((results.reference, numbers.chosen[results.reference]), numbers.runs[:0])
    for arm in results.arms:
        cells, own = results.select(*arm), rows[arm]
        best = best_by_validation({arm: cells}, results.objective)
        found.append({
            "trial": cells[0].trial, "variant": arm[0], "setting": arm[1], "competes": results.competes(arm[0]),
            "objective": best[1] if best else np.nan, "mean": own["score"].mean(), "wanted": len(own),
            "n": int((own["state"] == "done").sum()),
            **paired_difference(_averaged(numbers, own), _averaged(numbers, reference)),
        })  # fmt: skip
    head = ["trial", "variant", "setting", "competes", "objective", "mean", "wanted", "n", *GAIN]
    table = pd.DataFrame(found, columns=head).astype({"competes": bool})
    return table.sort_values(["objective", "trial"], ascending=[False, True], kind="stable").set_index("trial")


def _averaged(numbers: StudyNumbers, rows: pd.DataFrame) -> pd.Series:
    """The score by seed and fold, averaged over the conditions; of those that have a run at every one of them."""
    groups = rows.groupby(["seed", "fold"])["score"]
    return groups.mean()[groups.count() == len(numbers.results.conditions)]
