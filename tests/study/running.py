"""Real studies for the tests: their commands, and their processes as the system sees them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DEADLINE_SECONDS = 240


def command(folder: Path, *options: str, config: str = "tiny.yaml") -> list[str]:
    """The command that runs the study `config` of `folder` in it."""
    arguments = ["--config", str(folder / config), "--output-dir", str(folder), *options]
    return [sys.executable, "-m", "pipeline.study", *arguments]


def begin(folder: Path, *options: str, environment: dict[str, str] | None = None) -> subprocess.Popen:
    """Start a study; what it says on stderr can be read from the result."""
    return subprocess.Popen(
        command(folder, *options),
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def study(folder: Path, *options: str) -> subprocess.CompletedProcess:
    """Run a study to its end."""
    return subprocess.run(command(folder, *options), cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE_SECONDS)


def processes(module: str, folder: Path) -> list[int]:
    """The living processes that run `module` on `folder`."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (entry / "cmdline").read_bytes().decode().split("\0")
            alive = (entry / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
            if alive and module in words and any(word.startswith(str(folder)) for word in words):
                found.append(int(entry.name))
    return sorted(found)


def everything(folder: Path) -> list[int]:
    """All processes of the studies in a folder."""
    modules = ("pipeline.study", "pipeline.study.chief", "pipeline.study.worker", "pipeline.run")
    return [process for module in modules for process in processes(module, folder)]


def wait_for(condition: Callable[[], object], what: str) -> None:
    """Wait until `condition` holds; fails after a while."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen"
        time.sleep(0.1)


def kill_one(module: str, folder: Path) -> None:
    """kill -9 the first process that runs `module` on `folder`, as soon as there is one."""
    wait_for(lambda: processes(module, folder), f"a process of {module}")
    os.kill(processes(module, folder)[0], signal.SIGKILL)
