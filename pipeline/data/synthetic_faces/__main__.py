"""Render synthetic faces, or a contact sheet of them: python -m pipeline.data.synthetic_faces --help."""

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np

from pipeline.action_units.labels import AU_NUMBERS
from pipeline.data.synthetic_faces.sequences import RenderSettings
from pipeline.data.synthetic_faces.writer import write_faces
from pipeline.errors import RunFailed, UserError
from pipeline.runs.files import write_bytes

LABEL_HEIGHT = 18


def main(arguments: list[str] | None = None) -> int:
    """0 done, 2 the input is wrong, 1 it failed."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.sheet is None and options.write is None:
        parser.error("say what to do: --sheet FILE.png or --write DIR")
    try:
        _run(options)
    except (UserError, RunFailed) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, UserError) else 1
    except KeyboardInterrupt:
        print("stopped; the same command resumes", file=sys.stderr)
        return 130
    return 0


def _run(options: argparse.Namespace) -> None:
    if options.sheet is not None:
        write_sheet(options.sheet, options.identities, options.size, options.seed)
        print(options.sheet)
    if options.write is not None:
        settings = RenderSettings(options.subjects, options.frames, options.size, options.seed)
        write_faces(options.write, settings, sys.stderr)
        print(options.write)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.data.synthetic_faces", description="Rendered faces with known action units."
    )
    parser.add_argument("--sheet", type=_png, metavar="F.png", help="write a contact sheet: identities by action units")
    parser.add_argument("--identities", type=_within(1, 100), default=4, help="rows of the sheet (default %(default)s)")
    parser.add_argument("--write", type=Path, metavar="DIR", help="write a data set in BP4D's layout")
    parser.add_argument(
        "--subjects", type=_within(1, 41), default=41, help="subjects of the data set (default %(default)s)"
    )
    parser.add_argument(
        "--frames",
        type=_within(1, 10_000),
        default=40,
        help="frames of each of a subject's 8 sequences (default %(default)s)",
    )
    parser.add_argument(
        "--size", type=_within(48, 512), default=96, help="side of an image in pixels (default %(default)s)"
    )
    parser.add_argument("--seed", type=_within(0, 2**31 - 1), default=0, help="default %(default)s")
    return parser


def _png(text: str) -> Path:
    if not text.lower().endswith(".png"):
        raise argparse.ArgumentTypeError(f"{text} does not end in .png")
    return Path(text)


def _within(low: int, high: int):
    def integer(text: str) -> int:
        value = int(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{value} is not within {low} to {high}")
        return value

    return integer


def contact_sheet(people: int, size: int, seed: int, full: float = 1.0) -> np.ndarray:
    """The sheet as uint8 (H, W, 3) RGB: a row per person, women and men alternating, and a column per action unit."""
    from pipeline.data.synthetic_faces.person import sample_person
    from pipeline.data.synthetic_faces.render import render
    from pipeline.data.synthetic_faces.scene import still_scene

    rows = [_labels(size)]
    for number in range(people):
        rng = np.random.default_rng((seed, number, 1))
        person, scene = sample_person((seed, number), male=number % 2 == 1), still_scene(rng)
        columns = np.concatenate([np.zeros((1, len(AU_NUMBERS))), full * np.eye(len(AU_NUMBERS))])
        rows.append(np.concatenate([render(person, intensities, scene, size, rng)[0] for intensities in columns], 1))
    return np.concatenate(rows)


def write_sheet(path: Path, people: int, size: int, seed: int) -> None:
    """Write the contact sheet as PNG; raises UserError if the path cannot be written."""
    _, data = cv2.imencode(".png", contact_sheet(people, size, seed)[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 9])
    write_bytes(path, data.tobytes())


def _labels(size: int) -> np.ndarray:
    strip = np.full((LABEL_HEIGHT, size * (len(AU_NUMBERS) + 1), 3), 255, np.uint8)
    style = (cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1, cv2.LINE_AA)
    for column, text in enumerate(["neutral", *(f"AU{number}" for number in AU_NUMBERS)]):
        cv2.putText(strip, text, (column * size + 5, LABEL_HEIGHT - 5), *style)
    return strip


if __name__ == "__main__":
    sys.exit(main())
