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


def test_rows_and_overlay_of_a_video_with_such_a_name(place: Path):
    done = run(place, b"v\xff.avi", "--csv", "o.csv", "--overlay", b"o\xff.mp4")
    assert done.returncode == 0 and len((place / "o.csv").read_text().splitlines()) == 3
    assert b"o\xff.mp4" in os.listdir(os.fsencode(place))
    done = run(place, ".", "--overlay", b"seen\xff/")
    assert done.returncode == 0 and sorted(os.listdir(os.fsencode(place) + b"/seen\xff")) == [
        b"bad\xff.jpg",
        b"o\xff.mp4",
        b"v\xff.mp4",
    ]


def test_a_list_with_zero_bytes(place: Path):
    done = run(place, "-", input=b"a.jpg\0b.jpg\0")
    assert done.returncode == 2 and b"without -print0" in done.stderr and not done.stdout


def test_a_listed_name_that_is_too_long(place: Path):
    done = run(place, "-", input=b"x" * 5000 + b".avi\n" + b"x" * 5000 + b".jpg\n")
    assert done.returncode == 1 and done.stderr.count(b"warning:") == 2 and b"Traceback" not in done.stderr
