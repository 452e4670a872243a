"""The speed-up of study workers: a fixed set of small runs by two workers, against one worker with all cores.

    python -m benchmarks.study_throughput [--epochs N] [--folder DIR] [--output FILE]

Runs the same study twice, `--workers 1` and `--workers 2`, in a new folder each. The overhead of a trial is all time of
its worker that is not training (start of the study, processes, conversion, verification, waiting), from the records of
the runs; by variant, only that of its processes, since quantized networks have more to verify. Writes a JSON file and
prints `speed_up=X overhead_seconds=S`. Needs two idle cores.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from pipeline.runs.environment import describe_environment
from pipeline.runs.files import read_json, read_jsonl, write_json

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "docs" / "results" / "study_throughput.json"
COMMAND = "python -m benchmarks.study_throughput --epochs {epochs}"
BASE = """\
data: {{name: fashion_mnist, train_examples: 4000, test_examples: 1000}}
noise: {{kind: uniform, rate: 0.4}}
model: {{name: resnet20, depth: 8, width: 8}}
train: {{epochs: {epochs}, batch_size: 64}}
verify: {{latency_runs: 20, fake_quant_agreement: 0.0, metric_delta: 100}}
"""
STUDY = """\
base: base.yaml
variants:
  baseline: []
  dropout: [{name: dropout}]
  label smoothing: [{name: label_smoothing}]
  quantization: [{name: quantization}]
seeds: [1, 2]
"""


def run_study(folder: Path, epochs: int, workers: int) -> dict:
    """Wall-clock seconds of the study and, from its records, seconds of training and of processes.

    Raises CalledProcessError if a run fails.
    """
    folder.mkdir(parents=True)
    (folder / "base.yaml").write_text(BASE.format(epochs=epochs))
    (folder / "study.yaml").write_text(STUDY)
    arguments = ["--config", str(folder / "study.yaml"), "--output-dir", str(folder), "--workers", str(workers)]
    begun = time.monotonic()
    subprocess.run([sys.executable, "-m", "pipeline.study", *arguments], cwd=ROOT, check=True)
    seconds = time.monotonic() - begun
    made = folder / "studies" / "study"
    training = {path.parents[1].name: read_json(path)["seconds"] for path in made.glob("runs/*/seed*/scores.json")}
    events = [event for path in made.glob("tuner/*/reports/*.jsonl") for event in read_jsonl(path)]
    done = [event for event in events if event["event"] == "done"]
    return {
        "workers": workers,
        "trials": len(training),
        "seconds": seconds,
        "training_seconds": sum(training.values()),
        "process_seconds_median": median(event["seconds"] for event in done),
        "training_seconds_median": median(training.values()),
        "overhead_seconds_per_trial": (seconds * workers - sum(training.values())) / len(training),
        "overhead_seconds_by_variant": overhead_by_variant(done, training),
    }


def overhead_by_variant(done: Sequence[dict], training: dict[str, float]) -> dict[str, float]:
    """Median seconds of each variant's processes without training, from `done` events and training seconds by run."""
    found: dict[str, list[float]] = {}
    for event in done:
        found.setdefault(event["cell"].split(",")[0], []).append(event["seconds"] - training[event["run"]])
    return {variant: median(values) for variant, values in sorted(found.items())}


def measure(folder: Path, epochs: int) -> dict:
    """The content of the JSON file."""
    one, two = (run_study(folder / f"workers-{count}", epochs, count) for count in (1, 2))
    return {
        "machine": {**describe_environment(), "command": COMMAND.format(epochs=epochs)},
        "one_worker": one,
        "two_workers": two,
        "speed_up": one["seconds"] / two["seconds"],
        "overhead_seconds": max(one["overhead_seconds_per_trial"], two["overhead_seconds_per_trial"]),
    }


def main(argv: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.study_throughput", description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=12, help="epochs of every run (default: 12)")
    parser.add_argument("--folder", type=Path, help="where the studies go (default: a temporary folder)")
    parser.add_argument("--output", type=Path, default=RESULT, help=f"the JSON file (default: {RESULT})")
    arguments = parser.parse_args(argv)
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="nibble-study-"))
    try:
        result = measure(folder, arguments.epochs)
    finally:
        if not arguments.folder:
            shutil.rmtree(folder)
    write_json(arguments.output, result)
    print(json.dumps({key: result[key] for key in ("one_worker", "two_workers")}, indent=2), file=sys.stderr)
    print(f"speed_up={result['speed_up']:.2f} overhead_seconds={result['overhead_seconds']:.1f}")


if __name__ == "__main__":
    main()
