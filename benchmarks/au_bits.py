"""Compare bits chosen per action unit with equal bits of the same packed size, trained from scratch on rendered faces.

    python -m benchmarks.au_bits [--folds 1 2 3] [--seeds 1 2] [--epochs 24] [--frames 32] [--budgets 0.875 0.75]

In every fold the bits are chosen on its own validation subjects (noisy labels, W4/A4 network, all seeds), never on test
subjects. Networks are then trained with these bits, with 4 and with 3 bits in all heads, and with "even" bits: as equal
as whole numbers allow at exactly the chosen packed size, the heads with one more bit drawn at random. Encoder and
logits are the same in all. Finished runs are reused. Writes docs/results/au_bits.json and au_bits.md: F1 on clean
labels of the test subjects, differences paired by fold and seed.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean

import numpy as np
import pandas as pd

from pipeline.au_bits.candidates import CANDIDATES, SearchSettings, uniform_bits, with_bits
from pipeline.au_bits.search import search
from pipeline.cli import retry_command
from pipeline.config import Experiment, load_config, to_yaml
from pipeline.reports.statistics import estimate
from pipeline.run import run
from pipeline.runs.environment import describe_environment
from pipeline.runs.files import read_json, write_json, write_text
from pipeline.runs.folder import seed_path
from pipeline.runs.names import SCORES, VERIFICATION
from pipeline.runs.stopping import StopFlag

ROOT = Path(__file__).resolve().parents[1]
CONFIG = ROOT / "qat_configs" / "synthetic_faces.yaml"
RESULTS = ROOT / "docs" / "results"
FLOAT_SHARE = 0.4  # of the epochs, as in the configuration
UNIFORM = (4, 3)  # bits; the networks that the choice is made with have the first
SETTINGS = ("name=au_bits", "baseline=false", "verify.latency_runs=10", "verify.fake_quant_agreement=0.9")
METRICS = {"f1": "f1_mean", "f1_tuned": "f1_tuned_mean"}

Bits = dict[str, int]


def even_bits(choice: Mapping[str, int], seed: int) -> Bits:
    """The same total of bits as `choice`, spread as equally as possible; heads with one more are drawn at random."""
    names = list(choice)
    low, more = divmod(sum(choice.values()), len(names))
    raised = set(np.random.default_rng(seed).permutation(names)[:more].tolist())
    return {name: low + (name in raised) for name in names}


def shortest(bits: Mapping[str, int], uniform: int) -> Bits:
    """The shortest configuration of `bits`, so that equal experiments are the same run."""
    values = set(bits.values())
    if len(values) > 1:
        return dict(bits)
    (value,) = values
    return {} if value == uniform else {"default": value}


def variants(base: Experiment, choices: Mapping[float, Bits], fold: int) -> dict[str, Bits]:
    """{name of the variant: bits by action unit}."""
    names = base.data.au_names
    found = {f"{bits} bits": dict.fromkeys(names, bits) for bits in UNIFORM}
    for budget, choice in choices.items():
        found[f"chosen, budget {budget:g}"] = choice
        found[f"even, budget {budget:g}"] = even_bits(choice, fold)
    return found


def comparisons(budgets: Sequence[float]) -> list[tuple[str, str]]:
    """(variant, other variant): the chosen bits against even ones, and against equal ones of the same budget."""
    return [
        (f"chosen, budget {budget:g}", other)
        for budget in budgets
        for other in (f"even, budget {budget:g}", *(f"{bits} bits" for bits in UNIFORM if bits == budget * UNIFORM[0]))
    ]


def run_fold(base: Experiment, fold: int, arguments: argparse.Namespace, stop: StopFlag) -> tuple[dict, list[dict]]:
    """(content of au_bits.json by budget, rows of all variants and seeds) of one fold."""
    experiment = base.model_copy(update={"data": base.data.model_copy(update={"folds": [fold]})})
    uniform, output_dir = uniform_bits(experiment), arguments.output_dir
    found = {
        budget: search(experiment, to_yaml(experiment), output_dir, _settings(arguments, budget), stop)[1]
        for budget in arguments.budgets
    }
    weights = next(iter(found.values()))["head_weights"]
    rows = []
    for variant, bits in variants(experiment, {budget: each["choice"] for budget, each in found.items()}, fold).items():
        one = with_bits(experiment, shortest(bits, uniform))
        folder = run(one, output_dir, ship=False, stop=stop)
        packed = sum(weights[name] * bits[name] for name in weights)
        for seed in one.seeds:
            about = {"variant": variant, "fold": fold, "seed": seed, "au_bits": bits, "head_bits": packed}
            rows.append(about | _scores(seed_path(folder, seed, fold)) | {"run": folder.name})
    return {f"{budget:g}": each for budget, each in found.items()}, rows


def _settings(arguments: argparse.Namespace, budget: float) -> SearchSettings:
    return SearchSettings(arguments.tolerance, budget, tuple(arguments.candidates))


def _scores(folder: Path) -> dict:
    scores, verification = read_json(folder / SCORES), read_json(folder / VERIFICATION)
    measured = {key: scores["metrics"][name] for key, name in METRICS.items()}
    noisy = scores["metrics_noisy"]["f1_mean"] if scores["metrics_noisy"] else None
    exact = {key: verification[key] for key in ("decision_agreement", "code_mismatch")}
    return {**measured, "f1_noisy": noisy, "val_f1": scores["val_f1"], **exact}


def compared(rows: Sequence[dict], variant: str, other: str, metric: str) -> dict:
    """The paired difference of two variants with its 95 % interval; None where there are too few pairs."""
    values = [
        pd.Series({(row["fold"], row["seed"]): row[metric] for row in rows if row["variant"] == name}, dtype=float)
        for name in (variant, other)
    ]
    found = estimate(values[0].sub(values[1]).dropna())
    if found is None:
        return {"mean": None, "low": None, "high": None, "pairs": 0}
    return {"mean": found.mean, "low": found.low, "high": found.high, "pairs": found.n}


def summary(rows: Sequence[dict], budgets: Sequence[float]) -> dict:
    """{"variants": means by variant, "comparisons": paired differences}."""
    by_name = {}
    for row in rows:
        by_name.setdefault(row["variant"], []).append(row)
    means = {
        name: {"runs": len(own), "head_bits": mean(row["head_bits"] for row in own)}
        | {key: _mean([row[key] for row in own]) for key in (*METRICS, "f1_noisy", "val_f1")}
        for name, own in by_name.items()
    }
    differences = [
        {"variant": variant, "other": other, "metric": metric, **compared(rows, variant, other, metric)}
        for variant, other in comparisons(budgets)
        for metric in METRICS
    ]
    return {"variants": means, "comparisons": differences}


def _mean(values: Sequence[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return mean(defined) if defined else None


def markdown(result: dict) -> str:
    """The page docs/results/au_bits.md."""
    data, epochs, tolerance = result["config"]["data"], result["config"]["train"]["epochs"], result["tolerance"]
    lines = [
        "# Bits per action unit, chosen or equal",
        "",
        f"{data['subjects']} rendered subjects, {data['frames']} frames per sequence, simulated annotators, {epochs} epochs, "
        f"tolerance {tolerance:g}. Everything except the heads' hidden layers is W4/A4.",
        "Bits chosen on each fold's validation subjects (noisy labels); F1 on its test subjects (clean labels).",
        "",
        f"Command: `{result['machine']['command']}`",
        "",
        "| bits of the heads | runs | packed size of the heads | F1 at 0.5 | F1, tuned threshold | F1 at 0.5, noisy test labels |",
        "|---|---|---|---|---|---|",
    ]
    whole = result["variants"][f"{UNIFORM[0]} bits"]["head_bits"]
    for name, row in result["variants"].items():
        shares = " | ".join(_percent(row[key]) for key in ("f1", "f1_tuned", "f1_noisy"))
        lines.append(f"| {name} | {row['runs']} | {100 * row['head_bits'] / whole:.0f} % | {shares} |")
    lines += ["", *(f"- {_sentence(row)}" for row in result["comparisons"])]
    return "\n".join(lines) + "\n"


def _sentence(row: dict) -> str:
    named = {"f1": "F1 at 0.5", "f1_tuned": "F1 at tuned thresholds"}[row["metric"]]
    if row["mean"] is None:
        return f"{row['variant']} against {row['other']}, {named}: no pair of runs."
    text = f"{row['variant']} against {row['other']}, {named}: {100 * row['mean']:+.1f} points"
    if row["low"] is None:
        return f"{text} (one pair only, no interval)."
    verdict = "better" if row["low"] > 0 else "worse" if row["high"] < 0 else "no difference detected"
    return f"{text} ({100 * row['low']:+.1f} to {100 * row['high']:+.1f}, 95 %, {row['pairs']} pairs): {verdict}."


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"


def base_experiment(arguments: argparse.Namespace) -> Experiment:
    """The experiment with equal bits, all folds."""
    chosen = [f"data.folds={arguments.folds}", f"seeds={arguments.seeds}", f"data.frames={arguments.frames}"]
    chosen += [
        f"train.epochs={arguments.epochs}",
        f"methods.0.weight_bits={UNIFORM[0]}",
        f"methods.0.warmup_epochs={int(FLOAT_SHARE * arguments.epochs)}",
        *SETTINGS,
        *arguments.overrides,
    ]
    return load_config(CONFIG, chosen)


def main(argv: Sequence[str] | None = None) -> None:
    """Run all folds, writing the results after each."""
    arguments = _arguments(argv)
    base = base_experiment(arguments)
    command = retry_command("benchmarks.au_bits", argv)
    choices, rows = {}, []
    with StopFlag() as stop:
        for fold in base.data.folds:
            choices[fold], more = run_fold(base, fold, arguments, stop)
            rows += more
            result = {
                "machine": {**describe_environment(), "command": command},
                "config": base.model_dump(),
                "tolerance": arguments.tolerance,
                "candidates": arguments.candidates,
                **summary(rows, arguments.budgets),
                "choices": choices,
                "rows": rows,
            }
            write_json(arguments.results / "au_bits.json", result)
            write_text(arguments.results / "au_bits.md", markdown(result))
    print(markdown(result), end="")


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--epochs", type=int, default=24)
    parser.add_argument("--frames", type=int, default=32, help="frames rendered per sequence; a subject has 8")
    parser.add_argument(
        "--budgets", type=float, nargs="+", default=[0.875, 0.75], help="budgets as shares of the size with 4 bits"
    )
    parser.add_argument("--tolerance", type=float, default=SearchSettings.tolerance)
    parser.add_argument("--candidates", type=int, nargs="+", default=list(CANDIDATES))
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides")
    parser.add_argument("--output-dir", type=Path, default=ROOT, help="holds runs/")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where au_bits.json and au_bits.md go")
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
