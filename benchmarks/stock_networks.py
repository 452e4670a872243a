"""Which networks of tf_keras.applications, as they are built, become exact W4/A4 files; TF-MOT's own scheme beside it.

    python -m benchmarks.stock_networks [NAME ...] [--output FILE]

Random weights, images of 64 pixels (more where a network needs it), one training step. `differing`: operations of which
LiteRT with XNNPACK and the integer model give other codes, on two images. `quantize_seconds`, and the peak of memory after
it, are those of the first call in a process of its own. Results are added to the JSON file as they come, and those that
are there are not made again; the table beside it is written anew.
"""

import argparse
import json
import multiprocessing
import resource
import tempfile
import time
from pathlib import Path

import numpy as np

from pipeline.errors import UserError
from pipeline.runs.environment import describe_environment
from pipeline.runs.files import read_json, write_json

RESULT = Path(__file__).resolve().parents[1] / "docs" / "results" / "stock_networks.json"
NAMES = (
    *("VGG16", "ResNet50", "ResNet50V2", "InceptionV3", "InceptionResNetV2", "Xception", "MobileNet", "MobileNetV2"),
    *("MobileNetV3Small", "DenseNet121", "NASNetMobile", "EfficientNetB0", "EfficientNetV2B0", "RegNetX002"),
    *("ResNetRS50", "ConvNeXtTiny"),
)
SMALLEST = {"InceptionV3": 75, "InceptionResNetV2": 75, "Xception": 71}
CLASSES, BATCH = 10, 8


def built(name: str):
    """The network as tf_keras.applications builds it, with random weights."""
    import tf_keras

    size = SMALLEST.get(name, 64)
    return getattr(tf_keras.applications, name)(weights=None, input_shape=(size, size, 3), classes=CLASSES)


def ours(name: str) -> dict:
    """Quantized, trained for a step, converted and compared."""
    from pipeline import convert, quantize
    from pipeline.quantization.feed import values_of
    from pipeline.quantization.model_access import ranges_of
    from pipeline.tflite.exactness import layer_mismatches

    network = built(name)
    start = time.perf_counter()
    try:
        quantized = quantize(network, weight_bits=4, activation_bits=4)
    except UserError as error:
        return {"refused": str(error)}
    seconds, peak = time.perf_counter() - start, _peak_mb()
    images = np.random.default_rng(0).integers(0, 256, (BATCH, *network.input_shape[1:])).astype(np.uint8)
    quantized.compile("sgd", "sparse_categorical_crossentropy")
    quantized.train_on_batch(values_of(images, *ranges_of(quantized).values()), np.arange(BATCH))
    with tempfile.TemporaryDirectory() as folder:
        converted = convert(quantized, folder, float32=False)
        content = converted.files["int8"].read_bytes()
        different = layer_mismatches(converted.integer_model, content, images[:2])
    return {
        "quantize_seconds": seconds,
        "operations": len(different),
        "differing": sum(share > 0 for share in different.values()),
        "int8_bytes": len(content),
        "peak_mb": peak,
    }


def tfmot(name: str) -> dict:
    """Whether TF-MOT's own 8-bit scheme takes the network."""
    from pipeline.quantization.tfmot import quantize_annotate_model, quantize_apply

    network = built(name)
    start = time.perf_counter()
    try:
        quantize_apply(quantize_annotate_model(network))
    except Exception as error:  # whatever it raises is the result
        return {"refused": f"{type(error).__name__}: {str(error).splitlines()[0]}"}
    return {
        "quantize_seconds": time.perf_counter() - start,
        "peak_mb": _peak_mb(),
    }


def _peak_mb() -> float:
    """The largest memory of this process until now."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(argv: list[str] | None = None) -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="networks (default: all)")
    parser.add_argument("--output", type=Path, default=RESULT, help="the JSON file")
    arguments = parser.parse_args(argv)
    results = (read_json(arguments.output) or {}).get("networks", {})
    for name in arguments.names or NAMES:
        for kind in (ours, tfmot):
            if kind.__name__ not in results.setdefault(name, {}):
                results[name][kind.__name__] = _in_a_process(kind, name)
                facts = describe_environment() | {"command": "python -m benchmarks.stock_networks"}
                write_json(arguments.output, {"machine": facts, "networks": results})
        print(name, json.dumps(results[name]), flush=True)
    arguments.output.with_suffix(".md").write_text(table(results))


def table(results: dict[str, dict]) -> str:
    """Markdown: one row for each network."""
    head = [
        "Network",
        "Operations",
        "Differing",
        "`quantize`, s",
        "TF-MOT, s",
        "`quantize`, MB",
        "TF-MOT, MB",
        "int8 file, MB",
    ]
    rows = [head, ["---", *["---:"] * (len(head) - 1)], *(_row(name, result) for name, result in results.items())]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


def _row(name: str, result: dict) -> list[str]:
    exact, other = result["ours"], result["tfmot"]
    seconds, peak = (
        ("refused", "") if "refused" in other else (f"{other['quantize_seconds']:.1f}", f"{other['peak_mb']:.0f}")
    )
    if "refused" in exact:
        return [name, "refused", "", "", seconds, "", peak, ""]
    numbers = [str(exact["operations"]), str(exact["differing"]), f"{exact['quantize_seconds']:.1f}", seconds]
    return [name, *numbers, f"{exact['peak_mb']:.0f}", peak, f"{exact['int8_bytes'] / 1e6:.1f}"]


def _in_a_process(kind, name: str) -> dict:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(kind, (name,))


if __name__ == "__main__":
    main()
