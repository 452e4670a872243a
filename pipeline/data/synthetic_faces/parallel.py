"""Rendering sequences in several processes."""

import multiprocessing
import os
import shutil
import signal
from collections.abc import Callable
from collections.abc import Sequence as Items
from functools import lru_cache
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from pipeline.data.bp4d.layout import IMAGE_FOLDERS, PLACE_FOLDERS
from pipeline.data.bp4d.places import EYES, FRAME
from pipeline.data.synthetic_faces.sequences import IMAGES, PERSON, RenderSettings, Sequence, seed
from pipeline.errors import RunFailed
from pipeline.run_files import TEMPORARY, clear_disk_errors, write_text

if TYPE_CHECKING:
    from pipeline.data.synthetic_faces.person import Person

JPEG_QUALITY = (80, 96)


def render_all(
    root: Path, settings: RenderSettings, sequences: Items[Sequence], workers: int, advance: Callable[[int], None]
) -> None:
    """Render the images of `sequences` into `root`; `advance` hears how many images more are done.

    Raises RunFailed if the disk is full or a process ends, UserError if writing is forbidden.
    """
    context = multiprocessing.get_context("spawn")
    shares = [share for share in (sequences[first::workers] for first in range(workers)) if share]
    processes, connections = [], []
    try:
        for share in shares:
            receiving, sending = context.Pipe(duplex=False)
            process = context.Process(target=_work, args=(sending, root, settings, share), daemon=True)
            process.start()
            sending.close()
            processes.append(process)
            connections.append(receiving)
        _listen(connections, advance)
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.join()


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


def _listen(connections: list[Connection], advance: Callable[[int], None]) -> None:
    """Pass on what the processes say until all are done; raise what they raise."""
    waiting = list(connections)
    while waiting:
        for connection in wait(waiting):
            try:
                message = connection.recv()
            except EOFError:
                raise RunFailed(
                    "a process that renders faces has ended; run the same command again: it resumes"
                ) from None
            if isinstance(message, Exception):
                raise message
            if message is None:
                waiting.remove(connection)
            else:
                advance(message)


def _work(connection: Connection, root: Path, settings: RenderSettings, sequences: Items[Sequence]) -> None:
    """One process: it says how many images are done, None at the end, or what went wrong, and ends if nobody listens."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    cv2.setNumThreads(1)
    try:
        for sequence in sequences:
            render_sequence(root, settings, sequence, connection.send)
        connection.send(None)
    except BrokenPipeError:
        return
    except Exception as error:
        connection.send(error)
