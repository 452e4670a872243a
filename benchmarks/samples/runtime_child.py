"""Run one TFLite file on images: `python runtime_child.py MODEL IMAGES.npy RESULT.npz`.

Needs only NumPy and LiteRT, since it also runs on the emulated processor. The result holds `outputs` (N, K) in the type of
the file, `milliseconds` of every run, `memory`: growth of the resident bytes since before the interpreter was created, and
the `machine`.
"""

import platform
import sys
import time

import numpy as np
from ai_edge_litert.interpreter import Interpreter

WARM_RUNS = 5


def resident() -> int:
    """Resident bytes of this process."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * 4096


def encoded(images: np.ndarray, dtype: type) -> np.ndarray:
    """Images uint8 (N, H, W, C) as the input of a file: pixel / 255, as float32 or int8 codes."""
    if dtype == np.int8:
        return (images.astype(np.int16) - 128).astype(np.int8)
    return images.astype(np.float32) * np.float32(1 / 255)


def run(model: str, images: np.ndarray) -> dict[str, np.ndarray]:
    """The measurements of a file on images uint8 (N, H, W, C), one at a time, on one thread."""
    before = resident()
    interpreter = Interpreter(model_path=model, num_threads=1)
    interpreter.allocate_tensors()
    source, target = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    outputs, times = [], []
    for index in [0] * WARM_RUNS + list(range(len(images))):
        interpreter.set_tensor(source["index"], encoded(images[index : index + 1], source["dtype"]))
        start = time.perf_counter()
        interpreter.invoke()
        times.append(time.perf_counter() - start)
        outputs.append(interpreter.get_tensor(target["index"])[0])
    return {
        "outputs": np.stack(outputs[WARM_RUNS:]),
        "milliseconds": np.array(times[WARM_RUNS:]) * 1e3,
        "memory": np.array(resident() - before),
        "machine": np.array(platform.machine()),
    }


if __name__ == "__main__":
    np.savez(sys.argv[3], **run(sys.argv[1], np.load(sys.argv[2])))
