"""The numbers of a study's report: means over seeds and folds, differences paired by them, leaders, costs."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from pipeline.reports.load import mapping, number
from pipeline.reports.numbers import DASH
from pipeline.reports.statistics import estimate
from pipeline.reports.study_load import Result, Results, best_by_validation, results_table, setting_label, timings_table
from pipeline.reports.terms import Terms, terms_of, truth_known

MIN_WIDTH = 1e-9  # between differences, as a share of 1; below it is rounding
GAIN = ["difference", "low", "high", "p", "pairs"]


def paired_difference(values: pd.Series, reference: pd.Series) -> pd.Series:
    """`mean_gain` of `values` minus `reference`, both indexed by seed and fold, over the runs both have."""
    return mean_gain((values - reference).dropna())


def mean_gain(differences: pd.Series) -> pd.Series:
    """`difference` (the mean), `low`, `high`, `p` and `pairs`: 95 % interval and p-value are Student's t.

    Pairs independent, differences normal. nan where there are fewer than two pairs, or all differ by the same.
    """
    n = len(differences)
    if n < 2 or np.ptp(differences) < MIN_WIDTH:
        return pd.Series([differences.mean(), np.nan, np.nan, np.nan, n], GAIN)
    found = estimate(differences)
    return pd.Series([found.mean, found.low, found.high, found.p, n], GAIN)


def by_pair(rows: pd.DataFrame, column: str = "score") -> pd.Series:
    """A column of the runs of one arm at one condition by seed and fold, where there is a number."""
    return rows.set_index(["seed", "fold"])[column].dropna()


@dataclass(frozen=True)
class StudyNumbers:
    """What a report computes with; `runs` has a row a run, its index the place in `results.cells`.

    Its columns: those of results.csv that are numbers, and `place` (of the condition), `score`, `validation`.
    """

    results: Results
    terms: Terms
    multilabel: bool
    aus: tuple[str, ...]
    runs: pd.DataFrame

    @property
    def comparisons(self) -> int:
        """How many differences to the reference there are in all, for the Bonferroni correction."""
        rivals = len(self.results.variants) - len(self.results.reference_only) - 1
        return max(rivals * len(self.results.conditions), 1)

    @cached_property
    def chosen(self) -> dict[str, str | None]:
        """The setting that stands for each variant: its reference, in a search its best trial's; None: no trial."""
        results = self.results
        if results.is_grid:
            return dict(results.reference_settings)
        found: dict[str, str | None] = {}
        for variant in results.variants:
            trials = {setting: results.select(variant, setting) for name, setting in results.arms if name == variant}
            best = best_by_validation(trials, results.objective)
            found[variant] = best[0] if best else next(iter(trials), None)
        return found

    @cached_property
    def standing(self) -> pd.DataFrame:
        """The rows of `runs` at the chosen settings."""
        return self.runs[self.runs["setting"] == self.runs["variant"].map(self.chosen)]

    @cached_property
    def comparison(self) -> pd.DataFrame:
        """`compare` of the variants at their chosen settings."""
        return compare(self, self.standing)


def study_numbers(results: Results) -> StudyNumbers:
    """The numbers of the runs that are done."""
    done = [cell for cell in results.cells if cell.scores]
    multilabel = any(cell.scores.get("task") == "multilabel" for cell in done)
    aus = tuple(dict.fromkeys(name for cell in done for name in mapping(cell.scores, "metrics", "f1")))
    known = {truth_known(cell.data) for cell in done}
    data = next((mapping(cell.config, "data").get("name") for cell in done), None)
    terms = terms_of(multilabel, data, True if True in known else False if False in known else None)
    table = results_table(results)
    runs = table[["variant", "setting", "seed", "state"]].copy()
    runs["competes"] = table["competes"] == "yes"
    runs["fold"] = [0 if cell.fold is None else cell.fold for cell in results.cells]
    places = results.conditions
    runs["place"] = [places.index(cell.condition) if cell.condition in places else -1 for cell in results.cells]
    numeric = [key for key in table if key not in {*runs, *results.axes, "message", "run", "trial"}]
    runs = runs.join(table[numeric].apply(pd.to_numeric, errors="coerce"))
    wanted = {"score": terms.score[-1], "validation": terms.val_key}
    wanted |= {key: key for key in ("train_noisy_fit", "test_noisy_fit", "noisy_f1_mean")}
    for name, key in wanted.items():
        runs[name] = runs.get(key, pd.Series(np.nan, runs.index))
    return StudyNumbers(results, terms, multilabel, aus, runs)


def compare(numbers: StudyNumbers, rows: pd.DataFrame) -> pd.DataFrame:
    """Every variant against the reference at each condition, indexed by `place` and `variant`; shares in [0, 1].

    `rows` are the runs that speak for the variants, one a seed and fold. Columns: setting, competes, wanted, n, mean,
    sd, memorised, unseen, noisy (means), those of `mean_gain`, p_adjusted (Bonferroni), those of the difference in the
    memorised share after `memorised_`, and of action units `f1_AU1`, `sd_AU1` ...
    """
    results = numbers.results
    names = dict.fromkeys([*results.variants, *rows["variant"]])
    found = []
    for place in range(len(results.conditions)):
        here = {name: rows[(rows["place"] == place) & (rows["variant"] == name)] for name in names}
        reference = here[results.reference]
        found += [{"place": place, "variant": name, **_compared(numbers, own, reference)} for name, own in here.items()]
    table = pd.DataFrame(found).set_index(["place", "variant"])
    table["competes"] = [name in results.variants and results.competes(name) for _, name in table.index]
    table["p_adjusted"] = (table["p"] * numbers.comparisons).clip(upper=1.0).where(table["competes"])
    return table


