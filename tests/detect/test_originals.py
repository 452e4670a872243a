"""No output takes the place of an input or of a file of the model, whatever name it is given."""

import os
import shutil
from pathlib import Path

import pytest

from pipeline.detect.__main__ import main
from tests.detect.detect_samples import MODEL, run, scene, write_image, write_video
from tests.faces.portrait import PORTRAIT

FILES = ("clips/a.mp4", "pics/a.jpg", "more/a.jpg", "more/a-2.jpg", "model/model.json", "model/MODEL_CARD.md")
DIRECT = {
    "pattern": ["clips/*.mp4", "--overlay", "clips/a.mp4"],
    "folder": ["clips", "--overlay", "clips/a.mp4"],
    "rows": ["pics", "--csv", "pics/a.jpg"],
    "lines": ["pics", "--jsonl", "pics/a.jpg"],
    "symbolic link": ["clips", "--overlay", "link.mp4"],
    "hard link": ["pics", "--csv", "hard.jpg"],
    "folder of another's number": ["pics/a.jpg", "pics/a.jpg", "more", "--overlay", "more/"],
    "the folder itself": ["pics", "--overlay", "pics"],
    "the folder by another path": ["more/a.jpg", "pics/a.jpg", "--overlay", "pics/../pics/"],
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
    rows = [] if {"--csv", "--jsonl"} & {*DIRECT[case]} else ["--csv", "rows.csv"]
    assert main(["--model", "model", *DIRECT[case], *rows]) == 2
    assert "would overwrite" in capfd.readouterr().err
    assert contents(place) == before


@pytest.mark.parametrize("arguments", [("--overlay", "pics"), ("--csv", "pics/a.jpg"), ("--csv", "model/model.json")])
def test_a_list_on_stdin(place: Path, arguments: tuple[str, ...]):
    before = contents(place)
    done = run(place, "-", "--model", "model", *arguments, input=b"pics/a.jpg\n")
    assert done.returncode == 2 and b"would overwrite" in done.stderr and b"Traceback" not in done.stderr
    assert contents(place) == before


def test_a_list_whose_second_name_would_be_overwritten(place: Path):
    before = contents(place)
    done = run(place, "-", "--overlay", "pics", input=b"clips/a.mp4\npics/a.jpg\n")
    assert done.returncode == 2 and b"pics/a.jpg: would overwrite an input" in done.stderr
    after = contents(place)
    assert {path: after.pop(path) for path in before} == before and set(after) == {place / "pics" / "a.mp4"}


def test_a_list_must_not_name_what_the_run_has_written(place: Path):
    done = run(place, "-", "--overlay", "seen", input=b"pics/a.jpg\nseen/a.jpg\n")
    assert done.returncode == 2 and b"seen/a.jpg: named as an input" in done.stderr
    assert [path.name for path in (place / "seen").iterdir()] == ["a.jpg"]


def test_other_files_beside_originals_may_be_written_again(place: Path):
    for _ in range(2):
        assert main(["--model", "model", "pics", "--csv", "model/rows.csv", "--overlay", "seen/"]) == 0
    assert len((place / "model" / "rows.csv").read_text().splitlines()) == 2
