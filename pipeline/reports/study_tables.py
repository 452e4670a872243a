"""The tables of a study's report: scores, differences, tuned settings, sensitivity, trials, runs."""

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from pipeline.reports.load import sequence
from pipeline.reports.numbers import (
    DASH,
    MISSING,
    cell,
    hundredths,
    p_value,
    percent,
    points,
)
from pipeline.reports.render import Table, Text
from pipeline.reports.study_load import Results, arm_name, capitalized, condition_name
from pipeline.reports.study_numbers import Leader, StudyNumbers
from pipeline.reports.study_settings import Tuned, sensitivity, setting_table, trial_table

MAX_COLUMNS = 6  # conditions; more of them become rows
OBJECTIVES = {"val_accuracy": "validation accuracy", "val_f1": "validation F1"}
# Table 1 of https://arxiv.org/abs/2303.11803: F1 in % on BP4D, InceptionV3, three subject-exclusive folds, mean of five
# runs; the last number is the mean.
PAPER_AUS = ("1", "2", "4", "6", "7", "10", "12", "14", "15", "17", "23", "24")
PAPER = {
    "baseline": (49.6, 45.8, 55.1, 74.8, 75.5, 83.7, 87.1, 62.7, 47.0, 56.4, 44.8, 41.2, 60.3),
    "weight decay": (52.6, 46.8, 54.3, 75.3, 76.4, 83.1, 87.2, 58.6, 44.6, 58.5, 44.1, 43.1, 60.4),
    "dropout": (50.2, 46.1, 57.5, 75.3, 75.8, 83.1, 87.1, 60.5, 47.9, 58.4, 46.9, 47.9, 61.4),
    "label smoothing": (48.8, 45.7, 56.0, 75.3, 74.8, 82.7, 87.3, 60.1, 44.0, 57.1, 43.8, 41.5, 59.8),
    "pruning": (51.0, 45.0, 56.2, 76.1, 76.4, 82.5, 86.8, 61.3, 47.1, 58.0, 44.2, 42.8, 60.6),
    "quantization": (51.7, 48.2, 57.6, 75.4, 76.9, 83.9, 87.8, 59.7, 48.4, 59.0, 47.8, 53.4, 62.5),
}
PAPER_ALL_PRESENT = (
    34.8,
    29.1,
    33.7,
    63.1,
    70.9,
    74.5,
    71.9,
    63.6,
    29.0,
    51.2,
    28.4,
    26.3,
    48.0,
)  # from the base rates
Block = Table | Text


def gain_text(gain: pd.Series, prefix: str = "") -> str:
    """`+1.2 (−0.3 to +2.7)` in points, without brackets where there is no interval; a dash where there is nothing."""
    mean, low, high = (points(gain[prefix + key], "") for key in ("difference", "low", "high"))
    return cell(mean) + (f" ({low} to {high})" if np.isfinite(gain[f"{prefix}low"]) else "")


def mean_text(mean: float, deviation: float) -> str:
    """`58.3 ± 1.2` in %, without a deviation for a single run."""
    return cell(hundredths(mean)) + (f" ± {hundredths(deviation)}" if np.isfinite(deviation) else "")


def paired_by(results: Results) -> str:
    """By what runs are paired."""
    return "seed and fold" if results.has_folds else "seed"


def by_condition(
    numbers: StudyNumbers, caption: str, shown: pd.Series, what: str = "variant",
    foot: Sequence[tuple[str, ...]] = (), folded: bool = False,
) -> Table:  # fmt: skip
    """Texts by `place` and `what` as a table, conditions in columns, or rows where they are many.

    Variants that do not compete are in the foot, above `foot`.
    """
    results, wide = numbers.results, shown.unstack("place")
    lines = {name: (name, *wide.loc[name]) for name in dict.fromkeys(shown.index.get_level_values(what))}
    known = set(results.variants).difference(results.reference_only) if what == "variant" else set(lines)
    rows = [line for name, line in lines.items() if name in known]
    foot = [line for name, line in lines.items() if name not in known] + list(foot)
    names = [condition_name(condition) or numbers.terms.short for condition in results.conditions]
    if len(names) > MAX_COLUMNS:
        head, *rows = zip(("condition", *names), *rows, *foot, strict=True)
        return Table(caption, head, tuple(rows), folded=folded)
    return Table(caption, (what, *names), tuple(rows), tuple(foot), folded)


