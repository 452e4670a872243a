"""Compare the shipped network in the browser with LiteRT on the same machine: codes, latency, and video frames.

    python -m benchmarks.web [--faces N] [--output FILE]

Builds the page, runs it in headless Chromium (docs/web.md says what that needs), and runs both on the same crops of rendered
faces. Writes a JSON file and prints `codes_equal=... frame_ms=... memory_growth_mb=...`.
"""

import argparse
import base64
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.samples.crops import rendered_crops
from pipeline.runs.environment import describe_environment
from pipeline.runs.files import write_json
from pipeline.tflite.litert import LiteRtModel
from pipeline.tflite.verify import measure_latency
from tests.web.web_page import KINDS, MODEL, face, free_port, in_room, npm, write_png

RESULT = Path(__file__).resolve().parents[1] / "docs" / "results" / "web.json"
COMMAND = "python -m benchmarks.web --faces {faces}"


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and write the JSON file."""
    parser = argparse.ArgumentParser("python -m benchmarks.web")
    parser.add_argument("--faces", type=int, default=200)
    parser.add_argument("--output", type=Path, default=RESULT)
    arguments = parser.parse_args(argv)
    crops = rendered_crops(arguments.faces)
    contents = {kind: (MODEL / f"model_{kind}.tflite").read_bytes() for kind in KINDS}
    browser = in_browser(crops)
    logits = {kind: LiteRtModel(content).logits(crops) for kind, content in contents.items()}
    result = {
        "machine": describe_environment() | {"command": COMMAND.format(faces=arguments.faces)},
        "faces": len(crops),
        "against_x86": {
            f"{kind}_browser/{other}_x86": differences(np.array(browser["logits"][kind]), logits[other])
            for kind, other in (("float32", "float32"), ("int8", "int8"), ("int4", "int8"), ("int4", "int4"))
        },
        "latency_ms": {"browser": browser["latency_ms"], "x86": measure_latency(contents, crops[0], 300)},
        "frame_640x480_ms": browser["frame_ms"],
        "memory_bytes": browser["memory_bytes"],
    }
    write_json(arguments.output, result)
    growth = (browser["memory_bytes"]["after"] - browser["memory_bytes"]["before"]) / 1e6
    shares = " ".join(f"{name}={1 - values['share']:.4f}" for name, values in result["against_x86"].items())
    print(f"equal: {shares} frame_ms={browser['frame_ms']['median']:.1f} memory_growth_mb={growth:.1f}")


def in_browser(crops: np.ndarray, spec: str = "faces", model: Path = MODEL) -> dict:
    """The measurements of web/bench/SPEC.spec.ts with a shipped model on crops uint8 (N, H, W, 3)."""
    with tempfile.TemporaryDirectory(prefix="nibble-web-") as name:
        folder = Path(name)
        encoded = [base64.b64encode(crop.tobytes()).decode() for crop in crops]
        (folder / "crops.json").write_text(json.dumps(encoded), encoding="utf-8")
        write_png(folder / "picture.png", in_room(face(3, 320)))
        places = {"NIBBLE_FIXTURES": name, "NIBBLE_RESULTS": name, "NIBBLE_DIST": str(folder / "site")}
        build, run = ["run", "build", "--", "--outDir", str(folder / "site")], ["run", "e2e", "--", spec]
        for command in (build, run):
            settings = {"NIBBLE_SPECS": "bench", "NIBBLE_PORT": str(free_port()), "NIBBLE_MODEL": str(model.resolve())}
            done = npm(*command, timeout=1200, **settings, **places)
            if done.returncode:
                raise SystemExit(done.stdout)
        return json.loads((folder / "bench.json").read_text(encoding="utf-8"))


def differences(found: np.ndarray, expected: np.ndarray) -> dict:
    """The share of logits (N, A) that differ, and the largest differences of logits and probabilities."""
    probabilities = [1 / (1 + np.exp(-values.astype(np.float64))) for values in (found, expected)]
    return {
        "share": float((np.abs(found - expected) > 1e-6).mean()),
        "largest_logit": float(np.abs(found - expected).max()),
        "largest_probability": float(np.abs(probabilities[0] - probabilities[1]).max()),
    }


if __name__ == "__main__":
    main()
