"""Overlays and timelines: where they go, what is drawn, and that files are whole."""

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.detect import Detector
from pipeline.detect.detector import Face
from pipeline.detect.outputs import LineFile
from pipeline.detect.picture import FACE_COLOURS, Picture, draw_panel, draw_text
from pipeline.detect.timeline import BINS, MAX_FACES, FaceHistory, Histories, keep_longest
from pipeline.detect.video_writer import VideoWriter
from pipeline.errors import RunFailed, UserError
from pipeline.faces.image_files import read_image
from tests.detect.detect_samples import MODEL, detect, read_video, scene, write_image, write_video
from tests.faces.portrait import PORTRAIT, PORTRAIT_FILE
from tests.processes import full_disk
from tests.reports.html_check import HtmlCheck

THRESHOLDS = {"AU1": 0.5, "AU12": 0.5}


def face(number: int, box: tuple[float, ...], smile: float = 0.9, success: bool = True) -> Face:
    x, y, width, height = box
    eyes = ((x + 0.3 * width, y + 0.3 * height), (x + 0.7 * width, y + 0.3 * height))
    probabilities = {"AU1": 0.1, "AU12": smile} if success else {}
    present = {name: value >= 0.5 for name, value in probabilities.items()}
    return Face(number, box, 0.9, success, eyes, probabilities, present)


def count(picture: np.ndarray, colour: tuple[int, ...]) -> int:
    return int((picture == np.array(colour, np.uint8)).all(axis=2).sum())


def test_bars_grow_with_probability_and_show_presence():
    image = np.full((480, 640, 3), 90, np.uint8)
    box = (100.0, 100.0, 150.0, 150.0)
    areas = [count(Picture(THRESHOLDS).draw(image, [face(0, box, p)]), FACE_COLOURS[0]) for p in (0.2, 0.6, 1.0)]
    assert areas[0] < areas[1] < areas[2]
    assert (image == 90).all()


