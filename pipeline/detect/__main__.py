"""`python -m pipeline.detect`: exit codes, and silence from native libraries."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from pipeline.cli import stderr_to
from pipeline.detect.arguments import parse_arguments
from pipeline.errors import RunFailed, UserError
from pipeline.runs.stopping import StopFlag, Stopped


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code: 0 done, 1 not everything could be read or written, 2 invalid input, 128 + signal if stopped."""
    arguments = parse_arguments(argv)
    with stderr_to(Path(os.devnull)) as terminal:
        try:
            with StopFlag() as stop:
                from pipeline.detect.command import detect  # loads OpenCV and LiteRT

                detect(arguments, terminal, stop)
        except UserError as error:
            print(f"error: {error}", file=terminal)
            return 2
        except RunFailed as error:
            print(f"failed: {error}", file=terminal)
            return 1
        except Stopped as stopped:
            print(f"{stopped}; everything written so far is valid", file=terminal)
            return 128 + stopped.signum
        except BrokenPipeError:  # the reader of the pipe has closed it
            return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
