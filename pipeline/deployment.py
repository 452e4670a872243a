"""What a user ships: the TFLite files of one seed with sidecar, verification and model card, and the check of such a folder.

`python -m pipeline.deployment tflite_out/NAME` checks that files and sidecar belong together.
"""

import hashlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.errors import RunFailed, UserError
from pipeline.run_files import clear_disk_errors, read_json, write_bytes, write_json, write_text

SIDECAR, CARD, VERIFICATION = "model.json", "MODEL_CARD.md", "verification.json"
GOLDEN = "golden_vectors.json"
SIDECAR_FORMAT = 1
COPY_AGAIN = "Copy the whole folder again, or run the experiment again"
DATA_LICENSES = {
    "fashion_mnist": "Fashion-MNIST, MIT License (Zalando SE)",
    "cifar10": "CIFAR-10 (Krizhevsky 2009), no license stated by its authors",
    "bp4d": (
        "BP4D-Spontaneous (Zhang et al. 2014), licensed by Binghamton University for research only, or another data set in its "
        "folder layout; what is trained on such data inherits their terms"
    ),
    "synthetic_faces": "rendered by this project from MakeHuman and Face Units assets (CC0 1.0); no person is shown",
}
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
OUTPUTS = {
    "multiclass": "logits; the largest one is the decision",
    "multilabel": "logits in the order of labels; probability = 1 / (1 + exp(-logit)), present if it is at least the threshold",
}


@dataclass(frozen=True)
class Shipment:
    """What the sidecar says beside the files."""

    name: str
    task: str
    labels: tuple[str, ...]
    image_shape: tuple[int, ...]
    crop: dict | None
    metric: str
    validation_metric: str
    data: str
    noise: dict
    methods: list[dict]
    io: str
    seed: int
    fold: int | None
    config_hash: str

    @classmethod
    def of(cls, experiment, workload, unit, config_hash: str) -> "Shipment":
        """The shipment of one unit (seed and fold) of an experiment on a `Workload`."""
        return cls(
            experiment.name,
            workload.task_name,
            workload.labels(),
            workload.image_shape(),
            workload.crop(),
            workload.metric_name,
            workload.validation_metric,
            experiment.data.name,
            experiment.noise.model_dump(),
            [method.model_dump() for method in experiment.methods],
            experiment.convert.io,
            unit.seed,
            unit.fold,
            config_hash,
        )


def publish(seed_folder: Path, target: Path, shipment: Shipment, golden: dict) -> None:
    """Copy a seed's files to `target` (tflite_out/NAME) with their `golden` vectors.

    The sidecar goes last, so a folder with one is whole.
    """
    verification, scores = read_json(seed_folder / VERIFICATION), read_json(seed_folder / "scores.json")
    names = sorted(verification["files"])
    with clear_disk_errors(target):
        target.mkdir(parents=True, exist_ok=True)
        (target / SIDECAR).unlink(missing_ok=True)
        for stale in target.glob("model_*.tflite"):
            stale.unlink()
    for name in names:
        write_bytes(target / name, (seed_folder / name).read_bytes())
    write_json(target / VERIFICATION, verification)
    write_text(target / CARD, model_card(shipment, scores, verification))
    write_json(target / GOLDEN, golden)
    files = {name: facts_of(target / name) for name in (*names, VERIFICATION, CARD, GOLDEN)}
    write_json(target / SIDECAR, sidecar(shipment, scores, files))


def facts_of(path: Path) -> dict:
    """{"sha256", "bytes"} of a file."""
    return facts_of_bytes(path.read_bytes())


def facts_of_bytes(content: bytes) -> dict:
    """{"sha256", "bytes"} of a file's content."""
    return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


