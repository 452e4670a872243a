"""What the trainings of a run reached beside those of its baseline: their numbers, paired differences, which one ships."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pandas as pd

from pipeline.reports import numbers as say
from pipeline.reports.load import Json, Run, column, mapping, number, sequence
from pipeline.reports.render import Table, Text
from pipeline.reports.statistics import Estimate, estimate
from pipeline.reports.terms import is_baseline, noise_drawn, terms, training_labels, wrong_labels
from pipeline.runs.folder import best_training, seed_path, trainings_of

ORACLE = "oracle (best test epoch)"
NOTE = (
    "In brackets: the range over the trainings. Differences are paired by seed and fold; their interval is Student's t. "
    "The oracle picks its epoch by the test labels: it shows what stopping at the best moment would give, never a result."
)


@dataclass(frozen=True)
class Comparison:
    """One score of the run, of its baseline, and their differences, paired by seed and fold; None: unknown."""

    own: Estimate | None
    baseline: Estimate | None
    difference: Estimate | None


def compare(run: Run, *path: str) -> Comparison:
    """The score at `path` in scores.json over all trainings of the run and of its baseline."""
    scores = column(run.table, ".".join(("scores", *path))).groupby([run.table["arm"], run.table["training"]]).first()
    own, baseline = (scores[scores.index.get_level_values(0) == arm].droplevel(0) for arm in ("run", "baseline"))
    return Comparison(estimate(own), estimate(baseline), estimate(own.sub(baseline)))


def worst(run: Run, key: str, pick: Callable[[pd.Series], float]) -> float | None:
    """The worst value of `key` in verification.json over all trainings; `pick` is `max` or `min`."""
    found = column(run.own, f"verification.{key}").dropna()
    return float(pick(found)) if len(found) else None


def shipped(run: Run) -> Json:
    """The row of the verified training whose files are shipped, by the rule that ships; empty if none is verified."""
    rows = {row["training"]: row for row in run.verified.to_dict("records")}
    names = [*(name for name in _wanted(run) if name in rows), *rows]
    metric = terms(run).val_key
    scores = [(rows[name], {metric: number(rows[name]["scores"], metric)}) for name in names]
    return best_training(scores, metric) if scores else {}


def missing_trainings(run: Run) -> list[str]:
    """The trainings the configuration asks for, or that have begun, and that have no scores."""
    finished = set(run.finished["training"])
    return [name for name in dict.fromkeys([*_wanted(run), *run.own["training"]]) if name not in finished]


def _wanted(run: Run) -> list[str]:
    """The folder names of the trainings the configuration asks for, in its order."""
    seeds, folds = (
        [each for each in sequence(run.config, *path) if isinstance(each, int)]
        for path in (("seeds",), ("data", "folds"))
    )
    return [seed_path(run.folder, *training).name for training in trainings_of(seeds, folds)]


def mean_text(found: Estimate | None) -> str:
    """`81.2 % (80.4 to 82.0, n = 3)`."""
    if found is None:
        return say.MISSING
    limits = f"{say.hundredths(found.smallest)} to {say.hundredths(found.largest)}, n = {found.n}"
    return f"{say.percent(found.mean)} ({limits if found.n > 1 else 'one training'})"


def difference_text(found: Estimate | None) -> str:
    """`+2.1 points (95 % interval +0.4 to +3.8, n = 3)`."""
    if found is None:
        return say.MISSING
    if found.low is None:
        return f"{say.points(found.mean)} (one pair)"
    unclear = ", not significant" if found.low <= 0 <= found.high else ""
    limits = f"{say.points(found.low, '')} to {say.points(found.high, '')}, n = {found.n}{unclear}"
    return f"{say.points(found.mean)} (95 % interval {limits})"


def results(run: Run) -> Iterator[Text | Table]:
    """Every training's scores and wrong labels beside the baseline's."""
    if not len(run.own):
        yield Text("No training has begun in this folder yet.", "note")
        return
    columns = _columns(run)
    frame = _trainings(run, columns)
    compared = {head: compare(run, *path) for head, path in columns.items()}
    foot = {}
    if len(run.finished) > 1:
        foot["mean"] = {head: mean_text(each.own) for head, each in compared.items()}
        foot["baseline, mean"] = {head: mean_text(each.baseline) for head, each in compared.items()}
    foot["difference, paired"] = {head: difference_text(each.difference) for head, each in compared.items()}
    rows = pd.DataFrame.from_dict(foot, "index")
    rows = rows if run.baseline else rows[rows.index == "mean"]
    whole = pd.concat([frame, rows]).reindex(columns=frame.columns)
    yield Table.of(f"Every training: {terms(run).metric} and labels", whole, foot=len(rows))
    rules = sorted({str(scores["selection"]) for scores in run.finished["scores"] if "selection" in scores})
    yield Text(f"Epoch selected by: {say.listing(rules) or 'not recorded'}. {NOTE}", "note")
    yield from _remarks(run)


def _columns(run: Run) -> dict[str, tuple[str, ...]]:
    """Head: path in scores.json of what any training has recorded."""
    named = terms(run)
    columns = {
        named.test: named.score,
        ORACLE: ("oracle", named.test_key),
        "wrong labels memorised": ("train_noisy_fit",),
        "wrong labels of unseen subjects": ("test_noisy_fit",),
        "correct labels reproduced": ("train_clean_fit",),
        f"{named.right} validation {named.short}": (named.val_clean_key,),
        f"{training_labels(run)} validation {named.short}": (named.val_key,),
    }
    recorded = {head for head, path in columns.items() if column(run.table, ".".join(("scores", *path))).notna().any()}
    return {head: path for head, path in columns.items() if head in recorded or path == named.score}


def _trainings(run: Run, columns: dict[str, tuple[str, ...]]) -> pd.DataFrame:
    """A row a training of texts."""
    table = run.table
    frame = {head: column(table, ".".join(("scores", *path))).map(say.percent) for head, path in columns.items()}
    if ORACLE in frame:
        epochs = column(table, "scores.oracle.epoch")
        frame[ORACLE] += epochs.map(lambda epoch: f", epoch {epoch:.0f}", na_action="ignore").fillna("")
    wrong = column(table, "wrong_labels")
    if wrong_labels(run) == "some" and wrong.notna().any():
        shares = (wrong / column(table, "all_labels")).map(say.percent)
        frame["wrong labels"] = (wrong.map(say.count) + " (" + shares + ")").where(wrong.notna())
    done, ran = column(table, "scores.epoch_selected"), column(table, "scores.epochs_run")
    frame["epoch used"] = (done.map(say.count) + " of " + ran.map(say.count)).where(done.notna())
    for index, row in table[~table["scores"].astype(bool)].iterrows():
        own = (run.epochs["arm"] == row["arm"]) & (run.epochs["training"] == row["training"])
        last = column(run.epochs[own], "epoch").max()
        frame["epoch used"][index] = f"unfinished after {last:.0f} epochs" if own.any() else "not begun"
    names = table["arm"].map({"run": "", "baseline": "baseline, "}) + table["training"]
    return pd.DataFrame(frame).set_axis(names)


def _remarks(run: Run) -> Iterator[Text]:
    if not run.baseline_folder and not is_baseline(run):
        yield Text("No baseline was trained beside this run (baseline: true trains one).", "note")
    if wrong_labels(run) != "some":
        return
    if not noise_drawn(run):
        yield Text("No label was changed. Clean labels beside the given ones tell which of these are wrong.", "note")
    if not run.own["wrong_labels"].notna().any():
        yield Text("Which labels were corrupted is not recorded in this folder.", "note")
    elif mapping(run.config, "noise").get("kind") == "uniform":
        yield Text("A resampled label can hit the true class again, so fewer labels are wrong than the rate.", "note")
