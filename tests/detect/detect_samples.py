"""Videos, models and commands for the tests of pipeline.detect."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from pipeline.detect.__main__ import main
from tests.faces.portrait import PORTRAIT
from tests.processes import ROOT

MODEL = ROOT / "tflite_out" / "synthetic_faces"
RATE = 25.0
COMMAND = [sys.executable, "-m", "pipeline.detect", "--model", str(MODEL)]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT)}


def scene(*places: tuple[int, int], height: int = 300, width: int = 400) -> np.ndarray:
    """A grey image uint8 (H, W, 3) with the portrait at each left, top; what does not fit is cut off."""
    image = np.full((height + 480, width + 480, 3), 90, np.uint8)
    for x, y in places:
        image[y + 240 : y + 480, x + 240 : x + 480] = PORTRAIT
    return np.ascontiguousarray(image[240 : 240 + height, 240 : 240 + width])


def write_video(path: Path, frames: Sequence[np.ndarray]) -> Path:
    """A video of RGB frames at RATE, by the ending of its name."""
    codec = {".avi": "MJPG", ".mp4": "mp4v", ".webm": "VP80"}[path.suffix]
    height, width = frames[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*codec), RATE, (width, height))
    assert writer.isOpened()
    for frame in frames:
        writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    writer.release()
    return path


def write_image(path: Path, image: np.ndarray) -> Path:
    """An RGB image, by the ending of its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    return path


def read_video(path: Path) -> list[np.ndarray]:
    """The frames of a video, BGR."""
    capture, frames = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG), []
    while (read := capture.read())[0]:
        frames.append(read[1])
    return frames


def write_model(folder: Path, content: bytes, **changes: object) -> Path:
    """A folder with the content as model_int8.tflite and a sidecar that fits it, the shipped one with changes."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model_int8.tflite").write_bytes(content)
    values = json.loads((MODEL / "model.json").read_text()) | changes
    values["files"] = {"model_int8.tflite": {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}}
    (folder / "model.json").write_text(json.dumps(values))
    return folder


def copied(tmp_path: Path) -> Path:
    """A copy of the shipped model's folder."""
    return Path(shutil.copytree(MODEL, tmp_path / "model"))


def change(folder: Path, **changes: object) -> Path:
    """The folder, after a change of its sidecar."""
    values = json.loads((folder / "model.json").read_text()) | changes
    (folder / "model.json").write_text(json.dumps(values))
    return folder


def detect(*arguments: object) -> int:
    """The exit code of the command with the shipped model, in this process."""
    return main(["--model", str(MODEL), *map(str, arguments)])


def run(folder: Path, *arguments: str | bytes, **options: object) -> subprocess.CompletedProcess:
    """The command with the shipped model in a process of its own, started in a folder."""
    return subprocess.run([*COMMAND, *arguments], cwd=folder, capture_output=True, env=ENVIRONMENT, **options)
