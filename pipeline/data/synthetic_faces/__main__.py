"""Look at the synthetic faces, or write a data set of them: python -m pipeline.data.synthetic_faces --help."""

import argparse
import sys
from pathlib import Path

from pipeline.errors import RunFailed, UserError


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
        print("stopped; the same command goes on", file=sys.stderr)
        return 130
    return 0


def _run(options: argparse.Namespace) -> None:
    if options.sheet is not None:
        from pipeline.data.synthetic_faces.sheet import write_sheet

        write_sheet(options.sheet, options.identities, options.size, options.seed)
        print(options.sheet)
    if options.write is not None:
        from pipeline.data.synthetic_faces.sequences import RenderSettings
        from pipeline.data.synthetic_faces.writer import write_faces

        write_faces(
            options.write, RenderSettings(options.subjects, options.frames, options.size, options.seed), sys.stderr
        )
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


if __name__ == "__main__":
    sys.exit(main())
