"""The command line of `python -m pipeline.detect`."""

import argparse
from collections.abc import Sequence

OVER_TIME = {"smooth": 1, "calibrate": 0.0, "timeline": None}  # options that need a video, and their defaults
DESCRIPTION = """Action units of all faces in images, videos or from a camera, with a network that pipeline.run made.

  python -m pipeline.detect --model tflite_out/synthetic_faces clip.mp4 --csv aus.csv --overlay seen.mp4
  python -m pipeline.detect --model tflite_out/synthetic_faces photos/ 'more/*.jpg' --csv aus.csv --overlay seen/
  python -m pipeline.detect --model tflite_out/synthetic_faces 0 --jsonl - --smooth 5 --calibrate 3
"""
EPILOG = """Without --csv, --jsonl, --overlay or --timeline, CSV goes to stdout. Columns and conventions: docs/detect.md.
Exit 0: done. 1: done, but something could not be read, or the disk is full. 2: wrong input. 130: stopped, what was
written is valid."""


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The arguments as a namespace; leaves with exit code 2 if they are wrong."""
    parser = argparse.ArgumentParser(
        "python -m pipeline.detect", None, DESCRIPTION, EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add(
        "inputs",
        nargs="+",
        metavar="INPUT",
        help="image, video, folder, 'pattern', number of a camera, or - for a list on stdin",
    )
    add(
        "--model",
        required=True,
        help="a .tflite file beside its model.json, or a folder tflite_out/NAME (its int8 file)",
    )
    outputs = parser.add_argument_group("outputs")
    add = outputs.add_argument
    add("--csv", metavar="FILE", help="a row a face and frame; - is stdout")
    add("--jsonl", metavar="FILE", help="a JSON object a frame; - is stdout")
    add("--overlay", metavar="PLACE", help="what was seen, drawn: a video, an image, or a folder for several inputs")
    add(
        "--timeline",
        default=OVER_TIME["timeline"],
        metavar="FILE",
        help="action units over time, a plot a face: .svg or .html",
    )
    faces = parser.add_argument_group("faces")
    add = faces.add_argument
    add("--confidence", type=float, default=0.75, metavar="P", help="least probability of a new face (default 0.75)")
    add("--max-faces", type=int, metavar="N", help="most faces at a time (default: no limit)")
    add(
        "--smallest-face",
        type=float,
        metavar="PX",
        help="least width of a face (default: longer side / 16 in videos, / 32 in images)",
    )
    add(
        "--search-every",
        type=int,
        default=10,
        metavar="N",
        help="frames between two searches for new faces (default 10)",
    )
    values = parser.add_argument_group("values")
    add = values.add_argument
    add(
        "--smooth",
        type=int,
        default=OVER_TIME["smooth"],
        metavar="N",
        help="median of the last N frames (odd, at most 9999)",
    )
    add(
        "--calibrate",
        type=float,
        default=OVER_TIME["calibrate"],
        metavar="SECONDS",
        help="each face's first seconds are neutral: measure from there",
    )
    add("--sequence", type=float, metavar="FPS", help="the images are the frames of one video")
    add("--threads", type=int, default=1, metavar="N", help="threads of the network, at most 64 (default 1)")
    return parser.parse_args(argv)
