"""A small study for tests of its processes: its files, and runs that look finished without any training."""

import json
from pathlib import Path

from pipeline.runs.folder import seed_path
from pipeline.runs.names import RUN_FORMAT
from pipeline.study.cells import Cell
from pipeline.study.config import Study, load_study

BASE = """\
data: {name: fashion_mnist, train_examples: 320, test_examples: 60}
noise: {kind: uniform, rate: 0.4}
model: {name: resnet20, depth: 8, width: 4}
train: {epochs: 2, batch_size: 32, statistics_batches: 2}
verify: {latency_runs: 5, decision_agreement: 0.5, fake_quant_agreement: 0.0, metric_delta: 100}
"""
GRID = """\
base: base.yaml
axes: {noise.rate: [0.2, 0.4]}
variants:
  baseline: []
  dropout: {methods: [{name: dropout}], axes: {dropout.rate: [0.1, 0.3], dropout.position: [head, blocks]}}
seeds: [1, 2]
"""
SEARCH = """\
base: base.yaml
variants:
  dropout: {methods: [{name: dropout}], axes: {dropout.rate: {min: 0.05, max: 0.6}, dropout.position: [head, blocks]}}
seeds: [1, 2]
search: {kind: random, trials: 5}
"""


def write_study(folder: Path, text: str = GRID, name: str = "tiny", base: str = BASE) -> Path:
    """Write base and study; the study's path."""
    (folder / "base.yaml").write_text(base)
    path = folder / f"{name}.yaml"
    path.write_text(text)
    return path


def grid(folder: Path) -> Study:
    """A grid of 2 conditions x (baseline, dropout at 4 settings) x 2 seeds: 20 cells."""
    return load_study(write_study(folder))


def finish(cell: Cell, folder: Path, score: float | None = 0.5) -> None:
    """Make the run of a cell in the folder of the study look done."""
    run = cell.run_folder(folder)
    unit = seed_path(run, cell.seed, cell.fold)
    unit.mkdir(parents=True, exist_ok=True)
    (unit / "scores.json").write_text(json.dumps({"val_accuracy": score, "metrics": {"accuracy": 0.5}}))
    (run / "status.json").write_text(json.dumps({"format": RUN_FORMAT, "state": "done", "message": ""}))
