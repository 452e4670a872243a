"""What a user ships: the TFLite files of one seed with sidecar, verification and model card, and the check of such a folder.

`python -m pipeline.deployment tflite_out/NAME` checks that files and sidecar belong together.
"""

import hashlib
import os
import sys
from pathlib import Path

import numpy as np

from pipeline.errors import RunFailed, UserError
from pipeline.model_card import model_card
from pipeline.run_files import clear_disk_errors, read_json, write_bytes, write_json, write_text
from pipeline.shipment import DATA_LICENSES, Shipment

SIDECAR, CARD, VERIFICATION = "model.json", "MODEL_CARD.md", "verification.json"
GOLDEN = "golden_vectors.json"
SIDECAR_FORMAT = 1
COPY_AGAIN = "Copy the whole folder again, or run the experiment again"
OUTPUTS = {
    "multiclass": "logits; the largest one is the decision",
    "multilabel": "logits in the order of labels; probability = 1 / (1 + exp(-logit)), present if it is at least the threshold",
}


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
