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


def run(content, images):
    """The outputs (N, K) of a TFLite file for uint8 images (1, H, W, C), in its own type."""
    interpreter = Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    source, target = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    found = []
    for image in images:
        codes = source["dtype"] == np.int8  # of pixel / 255: pixel - 128
        value = (image.astype(int) - 128).astype(np.int8) if codes else image.astype(np.float32) * np.float32(1 / 255)
        interpreter.set_tensor(source["index"], value)
        interpreter.invoke()
        found.append(interpreter.get_tensor(target["index"])[0].astype(float))
    return np.array(found)


def compare(content, expected, images):
    """(whether all outputs are as verified, what to say)."""
    if hashlib.sha256(content).hexdigest() != expected["sha256"]:
        return False, "is not the file that these golden vectors belong to"
    try:
        away = np.abs(run(content, images) - np.array(expected["outputs"]))
    except (ValueError, RuntimeError) as error:
        return False, f"does not run here: {error}"
    same, share = bool((away <= expected["tolerance"]).all()), (away > expected["tolerance"]).mean()
    verdict = "as verified" if same else "DIFFERS" if expected["must_match"] else "other codes, as packed int4 may have"
    return same, f"{verdict}; {100 * share:.2f} % of {away.size} outputs differ, by {away.max():.6g} at most"


def main(arguments):
    """Compare the files of the folder named on the command line."""
    folder = Path(arguments[0] if arguments else "")
    if len(arguments) != 1 or not (folder / "golden_vectors.json").is_file():
        print("usage: python check_golden.py FOLDER    with golden_vectors.json and its TFLite files", file=sys.stderr)
        return 2
    golden = json.loads((folder / "golden_vectors.json").read_text(encoding="utf-8"))
    shape = (1, *golden["input"]["height_width_channels"])
    images = [np.frombuffer(base64.b64decode(text), np.uint8).reshape(shape) for text in golden["images"]]
    decisive = []
    for name, expected in golden["files"].items():
        if not (folder / name).is_file():
            print(f"{name}: not here")
            continue
        same, words = compare((folder / name).read_bytes(), expected, images)
        print(f"{name}: {words}")
        decisive += [same] if expected["must_match"] else []
    return 0 if decisive and all(decisive) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
