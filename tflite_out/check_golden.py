"""Does this machine compute what was verified? `python check_golden.py FOLDER`, FOLDER with TFLite files and golden_vectors.json.

Needs Python, NumPy and ai-edge-litert (or tflite-runtime). Exit 1 if a file that must match does not.
"""

import base64
import json
import sys
from pathlib import Path

import numpy as np

try:
    from ai_edge_litert.interpreter import Interpreter
except ImportError:
    from tflite_runtime.interpreter import Interpreter

folder = Path(sys.argv[1])
golden = json.loads((folder / "golden_vectors.json").read_text(encoding="utf-8"))
shape = (1, *golden["input"]["height_width_channels"])
images = [np.frombuffer(base64.b64decode(text), np.uint8).reshape(shape) for text in golden["images"]]
failed = False
for name, expected in golden["files"].items():
    interpreter = Interpreter(model_path=str(folder / name), num_threads=1)
    interpreter.allocate_tensors()
    source, target = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    found = []
    for image in images:
        codes = source["dtype"] == np.int8  # of pixel / 255: pixel - 128
        value = (image.astype(int) - 128).astype(np.int8) if codes else image.astype(np.float32) * np.float32(1 / 255)
        interpreter.set_tensor(source["index"], value)
        interpreter.invoke()
        found.append(interpreter.get_tensor(target["index"])[0].astype(float))
    away = np.abs(np.array(found) - np.array(expected["outputs"]))
    share, same = float((away > expected["tolerance"]).mean()), bool((away <= expected["tolerance"]).all())
    failed |= expected["must_match"] and not same
    other = "DIFFERS" if expected["must_match"] else "other codes, as packed int4 may have (docs/on_device.md)"
    verdict = "as verified" if same else other
    print(f"{name}: {verdict}; {100 * share:.2f} % of {away.size} outputs differ, by {away.max():.6g} at most")
sys.exit(int(failed))
