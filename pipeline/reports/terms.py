"""What a run's labels, metric, noise and methods are called, from its configuration and from what it recorded."""

from dataclasses import dataclass
from typing import Literal

from pipeline.reports.load import Json, Run, column, mapping, number, sequence
from pipeline.reports.numbers import listing

METHOD_NAMES = {
    "quantization": "W{weight_bits}/A{activation_bits} quantization",
    "pruning": "{ratio:.0%} pruning",
    "dropout": "dropout {rate}",
    "weight_decay": "weight decay {rate}",
    "label_smoothing": "label smoothing {alpha}",
    "early_stopping": "early stopping",
}


@dataclass(frozen=True)
class Terms:
    """Names and keys of one kind of task; `score` is a path in scores.json, the others are keys of metrics.jsonl."""

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
        return self.metric.removeprefix("mean ")

    @property
    def test(self) -> str:
        """Such as `clean test accuracy`."""
        return f"{self.right} test {self.short}"


ACCURACY = Terms(
    "accuracy", ("metrics", "accuracy"), "test_accuracy", "val_accuracy", "val_clean_accuracy", "clean",
    "cross-entropy (nats)",
)  # fmt: skip
F1_KEYS = ("mean F1", ("metrics", "f1_mean"), "test_f1", "val_f1", "val_clean_f1")
F1, GIVEN_F1 = (Terms(*F1_KEYS, right, "weighted cross-entropy (nats)") for right in ("clean", "given"))


def terms_of(multilabel: bool, data_name: object, known: bool | None) -> Terms:
    """The terms of a task whose true labels are `known` or not.

    Runs older than that record (None) have clean labels if they are on synthetic faces.
    """
    if not multilabel:
        return ACCURACY
    return F1 if (data_name == "synthetic_faces" if known is None else known) else GIVEN_F1


def truth_known(data: Json) -> bool | None:
    """Whether the true labels are known, by data.json; None if it does not say."""
    known = data.get("truth_known")
    return known if isinstance(known, bool) else None


def is_multilabel(run: Run) -> bool:
    """Whether the run learns action units: by its scores or, before there are any, by its data having folds."""
    scored = any(scores.get("task") == "multilabel" for scores in run.finished["scores"])
    return scored or "folds" in mapping(run.config, "data")


def terms(run: Run) -> Terms:
    """The terms of this run."""
    return terms_of(is_multilabel(run), mapping(run.config, "data").get("name"), truth_known(run.data))


def wrong_labels(run: Run) -> Literal["none", "some", "unknown"]:
    """Whether training labels are known to be wrong, known to be right, or neither."""
    known = truth_known(run.data) if is_multilabel(run) else None
    if known and len(run.finished):  # the numbers decide: given labels may be wrong where none was corrupted
        recorded = [f"scores.{key}" for key in ("metrics_noisy.f1_mean", "train_noisy_fit")]
        found = any(column(run.own, key).notna().any() for key in recorded)
        return "some" if found or (column(run.own, "wrong_labels") > 0).any() else "none"
    if noise_drawn(run):
        return "some"
    return "none" if terms(run).right == "clean" else "unknown"


def noise_drawn(run: Run) -> bool:
    """Whether the configuration corrupts labels (True too where there is none: the numbers decide)."""
    return not run.config or mapping(run.config, "noise").get("kind", "none") != "none"


def training_labels(run: Run) -> str:
    """`noisy`, `given` where wrong labels come from the annotators, or what the test labels are."""
    if wrong_labels(run) != "some":
        return terms(run).right
    return "noisy" if noise_drawn(run) else "given"


def is_baseline(run: Run) -> bool:
    """Whether the run applies no method, so that others are compared with it."""
    return bool(run.config) and not sequence(run.config, "methods")


def method_names(run: Run) -> str:
    """`W4/A4 quantization and dropout 0.1`; empty if the run applies no method."""
    return listing([_method_name(method) for method in sequence(run.config, "methods") if isinstance(method, dict)])


def _method_name(method: Json) -> str:
    """A method with its main setting; just its name where that is not recorded as expected."""
    name = str(method.get("name"))
    try:
        return METHOD_NAMES.get(name, name).format(**method)
    except (KeyError, ValueError, TypeError, IndexError):
        return name.replace("_", " ")


def noise_name(run: Run) -> str:
    """`40 % uniform label noise`, `clean labels`, or `unrecorded label noise`."""
    noise = mapping(run.config, "noise")
    kind = str(noise.get("kind", "none"))
    if not run.config:
        return "unrecorded label noise"
    if kind == "none":
        return f"{training_labels(run)} labels"
    if kind == "annotators":
        return f"simulated annotator noise (strength {noise.get('strength')})"
    rates = mapping(noise, "rates") or {"all": noise.get("rate")}
    known = sorted(rate for name in rates if (rate := number(rates, name)) is not None)
    shares = " to ".join(dict.fromkeys(f"{100 * rate:.3g} %" for rate in (*known[:1], *known[-1:])))
    return f"{shares} {kind.replace('per_label', 'per-AU').replace('_', '-')} label noise".lstrip()


def counted(run: Run, n: int) -> str:
    """`3 seeds`, or `6 trainings` where the run has folds."""
    name = "training" if run.own["fold"].notna().any() else "seed"
    return f"{n} {name}" if n == 1 else f"{n} {name}s"