@pytest.mark.parametrize("boxes", [
    [], [(0, 0, 640, 480)], [(-200, -100, 300, 300)], [(600, 440, 100, 100)], [(10, 10, 3, 3)],
    [(60 * (i % 8), 60 * (i // 8), 50, 50) for i in range(40)],
])  # fmt: skip
def test_anything_can_be_drawn(boxes: list[tuple]):
    image = np.full((480, 640, 3), 90, np.uint8)
    faces = [face(number, box, success=number % 7 != 3) for number, box in enumerate(boxes)]
    picture = Picture(THRESHOLDS).draw(image, faces)
    assert picture.shape == image.shape and picture.dtype == np.uint8
    assert (picture != image).any() == bool(boxes)


@pytest.mark.parametrize(("shape", "scale"), [((1, 1), 640), ((240, 240), 3), ((480, 640), 1), ((2000, 10), 1)])
def test_small_images_are_enlarged(shape: tuple[int, int], scale: int):
    picture = Picture(THRESHOLDS).draw(np.zeros((*shape, 3), np.uint8), [face(0, (0, 0, shape[1], shape[0]))])
    assert picture.shape == (shape[0] * scale, shape[1] * scale, 3)


def test_a_panel_beside_a_face_leaves_it_free():
    image = np.full((480, 640, 3), 90, np.uint8)
    picture = Picture(THRESHOLDS).draw(image, [face(0, (20.0, 60.0, 200.0, 200.0))])
    inside = picture[100:240, 60:180].reshape(-1, 3)
    assert (inside == 90).mean() > 0.98  # but for the eyes


def test_drawing_is_clipped_at_the_border():
    image = np.zeros((20, 20, 3), np.uint8)
    draw_text(image, "AU12", -5, 30, 16, (255, 255, 255))
    draw_panel(image, (15, 15, 50, 50), 4, (255, 0, 0), 1.0)
    draw_panel(image, (30, 30, 5, 5), 4, (255, 0, 0), 1.0)
    assert image[19, 19].tolist() == [255, 0, 0] and image[0, 0].tolist() == [0, 0, 0]


def test_one_image(tmp_path: Path):
    assert detect(PORTRAIT_FILE, "--overlay", tmp_path / "seen.png") == 0
    seen = read_image(tmp_path / "seen.png")
    assert seen.shape == (720, 720, 3)
    (found,) = Detector(MODEL).image(PORTRAIT)
    np.testing.assert_array_equal(seen, Picture(Detector(MODEL).thresholds).draw(PORTRAIT, [found]))


@pytest.mark.parametrize("ending", ["mp4", "avi", "webm", "mkv"])
def test_one_video(tmp_path: Path, ending: str):
    clip = write_video(tmp_path / "clip.avi", [scene((80 + step, 31), height=301, width=643) for step in range(12)])
    assert detect(clip, "--overlay", tmp_path / f"seen.{ending}") == 0
    frames = read_video(tmp_path / f"seen.{ending}")
    assert len(frames) == 12 and frames[0].shape == (300, 642, 3)


def test_a_folder_for_many(tmp_path: Path):
    for name in ("a/face.png", "b/face.png", "b/c/face.bmp", "b/none.tif"):
        write_image(tmp_path / "in" / name, PORTRAIT)
    write_video(tmp_path / "in" / "clip.avi", [scene((80, 30))] * 3)
    inputs = (tmp_path / "in", tmp_path / "in/a/face.png", tmp_path / "in/b/face.png")
    assert detect(*inputs, "--overlay", tmp_path / "out") == 0
    found = sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.*"))
    assert found == ["a/face.png", "b/c/face.bmp", "b/face.png", "b/none.jpg", "clip.mp4", "face-2.png", "face.png"]
    assert len(read_video(tmp_path / "out" / "clip.mp4")) == 3


def test_a_sequence_becomes_a_video(tmp_path: Path):
    for step in range(5):
        write_image(tmp_path / "in" / f"{step}.png", scene((80, 30)))
    outputs = ("--overlay", tmp_path / "seen.avi", "--timeline", tmp_path / "t.html")
    assert detect(tmp_path / "in", "--sequence", 5, *outputs) == 0
    assert len(read_video(tmp_path / "seen.avi")) == 5
    page = HtmlCheck((tmp_path / "t.html").read_text())
    assert not page.problems and {"AU12", "images, face 0"} <= set(page.text)


@pytest.mark.parametrize("ending", ["avi", "mp4", "webm"])
def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path, ending: str):
    rng = np.random.default_rng(1)
    writer = VideoWriter(tmp_path / f"o.{ending}", (240, 320), 10.0)
    with full_disk(60_000), pytest.raises(RunFailed, match=f"o.{ending}"):
        for step in range(100):
            writer.write(rng.integers(0, 256, (240, 320, 3), dtype=np.uint8), step / 10)
        writer.close()
    with full_disk(60_000), pytest.raises(RunFailed, match=f"o.{ending}"):
        writer.close()
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_ends_the_command(tmp_path: Path, capfd: pytest.CaptureFixture):
    rng = np.random.default_rng(2)
    clip = write_video(tmp_path / "clip.avi", [rng.integers(0, 256, (240, 320, 3), dtype=np.uint8) for _ in range(40)])
    with full_disk(60_000):
        assert detect(clip, "--overlay", tmp_path / "o.mp4") == 1
    assert "o.mp4" in capfd.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.avi"]


def test_a_place_that_cannot_be_written_to(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="file"):
        VideoWriter(tmp_path / "file" / "o.avi", (64, 64), 10.0)
    assert detect(PORTRAIT_FILE, "--overlay", tmp_path / "file" / "o.png") == 2
    assert detect(PORTRAIT_FILE, "--overlay", "/proc/nothing/o.png") == 2


def test_lines_are_whole_when_the_disk_is_full(tmp_path: Path):
    path = tmp_path / "rows.csv"
    lines = LineFile(str(path))
    with full_disk(25), pytest.raises(RunFailed, match=r"rows\.csv"):
        for _ in range(9):
            lines.write("123456789")
    assert path.read_text() == "123456789\n" * 2


def test_history_keeps_sums_while_bins_are_merged():
    history, rng = FaceHistory(2), np.random.default_rng(2)
    times = np.sort(rng.uniform(0, 500, 3000))
    values = rng.uniform(size=(3000, 2))
    for time, value in zip(times, values, strict=True):
        history.add(time, value, value > 0.5)
    assert history.width == 0.02 * 2**5 and history.frames.shape == (BINS,)
    places = (times / history.width).astype(int)
    np.testing.assert_array_equal(history.frames, np.bincount(places, minlength=BINS))
    np.testing.assert_allclose(history.probabilities[:, 1], np.bincount(places, values[:, 1], BINS))
    np.testing.assert_allclose(history.present_share(), (values > 0.5).mean(axis=0))


def test_only_the_faces_seen_longest_are_kept():
    histories = Histories(1)
    for number in range(200):
        for step in range(30 if number in (3, 77) else 1):
            histories.add(number, step / 10, [0.5], [True])
    assert len(histories.faces) <= 2 * MAX_FACES and {3, 77} <= set(histories.faces)
    keep_longest([histories])
    assert len(histories.faces) == MAX_FACES


def test_timeline_of_two_faces_one_of_which_goes_away(tmp_path: Path):
    frames = [scene((20, 30), (350, 30), width=640)] * 10 + [scene((20, 30), width=640)] * 10
    clip = write_video(tmp_path / "clip.avi", frames)
    assert detect(clip, "--timeline", tmp_path / "t.svg") == 0
    root = ElementTree.parse(tmp_path / "t.svg").getroot()
    words = ["".join(node.itertext()) for node in root.iter("{http://www.w3.org/2000/svg}text")]
    titles = [word for word in words if word.startswith("clip.avi, face ")]
    assert titles == ["clip.avi, face 0", "clip.avi, face 1"]
    assert sorted(int(word.split()[0]) for word in words if " frames. " in word) == [10, 20]
    curves = [node for node in root.iter("{http://www.w3.org/2000/svg}path") if node.get("class") == "curve"]
    assert len(curves) == 2 * 12


def test_timeline_without_a_face(tmp_path: Path):
    clip = write_video(tmp_path / "clip.avi", [scene()] * 3)
    assert detect(clip, "--timeline", tmp_path / "t.svg") == 0
    assert "No face" in (tmp_path / "t.svg").read_text()


def test_the_font_is_there():
    image = np.zeros((40, 200, 3), np.uint8)
    draw_text(image, "AU12", 5, 30, 20, (255, 255, 255))
    assert 100 < cv2.countNonZero(image[..., 0]) < 2000
