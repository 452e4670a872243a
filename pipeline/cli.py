"""What all commands share: options, exit codes, messages, signals, and redirecting the output of native libraries."""

import argparse
import os
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn, TextIO

from pipeline.errors import RunFailed, UserError
from pipeline.runs.stopping import StopFlag, Stopped


def add_experiment_options(parser: argparse.ArgumentParser, what: str) -> None:
    """Add --config and --set to a command; `what` is the help text of --config."""
    parser.add_argument("--config", required=True, metavar="FILE", help=what)
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="overrides",
        help="override one setting, such as train.epochs=3; may be repeated",
    )


def command_name(module: str) -> str:
    """How the user has started the command of a module: `nibble-run` or `python -m pipeline.run`."""
    short, started = f"nibble-{module.rpartition('.')[2]}", Path(sys.argv[0]).stem
    return short if started == short else f"python -m {module}"


def retry_command(module: str, argv: Sequence[str] | None) -> str:
    """The command line to type again; `argv` None means that of this process."""
    return f"{command_name(module)} {shlex.join(sys.argv[1:] if argv is None else argv)}".rstrip()


def exit_code(action: Callable[[StopFlag], None], command: str) -> int:
    """Run `action`; the exit code: 0 done, 1 failed, 2 invalid input, 130 or 143 stopped and resumable."""
    try:
        with StopFlag() as stop:
            action(stop)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except RunFailed as error:
        print(f"failed: {error}", file=sys.stderr)
        return 1
    except Stopped as stopped:
        print(f"{stopped}. To resume, run the same command again:\n  {command}", file=sys.stderr)
        return 128 + stopped.signum
    except KeyboardInterrupt:  # a second Ctrl-C, before the first one took effect
        print(
            f"interrupted. To resume from the last checkpoint, run the same command again:\n  {command}",
            file=sys.stderr,
        )
        return 130
    return 0


def leave(code: int) -> NoReturn:
    """Exit immediately with this code: TensorFlow's own cleanup takes seconds."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


@contextmanager
def stderr_to(path: Path) -> Iterator[TextIO]:
    """Append everything written to stderr in the block to `path`; yields a stream to the real stderr."""
    sys.stderr.flush()
    saved = os.dup(2)
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 2)
    os.close(log)
    try:
        with os.fdopen(os.dup(saved), "w", encoding="utf-8", errors="replace") as terminal:
            yield terminal
    finally:
        sys.stderr.flush()
        os.dup2(saved, 2)
        os.close(saved)
