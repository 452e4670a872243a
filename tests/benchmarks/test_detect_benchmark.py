"""benchmarks/detect.py runs and knows where its faces are; what it measures is never asserted."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import detect, small_faces
from benchmarks.samples import following
from benchmarks.samples.moving_face import RATE, moving, placed, write_moving
from pipeline.detect import Detector
from tests.detect.detect_samples import MODEL, read_video


@pytest.mark.parametrize(("width", "degrees"), [(60, 0), (150, 30), (300, -45)])
def test_eyes_are_where_the_scene_says(width: float, degrees: float):
    image, eyes = placed((480, 640), (320, 240), width, degrees)
    (face,) = Detector(MODEL).image(image)
    np.testing.assert_allclose(face.landmarks, eyes, atol=0.04 * width)
    assert face.box[2] == pytest.approx(width, rel=0.1)


def test_the_face_moves_but_frames_are_the_same_each_time():
    first, again = list(moving(3)), list(moving(3))
    for (image, eyes), (same, same_eyes) in zip(first, again, strict=True):
        np.testing.assert_array_equal(image, same)
        np.testing.assert_array_equal(eyes, same_eyes)
    assert np.abs(first[2][1] - first[0][1]).max() > 0.5


def test_stages_on_a_short_video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    video = write_moving(tmp_path / "clip.mp4", 8, repeats=2)
    assert len(read_video(video)) == 16 and RATE == 25
    speed = detect.end_to_end(video, 16, "--csv", str(tmp_path / "o.csv"))
    assert set(speed) == {"fps", "fps_by_processor_time"} and len((tmp_path / "o.csv").read_text().splitlines()) == 17
    monkeypatch.setattr(detect, "WARM_FRAMES", 5)
    memory = detect.memory(write_moving(tmp_path / "long.mp4", 8, repeats=8), tmp_path)
    assert memory["frames"] == 64 and memory["peak_mb"] >= memory["end_mb"] > 10
    (seconds,) = detect.start_seconds(video, runs=1)
    assert seconds > 0
    assert set(detect.network_ms(runs=3)) == {"float32", "int4", "int8", "crop"}


def test_followers_are_compared(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(following, "FRAMES", 6)
    found = following.compare_followers()
    assert set(found) == {"blazeface", "optical_flow"}
    assert all(0 < row["mean_error"] < 0.2 and row["jitter"] > 0 for row in found.values())


def test_a_table_row():
    image, eyes = placed((480, 640), (320, 240), 150)
    row = detect._found(Detector(MODEL), "here", image, eyes)
    assert (row["faces"], row["success"]) == (1, 1) and row["eye_error"] < 0.1
    row = detect._found(Detector(MODEL), "nothing", 0 * image, eyes)
    assert (row["faces"], row["box"], row["eye_error"]) == (0, None, None)


def test_small_faces_are_placed_and_looked_for():
    assert small_faces.share_found(150, True, 2) in (0.0, 0.5, 1.0)
    assert 0 <= small_faces.gallery(True) <= 25
