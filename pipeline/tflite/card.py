"""The model card of a shipped network: data, methods, metrics, exactness and limits."""

from collections import Counter
from dataclasses import dataclass

from pipeline.tflite.described_inputs import Input

OUTPUTS = {  # one of them, and several
    "multiclass": ("class", "classes"),
    "multilabel": ("label", "labels"),
    "regression": ("number", "numbers"),
    "map": ("class in each place", "classes in each place"),
    "several": ("output", "outputs"),
}


@dataclass(frozen=True)
class Shipment:
    """What sidecar and model card say of a network, apart from its scores and files.

    A network that no run has trained has no validation metric, seed and configuration.
    """

    name: str
    task: str
    labels: tuple[str, ...]
    inputs: tuple[Input, ...]
    crop: dict | None
    metric: str
    validation_metric: str | None
    data: str
    data_license: str
    data_limits: str
    noise: dict
    methods: list[dict]
    io: str
    seed: int | None
    fold: int | None
    config_hash: str | None
    outputs: str = "logits"


def model_card(shipment: Shipment, scores: dict, verification: dict) -> str:
    """The text of MODEL_CARD.md: data, methods, metrics, exactness and limits of the model."""
    thing = "image" if all(each.is_image for each in shipment.inputs) else "example"
    against = ", against clean labels where they are known" if shipment.config_hash else ""
    return "\n".join(
        [
            f"# {shipment.name}",
            "",
            _outputs(shipment),
            "",
            *_origin(shipment, scores, verification),
            f"- Exactness: {_exactness(verification, thing)}",
            *(f"- NO BETTER THAN CHANCE: {each}" for each in scores.get("no_better_than_chance", [])),
            "",
            f"{shipment.metric[0].upper()}{shipment.metric[1:]} on {verification['examples']} test {thing}s{against}; latency "
            f"of one {thing}, one thread, on the machine that wrote the files:",
            "",
            f"| file | bytes | {shipment.metric} % | median ms |",
            "|---|---|---|---|",
            *_file_rows(verification),
            "",
            *_label_table(scores),
            f"Limits: {shipment.data_limits}",
            "",
        ]
    )


def _outputs(shipment: Shipment) -> str:
    """What the network returns, such as `A network with 2 outputs (age, kind).`"""
    count, kind = len(shipment.labels), f"{shipment.task} " if shipment.task in ("multiclass", "multilabel") else ""
    noun = OUTPUTS[shipment.task][count > 1]
    if shipment.task == "multilabel" and shipment.config_hash:
        noun = "action units"
    return f"A {kind}network with {count} {noun} ({', '.join(shipment.labels)})."


def _origin(shipment: Shipment, scores: dict, verification: dict) -> list[str]:
    """Where the network comes from: a training of a run, or somebody's own."""
    if shipment.config_hash is None:
        bits = Counter(verification["weight_bits"].values())
        counts = [
            f"{number} bits in {bits[number]} {'layer' if bits[number] == 1 else 'layers'}" for number in sorted(bits)
        ]
        return [
            f"- Data: {'; '.join(filter(None, (shipment.data, shipment.data_license))) or 'not stated'}",
            f"- Weights: {', '.join(counts) or 'float'}",
        ]
    fold = "" if shipment.fold is None else f", tested on part {shipment.fold}"
    return [
        f"- Data: {shipment.data_license}",
        f"- Label noise in training: {_words(shipment.noise)}",
        f"- Methods: {'; '.join(_words(method) for method in shipment.methods) or 'none'}",
        f"- Seed {shipment.seed}{fold}, configuration {shipment.config_hash}, weights of {scores['selection']}",
    ]


def _exactness(verification: dict, thing: str) -> str:
    exact, agreement = verification["code_mismatch"], 100 * verification["decision_agreement"]
    if exact is None:
        return f"codes not compared (float network); {agreement:.2f} % of decisions equal Keras evaluation"
    return (
        f"{exact:g} of the output codes differ from the integer model on {verification['integer_model_examples']} {thing}s "
        f"(XNNPACK); {agreement:.2f} % of decisions equal Keras evaluation"
    )


def _file_rows(verification: dict) -> list[str]:
    sizes, latencies = verification["size_bytes"], verification["latency_ms"]
    metrics = {kind: _percent(verification["metrics"][kind], 2) for kind in sizes}
    return [f"| {kind} | {sizes[kind]:,} | {metrics[kind]} | {latencies[kind]['median']:.3f} |" for kind in sizes]


def _label_table(scores: dict) -> list[str]:
    """F1 of every action unit; empty for classes."""
    metrics = scores.get("metrics", {})
    if "f1" not in metrics:
        return []
    rows = [
        f"| {name} | {_percent(metrics['base_rate'][name])} | {_percent(f1)} | {_percent(metrics['f1_all_positive'][name])} "
        f"| {scores['thresholds'][name]:.3g} | {_percent(metrics['f1_tuned'][name])} |"
        for name, f1 in metrics["f1"].items()
    ]
    names = scores.get("not_learned")
    unlearned = [f"Not learned, ignore its output: {', '.join(names)}.", ""] if names else []
    head = "| AU | present % | F1 % at 0.5 | F1 % all present | threshold | F1 % at threshold |"
    noisy = scores["metrics_noisy"] and scores["metrics_noisy"]["f1_mean"]
    against = [
        f"Against the noisy labels of the same {len(scores['subject_counts'])} test subjects: mean F1 {_percent(noisy)} %.",
        "",
    ]
    return [head, "|---|---|---|---|---|---|", *rows, "", *(against if noisy is not None else []), *unlearned]


def _percent(share: float | None, digits: int = 1) -> str:
    return "undefined" if share is None else f"{100 * share:.{digits}f}"


def _words(fields: dict) -> str:
    return ", ".join(f"{key} {value}" for key, value in fields.items() if value not in ([], None))
