"""Compare ways to choose decision thresholds on validation subjects by what they do to F1 on other subjects.

    python -m benchmarks.thresholds RUN [RUN ...] [--draws 20]

RUN is the folder of a finished run on faces, runs/NAME-HASH8. Two comparisons, both with thresholds chosen by noisy
labels and F1 measured against clean ones: as trained, validation subjects choose and test subjects judge; and drawn
at random, 4 or 8 of all subjects that a network has not seen choose, and the rest judge. Writes
docs/results/thresholds.md.
"""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.action_units.labels import UNKNOWN
from pipeline.action_units.metrics import counts, decisions, f1, mean_defined, probabilities
from pipeline.action_units.thresholds import best_threshold, choose_thresholds
from pipeline.cli import retry_command
from pipeline.config import load_config
from pipeline.errors import UserError
from pipeline.reports.load import Run, load_run
from pipeline.reports.statistics import estimate
from pipeline.runs.files import write_text
from pipeline.runs.folder import Training
from pipeline.runs.names import RESOLVED
from pipeline.tflite.litert import LiteRtModel
from pipeline.training.workload import load_workload

RESULTS = Path(__file__).resolve().parents[1] / "docs" / "results" / "thresholds.md"
PLAIN = 0.5
RESAMPLES = 200
CHOOSERS = (4, 8)  # subjects


@dataclass(frozen=True)
class Part:
    """Logits and labels, noisy and clean, (N, A) of `subjects` (N,)."""

    logits: np.ndarray
    noisy: np.ndarray
    clean: np.ndarray
    subjects: np.ndarray

    def of(self, subjects: np.ndarray) -> "Part":
        """The examples of some subjects, those of a subject that is named twice also twice."""
        rows = np.concatenate([np.flatnonzero(self.subjects == subject) for subject in subjects])
        return Part(self.logits[rows], self.noisy[rows], self.clean[rows], self.subjects[rows])


Rule = Callable[[Part], np.ndarray]  # thresholds (A,)


def plain(part: Part) -> np.ndarray:
    """0.5 for all."""
    return np.full(part.noisy.shape[1], PLAIN)


def best(part: Part) -> np.ndarray:
    """The highest F1 of each action unit."""
    found = plain(part)
    for unit, labels in enumerate(part.noisy.T):
        known = labels != UNKNOWN
        if (labels == 1).any():
            found[unit] = best_threshold(probabilities(part.logits[known, unit]), labels[known] == 1)
    return found


def best_on_clean(part: Part) -> np.ndarray:
    """The highest F1 of each action unit on clean labels, which nobody has."""
    return best(replace(part, noisy=part.clean))


def shipped(part: Part) -> np.ndarray:
    """What the pipeline ships."""
    return choose_thresholds(part.logits, part.noisy, part.subjects, range(part.noisy.shape[1]))[0]


def drawn_in(prior: int) -> Rule:
    """The mean of the best threshold and of 0.5, which counts as `prior` subjects; all show every action unit."""

    def rule(part: Part) -> np.ndarray:
        subjects = len(np.unique(part.subjects))
        return PLAIN + subjects / (subjects + prior) * (best(part) - PLAIN)

    return rule


def bounded(part: Part) -> np.ndarray:
    """The best, but not below 0.25 or above 0.75."""
    return np.clip(best(part), 0.25, 0.75)


def sure(part: Part) -> np.ndarray:
    """The best where its gain is above zero in 97.5 % of the resamples of the subjects, 0.5 elsewhere."""
    chosen = best(part)
    tables = []
    for thresholds in (chosen, PLAIN):
        decided = decisions(part.logits, thresholds)
        own = [part.subjects == subject for subject in np.unique(part.subjects)]
        tables.append(np.stack([counts(decided[rows], part.noisy[rows]) for rows in own]))
    n = len(tables[0])
    draws = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), size=RESAMPLES)
    mine, theirs = (f1(np.tensordot(draws, table, 1)) for table in tables)
    return np.where(np.nanquantile(mine - theirs, 0.025, axis=0) > 0, chosen, PLAIN)


def averaged(part: Part) -> np.ndarray:
    """The mean of the best thresholds on 30 resamples of the subjects."""
    rng, subjects = np.random.default_rng(0), np.unique(part.subjects)
    return np.mean([best(part.of(rng.choice(subjects, len(subjects)))) for _ in range(30)], axis=0)


def common(part: Part) -> np.ndarray:
    """One threshold for all, the one in steps of 0.02 that has the highest mean F1."""
    steps = np.arange(0.02, 1, 0.02)
    means = [mean_defined(f1(counts(decisions(part.logits, step), part.noisy))) or 0 for step in steps]
    return np.full(part.noisy.shape[1], steps[int(np.argmax(means))])


RULES: dict[str, Rule] = {
    "highest F1": best,
    "highest F1 on clean labels": best_on_clean,
    "highest F1 within 0.25 to 0.75": bounded,
    "highest F1, mean over resampled subjects": averaged,
    "highest F1 where the gain is sure (95 %), else 0.5": sure,
    "one threshold for all action units": common,
    "mean with 0.5, which counts as 5 subjects": drawn_in(5),
    "**mean with 0.5, which counts as 10 subjects (shipped)**": shipped,
    "mean with 0.5, which counts as 20 subjects": drawn_in(20),
}
SLOW = (averaged,)  # not on random subjects


