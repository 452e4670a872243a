"""What quantization saves on the device: latency and size of ResNet-20's TFLite files, W4/A4 against float32.

    python -m benchmarks.inference [--runs N] [--output FILE]

28x28x1 images, batch 1, one thread, LiteRT with XNNPACK; the three files take turns. The network is trained for a few
steps on random images, since neither latency nor size depends on what it has learned. Writes a JSON file and prints
`int8_latency_over_float=R int8_size_over_float=R int4_size_over_float=R`.
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
import tf_keras

from pipeline.config.schema import Train
from pipeline.methods import Quantization
from pipeline.models.resnet import resnet
from pipeline.quantization.scheme import quantize
from pipeline.runs.environment import describe_environment
from pipeline.runs.files import write_json
from pipeline.tflite.convert import convert
from pipeline.tflite.verify import measure_latency
from pipeline.training.optimizers import make_optimizer
from pipeline.training.statistics import Statistics
from pipeline.training.step import compile_step
from pipeline.training.tasks import Multiclass

RESULT = Path(__file__).resolve().parents[1] / "docs" / "results" / "inference.json"
COMMAND = "python -m benchmarks.inference --runs {runs} --depth {depth} --width {width}"
CLASSES = 10
STEPS = 5


def trained_network(depth: int, width: int) -> tf_keras.Model:
    """A W4/A4 network after a few steps on random images and labels, with statistics estimated on them."""
    network = quantize(resnet((28, 28, 1), CLASSES, depth, width), Quantization())
    random = np.random.default_rng(1)
    batches = random.integers(0, 256, (STEPS, 32, 28, 28, 1), dtype=np.uint8)
    total = tf.Variable(0.0, dtype=tf.float64, trainable=False)
    step = compile_step(network, make_optimizer(Train(), network), Multiclass(CLASSES), [], total)
    for number, images in enumerate(batches):
        step(images, random.integers(0, CLASSES, len(images)), np.float32(1e-3), np.int64(number))
    Statistics(network).reestimate(batches)
    return network


def measure(network: tf_keras.Model, runs: int) -> tuple[dict[str, dict], dict[str, int]]:
    """({file: latency in ms}, {file: bytes}) of the network's int8, int4 and float32 files."""
    with tempfile.TemporaryDirectory(prefix="nibble-benchmark-") as folder:
        files = convert(network, folder, description="ResNet-20 benchmark").files
        contents = {kind: path.read_bytes() for kind, path in files.items()}
    image = np.random.default_rng(2).integers(0, 256, (28, 28, 1), dtype=np.uint8)
    return measure_latency(contents, image, runs), {kind: len(content) for kind, content in contents.items()}


def ratios(latency_ms: dict[str, dict], size_bytes: dict[str, int]) -> dict[str, float]:
    """Median latency and size of the integer files relative to float32."""
    times = {
        f"{kind}_latency_over_float": latency_ms[kind]["median"] / latency_ms["float32"]["median"]
        for kind in ("int8", "int4")
    }
    return times | {f"{kind}_size_over_float": size_bytes[kind] / size_bytes["float32"] for kind in ("int8", "int4")}


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, write the JSON file, print the table and the summary line."""
    arguments = _arguments(argv)
    latency_ms, size_bytes = measure(trained_network(arguments.depth, arguments.width), arguments.runs)
    found = ratios(latency_ms, size_bytes)
    command = COMMAND.format(**vars(arguments))
    machine = {**describe_environment(), "command": command}
    results = {"latency_ms": latency_ms, "size_bytes": size_bytes, "ratios": found}
    write_json(arguments.output, {"machine": machine, **results})
    for kind, size in size_bytes.items():
        times = latency_ms[kind]
        print(f"{kind:8} {size:9,} bytes  {times['median']:.3f} ms ({times['p10']:.3f} to {times['p90']:.3f})")
    keys = ("int8_latency_over_float", "int8_size_over_float", "int4_size_over_float")
    print(" ".join(f"{key}={found[key]:.3f}" for key in keys))


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=2000, help="timed invocations of each file")
    parser.add_argument("--depth", type=int, default=20)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--output", type=Path, default=RESULT, help="the JSON file")
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
