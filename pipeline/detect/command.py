"""What `python -m pipeline.detect` does with its arguments."""

import argparse
import itertools
import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TextIO

import cv2

from pipeline.detect.arguments import OVER_TIME
from pipeline.detect.detector import Detector, FaceSettings
from pipeline.detect.inputs import Inputs, find_inputs
from pipeline.detect.lines import STDOUT
from pipeline.detect.originals import Originals
from pipeline.detect.outputs import Output
from pipeline.detect.overlay import make_overlay
from pipeline.detect.progress import Progress
from pipeline.detect.rows import CsvRows, JsonRows
from pipeline.detect.timeline import Timeline
from pipeline.detect.watch import Watch
from pipeline.errors import RunFailed, UserError
from pipeline.stopping import StopFlag

OUTPUTS = ("csv", "jsonl", "overlay", "timeline")


def detect(arguments: argparse.Namespace, terminal: TextIO, stop: StopFlag) -> None:
    """Look at all inputs and write what is asked for.

    Raises UserError, RunFailed if an input could not be read whole, Stopped, BrokenPipeError if the reader of a pipe is gone.
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
    watch = Watch(detector, inputs, arguments.sequence, stop.check, progress.warn)
    observations = iter(watch)
    first = list(itertools.islice(observations, 1))  # wrong input is known before an output exists
    with ExitStack() as stack:
        outputs = [*make_outputs(arguments, inputs, detector, originals), progress]
        for output in outputs:
            stack.callback(output.close)
        for seen in itertools.chain(first, observations):
            for output in outputs:
                output.end() if seen is None else output.write(seen)
    if watch.failures:
        raise RunFailed(
            f"{watch.failures} input{'s' * (watch.failures != 1)} could not be read whole; the rest is done"
        )


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
    """`image` if there may be images, `video` if a video is not alone."""
    return [kind for kind in ("image", "video") if kind in inputs.kinds and (kind == "image" or not inputs.single)]


def check(arguments: argparse.Namespace) -> None:
    """Raise UserError for arguments that do not go together; set the default output."""
    for option in OUTPUTS:
        if getattr(arguments, option) == "":
            raise UserError(f"--{option}: its name is empty. Name a file")
    if not any(getattr(arguments, option) for option in OUTPUTS):
        arguments.csv = STDOUT
    if arguments.csv == arguments.jsonl == STDOUT:
        raise UserError("--csv - and --jsonl -: only one of them can have stdout")
    files = [os.path.realpath(name) for name in output_files(arguments)]
    if len(set(files)) < len(files):
        raise UserError("two outputs have the same name")
    if arguments.sequence is not None and not 0 < arguments.sequence <= 1000:
        raise UserError(f"--sequence takes frames a second, not {arguments.sequence}")


def output_files(arguments: argparse.Namespace) -> list[str]:
    """The names of the outputs asked for, without stdout."""
    names = [getattr(arguments, option) for option in OUTPUTS]
    return [name for name in names if name and name != STDOUT]


def check_inputs(arguments: argparse.Namespace, inputs: Inputs) -> None:
    """Raise UserError if something over time is asked of single images."""
    asked = [name for name, default in OVER_TIME.items() if getattr(arguments, name) != default]
    if asked and inputs.kinds == {"image"} and arguments.sequence is None:
        raise UserError(f"--{asked[0]} needs a video; if these images are the frames of one, add --sequence FPS")
    if arguments.sequence is not None and "image" not in inputs.kinds:
        raise UserError("--sequence FPS is for images; a video has its own frame rate")
