"""What a run's labels are worth, from what it recorded: which are wrong, and whether anybody knows."""

from typing import Literal

from pipeline.reporting.read import Run, mapping, number
from pipeline.reporting.terms import is_multilabel, terms, truth_known

UNSEEN = "of the wrong labels of people it never saw: what it gets wrong anyway"


def noise_drawn(run: Run) -> bool:
    """Whether the configuration corrupts labels (unknown counts as yes: the numbers decide)."""
    return not run.config or mapping(run.config, "noise").get("kind", "none") != "none"


def wrong_labels(run: Run) -> Literal["none", "some", "unknown"]:
    """Whether labels are known to be wrong, known to be right, or neither.

    By the configuration for classes and for runs that did not record whether the truth is known.
    """
    known = truth_known(run.data) if is_multilabel(run) else None
    if known and _recorded(run):
        return "some"
    if noise_drawn(run) and not (known and run.finished):
        return "some"
    return "none" if terms(run).right == "clean" else "unknown"


def _recorded(run: Run) -> bool:
    scored = any(
        mapping(seed.scores, "metrics_noisy") or number(seed.scores, "train_noisy_fit") is not None
        for seed in run.finished
    )
    return scored or any(seed.wrong_labels for seed in run.seeds)


def has_noise(run: Run) -> bool:
    """Whether there are wrong labels to memorise."""
    return wrong_labels(run) == "some"


def training_labels(run: Run) -> str:
    """`noisy`, `given` where the wrong ones are the annotators' own, or what the test labels are too."""
    if not has_noise(run):
        return terms(run).right
    return "noisy" if noise_drawn(run) else "given"


def untouched(run: Run) -> str:
    """What a run without known wrong labels was trained on."""
    if wrong_labels(run) == "none":
        return "the training labels were left clean"
    return "no label was changed; how many the annotators got wrong is unknown"
