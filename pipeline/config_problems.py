"""What can be wrong in a configuration: a place, a key, a message; and suggestions for misspelt words."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from pipeline.errors import UserError

KeyPath = tuple[str | int, ...]

ALIASES = {
    "acc": ("val_accuracy",),
    "accuracy": ("val_accuracy",),
    "act_bits": ("activation_bits",),
    "batch": ("batch_size",),
    "bits": ("weight_bits",),
    "bs": ("batch_size",),
    "cifar": ("cifar10",),
    "conversion": ("convert",),
    "dataset": ("data",),
    "decay": ("weight_decay", "rate"),
    "exp": ("exponential",),
    "fashion": ("fashion_mnist",),
    "fmnist": ("fashion_mnist",),
    "loss": ("val_loss",),
    "lr": ("learning_rate",),
    "lr_schedule": ("schedule",),
    "max_epochs": ("epochs",),
    "method": ("methods",),
    "mnist": ("fashion_mnist",),
    "network": ("model",),
    "noise_rate": ("rate",),
    "num_epochs": ("epochs",),
    "opt": ("optimizer",),
    "p": ("rate",),
    "pair": ("pair_flip",),
    "path": ("root",),
    "probability": ("rate",),
    "prune": ("pruning",),
    "qat": ("quantization",),
    "random": ("uniform",),
    "resnet": ("resnet20",),
    "scheduler": ("schedule",),
    "seed": ("seeds",),
    "smoothing": ("alpha", "label_smoothing"),
    "sparsity": ("ratio",),
    "symmetric": ("uniform",),
    "type": ("kind", "name"),
    "verification": ("verify",),
    "wd": ("weight_decay",),
    "w_bits": ("weight_bits",),
}


class ConfigError(UserError):
    """Everything that is wrong in a configuration, one line each."""

    def __init__(self, problems: Iterable["Problem"]):
        self.problems = sorted(problems, key=lambda problem: problem.place.line)
        super().__init__("\n".join(dict.fromkeys(map(str, self.problems))))


@dataclass(frozen=True)
class Place:
    """A line of a file, or (line 0) an override given on the command line."""

    source: str
    line: int = 0

    @property
    def is_override(self) -> bool:
        """Whether this is a `--set`."""
        return self.line == 0

    def __str__(self) -> str:
        return self.source if self.is_override else f"{self.source}:{self.line}"


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong."""

    place: Place
    path: KeyPath
    message: str

    def __str__(self) -> str:
        return ": ".join(part for part in (str(self.place), dotted(self.path), self.message) if part)


def dotted(path: KeyPath) -> str:
    """`("methods", 0, "rate")` as `methods.0.rate`."""
    return ".".join(map(str, path))


def suggestion(word: object, candidates: Iterable[str]) -> str | None:
    """The candidate that `word` most likely means, or None."""
    candidates = list(candidates)
    lowered = str(word).lower()
    known = [target for target in ALIASES.get(lowered, ()) if target in candidates]
    return next(iter(known or difflib.get_close_matches(lowered, candidates, n=1)), None)


def quoted(words: Iterable[object]) -> str:
    """`'a', 'b', 8`: the words as a user writes them."""
    return ", ".join(repr(word) if isinstance(word, str) else str(word) for word in words)
