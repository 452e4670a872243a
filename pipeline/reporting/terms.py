"""What a run's metric is called and where it lies: accuracy for classes, mean F1 for action units."""

from dataclasses import dataclass

from pipeline.reporting.read import Json, Run, mapping

FACE_DATA = ("bp4d", "synthetic_faces")


@dataclass(frozen=True)
class Terms:
    """Words and keys of one kind of run; `score` is a path in scores.json, the others are keys of metrics.jsonl."""

    metric: str
    score: tuple[str, ...]
    test_key: str
    val_key: str
    val_clean_key: str
    right: str  # what the test labels are: `clean` where the truth is known
    unit: str  # of the loss

    @property
    def short(self) -> str:
        """The metric in a table's head."""
        return "F1" if self.metric == "mean F1" else self.metric

    @property
    def test(self) -> str:
        """Such as `clean test accuracy`."""
        return f"{self.right} test {self.short}"


ACCURACY = Terms(
    "accuracy", ("metrics", "accuracy"), "test_accuracy", "val_accuracy", "val_clean_accuracy", "clean",
    "cross-entropy (nats)",
)  # fmt: skip
F1 = Terms(
    "mean F1", ("metrics", "f1_mean"), "test_f1", "val_f1", "val_clean_f1", "clean", "weighted cross-entropy (nats)"
)
GIVEN_F1 = Terms(F1.metric, F1.score, F1.test_key, F1.val_key, F1.val_clean_key, "given", F1.unit)


def is_multilabel(run: Run) -> bool:
    """Whether the run learns action units, by its scores or, before there are any, by its data."""
    scored = any(seed.scores.get("task") == "multilabel" for seed in run.finished)
    return scored or mapping(run.config, "data").get("name") in FACE_DATA


def terms(run: Run) -> Terms:
    """The words for this run."""
    return terms_of(is_multilabel(run), mapping(run.config, "data").get("name"), truth_known(run.data))


def terms_of(multilabel: bool, data_name: object, known: bool | None) -> Terms:
    """The words for a kind of labels, where it is `known` or not what they should be; None: not recorded."""
    if not multilabel:
        return ACCURACY
    return F1 if (data_name != "bp4d" if known is None else known) else GIVEN_F1


def truth_known(data: Json) -> bool | None:
    """What data.json records of it; None if nothing."""
    known = data.get("truth_known")
    return known if isinstance(known, bool) else None
