"""A training run in a process of its own, to be killed: `python -m tests.training.training_child FOLDER [REPLACES]`.

Steps are slowed down so that there is time to kill it. With REPLACES it kills itself at that file of its, written but
not yet renamed. Prints the result's epoch; exits with 128 + signal if stopped.
"""

import os
import signal
import sys
import time
from pathlib import Path

from pipeline.data.augmentation import PadCrop
from pipeline.methods import Dropout, EarlyStopping, LabelSmoothing, WeightDecay
from pipeline.runs.progress import TrainingProgress
from pipeline.runs.stopping import StopFlag, Stopped
from pipeline.training.loop import Recipe, train
from pipeline.training.tasks import Multiclass
from tests.training.training_samples import settings, tiny_data, tiny_network

SECONDS_A_STEP = 0.03


class SlowFlag(StopFlag):
    """Gives the killer time."""

    def check(self) -> None:
        time.sleep(SECONDS_A_STEP)
        super().check()


def run(folder: Path) -> int:
    """Train, or go on; the exit code."""
    methods = [EarlyStopping(), Dropout(rate=0.3), LabelSmoothing(), WeightDecay(rate=1e-3)]
    section = settings(checkpoint_minutes=0.001)
    folder.mkdir(parents=True, exist_ok=True)
    with SlowFlag() as stop:
        try:
            data, recipe = tiny_data(80), Recipe(section, methods, 1, PadCrop())
            task = Multiclass(data.classes, tuple(method.smooth for method in methods))
            train(tiny_network(dropout=0.3), data, task, recipe, folder, stop, TrainingProgress())
        except Stopped as stopped:
            return 128 + stopped.signum
    return 0


def die_at(replaces: int) -> None:
    """Make the process kill itself just before it renames its n-th file."""
    rename, left = os.replace, [replaces]

    def replace_or_die(source, target):
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        rename(source, target)

    os.replace = replace_or_die


def child(folder: str, replaces: int = 0) -> None:
    """Run in a forked process."""
    if replaces:
        die_at(replaces)
    sys.exit(run(Path(folder)))


if __name__ == "__main__":
    child(sys.argv[1], *map(int, sys.argv[2:]))
