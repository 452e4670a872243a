"""The web page for tests: npm, the pictures and videos it is shown, and what Python finds in them."""

import base64
import json
import os
import shutil
import socket
import subprocess
import wave
from pathlib import Path

import cv2
import numpy as np

from pipeline.action_units.labels import AU_NUMBERS
from pipeline.data.synthetic_faces.person import sample_person
from pipeline.data.synthetic_faces.render import render
from pipeline.data.synthetic_faces.scene import still_scene
from pipeline.detect import Detector
from pipeline.faces.image_files import read_image

ROOT = Path(__file__).resolve().parents[2]
WEB, MODEL = ROOT / "web", ROOT / "tflite_out" / "synthetic_faces"
KINDS = ("float32", "int8", "int4")
SIZES = (96, 160, 256, 320, 200, 128)
FRAMES_PER_SECOND = 10
FRAMES, HIDDEN = 16, range(5, 9)


def npm(*arguments: str, timeout: int = 600, **environment: str) -> subprocess.CompletedProcess:
    """Runs npm in web/, whose packages `make test` has installed; output is text."""
    assert (WEB / "node_modules").is_dir(), "web/node_modules is missing: run `npm ci` in web/ (make test does)"
    return subprocess.run(
        ["npm", *arguments],
        cwd=WEB,
        env=os.environ | {"CI": "1", "NO_COLOR": "1"} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
    )


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("localhost", 0))
        return listener.getsockname()[1]


def write_fixtures(folder: Path) -> None:
    """Rendered faces as pictures, video and camera, and expected.json: what Python finds in the pictures."""
    faces = [face(number, size) for number, size in enumerate(SIZES)]
    pictures = {f"faces_{number}.png": image for number, image in enumerate(faces)}
    pictures["faces_1.png"] = in_room(faces[1])
    pictures["faces_4.png"] = in_room(turned(faces[4]))
    pictures["two_faces.png"] = np.concatenate([faces[2], face(7, 256)], 1)
    for name, image in pictures.items():
        write_png(folder / name, image)
    write_png(folder / "empty.png", np.full((120, 160, 3), 90, np.uint8))
    shutil.copyfile(ROOT / "tests" / "portrait.jpg", folder / "portrait.jpg")
    write_camera(folder / "camera.y4m", in_room(faces[3]))
    smiling = [in_room(face(8, 320, smile=frame / (FRAMES - 1))) for frame in range(FRAMES)]
    write_video(folder / "faces.webm", smiling)
    write_video(folder / "one.webm", smiling[:1])
    write_sound(folder / "silence.wav")
    for number, image in enumerate(moving_faces(faces[1], faces[4])):
        write_png(folder / f"frame_{number}.png", image)
    expected = [expected_faces(name, read_image(folder / name)) for name in pictures]
    (folder / "expected.json").write_text(json.dumps(expected), encoding="utf-8")


def face(number: int, size: int, smile: float | None = None) -> np.ndarray:
    """A rendered face uint8 (size, size, 3) with random action units, or with a smile of that strength."""
    rng = np.random.default_rng((number, 5))
    person, scene = sample_person((9, number), male=number % 2 == 1), still_scene(rng)
    intensities = rng.random(len(AU_NUMBERS)) ** 2
    if smile is not None:
        intensities = smile * np.array([unit in (6, 12) for unit in AU_NUMBERS])
    return render(person, intensities, scene, size, rng)[0]


def in_room(image: np.ndarray) -> np.ndarray:
    """A face in a larger picture uint8 (480, 640, 3), off its middle."""
    room = np.repeat((np.arange(640) // 4).astype(np.uint8)[None, :, None], 480, 0).repeat(3, 2)
    paste(room, image, 150, 60)
    return room


def moving_faces(one: np.ndarray, other: np.ndarray) -> list[np.ndarray]:
    """A video: one face goes to the right, the other to the left and out of sight for some frames."""
    images = []
    for frame in range(FRAMES):
        room = np.full((240, 480, 3), 90, np.uint8)
        paste(room, one, 20 + 5 * frame, 30)
        if frame not in HIDDEN:
            paste(room, other, 270 - 3 * frame, 20)
        images.append(room)
    return images


def paste(room: np.ndarray, image: np.ndarray, left: int, top: int) -> None:
    """Put an image into a larger one."""
    room[top : top + image.shape[0], left : left + image.shape[1]] = image


def turned(image: np.ndarray) -> np.ndarray:
    """A face leaning by 20 degrees."""
    middle = (image.shape[1] / 2, image.shape[0] / 2)
    return cv2.warpAffine(
        image, cv2.getRotationMatrix2D(middle, 20, 1), image.shape[1::-1], borderMode=cv2.BORDER_REPLICATE
    )


def write_png(path: Path, image: np.ndarray) -> None:
    """Write an RGB image."""
    path.write_bytes(cv2.imencode(".png", image[..., ::-1])[1].tobytes())


def write_camera(path: Path, image: np.ndarray) -> None:
    """Two equal frames that Chromium's fake camera plays again and again."""
    height, width = image.shape[:2]
    planes = cv2.cvtColor(image, cv2.COLOR_RGB2YUV_I420).tobytes()
    path.write_bytes(f"YUV4MPEG2 W{width} H{height} F30:1 Ip A1:1 C420jpeg\n".encode() + 2 * (b"FRAME\n" + planes))


def write_video(path: Path, images: list[np.ndarray]) -> None:
    """A video of FRAMES_PER_SECOND, VP8."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"VP80"), FRAMES_PER_SECOND, images[0].shape[1::-1])
    for image in images:
        writer.write(np.ascontiguousarray(image[..., ::-1]))
    writer.release()


def write_sound(path: Path) -> None:
    """A second of silence."""
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(2 * 8000))


def expected_faces(name: str, image: np.ndarray) -> dict:
    """What Python finds in a picture: faces with eyes, crop and the probabilities by every file of the model."""
    detectors = {kind: Detector(MODEL / f"model_{kind}.tflite") for kind in KINDS}
    found = {kind: detector.image(image) for kind, detector in detectors.items()}
    crop = detectors["int8"].sidecar.crop
    faces = [
        {
            "box": seen.box,
            "confidence": seen.confidence,
            "eyes": seen.landmarks,
            "crop": base64.b64encode(crop.cut(image, crop.from_eyes(*seen.landmarks)).tobytes()).decode(),
            "probabilities": {kind: list(found[kind][number].probabilities.values()) for kind in KINDS},
        }
        for number, seen in enumerate(found["int8"])
    ]
    return {"file": name, "faces": faces}
