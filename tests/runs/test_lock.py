"""One holder at a time, who is named; waiting ends when the holder does, even by kill -9."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.runs.lock import Held, locked

ROOT = Path(__file__).parents[2]
HOLD = """
import sys
from pathlib import Path
from pipeline.runs.lock import locked
with locked(Path(sys.argv[1]), wait=False):
    print("held", flush=True)
    sys.stdin.read()
"""
WAIT = """
import sys
from pathlib import Path
from pipeline.runs.lock import locked
print("waiting", flush=True)
with locked(Path(sys.argv[1]), wait=True):
    print("held", flush=True)
"""


def process(code: str, path: Path) -> subprocess.Popen:
    """A process that runs `code` with `path`, and has said its first line."""
    pipe = subprocess.PIPE
    started = subprocess.Popen([sys.executable, "-c", code, path], cwd=ROOT, stdin=pipe, stdout=pipe, text=True)
    assert started.stdout.readline()
    return started


def test_the_holder_is_named_and_waited_for_until_it_is_killed(tmp_path: Path):
    path = tmp_path / "folder" / ".lock"
    holder = process(HOLD, path)
    with pytest.raises(Held) as caught, locked(path, wait=False):
        pass
    assert caught.value.owner == str(holder.pid)
    waiting = process(WAIT, path)
    with pytest.raises(subprocess.TimeoutExpired):
        waiting.wait(timeout=0.5)
    holder.kill()
    holder.communicate()
    assert waiting.communicate(timeout=60)[0] == "held\n"
    with locked(path, wait=False):
        assert path.read_text() == f"{os.getpid()}\n"


def test_an_error_in_the_block_releases_the_lock(tmp_path: Path):
    with pytest.raises(ZeroDivisionError), locked(tmp_path / ".lock", wait=False):
        raise ZeroDivisionError
    with locked(tmp_path / ".lock", wait=False), pytest.raises(Held), locked(tmp_path / ".lock", wait=False):
        pass
