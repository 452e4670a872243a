"""Compare two ways to store 4-bit weights in int8: codes -7..7 as they are, or spread to multiples of 18.

    python -m benchmarks.weight_storage --run runs/NAME-HASH8/seed1 [--examples 2000]

Writes both files for the weights of a finished W4 run and compares each with its integer model, on XNNPACK and on
LiteRT's builtin kernels. Writes docs/results/weight_storage.json.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from pipeline.quantization.integer_model import IntegerModel
from pipeline.quantization.lowering import lower
from pipeline.runs.files import write_json
from pipeline.tflite.litert import LiteRtModel
from pipeline.tflite.verify import measure_latency
from pipeline.tflite.write import write_tflite
from pipeline.training.experiment import load_trained

RESULTS = Path(__file__).resolve().parents[1] / "docs" / "results" / "weight_storage.json"


def compare(integer: IntegerModel, content: bytes, images: np.ndarray, labels: np.ndarray) -> dict:
    """Share of differing output codes, equal decisions and accuracy for XNNPACK and the builtin kernels."""
    exact = integer.predict(images)
    step = integer.tensors[integer.outputs[0]].scale
    found = {}
    for kernels in ("xnnpack", "builtin"):
        logits = LiteRtModel(content, kernels).logits(images)
        found[kernels] = {
            "code_mismatch": float(np.mean(np.rint(np.abs(logits - exact) / step) > 0)),
            "decision_agreement": float(np.mean(logits.argmax(axis=1) == exact.argmax(axis=1))),
            "accuracy": float(np.mean(logits.argmax(axis=1) == labels)),
        }
    return found


def main(argv: list[str] | None = None) -> None:
    """Measure and write the JSON file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--examples", type=int, default=2000)
    parser.add_argument("--output", type=Path, default=RESULTS)
    arguments = parser.parse_args(argv)
    trained = load_trained(arguments.run)
    model, data = trained.model, trained.data
    images, labels = data.test_images[: arguments.examples], data.test_labels[: arguments.examples]
    files, result = {}, {"examples": len(images)}
    for storage in ("narrow", "scaled"):
        integer = lower(model, storage).integer_model
        files[storage] = write_tflite(integer, True, False, storage)
        result[storage] = compare(integer, files[storage], images, labels)
    narrow = lower(model).integer_model
    files["int4"] = write_tflite(narrow, True, True, "int4")
    result["int4"] = compare(narrow, files["int4"], images, labels)
    result["latency_ms"] = measure_latency(files, images[0], 2000)
    result["size_bytes"] = {name: len(content) for name, content in files.items()}
    write_json(arguments.output, result)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
