"""TensorBoard curves of a training (train.tensorboard): every number in metrics.jsonl as a scalar per epoch."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf

from pipeline.runs.files import read_jsonl
from pipeline.runs.names import CURVES, METRICS


class Curves:
    """The event files in `folder`, rewritten when a training resumes so that no epoch appears twice."""

    def __init__(self, folder: Path, history: Sequence[dict] = ()):
        """Start with `history`, the lines of metrics.jsonl so far."""
        shutil.rmtree(folder, ignore_errors=True)
        self._writer = tf.summary.create_file_writer(str(folder))
        for line in history:
            self.add(line)

    def add(self, line: dict) -> None:
        """Write the numbers of one line of metrics.jsonl and flush them."""
        with self._writer.as_default(step=line["epoch"]):
            for name, value in _scalars(line):
                tf.summary.scalar(name, value)
        self._writer.flush()


def write_curves(folder: Path) -> None:
    """Write the curves of a finished training from its metrics.jsonl; the folder appears when it is complete."""
    partial = folder / f"{CURVES}.partial"
    Curves(partial, read_jsonl(folder / METRICS))
    os.replace(partial, folder / CURVES)


def _scalars(line: dict, prefix: str = "") -> list[tuple[str, float]]:
    """(name, value) of the numbers in a line; nested ones as `moving/test_accuracy`."""
    found = []
    for name, value in line.items():
        if isinstance(value, dict):
            found += _scalars(value, f"{prefix}{name}/")
        elif isinstance(value, int | float) and name != "epoch":
            found.append((prefix + name, value))
    return found
