"""One rendering process: python -m pipeline.data.synthetic_faces.worker, with JSON on its standard input.

It writes a byte for each image that is done and, if the disk stops it, JSON: the kind of the error and its message.
"""

import json
import os
import shutil
import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from pipeline.data.bp4d.layout import IMAGE_FOLDERS, PLACE_FOLDERS
from pipeline.data.bp4d.places import EYES, FRAME
from pipeline.data.synthetic_faces.sequences import IMAGES, PERSON, RenderSettings, Sequence, seed
from pipeline.errors import RunFailed, UserError
from pipeline.run_files import TEMPORARY, clear_disk_errors, write_text

if TYPE_CHECKING:
    from pipeline.data.synthetic_faces.person import Person

JPEG_QUALITY = (80, 96)
IMAGE_DONE = b"."


def main() -> int:
    """0 done, 1 stopped; ends with BrokenPipeError, in silence, when nobody listens any more."""
    output = os.dup(1)
    os.dup2(2, 1)  # what a library prints is not for the parent
    cv2.setNumThreads(1)
    order = json.load(sys.stdin)
    root, settings = Path(order["root"]), RenderSettings(**order["settings"])
    try:
        for facts in order["sequences"]:
            arrays = {key: np.array(facts[key]) for key in ("frames", "intensities")}
            render_sequence(root, settings, Sequence(**facts | arrays), lambda images: os.write(output, IMAGE_DONE))
    except (UserError, RunFailed) as error:
        os.write(output, json.dumps([type(error).__name__, str(error)]).encode())
        return 1
    return 0


def render_sequence(root: Path, settings: RenderSettings, sequence: Sequence, advance: Callable[[int], None]) -> None:
    """Write the images and the eyes' places of one sequence; its folder appears when all is written.

    Raises RunFailed if the disk is full, UserError if writing is forbidden.
    """
    from pipeline.data.synthetic_faces.render import render
    from pipeline.data.synthetic_faces.scene import sample_scenes

    person = _person(seed(settings, PERSON, sequence.subject), male=sequence.subject.startswith("M"))
    rng = np.random.default_rng(seed(settings, IMAGES, sequence.subject, sequence.task))
    quality, scenes = int(rng.integers(*JPEG_QUALITY)), sample_scenes(rng, len(sequence.frames))
    folder = root / IMAGE_FOLDERS[0] / sequence.subject / sequence.task
    temporary = folder.with_name(f"{TEMPORARY}{os.getpid()}-{folder.name}")
    rows = [(FRAME, *EYES)]
    with clear_disk_errors(folder):
        temporary.mkdir(parents=True)
        try:
            for frame, intensities, scene in zip(sequence.frames.tolist(), sequence.intensities, scenes, strict=True):
                image, eyes = render(person, intensities, scene, settings.render_size, rng)
                _, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
                (temporary / f"{frame:04d}.jpg").write_bytes(data.tobytes())
                rows.append((frame, *(f"{value:.2f}" for value in eyes.ravel())))
                advance(1)
            places = "".join(",".join(map(str, row)) + "\n" for row in rows)
            write_text(root / PLACE_FOLDERS[0] / f"{sequence.name}.csv", places)
            os.replace(temporary, folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


@lru_cache(maxsize=1)  # a subject's sequences follow each other
def _person(person_seed: tuple[int, ...], male: bool) -> "Person":
    from pipeline.data.synthetic_faces.person import sample_person

    return sample_person(person_seed, male)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BrokenPipeError:
        sys.exit(1)
