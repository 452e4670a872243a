"""Publish the TFLite files of one training with sidecar, verification, golden vectors and model card, and check them.

`python -m pipeline.deployment tflite_out/NAME` checks that the files match the sidecar.
"""

import argparse
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.cli import exit_code, retry_command
from pipeline.errors import RunFailed, UserError
from pipeline.runs.files import clear_disk_errors, read_json, write_bytes, write_json, write_text
from pipeline.runs.names import SCORES, VERIFICATION

SIDECAR, CARD, GOLDEN = "model.json", "MODEL_CARD.md", "golden_vectors.json"
SIDECAR_FORMAT = 1
COPY_AGAIN = "Copy the whole folder again, or run the experiment again"
OUTPUTS = {
    "multiclass": "logits; the largest one is the decision",
    "multilabel": "logits in the order of labels; probability = 1 / (1 + exp(-logit)), present if it is at least the threshold",
}


@dataclass(frozen=True)
class Shipment:
    """What sidecar and model card say of a training, apart from its scores and files."""

    name: str
    task: str
    labels: tuple[str, ...]
    image_shape: tuple[int, ...]
    crop: dict | None
    metric: str
    validation_metric: str
    data: str
    data_license: str
    data_limits: str
    noise: dict
    methods: list[dict]
    io: str
    seed: int
    fold: int | None
    config_hash: str


@dataclass(frozen=True)
class Destination:
    """The folder to ship to, tflite_out/NAME, the hash of the configuration, and whether to ship what learned nothing."""

    folder: Path
    config_hash: str
    ship_anyway: bool = False

    def other(self) -> dict | None:
        """The sidecar in the folder if it is of another configuration."""
        try:
            content = _read_sidecar(self.folder / SIDECAR)
        except UserError:
            return None
        return content if content and content.get("config_hash") != self.config_hash else None


def publish(seed_folder: Path, target: Path, shipment: Shipment, golden: dict) -> None:
    """Copy the files of a training to `target` (tflite_out/NAME) with their `golden` vectors, one process at a time.

    The sidecar is written last, so a folder that has one is complete.
    """
    from pipeline.runs.lock import locked  # filelock is not installed on a device, which reads this module's names

    with clear_disk_errors(target), locked(target.with_name(f".{target.name}.lock"), wait=True):
        _publish(seed_folder, target, shipment, golden)


def _publish(seed_folder: Path, target: Path, shipment: Shipment, golden: dict) -> None:
    verification, scores = read_json(seed_folder / VERIFICATION), read_json(seed_folder / SCORES)
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
        "data_license": shipment.data_license,
        "files": files,
    }


def _thresholds(scores: dict) -> dict | None:
    """Thresholds (probabilities) by action unit, None for those not learned; None for classes."""
    not_learned = scores.get("not_learned", [])
    thresholds = scores.get("thresholds")
    return thresholds and {name: None if name in not_learned else value for name, value in thresholds.items()}


def check_shipped(folder: Path) -> dict:
    """The sidecar of `folder` after comparing every file with it; UserError names all differences."""
    content = _read_sidecar(folder / SIDECAR)
    if content is None:
        raise UserError(f"{folder}: no {SIDECAR}. Give a folder written by pipeline.run, such as tflite_out/NAME")
    if content.get("format") != SIDECAR_FORMAT:
        raise UserError(f"{folder / SIDECAR}: format {content.get('format')}, this version reads {SIDECAR_FORMAT}")
    if not isinstance(content.get("files"), dict):
        raise UserError(f"{folder / SIDECAR}: damaged, it lists no files. {COPY_AGAIN}")
    problems = mismatches(folder, content["files"], SIDECAR)
    named = {path.name for path in folder.glob("model_*.tflite")} - set(content["files"])
    problems += [f"{folder / name}: not listed in {SIDECAR}" for name in sorted(named)]
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
    """Whether `folder` holds all files of the run with this config hash, golden vectors included."""
    try:
        content = check_shipped(folder)
        return content.get("config_hash") == config_hash and GOLDEN in content["files"]
    except UserError:
        return False


def mismatches(folder: Path, files: dict[str, dict], record: str) -> list[str]:
    """A sentence for each of `files` ({name: facts}) in `folder` that differs from what `record` lists."""
    return [problem for name, facts in files.items() if (problem := _mismatch(folder / name, facts, record))]


def _mismatch(path: Path, facts: object, record: str) -> str | None:
    if not os.path.isfile(path):
        return f"{path}: missing, but listed in {record}"
    expected = facts.get("sha256") if isinstance(facts, dict) else None
    if not isinstance(expected, str):
        return f"{path}: {record} is damaged, it has no sha256 of this file"
    found = facts_of(path)["sha256"]
    if found != expected:
        return f"{path}: does not match its sidecar {record} (sha256 {found[:12]}..., expected {expected[:12]}...)"
    return None


def model_card(shipment: Shipment, scores: dict, verification: dict) -> str:
    """The text of MODEL_CARD.md: data, methods, metrics, exactness and limits of the model."""
    fold = "" if shipment.fold is None else f", tested on part {shipment.fold}"
    noun = {"multiclass": "classes", "multilabel": "action units"}[shipment.task]
    return "\n".join(
        [
            f"# {shipment.name}",
            "",
            f"A {shipment.task} network over {len(shipment.labels)} {noun} ({', '.join(shipment.labels)}).",
            "",
            f"- Data: {shipment.data_license}",
            f"- Label noise in training: {_words(shipment.noise)}",
            f"- Methods: {'; '.join(_words(method) for method in shipment.methods) or 'none'}",
            f"- Seed {shipment.seed}{fold}, configuration {shipment.config_hash}, weights of {scores['selection']}",
            f"- Exactness: {_exactness(verification)}",
            *(f"- NO BETTER THAN CHANCE: {each}" for each in scores.get("no_better_than_chance", [])),
            "",
            f"{shipment.metric[0].upper()}{shipment.metric[1:]} on {verification['examples']} test images, against clean labels "
            "where they are known; latency of one image, one thread, on the machine that trained it:",
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


def main(argv: Sequence[str] | None = None) -> int:
    """The command line of `python -m pipeline.deployment`; the exit code (0 files match, 2 they do not)."""
    description = "Check that shipped files and their sidecar belong together."
    parser = argparse.ArgumentParser(prog="python -m pipeline.deployment", description=description)
    parser.add_argument("folders", nargs="+", metavar="FOLDER", help="a folder such as tflite_out/NAME")
    folders = parser.parse_args(argv).folders
    return exit_code(lambda stop: _check_all(folders), retry_command("pipeline.deployment", argv))


def _check_all(folders: Sequence[str]) -> None:
    for folder in folders:
        content = check_shipped(Path(folder))
        print(f"{folder}: {len(content['files'])} files match {SIDECAR}")
