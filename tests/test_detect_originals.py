"""No output takes the place of an input or of a file of the model, whatever name it is given."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.detect.__main__ import main
from tests.detect_samples import MODEL, PORTRAIT, ROOT, scene, write_image, write_video

FILES = ("clips/a.mp4", "pics/a.jpg", "more/a.jpg", "more/a-2.jpg", "model/model.json", "model/MODEL_CARD.md")
DIRECT = {
    "pattern": ["clips/*.mp4", "--overlay", "clips/a.mp4"],
    "folder": ["clips", "--overlay", "clips/a.mp4"],
    "rows": ["pics", "--csv", "pics/a.jpg"],
    "lines": ["pics", "--jsonl", "pics/a.jpg"],
    "symbolic link": ["clips", "--overlay", "link.mp4"],
    "hard link": ["pics", "--csv", "hard.jpg"],
    "folder of another's number": ["pics/a.jpg", "pics/a.jpg", "more", "--overlay", "more/"],
    "sidecar": ["pics", "--csv", "model/model.json"],
    "network": ["pics", "--csv", "model/model_int8.tflite"],
    "file of the model": ["pics", "--jsonl", "model/MODEL_CARD.md"],
}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: videos, images, a model, and links to them."""
    monkeypatch.chdir(tmp_path)
    for name in FILES[1:4]:
        write_image(tmp_path / name, PORTRAIT)
    (tmp_path / "clips").mkdir()
    write_video(tmp_path / "clips" / "a.mp4", [scene((80, 30))] * 2)
    shutil.copytree(MODEL, tmp_path / "model")
    os.symlink("clips/a.mp4", "link.mp4")
    os.link("pics/a.jpg", "hard.jpg")
    return tmp_path


def contents(place: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}


@pytest.mark.parametrize("case", DIRECT)
def test_an_original_is_never_overwritten(case: str, place: Path, capfd: pytest.CaptureFixture):
    before = contents(place)
    assert main(["--model", "model", *DIRECT[case]]) == 2
    assert "would overwrite" in capfd.readouterr().err
    assert contents(place) == before


def listed(names: str, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "pipeline.detect", "--model", "model", "-", *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, input=names, capture_output=True, text=True, env=environment)


@pytest.mark.parametrize("arguments", [("--overlay", "pics"), ("--csv", "pics/a.jpg"), ("--csv", "model/model.json")])
def test_a_list_on_stdin(place: Path, arguments: tuple[str, ...]):
    before = contents(place)
    done = listed("pics/a.jpg\n", *arguments)
    assert done.returncode == 2 and "would overwrite" in done.stderr and "Traceback" not in done.stderr
    assert contents(place) == before


def test_a_list_whose_second_name_would_be_overwritten(place: Path):
    before = contents(place)
    done = listed("clips/a.mp4\npics/a.jpg\n", "--overlay", "pics")
    assert done.returncode == 2 and "pics/a.jpg: would overwrite an input" in done.stderr
    after = contents(place)
    assert {path: after.pop(path) for path in before} == before and set(after) == {place / "pics" / "a.mp4"}


def test_a_list_must_not_name_what_the_run_has_written(place: Path):
    done = listed("pics/a.jpg\nseen/a.jpg\n", "--overlay", "seen")
    assert done.returncode == 2 and "seen/a.jpg: named as an input, but this run has written it" in done.stderr
    assert [path.name for path in (place / "seen").iterdir()] == ["a.jpg"]


def test_other_files_beside_originals_may_be_written_again(place: Path):
    for _ in range(2):
        assert main(["--model", "model", "pics", "--csv", "model/rows.csv", "--overlay", "seen/"]) == 0
    assert len((place / "model" / "rows.csv").read_text().splitlines()) == 2
