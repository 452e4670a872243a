"""The child processes of a study: each with a log and a process group of its own, none outlives its parent.

Chief and workers are children of the study (supervisor.py), runs are children of a worker (cell_run.py).
"""

import argparse
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from pipeline.cli import leave
from pipeline.errors import RunFailed, UserError
from pipeline.runs.files import clear_disk_errors
from pipeline.runs.stopping import Stopped
from pipeline.study.config import Study, load_study
from pipeline.study.manifest import check_joining

TETHER = Path(__file__).with_name("tether.py")
THREADS = ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS")
TAIL_LINES, TAIL_BYTES = 12, 65536
AGAIN = "--again"
CRASHED = 70  # EX_SOFTWARE of sysexits.h: a bug, or a machine in trouble; 1 and 2 mean that another start is no use


def python_module(module: str, *arguments: object) -> list[str]:
    """The command that runs a module in this interpreter."""
    return [sys.executable, "-m", module, *map(str, arguments)]


def start(command: Sequence[str], log: Path, environment: Mapping[str, str], append: bool = False) -> subprocess.Popen:
    """Start `command` with its output in `log`; on Linux it gets SIGTERM when the calling thread ends, however it ends.

    Raises RunFailed if the disk is full.
    """
    if sys.platform == "linux":
        command = [sys.executable, "-I", "-S", str(TETHER), str(os.getpid()), *command]
    with clear_disk_errors(log):
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab" if append else "wb") as file:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environment},
                process_group=0,  # the terminal's Ctrl-C reaches the study alone, which passes it on once
            )


def kill(process: subprocess.Popen) -> None:
    """End a child and what is left of its group at once."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def tail(log: Path, lines: int = TAIL_LINES) -> str:
    """The last lines of a log that are not empty."""
    if not log.exists():
        return ""
    with log.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
        text = file.read().decode("utf-8", errors="replace")
    return "\n".join([line for line in text.splitlines() if line.strip()][-lines:])


def message_after(log: Path, prefix: str) -> str:
    """What follows the last line of a log that begins with `prefix`, such as `error: `; without one, the log's end."""
    _, found, message = f"\n{tail(log, lines=1000)}".rpartition(f"\n{prefix}")
    return message if found else tail(log)


def with_threads(count: int) -> dict[str, str]:
    """Environment of a process that computes with `count` threads."""
    return dict.fromkeys(THREADS, str(count))


def member_command(module: str, study: Study, folder: Path) -> list[str]:
    """The command of a member of the study in `folder`, whose `module` calls `run_member`."""
    return python_module(module, "--config", study.path, "--folder", folder)


def run_member(module: str, action: Callable[[Study, Path, bool], None]) -> NoReturn:
    """The main function of chief and worker: ends with the exit code of the commands, or 70 after a bug.

    `action` gets the study, its folder, and whether this process replaces one that died while the study runs.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description="Started by python -m pipeline.study.")
    parser.add_argument("--config", required=True, metavar="FILE", help="the study")
    parser.add_argument("--folder", required=True, type=Path, metavar="DIR", help="the folder of the study")
    parser.add_argument(AGAIN, action="store_true", help="the process before this one died")
    arguments, code = parser.parse_args(), 0
    try:
        study = load_study(arguments.config)
        check_joining(study, arguments.folder)
        action(study, arguments.folder, arguments.again)
    except UserError as error:
        code = 2
        print(f"error: {error}", file=sys.stderr)
    except RunFailed as error:
        code = 1
        print(f"failed: {error}", file=sys.stderr)
    except Stopped as stopped:
        code = 128 + stopped.signum
    except Exception:
        code = CRASHED
        traceback.print_exc()
    leave(code)
