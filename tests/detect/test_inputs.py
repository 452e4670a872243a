"""What the names on the command line stand for, and what can be read of it."""

import os
import socket
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.detect.frames import Camera, image_of, open_pictures
from pipeline.detect.inputs import Source, find_inputs, natural
from pipeline.detect.videos import Unreadable, VideoFile
from pipeline.errors import UserError
from tests.detect.detect_samples import RATE, scene, write_image, write_video
from tests.faces.portrait import PORTRAIT


def names(*inputs: object) -> list[tuple[str, str]]:
    return [(source.kind, source.short) for source in find_inputs([str(name) for name in inputs]).sources]


@pytest.mark.parametrize(("files", "inputs", "expected"), [
    (["10.jpg", "2.JPG", "b/clip.mp4", "notes.txt", ".hidden.png", "a/1.png"], ["."],
     [("image", "2.JPG"), ("image", "10.jpg"), ("image", "a/1.png"), ("video", "b/clip.mp4")]),
    (["f10.png", "f9.png", "x.jpg"], ["f*.png", "x.jpg"], [("image", "f9.png"), ("image", "f10.png"), ("image", "x.jpg")]),
    (["0"], ["0"], [("video", "0")]),
    (["a[1].png", "a1.png"], ["a[1].png"], [("image", "a[1].png")]),
], ids=["folder, in the order of numbers", "patterns", "a file named as a camera", "a name like a pattern"])  # fmt: skip
def test_what_names_stand_for(tmp_path: Path, files: list[str], inputs: list[str], expected: list[tuple[str, str]]):
    for path in (tmp_path / name for name in files):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert names(*(tmp_path / name for name in inputs)) == expected


def test_a_number_is_a_camera():
    assert names("0") == [("camera", "camera0")]


def test_a_file_without_an_ending_is_what_it_begins_with(tmp_path: Path):
    (tmp_path / "photo").write_bytes(write_image(tmp_path / "photo.png", PORTRAIT).read_bytes())
    (tmp_path / "film").write_bytes(b"RIFF")
    assert names(tmp_path / "photo", tmp_path / "film") == [("image", "photo"), ("video", "film")]


@pytest.mark.parametrize("wrong", [["none.jpg"], ["*.none"], ["-", "x.jpg"], ["1234"]])
def test_names_without_any_input(wrong: list[str]):
    with pytest.raises(UserError):
        find_inputs(wrong)


def test_an_empty_folder(tmp_path: Path):
    with pytest.raises(UserError, match="no images or videos"):
        find_inputs([str(tmp_path)])


def test_natural_order():
    assert sorted(["b2", "b10", "a", "b", "B1", "10", "9", "²"], key=natural)[:2] == ["9", "10"]
    assert sorted(["f10x2", "f9", "f10x10"], key=natural) == ["f9", "f10x2", "f10x10"]


def test_a_list_is_read_as_it_comes(monkeypatch: pytest.MonkeyPatch):
    read, write = os.pipe()
    saved = os.dup(0)
    try:
        os.dup2(read, 0)
        sources = iter(find_inputs(["-"]).sources)
        os.write(write, b"one.png\n\ntwo fo")
        assert next(sources) == Source("image", "one.png", "one.png")
        os.write(write, b"lds.mp4\nlast.jpg")
        assert next(sources).name == "two folds.mp4"
        os.close(write)
        assert [source.name for source in sources] == ["last.jpg"]
    finally:
        os.dup2(saved, 0)
        os.close(read)


def test_waiting_for_a_list_can_be_stopped():
    class Stop(Exception):
        pass

    calls = []

    def waiting() -> None:
        calls.append(1)
        if len(calls) > 2:
            raise Stop

    read, write = os.pipe()
    saved = os.dup(0)
    try:
        os.dup2(read, 0)
        with pytest.raises(Stop):
            next(iter(find_inputs(["-"], waiting).sources))
    finally:
        os.dup2(saved, 0)
        os.close(read)
        os.close(write)


