"""What quantization costs in training: the time of one step against the float step of the same network.

    python -m benchmarks.training_step [--network NAME] [--rounds N] [--output FILE]

A ResNet-20 on 28x28x1 images, batch 128, or a network of tf_keras.applications as it is built, such as MobileNetV2, on
64x64x3 images, batch 32; Adam, CPU. All networks use the project's own compiled step and take turns, in a different
order every round; a ratio is the median over the rounds of (time of the network / time of float in the same round). If
other programs disturb the clock, the ratio of processor times is more reliable. TF-MOT's 8-bit QAT does not support
zero-padded shortcuts, so all networks have 1x1 convolutions as shortcuts. Writes a JSON file and prints
`qat_over_float=R tfmot8_over_float=R`, where qat is W4/A4 as configured by default.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_model_optimization as tfmot
import tf_keras

from pipeline.config.schema import Train
from pipeline.methods import Quantization
from pipeline.models.resnet import resnet
from pipeline.quantization.scheme import quantize
from pipeline.runs.environment import describe_environment
from pipeline.runs.files import write_json
from pipeline.training.optimizers import make_optimizer
from pipeline.training.step import compile_step
from pipeline.training.tasks import Multiclass

RESULT = Path(__file__).resolve().parents[1] / "docs" / "results" / "training_step.json"
COMMAND = "python -m benchmarks.training_step --network {network} --rounds {rounds} --steps {steps} --depth {depth} --width {width}"
CLASSES = 10
RESNET = "resnet"
WARM_UP = 2  # steps: the first one traces the graph

Network = tf_keras.Model
VARIANTS: dict[str, Callable[[Network], Network]] = {
    "float": lambda network: network,
    "W4/A4": lambda network: quantize(network, Quantization()),
    "TF-MOT W8/A8": tfmot.quantization.keras.quantize_model,
    "W8/A8": lambda network: quantize(network, Quantization(weight_bits=8, activation_bits=8)),
    "W2/A4": lambda network: quantize(network, Quantization(weight_bits=2)),
    "W4/A4, residual same": lambda network: quantize(network, Quantization(residual_bits="same")),
    "W4/A4, batch norm folded": lambda network: quantize(network, Quantization(batch_norm="fold")),
}


def build(name: str, depth: int, width: int) -> tuple[Network, int]:
    """A float network that returns logits, and the size of its batches."""
    if name == RESNET:
        return resnet((28, 28, 1), CLASSES, depth, width, "projection"), 128
    options = {"weights": None, "input_shape": (64, 64, 3), "classes": CLASSES, "classifier_activation": None}
    return getattr(tf_keras.applications, name)(**options), 32


def make_step(variant: str, *architecture: str | int) -> Callable[[], None]:
    """A training step of one network, compiled and warmed up, on a fixed batch of random images."""
    network, batch = build(*architecture)
    network = VARIANTS[variant](network)
    random = np.random.default_rng(1)
    images = tf.constant(random.integers(0, 256, (batch, *network.input_shape[1:]), dtype=np.uint8))
    labels = tf.constant(random.integers(0, CLASSES, batch))
    total = tf.Variable(0.0, dtype=tf.float64, trainable=False)
    compiled = compile_step(network, make_optimizer(Train(), network), Multiclass(CLASSES), [], total)

    def step() -> None:
        compiled(images, labels, np.float32(1e-3), np.int64(0))
        total.numpy()  # waits for the step's last assignment

    for _ in range(WARM_UP):
        step()
    return step


def measure(steps: dict[str, Callable[[], None]], rounds: int, repeats: int) -> dict[str, np.ndarray]:
    """{variant: milliseconds per step (rounds, 2): wall-clock time, and time of all processors together}.

    Each round starts with another network and runs every network `repeats` times.
    """
    times = {variant: [] for variant in steps}
    names = list(steps)
    for number in range(rounds):
        shift = number % len(names)
        for variant in names[shift:] + names[:shift]:
            start = _clocks()
            for _ in range(repeats):
                steps[variant]()
            times[variant].append(1e3 * (_clocks() - start) / repeats)
    return {variant: np.array(values) for variant, values in times.items()}


def _clocks() -> np.ndarray:
    return np.array([time.perf_counter(), time.process_time()])


def summary(times: dict[str, np.ndarray]) -> dict[str, dict[str, float]]:
    """{variant: median ms; median, 10th and 90th percentile of the ratio to float; the median for processor time}."""
    rows = {}
    for variant, values in times.items():
        clock, processor = (values / times["float"]).T
        low, middle, high = np.percentile(clock, [10, 50, 90])
        rows[variant] = {
            "median_ms": np.median(values[:, 0]),
            "over_float": middle,
            "p10": low,
            "p90": high,
            "processor_time_over_float": np.median(processor),
        }
    return {variant: {key: float(value) for key, value in row.items()} for variant, row in rows.items()}


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, write the JSON file, print the table and the summary line."""
    arguments = _arguments(argv)
    steps = {variant: make_step(variant, arguments.network, arguments.depth, arguments.width) for variant in VARIANTS}
    rows = summary(measure(steps, arguments.rounds, arguments.steps))
    command = COMMAND.format(**vars(arguments))
    machine = {**describe_environment(), "command": command}
    write_json(arguments.output, {"machine": machine, "networks": rows})
    for variant, row in rows.items():
        spread = f"({row['p10']:.3f} to {row['p90']:.3f}; processor time {row['processor_time_over_float']:.3f})"
        print(f"{variant:26} {row['median_ms']:8.1f} ms  {row['over_float']:.3f} x float {spread}")
    qat, tfmot8 = (rows[variant]["over_float"] for variant in ("W4/A4", "TF-MOT W8/A8"))
    print(f"qat_over_float={qat:.3f} tfmot8_over_float={tfmot8:.3f}")


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=40, help="rounds in which all networks take turns")
    parser.add_argument("--steps", type=int, default=2, help="steps of each network per round")
    parser.add_argument("--network", default=RESNET, help=f"{RESNET}, or a network of tf_keras.applications")
    parser.add_argument("--depth", type=int, default=20, help="of the ResNet")
    parser.add_argument("--width", type=int, default=16, help="of the ResNet")
    parser.add_argument("--output", type=Path, default=RESULT, help="the JSON file")
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
