"""What `python -m pipeline.detect` does with its arguments: check them, run the detector, write the outputs."""

import argparse
import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

import cv2

from pipeline.detect.arguments import OVER_TIME
from pipeline.detect.detector import Detector, FaceSettings
from pipeline.detect.frames import image_of, open_pictures
from pipeline.detect.inputs import Inputs, Originals, Source, find_inputs
from pipeline.detect.outputs import STDOUT, CsvRows, JsonRows, Observation, Output
from pipeline.detect.overlay import make_overlay
from pipeline.detect.progress import Progress, counted
from pipeline.detect.timeline import Timeline
from pipeline.detect.videos import MAX_RATE, MIN_RATE, Unreadable
from pipeline.errors import RunFailed, UserError
from pipeline.runs.stopping import StopFlag

OUTPUTS = ("csv", "jsonl", "overlay", "timeline")


def detect(arguments: argparse.Namespace, terminal: TextIO, stop: StopFlag) -> None:
    """Process all inputs and write the outputs asked for.

    Raises UserError, RunFailed if an input could not be read completely, Stopped, and BrokenPipeError if the reader of a
    pipe has closed it.
    """
    check(arguments)
    detector = Detector(
        arguments.model,
        faces=FaceSettings(arguments.confidence, arguments.search_every, arguments.max_faces, arguments.smallest_face),
        threads=arguments.threads,
        smooth=arguments.smooth,
        calibrate=arguments.calibrate,
    )
    cv2.setNumThreads(arguments.threads)
    originals = Originals(detector.model_files, output_files(arguments))
    inputs = originals.keep(find_inputs(arguments.inputs, stop.check))
    check_inputs(arguments, inputs)
    progress = Progress(terminal)
    observer = Observer(detector, inputs, arguments.sequence, stop.check, progress.warn)
    observations = iter(observer)
    first = list(itertools.islice(observations, 1))  # invalid input is reported before an output exists
    with ExitStack() as stack:
        outputs = [*make_outputs(arguments, inputs, detector, originals), progress]
        for output in outputs:
            stack.callback(output.close)
        for seen in itertools.chain(first, observations):
            for output in outputs:
                output.end() if seen is None else output.write(seen)
    for text in inputs.closed:
        observer.fail(text)
    for text in inputs.skipped:
        progress.warn(text)
    if observer.failures:
        raise RunFailed(f"{counted(observer.failures, 'input')} could not be read completely; the rest is done")


def check(arguments: argparse.Namespace) -> None:
    """Raise UserError for arguments that contradict each other; set the default output."""
    for option in OUTPUTS:
        if getattr(arguments, option) == "":
            raise UserError(f"--{option}: its name is empty. Name a file")
    if not any(getattr(arguments, option) for option in OUTPUTS):
        arguments.csv = STDOUT
    if arguments.csv == arguments.jsonl == STDOUT:
        raise UserError("--csv - and --jsonl -: only one of them can go to stdout")
    files = [os.path.realpath(name) for name in output_files(arguments)]
    if len(set(files)) < len(files):
        raise UserError("two outputs have the same name")
    if arguments.sequence is not None and not MIN_RATE <= arguments.sequence <= MAX_RATE:
        raise UserError(
            f"--sequence must be frames per second, from one an hour ({MIN_RATE:.2g}) to {MAX_RATE}, not {arguments.sequence}"
        )


def output_files(arguments: argparse.Namespace) -> list[str]:
    """The names of the outputs asked for, without stdout."""
    names = [getattr(arguments, option) for option in OUTPUTS]
    return [name for name in names if name and name != STDOUT]


def check_inputs(arguments: argparse.Namespace, inputs: Inputs) -> None:
    """Raise UserError if an option that needs a video is given with single images, or --sequence with a video."""
    asked = [name for name, default in OVER_TIME.items() if getattr(arguments, name) != default]
    if asked and inputs.kinds == {"image"} and arguments.sequence is None:
        raise UserError(f"--{asked[0]} needs a video; if these images are the frames of one, add --sequence FPS")
    if arguments.sequence is not None and "image" not in inputs.kinds:
        raise UserError("--sequence FPS is for images; a video has its own frame rate")


def make_outputs(
    arguments: argparse.Namespace, inputs: Inputs, detector: Detector, originals: Originals
) -> Iterator[Output]:
    """The outputs asked for; those that create a file at once come last."""
    labels = tuple(detector.thresholds)
    if arguments.timeline:
        yield Timeline(Path(arguments.timeline), detector.thresholds)
    if arguments.overlay:
        yield make_overlay(arguments.overlay, inputs, originals, arguments.sequence is not None, detector.thresholds)
    if arguments.csv:
        yield CsvRows(arguments.csv, name_columns(inputs), labels)
    if arguments.jsonl:
        yield JsonRows(arguments.jsonl)


def name_columns(inputs: Inputs) -> list[str]:
    """`image` if there may be images, `video` unless a single video is the only input."""
    return [kind for kind in ("image", "video") if kind in inputs.kinds and (kind == "image" or not inputs.single)]


@dataclass
class Observer:
    """Runs the detector over all inputs.

    `sequence` is the frame rate if the images are the frames of one video, None if each stands alone. `check` is called
    before every frame and may raise. `warn` is told what cannot be read, `failures` counts it.
    """

    detector: Detector
    inputs: Inputs
    sequence: float | None
    check: Callable[[], None]
    warn: Callable[[str], None]
    failures: int = field(default=0, init=False)
    images: int = field(default=0, init=False)

    def __iter__(self) -> Iterator[Observation | None]:
        """Observations in order; None at the end of a video or of all images. Raises UserError.

        A source that cannot be read gives an observation without an image, or UserError if it is the only one.
        """
        for source in self.inputs.sources:
            self.check()
            if source.kind == "image":
                yield self._image(source)
            else:
                yield from self._video(source)
                yield None
        if self.images:
            yield None

    def _image(self, source: Source) -> Observation:
        self.images += 1
        time = None if self.sequence is None else (self.images - 1) / self.sequence
        try:
            image, notes = image_of(source)
        except Unreadable as error:
            return self._failed(source, self.images, time, error)
        self._warn_all(notes)
        faces = self.detector.image(image) if time is None else self.detector.frame(image, time)
        return Observation(source, self.images, time, image, faces, self.sequence, self.inputs.count)

    def _video(self, source: Source) -> Iterator[Observation]:
        self.detector.reset()
        try:
            pictures = open_pictures(source)
        except Unreadable as error:
            yield self._failed(source, 0, None, error)
            return
        self._warn_all(pictures.notes)
        try:
            for number, (image, time) in enumerate(pictures, 1):
                self.check()
                faces = self.detector.frame(image, time)
                yield Observation(source, number, time, image, faces, pictures.rate, pictures.count)
        except Unreadable as error:
            self.fail(str(error))
        finally:
            pictures.close()
        self.detector.reset()

    def _failed(self, source: Source, number: int, time: float | None, error: Unreadable) -> Observation:
        if self.inputs.single:
            raise UserError(str(error)) from error
        self.fail(str(error))
        return Observation(source, number, time, None, [], error=str(error))

    def fail(self, text: str) -> None:
        """Count an input that cannot be read completely, and say which."""
        self.failures += 1
        self.warn(text)

    def _warn_all(self, notes: Sequence[str]) -> None:
        for note in notes:
            self.warn(note)
