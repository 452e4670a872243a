"""Rendering sequences in several processes: `concurrent.futures`, made safe for scripts, Ctrl-C and killed processes."""

import multiprocessing
import os
import shutil
import signal
import sys
import threading
from collections.abc import Iterator
from collections.abc import Sequence as Items
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import lru_cache
from multiprocessing.connection import Connection
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import cv2
import numpy as np

from pipeline.data.bp4d.layout import EYES, FRAME, IMAGE_FOLDERS, PLACE_FOLDERS
from pipeline.data.synthetic_faces.sequences import IMAGES, PERSON, RenderSettings, Sequence, seed
from pipeline.errors import RunFailed
from pipeline.runs.files import TEMPORARY, clear_disk_errors, write_text

if TYPE_CHECKING:
    from pipeline.data.synthetic_faces.person import Person

JPEG_QUALITY = (80, 96)


def render_all(root: Path, settings: RenderSettings, sequences: Items[Sequence], workers: int) -> Iterator[None]:
    """Render the images of `sequences` into `root` with that many processes; yields whenever a sequence is done.

    The processes end when the iterator is left, by an error or Ctrl-C too, and when this process is killed.

    Raises:
        RunFailed: the disk is full, or a process was killed.
        UserError: writing is forbidden.
    """
    context = multiprocessing.get_context("spawn")  # TensorFlow's threads may run here: forking is not safe
    receiver, sender = context.Pipe(duplex=False)
    with ProcessPoolExecutor(workers, context, _prepare_process, (receiver,)) as pool, receiver, sender:
        try:
            with _independent_processes():
                rendered = [pool.submit(render_sequence, root, settings, sequence) for sequence in sequences]
            for sequence in as_completed(rendered):
                yield sequence.result()
        except BrokenProcessPool as error:
            raise RunFailed(
                "a process that renders faces was killed, perhaps for lack of memory; run the same command again: "
                "it resumes"
            ) from error
        pool.shutdown()


@contextmanager
def _independent_processes() -> Iterator[None]:
    """Processes started in the block do not react to Ctrl-C, which this process handles, and do not run its script.

    Python would import the script again in each of them, which needs `if __name__ == "__main__"` there.
    """
    main = sys.modules["__main__"]
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def _prepare_process(parent: Connection) -> None:
    """Called first in every process; `parent` is the receiving end of a pipe that the parent never writes to."""
    cv2.setNumThreads(1)
    threading.Thread(target=_end_with_parent, args=(parent,), daemon=True).start()


def _end_with_parent(parent: Connection) -> None:
    """End this process as soon as the parent closes its end of the pipe, or is killed."""
    parent.poll(None)
    os._exit(1)


def render_sequence(root: Path, settings: RenderSettings, sequence: Sequence) -> None:
    """Write the images and eye positions of one sequence; its folder appears once everything is written.

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
            places = "".join(",".join(map(str, row)) + "\n" for row in rows)
            write_text(root / PLACE_FOLDERS[0] / f"{sequence.name}.csv", places)
            os.replace(temporary, folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


@lru_cache(maxsize=1)  # a subject's sequences follow each other
def _person(person_seed: tuple[int, ...], male: bool) -> "Person":
    from pipeline.data.synthetic_faces.person import sample_person

    return sample_person(person_seed, male)
