"""Compare three runtimes: the same files on the same rendered faces on x86, an emulated ARM processor, and in a browser.

    python -m benchmarks.runtimes [--models FOLDER ...] [--faces N] [--output FILE]

Outputs are compared with those of the int8 file on x86 with XNNPACK, which every run verifies code by code; those of the
float file with its own on x86. Latency and memory are for one thread and are not measured on emulated ARM. For networks
of colour images only. Writes FILE and a table (.md). The MobileNetV2 in docs/results is a briefly trained example:

    python -m pipeline.run --config qat_configs/synthetic_faces.yaml --set name=mobilenet_v2 --set model.encoder=mobilenet_v2 \\
      --set data.frames=16 --set train.epochs=4 --set methods.0.warmup_epochs=2 --set baseline=false \\
      --set train.evaluate_every=4 --set verify.fake_quant_agreement=0.9
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.arm import EXACT, Outputs, crops_for, on_arm, on_this_machine, parse
from benchmarks.arm_root import CPU, WHEELS
from benchmarks.web import in_browser
from pipeline.cli import retry_command
from pipeline.runs.environment import describe_environment
from pipeline.runs.files import write_json, write_text
from pipeline.tflite.golden_vectors import output_grid

RESULT = Path(__file__).resolve().parents[1] / "docs" / "results" / "runtimes.json"
NAMES = {"x86": "x86", "arm": f"ARM {CPU}, emulated", "browser": "Chromium"}


def main(argv: Sequence[str] | None = None) -> int:
    """Run and compare all files and write the results; 1 if an int8 file has different outputs anywhere."""
    arguments = parse("benchmarks.runtimes", RESULT, argv)
    models = {folder.name: compare(folder, arguments.faces) for folder in arguments.models}
    result = {
        "machine": describe_environment() | {"command": retry_command("benchmarks.runtimes", argv)},
        "arm": {"emulated": CPU, "packages": list(WHEELS)},
        "faces": arguments.faces,
        "models": models,
    }
    write_json(arguments.output, result)
    table = markdown(result)
    write_text(arguments.output.with_suffix(".md"), table)
    print(table)
    return int(any(row["differing"] for files in models.values() for row in files[EXACT]["runtimes"].values()))


def compare(folder: Path, count: int) -> dict[str, dict]:
    """{file: {"bytes", "bits of its codes", "runtimes": {runtime: facts}}} of a shipped folder."""
    crops = crops_for(folder, count)
    found = {"x86": on_this_machine(folder, crops), "arm": on_arm(folder, crops)}
    found["browser"] = _arrays(in_browser(crops, "files", folder))
    return {name: _file(folder / name, found) for name in sorted(found["x86"])}


def _arrays(measured: Mapping[str, dict]) -> Outputs:
    return {name: {key: np.array(values) for key, values in facts.items()} for name, facts in measured.items()}


def _file(path: Path, found: Mapping[str, Outputs]) -> dict:
    is_float = output_grid(path.read_bytes()) is None
    expected = found["x86"][path.name if is_float else EXACT]["outputs"].astype(np.float32)
    rows = {runtime: _row(expected, measured[path.name]) for runtime, measured in found.items()}
    rows["arm"] = {key: value for key, value in rows["arm"].items() if key not in ("median_ms", "memory_bytes")}
    return {"bytes": path.stat().st_size, "outputs": int(expected.size), "runtimes": rows}


def _row(expected: np.ndarray, measured: Mapping[str, np.ndarray]) -> dict:
    away = np.abs(measured["outputs"].astype(np.float32) - expected)
    return {
        "differing": int((away > 0).sum()),
        "largest": float(away.max()),
        "median_ms": float(np.median(measured["milliseconds"])),
        "memory_bytes": int(measured["memory"]),
    }


def markdown(result: dict) -> str:
    """The table as a Markdown page."""
    lines = [
        "# Three runtimes compared",
        "",
        f"{result['faces']} rendered faces; int8 and int4 compared with the int8 file on x86 (XNNPACK), "
        "float32 with itself on x86. One thread. Memory: on x86 the growth of the process while a file is loaded and run, in "
        "Chromium the whole page with LiteRT.js and the face detector. "
        "Under emulation, time and memory are not meaningful.",
        "",
        f"Command: `{result['machine']['command']}`",
        "",
        "| model | file | bytes | runtime | outputs that differ | by at most | median ms | memory MB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for model, files in result["models"].items():
        for name, file in files.items():
            kind = name.removeprefix("model_").removesuffix(".tflite")
            for runtime, row in file["runtimes"].items():
                cells = [model, kind, f"{file['bytes']:,}", NAMES[runtime], f"{row['differing']} of {file['outputs']}"]
                lines.append(f"| {' | '.join([*cells, *_measured(row)])} |")
    return "\n".join(lines) + "\n"


def _measured(row: dict) -> list[str]:
    away = f"{row['largest']:.2g}" if row["largest"] else "0"
    if "median_ms" not in row:
        return [away, "–", "–"]
    return [away, f"{row['median_ms']:.2f}", f"{row['memory_bytes'] / 1e6:.1f}"]


if __name__ == "__main__":
    sys.exit(main())
