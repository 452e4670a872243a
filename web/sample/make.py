"""Renders the faces that the web page shows as its sample: python web/sample/make.py (a minute).

Two persons, one after the other, with a scripted play of action units; all frames in one WebP, row by row.
"""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from pipeline.action_units.labels import AU_NUMBERS
from pipeline.data.synthetic_faces.person import sample_person
from pipeline.data.synthetic_faces.render import render
from pipeline.data.synthetic_faces.scene import Scene, still_scene

WEB = Path(__file__).resolve().parents[1]
TARGET, FACTS = WEB / "public" / "sample" / "rendered_faces.webp", WEB / "src" / "sources" / "sample.json"
SIZE, COLUMNS, QUALITY, FRAMES_PER_SECOND = 288, 10, 72, 8
PEOPLE = ((11, 15, True), (11, 2, False))  # two numbers of the seed, male
PLAY = (
    (),
    (6, 12),
    (6, 7, 10, 12),
    (),
    (1, 2),
    (4, 7),
    (15, 17),
    (14,),
    (23, 24),
    (),
)  # what is shown, one after the other
FRAMES_EACH = 8


def main() -> None:
    """Write the sample."""
    frames = [frame for first, second, male in PEOPLE for frame in person_frames((first, second), male)]
    rows = [np.concatenate(frames[start : start + COLUMNS], 1) for start in range(0, len(frames), COLUMNS)]
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    _, content = cv2.imencode(".webp", np.concatenate(rows)[..., ::-1], [cv2.IMWRITE_WEBP_QUALITY, QUALITY])
    TARGET.write_bytes(content.tobytes())
    facts = {"size": SIZE, "columns": COLUMNS, "framesPerSecond": FRAMES_PER_SECOND}
    FACTS.write_text(json.dumps(facts) + "\n", encoding="utf-8")
    print(f"{TARGET}: {len(frames)} frames of {SIZE} pixels, {TARGET.stat().st_size:,} bytes")


def person_frames(seed: tuple[int, int], male: bool) -> list[np.ndarray]:
    """A person's frames uint8 (SIZE, SIZE, 3)."""
    rng = np.random.default_rng((*seed, 1))
    person, scene = sample_person(seed, male=male), still_scene(rng)
    play = intensities()
    return [
        render(person, values, turned(scene, number / len(play)), SIZE, rng)[0] for number, values in enumerate(play)
    ]


def intensities() -> np.ndarray:
    """The play float (frames, A) in 0..1, with soft changes."""
    steps = np.array([[number in units for number in AU_NUMBERS] for units in PLAY], float)
    frames = np.repeat(steps, FRAMES_EACH, 0)
    soft = np.array([1, 2, 1]) / 4
    return np.stack([np.convolve(np.pad(column, 1, mode="edge"), soft, "valid") for column in frames.T], 1)


def turned(scene: Scene, time: float) -> Scene:
    """The scene with the head a little further on its way; `time` 0..1 is one round."""
    angle = 2 * np.pi * time
    pose = np.array([7 * np.sin(angle), 3 * np.sin(2 * angle), 2.5 * np.cos(angle)])
    return replace(scene, pose=pose, gaze=np.array([0.008 * np.sin(3 * angle), 0]))


if __name__ == "__main__":
    main()
