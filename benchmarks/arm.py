"""Compare the outputs of the shipped TFLite files on an emulated ARM Cortex-A76 with those on x86.

    python -m benchmarks.arm [--models FOLDER ...] [--faces N] [--output FILE]

Both run every file on the same crops of rendered faces. Exits with 1 unless int8 files (XNNPACK) are bit-identical.
Packed int4 files run on LiteRT's builtin kernels, which differ between processors, so they are also compared with the
int8 file. Times under emulation are meaningless and not recorded. Writes a JSON file.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.arm_root import CPU, WHEELS, arm_command, make_root
from benchmarks.samples.crops import rendered_crops
from pipeline.cli import retry_command
from pipeline.errors import UserError
from pipeline.runs.environment import describe_environment
from pipeline.runs.files import write_json
from pipeline.tflite.golden_vectors import output_grid
from pipeline.tflite.ship import check_shipped

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "docs" / "results" / "arm.json"
MODEL = ROOT / "tflite_out" / "synthetic_faces"
CHILD = Path(__file__).with_name("samples") / "runtime_child.py"
EXACT = "model_int8.tflite"

Outputs = dict[str, dict[str, np.ndarray]]


def main(argv: Sequence[str] | None = None) -> int:
    """Run and compare all files and write the results; 1 if an int8 file differs."""
    arguments = parse("benchmarks.arm", RESULT, argv)
    result = {
        "machine": describe_environment() | {"command": retry_command("benchmarks.arm", argv)},
        "arm": {"emulated": CPU, "packages": list(WHEELS)},
        "faces": arguments.faces,
        "models": {folder.name: compare(folder, arguments.faces) for folder in arguments.models},
    }
    write_json(arguments.output, result)
    for name, files in result["models"].items():
        for file, found in files.items():
            count = f"{found['differing']} of {found['outputs']} outputs differ"
            print(f"{name}/{file}: {count}, {found['largest']:g} at most")
    return int(any(files[EXACT]["differing"] for files in result["models"].values()))


def parse(program: str, output: Path, argv: Sequence[str] | None) -> argparse.Namespace:
    """The arguments, checked before anything runs; exits with 2 and a message if they are invalid."""
    parser = argparse.ArgumentParser(f"python -m {program}")
    parser.add_argument("--models", type=Path, nargs="+", default=[MODEL], metavar="FOLDER")
    parser.add_argument("--faces", type=int, default=200)
    parser.add_argument("--output", type=Path, default=output)
    arguments = parser.parse_args(argv)
    if arguments.faces < 1:
        parser.error(f"--faces {arguments.faces}: must be 1 or more")
    if not arguments.output.parent.is_dir():
        parser.error(f"{arguments.output.parent}: no such folder")
    if len({folder.name for folder in arguments.models}) < len(arguments.models):
        parser.error("two folders with the same name; results are stored by name")
    for folder in arguments.models:
        try:
            files = check_shipped(folder)["files"]
        except UserError as error:
            parser.error(str(error))
        if EXACT not in files:
            parser.error(f"{folder}: no {EXACT} to compare")
    return arguments


def crops_for(folder: Path, count: int) -> np.ndarray:
    """Rendered faces uint8 (count, H, W, C) in the size and colours of the network in a shipped folder."""
    size, _, channels = check_shipped(folder)["input"]["height_width_channels"]
    return rendered_crops(count, size)[..., :channels]


def compare(folder: Path, count: int) -> dict[str, dict]:
    """{file: differences between the outputs on both processors} of a shipped folder."""
    images = crops_for(folder, count)
    here, there = on_this_machine(folder, images), on_arm(folder, images)
    exact = there[EXACT]["outputs"]
    return {name: facts(folder / name, here[name]["outputs"], there[name]["outputs"], exact) for name in here}


def facts(file: Path, here: np.ndarray, there: np.ndarray, exact: np.ndarray) -> dict:
    """Differences of one file's outputs (N, K) on x86 and ARM; for a packed file also from `exact`, ARM's int8 outputs."""
    grid = output_grid(file.read_bytes())
    found = {
        "outputs": int(here.size),
        "differing": int((here != there).sum()),
        "largest": float(np.abs(here.astype(np.float64) - there).max()),
        "scale": grid and grid[0],
    }
    if grid is None or file.name == EXACT:
        return found
    return found | {"differing_from_int8_on_arm": int((there != exact).sum())}


def on_this_machine(folder: Path, images: np.ndarray) -> Outputs:
    """{file: what runtime_child.py measures}, with this Python."""
    return _run(folder, images, lambda *arguments: ([sys.executable, *arguments], None))


def on_arm(folder: Path, images: np.ndarray) -> Outputs:
    """The same on the emulated processor."""
    root = make_root()
    return _run(folder, images, lambda *arguments: arm_command(root, *arguments))


def _run(folder: Path, images: np.ndarray, command) -> Outputs:
    found = {}
    with tempfile.TemporaryDirectory(prefix="nibble-arm-") as name:
        inputs, result = Path(name) / "images.npy", Path(name) / "result.npz"
        np.save(inputs, images)
        for file in sorted(folder.glob("model_*.tflite")):
            line, environment = command(str(CHILD), str(file.resolve()), str(inputs), str(result))
            done = subprocess.run(line, env=environment, capture_output=True, text=True, timeout=1800)
            if done.returncode:
                raise SystemExit(f"error: {file} on {line[0]}: {done.stderr.strip()}")
            with np.load(result) as arrays:
                found[file.name] = dict(arrays)
    return found


if __name__ == "__main__":
    sys.exit(main())
