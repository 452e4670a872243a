"""File names that are not UTF-8, which the system allows, and invalid lists; in processes, since native code may crash."""

import json
import os
import shutil
from pathlib import Path

import pytest

from tests.detect.detect_samples import run, scene, write_video
from tests.faces.portrait import PORTRAIT_FILE


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with an image and a video whose names are not UTF-8; skips where the system refuses them."""
    write_video(tmp_path / "v.avi", [scene((80, 30))] * 2)
    try:
        os.rename(tmp_path / "v.avi", os.fsencode(tmp_path) + b"/v\xff.avi")
    except OSError:
        pytest.skip("this file system takes only UTF-8")
    shutil.copy(PORTRAIT_FILE, os.fsencode(tmp_path) + b"/bad\xff.jpg")
    return tmp_path


def test_rows_keep_the_bytes_of_an_image_name(place: Path):
    done = run(place, b"bad\xff.jpg", "--csv", "-", "--jsonl", "o.jsonl", "--overlay", b"seen\xff/")
    assert done.returncode == 0 and done.stdout.splitlines()[1].startswith(b"bad\xff.jpg,1,0,")
    assert os.fsencode(json.loads((place / "o.jsonl").read_text())["image"]) == b"bad\xff.jpg"
    assert b"bad\xff.jpg" in os.listdir(os.fsencode(place) + b"/seen\xff")


def test_a_video_with_such_a_name_cannot_be_read(place: Path):
    done = run(place, b"v\xff.avi", "--csv", "o.csv")
    assert done.returncode == 2 and b"UTF-8. Rename it" in done.stderr and not (place / "o.csv").exists()
    done = run(place, ".")
    assert done.returncode == 1 and b"warning:" in done.stderr and len(done.stdout.splitlines()) == 3


@pytest.mark.parametrize("overlay", [b"o\xff.mp4", b"o\xff/"])
def test_a_video_cannot_be_written_to_such_a_name(place: Path, overlay: bytes):
    write_video(place / "clip.avi", [scene((80, 30))] * 2)
    done = run(place, "clip.avi", "--overlay", overlay, "--csv", "o.csv")
    assert done.returncode == 2 and b"not UTF-8" in done.stderr and not (place / "o.csv").exists()


def test_a_list_with_zero_bytes(place: Path):
    done = run(place, "-", input=b"a.jpg\0b.jpg\0")
    assert done.returncode == 2 and b"without -print0" in done.stderr and not done.stdout


def test_a_listed_name_that_is_too_long(place: Path):
    done = run(place, "-", input=b"x" * 5000 + b".avi\n" + b"x" * 5000 + b".jpg\n")
    assert done.returncode == 1 and done.stderr.count(b"warning:") == 2 and b"Traceback" not in done.stderr
