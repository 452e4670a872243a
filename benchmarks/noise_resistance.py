"""The paper's effect on real images: clean test accuracy after training on wrong labels, by method, noise and seed.

    python -m benchmarks.noise_resistance [--output-dir DIR] [--seeds 1 2 3]

Every cell is an ordinary run of qat_configs/fashion_mnist.yaml with --set, so finished runs are reused. Writes
docs/results/noise_resistance.csv (one row per seed) and noise_resistance.md (mean and spread, both kinds of statistics).
"""

import argparse
import csv
import json
import subprocess
import sys
from pathlib import Path
from statistics import mean

from pipeline.config import config_hash, load_config
from pipeline.runs.folder import run_path, seed_path

ROOT = Path(__file__).resolve().parents[1]
CONFIG = ROOT / "qat_configs" / "fashion_mnist.yaml"
RESULTS = ROOT / "docs" / "results"
COMMON = ["baseline=false", "train.log_both_statistics=true", "train.evaluate_every=3"]
VARIANTS = {
    "baseline": "[]",
    "W8/A8": "[{name: quantization, weight_bits: 8, activation_bits: 8}]",
    "W4/A4": "[{name: quantization, weight_bits: 4, activation_bits: 4}]",
    "W4/A4 residual same": "[{name: quantization, weight_bits: 4, activation_bits: 4, residual_bits: same}]",
    "W4/A8": "[{name: quantization, weight_bits: 4, activation_bits: 8}]",
    "W2/A4": "[{name: quantization, weight_bits: 2, activation_bits: 4}]",
}
RATES = (0.4, 0.2)
REPEATED = [(variant, rate) for rate in RATES for variant in ("baseline", "W8/A8", "W4/A4")] + [
    ("W4/A4 residual same", 0.4)
]
ONCE = [("W4/A8", 0.4), ("W2/A4", 0.4)]
FIELDS = (
    "variant",
    "rate",
    "seed",
    "test_accuracy",
    "test_accuracy_moving",
    "best_epoch_test_accuracy",
    "train_noisy_fit",
    "decision_agreement",
    "code_mismatch",
    "metric_delta",
    "builtin_decision_agreement",
    "int4_decision_agreement",
    "int8_accuracy",
    "int4_accuracy",
    "seconds",
)


def cells(seeds: list[int]) -> list[tuple[str, float, int]]:
    """(variant, noise rate, seed) in the order they run: the first seed of every cell first."""
    return [(*cell, seed) for seed in seeds for cell in REPEATED + (ONCE if seed == seeds[0] else [])]


def run_cell(variant: str, rate: float, seed: int, output_dir: Path) -> dict:
    """The row of one run, which is executed unless finished."""
    name = "noise-" + "".join(c if c.isalnum() else "-" for c in variant.lower())
    settings = [f"name={name}", f"noise.rate={rate}", f"seeds=[{seed}]", f"methods={VARIANTS[variant]}", *COMMON]
    command = [sys.executable, "-m", "pipeline.run", "--config", str(CONFIG), "--output-dir", str(output_dir)]
    result = subprocess.run(
        command + [part for setting in settings for part in ("--set", setting)], cwd=ROOT, check=False
    )
    if result.returncode not in (0, 1):  # 1: a file missed its limits, as the row shows
        sys.exit(result.returncode)
    experiment = load_config(CONFIG, settings)
    folder = run_path(output_dir, experiment.name, config_hash(experiment))
    return row(variant, rate, seed, seed_path(folder, seed))


def row(variant: str, rate: float, seed: int, folder: Path) -> dict:
    """One line of the CSV from a seed's folder."""
    scores = json.loads((folder / "scores.json").read_text())
    verification = json.loads((folder / "verification.json").read_text())
    last = json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])
    kernels = verification["kernels"]
    return {
        "variant": variant,
        "rate": rate,
        "seed": seed,
        "test_accuracy": scores["metrics"]["accuracy"],
        "test_accuracy_moving": last["moving"]["test_accuracy"],
        "best_epoch_test_accuracy": scores["oracle"]["test_accuracy"],
        "train_noisy_fit": scores["train_noisy_fit"],
        "decision_agreement": verification["decision_agreement"],
        "code_mismatch": verification["code_mismatch"],
        "metric_delta": verification["metric_delta"],
        "builtin_decision_agreement": kernels.get("builtin", {}).get("decision_agreement"),
        "int4_decision_agreement": kernels.get("int4", {}).get("decision_agreement"),
        "int8_accuracy": verification["metrics"].get("int8"),
        "int4_accuracy": verification["metrics"].get("int4"),
        "seconds": scores["seconds"],
    }


def table(rows: list[dict]) -> str:
    """The Markdown table: mean (lowest to highest) in percent, n seeds."""
    lines = [
        "Fashion-MNIST, 6,000 training images (10 % held out), 8-layer residual network, 30 epochs of Adam 1e-3, batch 128;",
        "10,000 clean test images; selection: last epoch. `python -m benchmarks.noise_resistance`. Mean (lowest to highest), %.",
        "",
        "| noise | method | n | clean test, re-estimated | clean test, moving | best epoch (oracle) | wrong labels memorised |",
        "|---|---|---|---|---|---|---|",
    ]
    for rate in sorted(RATES):
        for variant in VARIANTS:
            chosen = [r for r in rows if r["variant"] == variant and r["rate"] == rate]
            if chosen:
                keys = ("test_accuracy", "test_accuracy_moving", "best_epoch_test_accuracy", "train_noisy_fit")
                shares = " | ".join(spread([r[key] for r in chosen]) for key in keys)
                lines.append(f"| {rate:.0%} | {variant} | {len(chosen)} | {shares} |")
    return "\n".join(lines) + "\n"


def spread(values: list[float]) -> str:
    """Mean and range in percent."""
    low, high = min(values), max(values)
    return f"{100 * mean(values):.1f} ({100 * low:.1f} to {100 * high:.1f})"


def main() -> None:
    """Run all cells, writing the results after each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output-dir", type=Path, default=ROOT)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    arguments = parser.parse_args()
    RESULTS.mkdir(parents=True, exist_ok=True)
    rows = []
    for cell in cells(arguments.seeds):
        rows.append(run_cell(*cell, arguments.output_dir.resolve()))
        with (RESULTS / "noise_resistance.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        (RESULTS / "noise_resistance.md").write_text(table(rows))
        print({key: rows[-1][key] for key in FIELDS[:7]}, flush=True)


if __name__ == "__main__":
    main()