def parts_of(run: Run) -> dict[Training, tuple[Part, Part]]:
    """The validation and test part of every verified training, logits by its TFLite file; UserError without any."""
    trainings = [Training(row.seed, row.fold) for row in run.verified.itertuples()]
    if not trainings:
        raise UserError(f"{run.folder}: no training of this run is finished")
    workload, found = load_workload(load_config(run.folder / RESOLVED), sys.stderr), {}
    for training in trainings:
        files, data = run.files(*training), workload.training_data(training)
        model = LiteRtModel((files.get("int8") or files["float32"]).read_bytes())
        val = Part(model.logits(data.val_images), data.val_labels, data.val_clean_labels, data.val_subjects)
        noisy = data.test_labels if data.test_noisy_labels is None else data.test_noisy_labels
        found[training] = val, Part(model.logits(data.test_images), noisy, data.test_labels, data.test_subjects)
        print(f"{run.name} {training.title}", file=sys.stderr)
    return found


def mean_f1(part: Part, thresholds: np.ndarray) -> float:
    """Mean F1 in % on clean labels."""
    return 100 * mean_defined(f1(counts(decisions(part.logits, thresholds), part.clean)))


def as_trained(parts: Mapping[Training, tuple[Part, Part]]) -> pd.DataFrame:
    """A row a rule and training: `f1` and `gain` over 0.5 on test subjects; `low`, `high`: extreme thresholds."""
    rows = []
    for training, (val, test) in parts.items():
        at_plain = mean_f1(test, plain(test))
        for name, rule in {"0.5": plain, **RULES}.items():
            thresholds = rule(val)
            reached = mean_f1(test, thresholds)
            ends = {"low": thresholds.min(), "high": thresholds.max()}
            rows.append({"rule": name, "fold": training.fold, "f1": reached, "gain": reached - at_plain, **ends})
    return pd.DataFrame(rows)


def at_random(parts: Mapping[Training, tuple[Part, Part]], draws: int) -> pd.DataFrame:
    """A row a rule, training, number of choosing `subjects` and draw: the `gain` over 0.5 on all others."""
    rows, rng = [], np.random.default_rng(1)
    for training, both in parts.items():
        whole = Part(*(np.concatenate([getattr(part, name) for part in both]) for name in Part.__annotations__))
        for subjects in CHOOSERS * draws:
            order = rng.permutation(np.unique(whole.subjects))
            choosers, judges = whole.of(order[:subjects]), whole.of(order[subjects:])
            at_plain = mean_f1(judges, plain(judges))
            for name, rule in RULES.items():
                if rule not in SLOW:
                    gain = mean_f1(judges, rule(choosers)) - at_plain
                    rows.append({"rule": name, "training": training, "subjects": subjects, "gain": gain})
    return pd.DataFrame(rows)


def markdown(run: Run, trained: pd.DataFrame, drawn: pd.DataFrame) -> list[str]:
    """The section of a run."""
    n = len(trained) // trained["rule"].nunique()
    heads = [f"random {subjects} choose" for subjects in CHOOSERS]
    lines = [
        f"## {run.name}, {n} trainings",
        "",
        f"| thresholds | mean F1 % | points over 0.5 (95 % interval) | by fold | range | {' | '.join(heads)} |",
        "|---|---|---|---|---|---|---|",
    ]
    for rule, own in trained.groupby("rule", sort=False):
        found = estimate(own["gain"])
        interval = "" if found.low is None else f" ({found.low:+.1f} to {found.high:+.1f})"
        folds = ", ".join(f"{gain:+.1f}" for gain in own.groupby("fold")["gain"].mean())
        cells = [f"{own['f1'].mean():.1f}", f"{found.mean:+.1f}{interval}", folds]
        cells.append(f"{own['low'].min():.2f} to {own['high'].max():.2f}")
        if rule == "0.5":
            cells[1:3] = ["", ""]
        cells += [_drawn(drawn[(drawn["rule"] == rule) & (drawn["subjects"] == subjects)]) for subjects in CHOOSERS]
        lines.append(f"| {' | '.join([str(rule), *cells])} |")
    return [*lines, ""]


def _drawn(own: pd.DataFrame) -> str:
    """The mean gain, and that of the training where it is least."""
    if own.empty:
        return ""
    return f"{own['gain'].mean():+.2f} (worst {own.groupby('training')['gain'].mean().min():+.2f})"


HEAD = """# Decision thresholds

Thresholds are chosen on the noisy labels of validation subjects (except where it says clean); F1 is measured against
the clean labels of subjects that neither trained the network nor chose. Points over plain 0.5; intervals by Student's
t over the trainings, which are not quite independent: those of a fold share subjects. "Random 4 choose": the choosing
subjects are drawn {draws} times from all subjects that the network has not seen, and the others judge; in brackets
the training that gains least. Range: the lowest and the highest threshold of any action unit in any training.

"""


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--output", type=Path, default=RESULTS)
    arguments = parser.parse_args(argv)
    names = [f"runs/{folder.resolve().name}" for folder in arguments.runs]
    command = retry_command("benchmarks.thresholds", [*names, "--draws", str(arguments.draws)])
    lines = [HEAD.format(draws=arguments.draws) + f"Command: `{command}`", ""]
    for run in map(load_run, arguments.runs):
        parts = parts_of(run)
        lines += markdown(run, as_trained(parts), at_random(parts, arguments.draws))
    write_text(arguments.output, "\n".join(lines).rstrip() + "\n")


if __name__ == "__main__":
    main()
