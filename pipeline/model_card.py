"""MODEL_CARD.md: for whoever gets a network, what it is, how good, how exact, and what it is not for."""

from pipeline.shipment import DATA_LICENSES, Shipment

LIMITS = {
    "bp4d": (
        "trained on few people filmed in one way (BP4D: 41 young adults in one laboratory); other ages, head poses, light and "
        "cameras were not seen. Scores say what a muscle movement looks like, not what a person feels. The data's terms hold."
    ),
    "synthetic_faces": (
        "trained and tested on RENDERED faces, not on people. How well it works on photographs has not been measured; it shows "
        "how methods compare and how a network is shipped. The action units are combinations of face shapes, not certified "
        "by FACS coders. Not for decisions about people."
    ),
}
OTHER_LIMITS = (
    "trained on small images of one data set with labels made wrong on purpose; for comparing methods, not for decisions "
    "about people or things."
)


def model_card(shipment: Shipment, scores: dict, verification: dict) -> str:
    """MODEL_CARD.md: what the model is, how good, how exact, and what it is not for."""
    fold = "" if shipment.fold is None else f", tested on part {shipment.fold}"
    noun = {"multiclass": "classes", "multilabel": "action units"}[shipment.task]
    return "\n".join(
        [
            f"# {shipment.name}",
            "",
            f"A {shipment.task} network over {len(shipment.labels)} {noun} ({', '.join(shipment.labels)}).",
            "",
            f"- Data: {DATA_LICENSES[shipment.data]}",
            f"- Label noise in training: {_words(shipment.noise)}",
            f"- Methods: {'; '.join(_words(method) for method in shipment.methods) or 'none'}",
            f"- Seed {shipment.seed}{fold}, configuration {shipment.config_hash}, weights of {scores['selection']}",
            f"- Exactness: {_exactness(verification)}",
            "",
            f"{shipment.metric[0].upper()}{shipment.metric[1:]} on {verification['examples']} test images, against clean labels "
            "where they are known; latency of one image, one thread, on the machine that trained it:",
            "",
            f"| file | bytes | {shipment.metric} % | median ms |",
            "|---|---|---|---|",
            *_file_rows(verification),
            "",
            *_label_table(scores),
            f"Limits: {LIMITS.get(shipment.data, OTHER_LIMITS)}",
            "",
        ]
    )


def _exactness(verification: dict) -> str:
    exact, agreement = verification["code_mismatch"], 100 * verification["decision_agreement"]
    if exact is None:
        return f"codes not compared (float network); {agreement:.2f} % of decisions equal Keras evaluation"
    return (
        f"{exact:g} of the output codes differ from the integer model on {verification['integer_model_examples']} images "
        f"(XNNPACK); {agreement:.2f} % of decisions equal Keras evaluation"
    )


def _file_rows(verification: dict) -> list[str]:
    sizes, latencies = verification["size_bytes"], verification["latency_ms"]
    metrics = {kind: _percent(verification["metrics"][kind], 2) for kind in sizes}
    return [f"| {kind} | {sizes[kind]:,} | {metrics[kind]} | {latencies[kind]['median']:.3f} |" for kind in sizes]


def _label_table(scores: dict) -> list[str]:
    """F1 of every action unit; empty for classes."""
    metrics = scores["metrics"]
    if "f1" not in metrics:
        return []
    rows = [
        f"| {name} | {_percent(metrics['base_rate'][name])} | {_percent(f1)} | {_percent(metrics['f1_all_positive'][name])} "
        f"| {scores['thresholds'][name]:.3g} | {_percent(metrics['f1_tuned'][name])} |"
        for name, f1 in metrics["f1"].items()
    ]
    unlearned = (
        [f"Not learned, ignore its output: {', '.join(names)}.", ""] if (names := scores.get("not_learned")) else []
    )
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
