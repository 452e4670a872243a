"""The rendering processes: they need nothing of the user's script, and end when they are killed or their parent is."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from pipeline.data.synthetic_faces.parallel import _order, render_all
from pipeline.data.synthetic_faces.sequences import RenderSettings, all_sequences
from pipeline.errors import UserError
from tests.test_imports import HEAVY, imported

ROOT = Path(__file__).resolve().parents[1]
SMALL = RenderSettings(subjects=1, frames=1, render_size=48, render_seed=0)
SCRIPT = """
import sys
from pathlib import Path
from pipeline.data.synthetic_faces.sequences import RenderSettings
from pipeline.data.synthetic_faces.writer import write_faces

print("once")
write_faces(Path(sys.argv[1]), RenderSettings(1, 1, 48, 0), workers=2)
"""


def test_a_script_without_a_main_guard_renders(tmp_path: Path):
    (tmp_path / "script.py").write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "script.py", "faces"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["once"]
    assert len(list(tmp_path.rglob("*.jpg"))) == 8


def test_a_rendering_process_is_light(tmp_path: Path):
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "pipeline.data.synthetic_faces.worker"],
        cwd=ROOT,
        input=_order(tmp_path, SMALL, all_sequences(SMALL)[:1]),
        capture_output=True,
        timeout=120,
    )
    assert done.stdout == b"." and done.returncode == 0
    said = done.stderr.decode()
    assert "numba" in imported(said) and not imported(said) & HEAVY
    assert "scipy.stats" not in said and "scipy.ndimage" not in said


def test_what_stops_a_process_is_said(tmp_path: Path):
    (tmp_path / "Sequences(2D+3D)").write_text("")
    with pytest.raises(UserError, match=r"Not a directory|File exists"):
        render_all(tmp_path, SMALL, all_sequences(SMALL), 2, lambda images: None)


@pytest.fixture
def rendering(tmp_path: Path) -> Iterator[subprocess.Popen]:
    """A command that renders for longer than the test takes; its first image is done."""
    command = [sys.executable, "-m", "pipeline.data.synthetic_faces", "--write", str(tmp_path), "--subjects", "3"]
    process = subprocess.Popen(
        [*command, "--frames", "200"], cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        await_(lambda: any(tmp_path.rglob("*.jpg")) or process.poll() is not None)
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def await_(condition: Callable[[], bool]) -> None:
    """Return when it is true; fail after two minutes."""
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def workers(process: subprocess.Popen) -> list[int]:
    """The numbers of the processes that it has started."""
    return [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


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
    assert "ended by signal 9; run the same command again: it resumes" in said and "Traceback" not in said
    await_(lambda: not any(map(runs, others)))


def test_ctrl_c_ends_all_processes(rendering: subprocess.Popen):
    started = workers(rendering)
    os.killpg(rendering.pid, signal.SIGINT)
    said = rendering.communicate(timeout=120)[1]
    assert rendering.returncode == 130
    assert said.endswith("stopped; the same command goes on\n") and "Traceback" not in said
    await_(lambda: not any(map(runs, started)))


def test_the_processes_end_when_their_parent_is_killed(rendering: subprocess.Popen):
    started = workers(rendering)
    assert started and all(map(runs, started))
    rendering.kill()
    await_(lambda: not any(map(runs, started)))
