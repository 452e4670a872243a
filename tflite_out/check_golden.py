"""Does this machine compute what was verified? `python check_golden.py FOLDER`, FOLDER with TFLite files and golden_vectors.json.

Needs Python, NumPy and ai-edge-litert (or tflite-runtime). Files that are not there are left out. Exit 0 if at least one file
that must match was there and all of those do, 1 if not, 2 if the folder holds no golden vectors.
"""

import base64
import hashlib
import json
import sys
from pathlib import Path

import numpy as np

try:
    from ai_edge_litert.interpreter import Interpreter
except ImportError:
    from tflite_runtime.interpreter import Interpreter


def encoded(pixels, detail, low=0.0, high=1.0):
    """The network's input of uint8 numbers, whose 0 to 255 stand for low to high: values, or their codes."""
    values = pixels.astype(np.float32) * np.float32((high - low) / 255) + np.float32(low)
    if detail["dtype"] != np.int8:
        return values
    scale, zero_point = detail["quantization"]
    codes = np.rint(values * (np.float32(1) / np.float32(scale))) + zero_point
    return np.clip(codes, -128, 127).astype(np.int8)


def run(content, examples, ranges):
    """All outputs of a TFLite file (each flattened, one after the other) for examples, a list of arrays each: (N, numbers)."""
    interpreter = Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    found = []
    for arrays in examples:
        for pixels, detail, limits in zip(arrays, interpreter.get_input_details(), ranges, strict=True):
            interpreter.set_tensor(detail["index"], encoded(pixels, detail, *limits))
        interpreter.invoke()
        outputs = [interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()]
        found.append(np.concatenate([output.astype(float).ravel() for output in outputs]))
    return np.array(found)


def wanted(expected, count):
    """The verified outputs in the same order."""
    outputs = expected["outputs"] if "names" in expected else [expected["outputs"]]
    return np.concatenate([np.array(each, float).reshape(count, -1) for each in outputs], axis=1)


def compare(content, expected, examples, ranges):
    """(whether all outputs are as verified, what to say)."""
    if hashlib.sha256(content).hexdigest() != expected["sha256"]:
        return False, "is not the file that these golden vectors belong to"
    try:
        away = np.abs(run(content, examples, ranges) - wanted(expected, len(examples)))
    except (ValueError, RuntimeError) as error:
        return False, f"does not run here: {error}"
    same, share = bool((away <= expected["tolerance"]).all()), (away > expected["tolerance"]).mean()
    verdict = "as verified" if same else "DIFFERS" if expected["must_match"] else "other codes, as packed int4 may have"
    return same, f"{verdict}; {100 * share:.2f} % of {away.size} outputs differ, by {away.max():.6g} at most"


def decoded(text, entry):
    """One input of one example, uint8 with a batch axis of 1."""
    shape = entry.get("height_width_channels") or entry["shape"]
    return np.frombuffer(base64.b64decode(text), np.uint8).reshape(1, *shape)


def main(arguments):
    """Compare the files of the folder named on the command line."""
    folder = Path(arguments[0] if arguments else "")
    if len(arguments) != 1 or not (folder / "golden_vectors.json").is_file():
        print("usage: python check_golden.py FOLDER    with golden_vectors.json and its TFLite files", file=sys.stderr)
        return 2
    golden = json.loads((folder / "golden_vectors.json").read_text(encoding="utf-8"))
    inputs = golden["input"] if isinstance(golden["input"], list) else [golden["input"]]
    ranges = [each.get("range", (0.0, 1.0)) for each in inputs]
    rows = [texts if isinstance(texts, list) else [texts] for texts in golden["images"]]
    examples = [[decoded(*pair) for pair in zip(texts, inputs, strict=True)] for texts in rows]
    decisive = []
    for name, expected in golden["files"].items():
        if not (folder / name).is_file():
            print(f"{name}: not here")
            continue
        same, words = compare((folder / name).read_bytes(), expected, examples, ranges)
        print(f"{name}: {words}")
        decisive += [same] if expected["must_match"] else []
    return 0 if decisive and all(decisive) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
