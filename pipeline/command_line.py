"""How every command ends: the exit code, and on stderr what was wrong or how to go on."""

import os
import shlex
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from pipeline.errors import RunFailed, UserError
from pipeline.stopping import StopFlag, Stopped


def retry_command(module: str, argv: Sequence[str] | None) -> str:
    """The command itself, as it can be typed again; `argv` None: that of this process."""
    return shlex.join(["python", "-m", module, *(sys.argv[1:] if argv is None else argv)])


def exit_code(action: Callable[[StopFlag], None], command: str) -> int:
    """The exit code of `action`: 0 done, 1 failed, 2 the user's input is wrong, 130 or 143 stopped and resumable."""
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
        print(f"{stopped}. The same command goes on from here:\n  {command}", file=sys.stderr)
        return 128 + stopped.signum
    except KeyboardInterrupt:  # a second Ctrl-C, while the first one's work was still going on
        print(f"ended at once. The same command goes on from the last checkpoint:\n  {command}", file=sys.stderr)
        return 130
    return 0


def leave(code: int) -> NoReturn:
    """End the process at once with this exit code: TensorFlow takes seconds to clear up what ends with it anyway."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