def score_blocks(numbers: StudyNumbers) -> Iterator[Block]:
    """Scores of all variants by condition; for action units a table like the paper's Table 1 at every condition."""
    results, table = numbers.results, numbers.comparison
    stands = [arm_name(variant, setting) for variant, setting in numbers.chosen.items() if setting]
    if stands:
        how = "reference setting" if results.is_grid else "best setting by noisy validation"
        yield Text(f"Here and in the figures, each variant is at its {how}: {', '.join(stands)}.")
    what = f"{numbers.terms.test} in %, mean ± standard deviation over {'seeds and folds' if results.has_folds else 'seeds'}"
    if len(results.conditions) > 1 or not numbers.multilabel:
        yield by_condition(numbers, f"{capitalized(what)}.", table.apply(_score, axis=1))
    if numbers.multilabel:
        for place, condition in enumerate(results.conditions):
            where = f", {condition_name(condition)}" if condition else ""
            yield _au_table(numbers, place, f"Ours: {what}{where}.")
        rows = [(name, *map("{:.1f}".format, values)) for name, values in PAPER.items()]
        yield Table(
            "The paper's Table 1: F1 in % on BP4D, InceptionV3, mean of five runs. Another data set or network gives "
            "other scores: compare what each method changes, not the scores.",
            ("method", *PAPER_AUS, "mean"), tuple(rows[:-1]), tuple(rows[-1:]),
        )  # fmt: skip
    reasons = Counter(str(reason) for each in results.cells for reason in sequence(each.scores, "undefined"))
    if reasons:
        told = [f"{reason} ({n} run{'' if n == 1 else 's'})" for reason, n in reasons.items()]
        yield Text(f"Undefined: {'; '.join(told)}.", "warning")


def _score(row: pd.Series) -> str:
    """`58.3 ± 1.2`, with n where runs are missing."""
    if not row["wanted"] or not row["n"]:
        return MISSING if row["wanted"] else DASH
    text = mean_text(row["mean"], row["sd"])
    return text + (f", n = {row['n']} of {row['wanted']}" if row["n"] < row["wanted"] else "")


def _au_table(numbers: StudyNumbers, place: int, caption: str) -> Table:
    here, runs = numbers.comparison.loc[place], numbers.runs[numbers.runs["place"] == place]

    def texts(names: pd.DataFrame) -> tuple[tuple[str, ...], ...]:
        return tuple(
            (name, *(mean_text(row[f"f1_{au}"], row[f"sd_{au}"]) for au in numbers.aus), mean_text(row["mean"], row["sd"]),
             f"{row['n']} of {row['wanted']}")
            for name, row in names.iterrows()
        )  # fmt: skip

    present = runs.reindex(columns=[*(f"f1_all_positive_{au}" for au in numbers.aus), "f1_all_positive_mean"]).mean()
    foot = (*texts(here[~here["competes"]]), ("all AUs present", *(cell(hundredths(share)) for share in present), DASH))
    head = ("variant", *(au.removeprefix("AU") for au in numbers.aus), "mean", "n")
    return Table(caption, head, texts(here[here["competes"]]), foot)


def difference_blocks(numbers: StudyNumbers, found: Sequence[Leader]) -> Iterator[Block]:
    """Paired differences to the reference, the leader's margins, and p-values and memorised shares of each condition."""
    yield from comparison_tables(numbers, numbers.comparison, found)
    yield _tests(numbers)