def sidecar(shipment: Shipment, scores: dict, files: dict[str, dict]) -> dict:
    """The content of model.json."""
    return {
        "format": SIDECAR_FORMAT,
        "name": shipment.name,
        "task": shipment.task,
        "labels": list(shipment.labels),
        "thresholds": _thresholds(scores),
        "not_learned": scores.get("not_learned", []),
        "input": {
            "height_width_channels": list(shipment.image_shape),
            "type": shipment.io,
            "value": "pixel / 255",
            "scale": float(np.float32(1 / 255)),
            "zero_point": -128,
        },
        "output": {"value": OUTPUTS[shipment.task], "type": shipment.io},
        "crop": shipment.crop,
        "config_hash": shipment.config_hash,
        "seed": shipment.seed,
        "fold": shipment.fold,
        "chosen_by": {
            "metric": f"{shipment.validation_metric} (labels as given in training)",
            "value": scores.get(shipment.validation_metric),
        },
        "data": shipment.data,
        "data_license": DATA_LICENSES[shipment.data],
        "files": files,
    }


def _thresholds(scores: dict) -> dict | None:
    """Probabilities by action unit, None for those that were not learned; None for classes."""
    not_learned = scores.get("not_learned", [])
    thresholds = scores.get("thresholds")
    return thresholds and {name: None if name in not_learned else value for name, value in thresholds.items()}


def check_shipped(folder: Path) -> dict:
    """The sidecar of `folder`, after comparing every file with it; UserError names what does not belong together."""
    content = _read_sidecar(folder / SIDECAR)
    if content is None:
        raise UserError(f"{folder}: no {SIDECAR}. Give a folder that pipeline.run made, such as tflite_out/NAME")
    if content.get("format") != SIDECAR_FORMAT:
        raise UserError(f"{folder / SIDECAR}: format {content.get('format')}, this version reads {SIDECAR_FORMAT}")
    if not isinstance(content.get("files"), dict):
        raise UserError(f"{folder / SIDECAR}: damaged, it names no files. {COPY_AGAIN}")
    problems = mismatches(folder, content["files"], SIDECAR)
    named = {path.name for path in folder.glob("model_*.tflite")} - set(content["files"])
    problems += [f"{folder / name}: not named in {SIDECAR}" for name in sorted(named)]
    if problems:
        raise UserError("\n".join(problems) + f"\n{COPY_AGAIN}")
    return content


def _read_sidecar(path: Path) -> dict | None:
    try:
        return read_json(path)
    except (RunFailed, RecursionError) as error:
        raise UserError(f"{path}: damaged, not a JSON object. {COPY_AGAIN}") from error
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}. {COPY_AGAIN}") from error


def is_shipped(folder: Path, config_hash: str) -> bool:
    """Whether `folder` holds the whole files of the run with this config hash, golden vectors with them."""
    try:
        content = check_shipped(folder)
        return content.get("config_hash") == config_hash and GOLDEN in content["files"]
    except UserError:
        return False


def mismatches(folder: Path, files: dict[str, dict], record: str) -> list[str]:
    """One sentence for each of `files` ({name: facts}) in `folder` that is not what `record` says of it."""
    return [problem for name, facts in files.items() if (problem := _mismatch(folder / name, facts, record))]


def _mismatch(path: Path, facts: object, record: str) -> str | None:
    if not os.path.isfile(path):
        return f"{path}: missing, but named in {record}"
    expected = facts.get("sha256") if isinstance(facts, dict) else None
    if not isinstance(expected, str):
        return f"{path}: {record} is damaged, it holds no sha256 of this file"
    found = facts_of(path)["sha256"]
    if found != expected:
        return f"{path}: does not match its sidecar {record} (sha256 {found[:12]}..., expected {expected[:12]}...)"
    return None


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


def main(arguments: list[str]) -> int:
    """Check the folders named on the command line."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print("usage: python -m pipeline.deployment FOLDER...   checks TFLite files against their sidecar")
        return 0 if arguments else 2
    try:
        for folder in arguments:
            content = check_shipped(Path(folder))
            print(f"{folder}: {len(content['files'])} files match {SIDECAR}")
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