def video(path: Path) -> VideoFile:
    return open_pictures(Source("video", str(path), path.name))


@pytest.mark.parametrize("ending", ["avi", "mp4", "webm"])
def test_frames_and_their_times(tmp_path: Path, ending: str):
    shown = [scene((step, 0)) for step in range(6)]
    images, times = zip(*video(write_video(tmp_path / f"clip.{ending}", shown)), strict=True)
    np.testing.assert_allclose(times, np.arange(6) / RATE, atol=1e-3)
    assert all(np.abs(one.astype(int) - other).mean() < 8 for one, other in zip(images, shown, strict=True))


@pytest.mark.parametrize("ending", ["avi", "webm"])
def test_a_video_that_was_cut_off_says_so_after_its_frames(tmp_path: Path, ending: str):
    whole = write_video(tmp_path / f"whole.{ending}", [scene((step, 0)) for step in range(40)])
    cut = tmp_path / f"cut.{ending}"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    times = []
    with pytest.raises(Unreadable, match=r"cut off .* \d+ frames were read"):
        times.extend(time for _, time in video(cut))
    np.testing.assert_allclose(times, np.arange(len(times)) / RATE, atol=1e-3)
    assert 10 < len(times) < 39


def without_index(path: Path) -> bytes:
    content = write_video(path, [scene()] * 10).read_bytes()
    return content[: len(content) // 2]


@pytest.mark.parametrize(("name", "content"), [
    ("empty.mp4", b""), ("text.avi", b"no video at all\n" * 100), ("zeros.mp4", bytes(5000)), ("none", b"\0\1\2"),
])  # fmt: skip
def test_files_that_are_no_videos(tmp_path: Path, name: str, content: bytes):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(Unreadable, match=name):
        video(tmp_path / name)


def test_an_mp4_without_its_index_and_a_folder_and_nothing(tmp_path: Path):
    (tmp_path / "half.mp4").write_bytes(without_index(tmp_path / "whole.mp4"))
    for path in (tmp_path / "half.mp4", tmp_path, tmp_path / "none.mp4"):
        with pytest.raises(Unreadable):
            video(path)


def test_an_unknown_codec(tmp_path: Path):
    content = write_video(tmp_path / "known.avi", [scene()] * 3).read_bytes()
    (tmp_path / "unknown.avi").write_bytes(content.replace(b"MJPG", b"ZZZ9"))
    with pytest.raises(Unreadable, match=r"codec|neither"):
        video(tmp_path / "unknown.avi")


def test_a_playlist_opens_no_network_address(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}/1.ts"
        playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{address}\n#EXT-X-ENDLIST\n"
        for name in ("list.m3u8", "list.mp4"):
            (tmp_path / name).write_text(playlist)
            with pytest.raises(Unreadable):
                video(tmp_path / name)
        server.settimeout(0.1)
        with pytest.raises(TimeoutError):
            server.accept()


def test_no_such_camera():
    with pytest.raises(UserError, match="camera 97 cannot be opened"):
        Camera("97")


def test_a_camera_runs_by_the_clock_until_it_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A video stands in for the camera, which test machines do not have."""
    path = write_video(tmp_path / "clip.avi", [scene()] * 4)
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    monkeypatch.setattr("pipeline.detect.frames.cv2.VideoCapture", lambda number: capture)
    camera, times = Camera("0"), []
    assert camera.count is None
    with pytest.raises(Unreadable, match="camera 0: no more frames after 4"):
        times.extend(time for _, time in camera)
    assert len(times) == 4 and times == sorted(times) and times[0] == 0 and times[-1] < 60


def test_images(tmp_path: Path):
    path = write_image(tmp_path / "face.png", PORTRAIT)
    np.testing.assert_array_equal(image_of(Source("image", str(path), ""))[0], PORTRAIT)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(Unreadable, match=r"face\.png: no image"):
        image_of(Source("image", str(path), ""))