def comparison_tables(numbers: StudyNumbers, table: pd.DataFrame, found: Sequence[Leader]) -> Iterator[Table]:
    """The differences to the reference and the leader's margins over the others, variants by conditions."""
    reference, many = numbers.results.reference, numbers.comparisons
    star = f" *: p < 0.05 after Bonferroni correction for {many} comparisons." if many > 1 else ""

    def gain(row: pd.Series) -> str:
        if not row["wanted"] or not np.isfinite(row["difference"]):
            return MISSING if row["wanted"] else DASH
        return gain_text(row) + ("*" if many > 1 and row["p_adjusted"] < 0.05 else "")

    others = table.drop(reference, level="variant")
    paired = paired_by(numbers.results)
    caption = f"Difference to {reference} in points, with 95 % confidence interval, paired by {paired}.{star}"
    leader = ("leader", *(each.leader or ("none" if each.best else MISSING) for each in found))
    tied = ("statistically tied", *(", ".join(each.tied) or DASH for each in found))
    yield by_condition(numbers, caption, others.apply(gain, axis=1), foot=(leader, tied))
    if any(each.leader for each in found):
        margins = [
            gain_text(found[place].margins.loc[name]) if name in found[place].margins.index else DASH
            for place, name in others.index
        ]
        caption = (
            "The leader's margin over each other variant in points, with 95 % confidence interval, not corrected for their "
            "number. An interval that contains zero is a statistical tie."
        )
        margins = pd.Series(margins, others.index.rename(["place", "leader over"]))
        yield by_condition(numbers, caption, margins, "leader over", foot=(leader,))


def _tests(numbers: StudyNumbers) -> Table:
    """A row a condition and variant."""
    table, names = numbers.comparison, [capitalized(condition_name(each)) for each in numbers.results.conditions]
    shown = {
        "p": table["p"].map(p_value),
        f"p × {numbers.comparisons} (Bonferroni)": table["p_adjusted"].map(p_value),
        "pairs": table["pairs"].map("{:.0f}".format),
        "noisy labels memorised": table["memorised"].map(percent),
        f"difference to {numbers.results.reference}": table.apply(gain_text, axis=1, prefix="memorised_"),
    }
    if numbers.multilabel:
        shown["noisy labels of unseen subjects reproduced"] = table["unseen"].map(percent)
        shown["F1, noisy test labels"] = table["noisy"].map(percent)
    rows = pd.DataFrame(shown).map(cell).itertuples(name=None)
    rows = [(", ".join(filter(None, (names[place], name))), *texts) for (place, name), *texts in rows]
    caption = "P-values of the paired t-test, and the share of the wrong training labels that each network predicts."
    return Table(caption, ("variant", *shown), tuple(rows), folded=len(names) > 1)


def tuned_blocks(numbers: StudyNumbers, tuned: Tuned | None, found: Sequence[Leader]) -> Iterator[Block]:
    """What noisy validation chooses for every variant with settings, and the comparison there."""
    results = numbers.results
    if tuned is None:
        yield Text("Variants are tuned once all their settings have a finished run of one seed.", "note")
        return
    val = numbers.terms.val_key.replace("val_", "validation ").replace("f1", "F1")
    yield Text(
        f"Each run stands at the setting with the best {val} among the runs of its {paired_by(results)}, measured on held-out "
        "examples with noisy labels; so the intervals include model-selection variance. A setting at the end of its "
        "list may not be the best there is."
    )
    where = [condition_name(condition) or DASH for condition in results.conditions]
    rows = [
        (name, where[place], *(f"{row['setting']}: {hundredths(row['mean'])}" if row["n"] else MISSING
                               for row in (numbers.comparison.loc[place, name], tuned.comparison.loc[place, name])))
        for name in filter(results.competes, results.variants) if len(results.settings[name]) > 1
        for place in range(len(where))
    ]  # fmt: skip
    free = [(place, *each) for place, each in enumerate(tuned.free) if each]
    rows += [("any variant", where[place], DASH, f"{arms}: {hundredths(mean)}") for place, arms, mean in free]
    head = ("variant", "condition", "reference setting", "chosen by noisy validation")
    caption = f"Settings, and {numbers.terms.test} in % there; any variant: validation chooses the variant too."
    yield Table(caption, head, tuple(rows))
    if tuned.is_reference:
        yield Text("Validation chooses the reference settings: the differences are those below.")
        return
    yield from comparison_tables(numbers, tuned.comparison, found)
    for name in tuned.comparison.loc[0].index.difference(results.variants):
        yield Text(
            f"{capitalized(name)}: its runs at the epoch with the best {val}, chosen as the settings are.", "note"
        )


