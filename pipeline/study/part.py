"""What chief and worker share: their arguments, the check that code and study are those of the start, how they end."""

import argparse
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from pipeline.command_line import exit_code, leave
from pipeline.errors import UserError
from pipeline.stopping import StopFlag
from pipeline.study.config import Study, load_study
from pipeline.study.identity import check_code
from pipeline.study.state import State

CRASHED = 70  # EX_SOFTWARE of sysexits.h: a bug, or a machine in trouble; 1 and 2 mean that another start is no use


@dataclass(frozen=True)
class Part:
    """A process's part in a study; `again`: it replaces one that died while the study runs."""

    study: Study
    folder: Path
    state: State
    again: bool


def arguments_of(study_path: Path, folder: Path, digest: str) -> list[str]:
    """The arguments that `run_part` takes."""
    return ["--config", str(study_path), "--folder", str(folder), "--digest", digest]


def run_part(module: str, action: Callable[[Part, StopFlag], None]) -> NoReturn:
    """Leave the process with the exit code of `action`, 70 after an error without a message of its own."""
    leave(_exit_code(module, action))


def _exit_code(module: str, action: Callable[[Part, StopFlag], None]) -> int:
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description="Started by python -m pipeline.study.")
    parser.add_argument("--config", required=True, metavar="FILE", help="the study")
    parser.add_argument("--folder", required=True, type=Path, metavar="DIR", help="the folder of the study")
    parser.add_argument("--digest", required=True, help="of the study at its start")
    parser.add_argument("--again", action="store_true", help="the process before this one died")
    arguments = parser.parse_args()
    try:
        return exit_code(lambda stop: action(_part(arguments), stop), "python -m pipeline.study ...")
    except Exception:
        traceback.print_exc()
        return CRASHED


def _part(arguments: argparse.Namespace) -> Part:
    study = load_study(arguments.config)
    if study.digest != arguments.digest:
        raise UserError(f"{arguments.config}: changed since the study was started. Start it again")
    check_code(arguments.folder)
    return Part(study, arguments.folder, State(arguments.folder, study.digest), arguments.again)
