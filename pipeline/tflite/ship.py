"""Publish the TFLite files of one training with sidecar, verification, golden vectors and model card, and check them.

`python -m pipeline.deployment tflite_out/NAME` checks that the files match the sidecar.
"""

import argparse
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.cli import exit_code, retry_command
from pipeline.errors import RunFailed, UserError
from pipeline.runs.files import clear_disk_errors, read_json, write_bytes, write_json, write_text
from pipeline.runs.names import SCORES, VERIFICATION
from pipeline.tflite.card import Shipment, model_card
from pipeline.tflite.described_inputs import sidecar_input

SIDECAR, CARD, GOLDEN = "model.json", "MODEL_CARD.md", "golden_vectors.json"
SIDECAR_FORMAT = 1
COPY_AGAIN = "Copy the whole folder again, or run the experiment again"
OUTPUTS = {
    "multiclass": "logits; the largest one is the decision",
    "multilabel": "logits in the order of labels; probability = 1 / (1 + exp(-logit)), present if it is at least the threshold",
    "regression": "the numbers in the order of labels, before a last sigmoid or softmax",
    "map": "logits in each place; the largest one is the decision, the sign of a single one",
    "several": "the outputs in the order of labels, which are their names, before a last softmax or sigmoid",
}

PROBABILITIES = {
    "multiclass": "probabilities in the order of labels; the largest one is the decision",
    "multilabel": "probabilities in the order of labels; present if it is at least the threshold",
    "regression": "the numbers in the order of labels",
    "map": "probabilities in each place; the largest one is the decision, or at least 0.5 of a single one",
    "several": "the outputs in the order of labels, which are their names",
}


@dataclass(frozen=True)
class Described:
    """What is written beside the files: facts for sidecar and card, scores.json, verification.json, golden vectors."""

    shipment: Shipment
    scores: dict
    verification: dict
    golden: dict


@dataclass(frozen=True)
class Destination:
    """The folder to ship to, tflite_out/NAME, the hash of the configuration, and whether to ship what learned nothing."""

    folder: Path
    config_hash: str
    ship_anyway: bool = False

    def other(self) -> dict | None:
        """The sidecar in the folder if it is of another configuration."""
        try:
            content = read_sidecar(self.folder / SIDECAR)
        except UserError:
            return None
        return content if content and content.get("config_hash") != self.config_hash else None


def publish(seed_folder: Path, target: Path, shipment: Shipment, golden: dict) -> None:
    """Copy the files of a training to `target` (tflite_out/NAME) with their `golden` vectors; see `write_shipment`."""
    verification, scores = read_json(seed_folder / VERIFICATION), read_json(seed_folder / SCORES)
    contents = {name: (seed_folder / name).read_bytes() for name in sorted(verification["files"])}
    write_shipment(target, contents, Described(shipment, scores, verification, golden))


def write_shipment(target: Path, contents: dict[str, bytes], described: Described) -> None:
    """Write the files {name: content} of a network and all that describes them, one process at a time.

    The sidecar is written last, so a folder that has one is complete.
    """
    from pipeline.runs.lock import locked  # filelock is not installed on a device, which reads this module's names

    with clear_disk_errors(target), locked(target.with_name(f".{target.name}.lock"), wait=True):
        _write(target, contents, described)


def _write(target: Path, contents: dict[str, bytes], described: Described) -> None:
    shipment, scores, verification = described.shipment, described.scores, described.verification
    with clear_disk_errors(target):
        target.mkdir(parents=True, exist_ok=True)
        (target / SIDECAR).unlink(missing_ok=True)
        for stale in target.glob("model_*.tflite"):
            stale.unlink()
    for name, content in contents.items():
        write_bytes(target / name, content)
    write_json(target / VERIFICATION, verification)
    write_text(target / CARD, model_card(shipment, scores, verification))
    write_json(target / GOLDEN, described.golden)
    files = {name: facts_of(target / name) for name in (*contents, VERIFICATION, CARD, GOLDEN)}
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
        "input": sidecar_input(shipment.inputs, shipment.io),
        "output": {"value": _value_of_outputs(shipment), "type": shipment.io},
        "crop": shipment.crop,
        "config_hash": shipment.config_hash,
        "seed": shipment.seed,
        "fold": shipment.fold,
        "chosen_by": _chosen_by(shipment, scores),
        "data": shipment.data,
        "data_license": shipment.data_license,
        "files": files,
    }


def _value_of_outputs(shipment: Shipment) -> str:
    return (OUTPUTS if shipment.outputs == "logits" else PROBABILITIES)[shipment.task]


def _chosen_by(shipment: Shipment, scores: dict) -> dict | None:
    """The metric by which a run chose this training; None for a network of no run."""
    if shipment.validation_metric is None:
        return None
    metric = f"{shipment.validation_metric} (labels as given in training)"
    return {"metric": metric, "value": scores.get(shipment.validation_metric)}


def _thresholds(scores: dict) -> dict | None:
    """Thresholds (probabilities) by action unit, None for those not learned; None for classes."""
    not_learned = scores.get("not_learned", [])
    thresholds = scores.get("thresholds")
    return thresholds and {name: None if name in not_learned else value for name, value in thresholds.items()}


def check_shipped(folder: Path) -> dict:
    """The sidecar of `folder` after comparing every file with it; UserError names all differences."""
    content = read_sidecar(folder / SIDECAR)
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


def read_sidecar(path: Path) -> dict | None:
    """The content of a sidecar, None if there is none; UserError if it cannot be read."""
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