def setting_blocks(numbers: StudyNumbers) -> Iterator[Block]:
    """Sensitivities, then what each setting reaches and gains."""
    results = numbers.results
    variants = [name for name in results.variants if len(results.settings[name]) > 1]
    yield Table(
        "Sensitivity: standard deviation over a variant's settings of their mean scores, in points, averaged over the "
        "conditions; by chance alone: what equal settings would show with so few runs. It depends on the settings chosen "
        "for the grid.",
        ("variant", "sensitivity", "95 % bootstrap interval", "by chance alone", "without its farthest setting", "settings",
         "pairs"),
        tuple(_sensitivity_row(numbers, name) for name in variants),
    )  # fmt: skip
    for name in variants:
        table, reference = setting_table(numbers, name), results.reference_settings[name]
        over, interval = table.apply(gain_text, axis=1, prefix="over_"), "with 95 % confidence interval"
        shown = {
            f"{numbers.terms.test} in %, mean ± standard deviation": table.apply(_score, axis=1),
            f"gain relative to {reference} in % of its score, {interval}": table.apply(gain_text, axis=1),
            f"gain over {results.reference} in points, {interval}": over,
        }
        for what, texts in shown.items():
            yield by_condition(numbers, f"{capitalized(name)}: {what}.", texts, "setting", folded=True)


def _sensitivity_row(numbers: StudyNumbers, name: str) -> tuple[str, ...]:
    found = sensitivity(numbers, name)
    if found is None:
        return (name, MISSING, *[DASH] * 3, str(len(numbers.results.settings[name])), "0")
    interval = " to ".join(map(hundredths, found.interval)) if found.interval else DASH
    without = f"{hundredths(found.without[1])} ({found.without[0]})" if found.without else DASH
    chance = cell(hundredths(found.chance))
    return name, hundredths(found.value), interval, chance, without, str(found.settings), str(found.pairs)


def trial_blocks(numbers: StudyNumbers) -> Iterator[Block]:
    """The trials of a search, the best first."""
    results, objective = numbers.results, OBJECTIVES[numbers.results.objective]
    yield Text(
        f"Trials are ordered and chosen by {objective} (mean over all runs of a trial) on held-out examples with noisy labels, "
        "never by the test set. So the best trial's test score is an honest estimate; its objective, the largest of many, "
        "is optimistic."
    )
    rows = [
        (trial, row["variant"], row["setting"] or DASH, percent(row["objective"]), cell(percent(row["mean"])),
         DASH if row["variant"] == results.reference else gain_text(row), f"{row['n']} of {row['wanted']}")
        for trial, row in trial_table(numbers).iterrows()
    ]  # fmt: skip
    over, paired = f"over {results.reference} (95 % interval)", paired_by(results)
    head = ("trial", "variant", "setting", objective, numbers.terms.test, over, "runs")
    caption = (
        f"Differences in points to the best trial of {results.reference}, conditions averaged, paired by {paired}."
    )
    yield Table(caption, head, tuple(rows))


def run_blocks(numbers: StudyNumbers) -> Iterator[Block]:
    """How many runs are done, the others by name, and why what failed did."""
    results = numbers.results
    missing = [each for each in results.cells if not each.scores]
    done = len(results.cells) - len(missing)
    yield Text(f"{done} of {len(results.cells)} runs are done: results.csv and timings.csv have a row for each.")
    if missing:
        rows = [(arm_name(*each.arm), condition_name(each.condition) or DASH, str(each.seed),
                 DASH if each.fold is None else str(each.fold), each.state, each.run) for each in missing]  # fmt: skip
        yield Table("Not done.", ("variant", "condition", "seed", "fold", "state", "folder"), tuple(rows))
    for each in missing:
        if each.state == "failed":
            yield Text(f"{each.run} failed: {(each.message or 'it left no message').rstrip('.')}.", "warning")