def _compared(numbers: StudyNumbers, own: pd.DataFrame, reference: pd.DataFrame) -> dict:
    memorised = paired_difference(by_pair(own, "train_noisy_fit"), by_pair(reference, "train_noisy_fit"))
    f1 = own.reindex(columns=[f"f1_{au}" for au in numbers.aus])
    return {
        "setting": counted(own.loc[own["score"].notna() | (own["setting"] != ""), "setting"]),
        "wanted": len(own),
        "n": int(own["score"].count()),
        "mean": own["score"].mean(),
        "sd": own["score"].std(),
        "memorised": own["train_noisy_fit"].mean(),
        "unseen": own["test_noisy_fit"].mean(),
        "noisy": own["noisy_f1_mean"].mean(),
        **paired_difference(by_pair(own), by_pair(reference)),
        **memorised.add_prefix("memorised_"),
        **f1.mean(),
        **f1.std().rename(lambda key: key.replace("f1_", "sd_")),
    }


def counted(names: Sequence[str]) -> str:
    """`W4/A4`, or `W4/A4 in 2 runs, W8/A8 in 1` where seeds and folds differ."""
    (first, most), *others = Counter(names).most_common() or [("", 0)]
    if not others:
        return first
    return ", ".join([f"{first} in {most} run{'' if most == 1 else 's'}", *(f"{name} in {n}" for name, n in others)])


@dataclass(frozen=True)
class Leader:
    """One condition's leader: of the variants whose interval is above zero the one with the largest difference.

    `best`: the variant other than the reference with the largest difference; `margins`: the leader's paired difference
    over every other one, in rows as of `mean_gain`; `tied`: those it is not significantly better than.
    """

    leader: str | None
    best: str | None
    margins: pd.DataFrame

    @property
    def tied(self) -> list[str]:
        """In the order of their scores."""
        return [name for name, row in self.margins.iterrows() if row["competes"] and not row["low"] > 0]


def leaders(numbers: StudyNumbers, rows: pd.DataFrame, table: pd.DataFrame) -> list[Leader]:
    """The leader at each condition, from the runs and their comparison."""
    found = []
    for place in range(len(numbers.results.conditions)):
        here = table.loc[place]
        known = here[here["competes"] & here["difference"].notna()].drop(numbers.results.reference, errors="ignore")
        known = known.sort_values("difference", ascending=False, kind="stable")
        best, leader = (next(iter(names), None) for names in (known.index, known.index[known["low"] > 0]))
        others = [] if leader is None else [*known.index.drop(leader), *here.index[~here["competes"].astype(bool)]]
        own = {name: by_pair(rows[(rows["place"] == place) & (rows["variant"] == name)]) for name in here.index}
        margins = pd.DataFrame([paired_difference(own[leader], own[name]) for name in others], others, GAIN)
        found.append(Leader(leader, best, margins.assign(competes=here["competes"].reindex(others).astype(bool))))
    return found


def by_epoch(cells: Iterable[Result], key: str) -> pd.DataFrame:
    """The numbers at `key` of the lines of metrics.jsonl: a row an epoch, a column a run (seed, fold).

    Only the epochs that every run with a history has a number for.
    """
    histories = {(each.seed, each.fold or 0): lines for each in cells if (lines := each.history())}
    found = {pair: {int(line["epoch"]): number(line, key) for line in lines} for pair, lines in histories.items()}
    return pd.DataFrame({pair: pd.Series(values, dtype=float) for pair, values in found.items()}).sort_index().dropna()


def gains_by_epoch(curves: Mapping[str, pd.DataFrame], reference: str) -> dict[str, pd.DataFrame]:
    """By variant, the rows of `mean_gain` by epoch over the reference; of those with a run in common with it."""
    found = {}
    for name in curves if reference in curves else ():
        own, other = curves[name].align(curves[reference], join="inner")
        if name != reference and own.size:
            gains = [paired_difference(own.loc[epoch], other.loc[epoch]) for epoch in own.index]
            found[name] = pd.DataFrame(gains, own.index)
    return found


def cost_table(numbers: StudyNumbers, place: int) -> pd.DataFrame:
    """A row an arm that competes: variant, setting, label, score, deviation, n, file, and its median size and latency."""
    results, found = numbers.results, []
    times = timings_table(results).filter(like="_ms").apply(pd.to_numeric, errors="coerce")
    runs = numbers.runs[numbers.runs["competes"] & (numbers.runs["place"] == place) & numbers.runs["score"].notna()]
    for (variant, setting), own in runs.join(times).groupby(["variant", "setting"], sort=False):
        costs = own.filter(regex="_(bytes|ms)$").median()
        kind = next((kind for kind in ("int8", "float32") if costs.filter(like=kind).notna().any()), DASH)
        found.append({
            "variant": variant, "setting": setting, "n": len(own), "file": kind, "score": own["score"].mean(),
            "label": setting_label(setting, results.settings[variant].get(setting, {})), "deviation": own["score"].std(),
            "size": costs.get(f"{kind}_bytes", np.nan), "latency": costs.get(f"{kind}_ms", np.nan),
        })  # fmt: skip
    return pd.DataFrame(
        found, columns=["variant", "setting", "label", "score", "deviation", "n", "file", "size", "latency"]
    )
