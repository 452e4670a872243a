"""Who may write to an output: one process at a time; what is no file takes rows from anybody."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from pipeline.detect.outputs import LineFile
from pipeline.errors import UserError
from tests.detect.detect_samples import ENVIRONMENT, detect
from tests.faces.portrait import PORTRAIT_FILE
from tests.processes import wait_until

HOLD = "import sys, time; from pipeline.detect.outputs import LineFile; LineFile(sys.argv[1]).write('theirs'); time.sleep(600)"


@pytest.fixture
def busy(tmp_path: Path):
    """(a file that another process is writing to, that process)."""
    path = tmp_path / "rows.csv"
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], env=ENVIRONMENT)
    wait_until(lambda: path.is_file() and path.read_text() == "theirs\n", process)
    yield path, process
    process.kill()
    process.wait()


@pytest.mark.parametrize("option", ["--csv", "--jsonl"])
def test_the_second_of_two_commands_is_refused(busy, option: str, capfd: pytest.CaptureFixture):
    path, _ = busy
    assert detect(PORTRAIT_FILE, option, path) == 2
    assert f"{path}: another process is writing to it" in capfd.readouterr().err
    assert path.read_text() == "theirs\n"


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_another_name_of_the_file_is_refused_too(busy, link, tmp_path: Path):
    path, _ = busy
    link(path, tmp_path / "other.csv")
    with pytest.raises(UserError, match="another process"):
        LineFile(str(tmp_path / "other.csv"))


def test_a_killed_writer_leaves_no_lock(busy):
    path, process = busy
    process.send_signal(signal.SIGKILL)
    process.wait()
    LineFile(str(path)).write("ours")
    assert path.read_text() == "ours\n"


def test_a_closed_file_is_free_again_and_an_earlier_one_is_replaced(tmp_path: Path):
    path = tmp_path / "rows.csv"
    path.write_text("a long line of an earlier run\n")
    for text in ("one", "two"):
        rows = LineFile(str(path))
        rows.write(text)
        rows.close()
        assert path.read_text() == f"{text}\n"


def test_what_is_no_file_is_not_locked(tmp_path: Path):
    both = [LineFile("/dev/null"), LineFile("/dev/null")]
    for rows in both:
        rows.write("x")
        rows.close()
    pipe, read = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    both = [LineFile(str(pipe)), LineFile(str(pipe))]
    for rows in both:
        rows.write("x")
    for rows in both:
        rows.close()
    reader.join(timeout=30)
    assert read == ["x\nx\n"]
