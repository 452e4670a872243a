"""The rendering processes: they need nothing of the user's script, and end when they are killed or their parent is."""

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.data.bp4d.layout import IMAGE_FOLDERS
from pipeline.data.synthetic_faces import writer
from pipeline.data.synthetic_faces.sequences import RenderSettings, all_sequences
from pipeline.data.synthetic_faces.workers import render_all
from pipeline.errors import UserError
from tests.processes import ROOT, imported, python, wait_until
from tests.test_imports import HEAVY

SMALL = RenderSettings(subjects=1, frames=1, render_size=48, render_seed=0)
SCRIPT = """
import sys
from pathlib import Path
from pipeline.data.synthetic_faces.sequences import RenderSettings
from pipeline.data.synthetic_faces.writer import write_faces

print("once")
write_faces(Path(sys.argv[1]), RenderSettings(1, 1, 48, 0), workers=2)
"""

SEQUENCE = """
import sys
from pathlib import Path
import numpy as np
from pipeline.data.synthetic_faces.sequences import RenderSettings, Sequence
from pipeline.data.synthetic_faces.workers import render_sequence

sequence = Sequence("F001", "T1", np.array([7]), np.zeros((1, 12)))
render_sequence(Path(sys.argv[1]), RenderSettings(1, 1, 48, 0), sequence)
"""


def test_a_script_without_a_main_guard_renders_and_imports_no_tensorflow(tmp_path: Path):
    """Neither here nor in the processes, which inherit `-X importtime`."""
    (tmp_path / "script.py").write_text(SCRIPT)
    done = python("-X", "importtime", "script.py", "faces", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["once"]
    assert (tmp_path / "faces" / writer.COMPLETE).exists() and len(list(tmp_path.rglob("*.jpg"))) == 8
    assert done.stderr.count(" numba.core.decorators\n") == 2 and not imported(done.stderr) & HEAVY


def test_rendering_a_sequence_imports_little(tmp_path: Path):
    done = python("-X", "importtime", "-c", SEQUENCE, tmp_path)
    assert len(list(tmp_path.rglob("*.jpg"))) == 1, done.stderr
    assert "numba" in imported(done.stderr) and not imported(done.stderr) & HEAVY
    assert "scipy.stats" not in done.stderr and "scipy.ndimage" not in done.stderr


def test_an_error_in_a_process_is_reported(tmp_path: Path):
    (tmp_path / "Sequences(2D+3D)").write_text("")
    with pytest.raises(UserError, match=r"Not a directory|File exists"):
        list(render_all(tmp_path, SMALL, all_sequences(SMALL), 2))


def test_processes_end_when_their_results_are_no_longer_read(tmp_path: Path):
    before = set(multiprocessing.active_children())
    rendered = render_all(tmp_path, replace(SMALL, frames=200), all_sequences(replace(SMALL, frames=200))[:3], 2)
    next(rendered)
    assert set(multiprocessing.active_children()) - before
    rendered.close()
    assert not set(multiprocessing.active_children()) - before


@pytest.fixture
def rendering(tmp_path: Path) -> Iterator[subprocess.Popen]:
    """A command that renders for longer than the test takes; its first image is done."""
    command = [sys.executable, "-m", "pipeline.data.synthetic_faces", "--write", str(tmp_path), "--subjects", "3"]
    process = subprocess.Popen(
        [*command, "--frames", "200"], cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        images = tmp_path / IMAGE_FOLDERS[0]  # not all of tmp_path: the labels' folder is renamed once it is full
        wait_until(lambda: any(images.glob("*/*/*.jpg")), process)
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def workers(process: subprocess.Popen) -> list[int]:
    """The numbers of the rendering processes that it has started."""
    children = [
        int(pid)
        for task in Path(f"/proc/{process.pid}/task").iterdir()
        for pid in (task / "children").read_text().split()
    ]
    return [pid for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_dead_process_is_noticed(rendering: subprocess.Popen):
    first, *others = workers(rendering)
    os.kill(first, signal.SIGKILL)
    said = rendering.communicate(timeout=120)[1]
    assert rendering.returncode == 1
    assert "was killed" in said and "run the same command again: it resumes" in said and "Traceback" not in said
    wait_until(lambda: not any(map(runs, others)))


def test_ctrl_c_ends_all_processes(rendering: subprocess.Popen):
    started = workers(rendering)
    os.killpg(rendering.pid, signal.SIGINT)
    said = rendering.communicate(timeout=120)[1]
    assert rendering.returncode == 130
    assert said.endswith("stopped; the same command resumes\n") and "Traceback" not in said
    wait_until(lambda: not any(map(runs, started)))


def test_the_processes_end_when_their_parent_is_killed(rendering: subprocess.Popen):
    started = workers(rendering)
    assert started and all(map(runs, started))
    rendering.kill()
    wait_until(lambda: not any(map(runs, started)))
