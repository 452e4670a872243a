"""The command line of `python -m pipeline.detect`, kept apart from the libraries so that --help is instant."""

import argparse
from collections.abc import Sequence

from pipeline.cli import command_name

OVER_TIME = {"smooth": 1, "calibrate": 0.0, "timeline": None}  # options that need a video, and their defaults
DESCRIPTION = """Action units of all faces in images, in videos or from a camera, with a network trained by pipeline.run.

  python -m pipeline.detect --model tflite_out/synthetic_faces clip.mp4 --csv aus.csv --overlay seen.mp4
  python -m pipeline.detect --model tflite_out/synthetic_faces photos/ 'more/*.jpg' --csv aus.csv --overlay seen/
  python -m pipeline.detect --model tflite_out/synthetic_faces 0 --jsonl - --smooth 5 --calibrate 3
"""
EPILOG = """Without --csv, --jsonl, --overlay or --timeline, CSV goes to stdout. Columns and conventions: docs/detect.md.
Exit 0: done. 1: done, but an input could not be read or the disk is full. 2: invalid arguments or input.
130 or 143: stopped by a signal; everything written so far is valid."""


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The arguments as a namespace; exits with code 2 if they are invalid."""
    parser = argparse.ArgumentParser(
        command_name("pipeline.detect"), None, DESCRIPTION, EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    inputs = "image, video, folder, quoted 'pattern', camera number, or - for a list of paths on stdin"
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help=inputs)
    model = "a .tflite file with its model.json beside it, or a folder tflite_out/NAME (its int8 file is used)"
    parser.add_argument("--model", required=True, help=model)

    add = parser.add_argument_group("outputs").add_argument
    add("--csv", metavar="FILE", help="one row per face and frame; - is stdout")
    add("--jsonl", metavar="FILE", help="one JSON object per frame; - is stdout")
    overlay = "the inputs with faces and action units drawn in: a video, an image, or a folder for several inputs"
    add("--overlay", metavar="PLACE", help=overlay)
    timeline = "action units over time, one plot per face: .svg or .html"
    add("--timeline", default=OVER_TIME["timeline"], metavar="FILE", help=timeline)

    add = parser.add_argument_group("faces").add_argument
    add("--confidence", type=float, default=0.75, metavar="P", help="minimum probability of a new face (default 0.75)")
    add("--max-faces", type=int, metavar="N", help="maximum number of faces at a time (default: no limit)")
    smallest = "minimum width of a face (default: longer side / 16 in videos, / 32 in images, at most 64)"
    add("--smallest-face", type=float, metavar="PX", help=smallest)
    every = "frames between two searches for new faces (default 10)"
    add("--search-every", type=int, default=10, metavar="N", help=every)

    add = parser.add_argument_group("values").add_argument
    smooth = "median of the last N frames (odd, at most 9999)"
    add("--smooth", type=int, default=OVER_TIME["smooth"], metavar="N", help=smooth)
    calibrate = "treat each face's first seconds as neutral and measure relative to them"
    add("--calibrate", type=float, default=OVER_TIME["calibrate"], metavar="SECONDS", help=calibrate)
    add("--sequence", type=float, metavar="FPS", help="treat the images as the frames of one video")
    add("--threads", type=int, default=1, metavar="N", help="threads of the network, at most 64 (default 1)")
    return parser.parse_args(argv)
