"""Media as people have them: headers and endings that lie, times that start again, animations, HEIC, and folders of all sorts.

The files in media/ are made by media/make.sh.
"""

import csv
import os
import shutil
import struct
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from benchmarks.samples.damage import damaged
from pipeline.detect.frames import image_of, open_pictures
from pipeline.detect.inputs import Source, find_inputs
from pipeline.detect.media import kind_of, unread_pictures
from pipeline.detect.video_writer import CODECS, VideoWriter
from pipeline.detect.videos import Clock, Unreadable
from pipeline.errors import RunFailed, UserError
from pipeline.faces.image_files import UnreadableImage, read_image
from tests.detect.detect_samples import detect, scene, write_image
from tests.faces.portrait import PORTRAIT

MEDIA = Path(__file__).parent / "media"
FILES = sorted(path.name for path in MEDIA.iterdir() if path.suffix != ".sh")

# Frames, and the time of the last one: what FFmpeg was told to write.
HEALTHY = {
    "vfr.mkv": (30, 1.8), "vfr.webm": (30, 1.8), "vfr.mp4": (30, 1.8), "cut_copy.mp4": (32, 1.24), "starts_late.ts": (30, 1.16),
    "late_start.mkv": (50, 1.96), "live.webm": (25, 0.96), "fragmented.mp4": (25, 0.96), "rate_1000.wmv": (25, 0.96),
    "wrong_count.avi": (25, 0.96), "two_videos.mp4": (25, 0.96), "turned.mp4": (25, 0.96), "bframes.avi": (25, 0.96),
    "wide.mp4": (25, 0.96), "narrow.mkv": (25, 0.96),
    "raw.h264": (25, 0.96), "raw.mjpeg": (25, 0.96), "joined.ts": (50, 1.96), "joined.mpg": (50, 1.96), "joined.mkv": (50, 1.96),
    "anim.gif": (10, 0.9), "anim.png": (10, 0.9), "anim.webp": (10, 0.9), "moving.avif": (4, 0.3),
}  # fmt: skip
CUT = ("cut.mkv", "cut.mp4", "cut.webm", "cut.avi", "cut.flv", "cut.wmv", "cut.gif")
IMAGES = {"pages.tiff": 4, "tiled.heic": 1, "turned.heic": 1, "turned.avif": 1, "two.heic": 2}  # pictures in the file


def read(name: str | Path) -> tuple[list[np.ndarray], list[float], list[str]]:
    pictures = open_pictures(Source("video", str(MEDIA / name), str(name)))
    images, times = zip(*pictures, strict=True)
    pictures.close()
    return list(images), list(times), pictures.notes


def rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def test_every_file_has_a_test():
    assert set(FILES) == {*HEALTHY, *CUT, *IMAGES, "cut.ts", "song.m4a"}


@pytest.mark.parametrize("name", HEALTHY)
def test_healthy_videos_are_read_whole_with_their_own_times(name: str):
    images, times, notes = read(name)
    frames, last = HEALTHY[name]
    assert len(times) == frames and times[0] == 0 and abs(times[-1] - last) < 0.011
    assert all(earlier < later for earlier, later in pairwise(times))
    assert len({image.shape for image in images}) == 1 and len({image.tobytes() for image in images}) > frames * 0.45
    assert kind_of(MEDIA / name) == "video"
    assert bool(notes) == (name == "two_videos.mp4")


def test_a_video_that_is_stored_turned_is_upright():
    upright, turned = read("fragmented.mp4")[0][0], read("turned.mp4")[0][0]
    assert turned.shape == (96, 72, 3)
    assert np.abs(np.rot90(upright).astype(int) - turned).mean() < 3  # as FFmpeg shows it


@pytest.mark.parametrize(("name", "shape"), [("wide.mp4", (72, 137)), ("narrow.mkv", (81, 96))])
def test_pixels_that_are_not_square_become_square(name: str, shape: tuple[int, int]):
    upright, stretched = read("fragmented.mp4")[0][0], read(name)[0][0]
    assert stretched.shape == (*shape, 3)
    assert np.abs(cv2.resize(upright, shape[::-1]).astype(int) - stretched).mean() < 9


@pytest.mark.parametrize(("share", "frames"), [(0.5, 7), (0.6, 10), (0.7, 13)])
def test_the_last_good_frames_before_damage_are_read(share: float, frames: int, tmp_path: Path):
    """As many as ffprobe counts; threads per frame lose two."""
    whole, path = (MEDIA / "fragmented.mp4").read_bytes(), tmp_path / "cut.mp4"
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(Unreadable, match=f" {frames} frames were read"):
        read(path)


@pytest.mark.parametrize("added", [b"", b"\0" * 5, b"appended data"])
def test_what_follows_the_end_of_a_gif_is_no_damage(added: bytes, tmp_path: Path):
    (tmp_path / "a.gif").write_bytes((MEDIA / "anim.gif").read_bytes() + added)
    assert len(read(tmp_path / "a.gif")[1]) == 10


def test_a_gif_without_its_last_byte_is_damaged(tmp_path: Path):
    (tmp_path / "a.gif").write_bytes((MEDIA / "anim.gif").read_bytes()[:-1])
    with pytest.raises(Unreadable, match="10 frames were read"):
        read(tmp_path / "a.gif")


@pytest.mark.parametrize("name", CUT)
def test_damage_is_said_after_the_frames(name: str):
    pictures, times = open_pictures(Source("video", str(MEDIA / name), name)), []
    with pytest.raises(Unreadable, match=rf"{name}: damaged or cut off .* \d+ frames were read"):
        times.extend(time for _, time in pictures)
    assert 5 < len(times) < 25


def test_sound_with_a_cover_is_no_video():
    with pytest.raises(Unreadable, match="no video"):
        read("song.m4a")


@pytest.mark.parametrize(("stamps", "seconds"), [
    ([5.0, 5.1, 5.2], [0, 0.1, 0.2]),
    ([0.0, 0.1, 0.2, 0.0, 0.1, 0.2], [0, 0.1, 0.2, 0.3, 0.4, 0.5]),
    ([None, None, None], [0, 0.5, 1.0]),
    ([0.0, 0.1, None, 0.3], [0, 0.1, 0.2, 0.3]),
    ([1.0, 1.0, 1.2], [0, 0.5, 0.6]),
    ([0.0, 0.1, 0.1, 0.3, 0.4, 0.4, 0.6], [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6]),
    ([0.0, 0.1, 0.08, 0.3, 0.4], [0, 0.1, 0.2, 0.3, 0.4]),
    ([0.0, 0.1, 0.1, 0.12, 0.3], [0, 0.1, 0.2, 0.21, 0.3]),
    ([0.0, 0.1, 0.1, 0.1, 0.1, 0.1], [0, 0.1, 0.2, 0.3, 0.4, 0.5]),
    ([0.0, 0.1, 1e9, 1e9 + 0.1], [0, 0.1, 0.2, 0.3]),
    ([0.0, 0.1, 60.0], [0, 0.1, 60.0]),
], ids=[
    "late start", "starts again", "none", "one missing", "repeated", "some repeated", "one too small", "catching up",
    "standing still", "damaged", "a pause",
])  # fmt: skip
def test_times_go_on(stamps: list[float | None], seconds: list[float]):
    clock = Clock(0.5)
    np.testing.assert_allclose([clock.seconds(stamp) for stamp in stamps], seconds, atol=1e-6)


@pytest.mark.parametrize("name", ["vfr.webm", "joined.ts", "rate_1000.wmv", "bframes.avi", "anim.gif", "anim.webp"])
@pytest.mark.parametrize("ending", [".mp4", ".webm", ".avi"])
def test_an_overlay_has_the_frames_that_were_read_and_lasts_as_long(name: str, ending: str, tmp_path: Path):
    assert detect(MEDIA / name, "--overlay", tmp_path / f"o{ending}", "--csv", tmp_path / "o.csv") == 0
    found = [float(row["timestamp"]) for row in rows(tmp_path / "o.csv")]
    times = read(tmp_path / f"o{ending}")[1]
    assert len(times) == len(found) == HEALTHY[name][0]
    np.testing.assert_allclose(times, found, atol=0.021 if ending == ".avi" else 0.002)


@pytest.mark.parametrize("ending", [".mp4", ".webm", ".mkv"])
@pytest.mark.parametrize("seconds", [3600, 7200])
def test_a_picture_an_hour_or_two(ending: str, seconds: int, tmp_path: Path):
    writer = VideoWriter(tmp_path / f"a{ending}", (64, 64), 1 / seconds)
    for number in range(3):
        writer.write(np.full((64, 64, 3), 100 * number, np.uint8), float(seconds * number))
    writer.close()
    assert read(tmp_path / f"a{ending}")[1] == [0, seconds, 2 * seconds]


@pytest.mark.parametrize("ending", CODECS)
def test_what_is_written_is_what_was_drawn(ending: str, tmp_path: Path):
    shown = [scene((20 * step, 30), height=241, width=321) for step in range(4)]
    writer = VideoWriter(tmp_path / f"o{ending}", (241, 321), 10.0)
    for step, picture in enumerate(shown):
        writer.write(picture, step / 10)
    writer.close()
    images, times, _ = read(tmp_path / f"o{ending}")
    np.testing.assert_allclose(times, [0, 0.1, 0.2, 0.3], atol=0.002)
    assert all(np.abs(one.astype(int) - other[:240, :320]).mean() < 6 for one, other in zip(images, shown, strict=True))


@pytest.mark.parametrize("name", IMAGES)
def test_images(name: str):
    assert kind_of(MEDIA / name) == "image"
    image, notes = image_of(Source("image", str(MEDIA / name), name))
    assert image.dtype == np.uint8 and image.shape[2] == 3
    assert bool(notes) == (IMAGES[name] > 1) and all(f"{IMAGES[name]} pictures" in note for note in notes)


def test_a_photograph_in_tiles_shows_its_whole_face(tmp_path: Path):
    assert detect(MEDIA / "tiled.heic", "--csv", tmp_path / "o.csv") == 0
    (row,) = rows(tmp_path / "o.csv")
    assert row["success"] == "1" and float(row["x"]) + float(row["w"]) > 512  # beyond the first tile
    assert read_image(MEDIA / "tiled.heic").shape == (2048, 2048, 3)


def test_turned_photographs_are_upright():
    heic, avif = (read_image(MEDIA / f"turned.{ending}").astype(int) for ending in ("heic", "avif"))
    assert heic.shape == avif.shape == (192, 150, 3)
    assert np.abs(heic - avif).mean() < 6
    lying = read_image(MEDIA / "two.heic").astype(int)  # the same picture, not turned
    assert np.abs(np.rot90(lying, -1) - heic).mean() < 6


def test_without_its_extra_a_heic_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture):
    monkeypatch.setitem(__import__("sys").modules, "pillow_heif", None)
    assert detect(MEDIA / "turned.heic") == 2
    assert "extra heif: pip install pillow-heif" in capfd.readouterr().err


def test_a_heic_of_another_major_brand_is_read(tmp_path: Path):
    content = bytearray((MEDIA / "turned.heic").read_bytes())
    content[8:12] = b"miaf"
    (tmp_path / "a.heic").write_bytes(content)
    assert np.array_equal(read_image(tmp_path / "a.heic"), read_image(MEDIA / "turned.heic"))


def test_what_is_transparent_in_a_turned_avif_is_white(tmp_path: Path):
    pixels = np.full((64, 96, 4), 100, np.uint8)
    pixels[..., 3] = np.where(np.arange(96) < 32, 0, 255)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(tmp_path / "a.avif", exif=exif)
    image = read_image(tmp_path / "a.avif")
    assert image.shape == (96, 64, 3) and image[:24].min() > 250 and abs(image[40:].mean() - 100) < 3


@pytest.mark.parametrize("ending", ["png", "gif", "webp"])
def test_what_is_transparent_in_an_animation_is_white(ending: str, tmp_path: Path):
    shown = []
    for grey in (100, 140, 180):
        pixels = np.full((48, 64, 4), grey, np.uint8)
        pixels[..., 3] = np.where(np.arange(64) < 32, 0, 255)
        shown.append(Image.fromarray(pixels))
    options = {"webp": {"lossless": True}, "gif": {"disposal": 2}, "png": {"disposal": 1}}[ending]
    shown[0].save(tmp_path / f"a.{ending}", save_all=True, append_images=shown[1:], duration=100, **options)
    for image, grey in zip(read(tmp_path / f"a.{ending}")[0], (100, 140, 180), strict=True):
        assert image[:, :30].min() >= 254 and abs(image[:, 34:].mean() - grey) < 3


def test_an_avi_cannot_hold_a_long_pause(tmp_path: Path):
    writer = VideoWriter(tmp_path / "o.avi", (48, 64), 25.0)
    writer.write(np.zeros((48, 64, 3), np.uint8), 0.0)
    with pytest.raises(RunFailed, match=r"pause at 3600 s.*\.mp4"):
        writer.write(np.zeros((48, 64, 3), np.uint8), 3600.0)
    with pytest.raises(RunFailed):
        writer.close()
    assert not list(tmp_path.iterdir())


def test_a_heic_that_has_lost_its_main_picture_is_refused(tmp_path: Path):
    (tmp_path / "a.heic").write_bytes(damaged((MEDIA / "two.heic").read_bytes(), 259))
    with pytest.raises(UnreadableImage, match="cannot be decoded"):
        read_image(tmp_path / "a.heic")


def test_an_avif_with_absurdly_many_pixels_is_refused(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture):
    monkeypatch.setattr("PIL.Image.MAX_IMAGE_PIXELS", 100)
    assert detect(MEDIA / "turned.avif") == 2
    assert "the image cannot be decoded" in capfd.readouterr().err


@pytest.mark.parametrize(("file", "name", "kind"), [
    ("turned.heic", "photo.jpg", "image"), ("tiled.heic", "photo.MP4", "image"), ("fragmented.mp4", "photo.jpg", "video"),
    ("live.webm", "film.avi", "video"), ("anim.gif", "film.png", "video"), ("raw.mjpeg", "film", "video"),
    ("turned.avif", "photo", "image"), ("joined.ts", "film.dat", "video"),
])  # fmt: skip
def test_names_are_hints_only(file: str, name: str, kind: str, tmp_path: Path):
    shutil.copy(MEDIA / file, tmp_path / name)
    (source,) = find_inputs([str(tmp_path)]).sources
    assert source.kind == kind
    if kind == "video":
        assert len(read(tmp_path / name)[1]) == HEALTHY[file][0]
    else:
        assert image_of(source)[0].ndim == 3


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files that can be read when named alone, files that cannot, and links."""
    images = tmp_path / "in"
    photo = write_image(images / "photo.png", PORTRAIT)
    shutil.copy(write_image(tmp_path / "a.jpg", PORTRAIT), images / "photo.jfif")
    shutil.copy(MEDIA / "starts_late.ts", images / "film.MTS")
    for name in ("notes.txt", "labels.csv", ".hidden.png", "Thumbs.db"):
        (images / name).write_text("frame,AU1\n1,0\n" * 20)
    shutil.copytree(images, tmp_path / "elsewhere")
    os.symlink(tmp_path / "elsewhere", images / "linked", target_is_directory=True)
    os.symlink(images, images / "circle", target_is_directory=True)
    os.mkfifo(images / "pipe.jpg")
    assert photo.exists()
    return images


def test_a_folder_says_what_it_skips_and_follows_links(folder: Path):
    inputs = find_inputs([str(folder)])
    names = ("film.MTS", "photo.jfif", "photo.png")
    assert [source.short for source in inputs.sources] == [
        *names[:1],
        *(f"linked/{name}" for name in names),
        *names[1:],
    ]
    (text,) = inputs.skipped
    assert "9 files" in text and "labels.csv" in text and "circle" not in text


def test_what_was_skipped_is_said_at_the_end(folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture):
    assert detect(folder, "--csv", tmp_path / "o.csv") == 0
    assert len(rows(tmp_path / "o.csv")) == 2 * (2 + HEALTHY["starts_late.ts"][0])
    assert "9 files" in capfd.readouterr().err


def test_a_subfolder_that_cannot_be_opened_is_an_input_that_failed(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
):
    real = os.scandir

    def scandir(path: str | os.PathLike = "."):
        if str(path).endswith("linked"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert detect(folder, "--csv", tmp_path / "o.csv") == 1
    assert "linked: the folder cannot be read: Permission denied" in capfd.readouterr().err


def test_a_folder_without_media_names_what_it_holds(tmp_path: Path):
    (tmp_path / "notes.txt").write_text("no media")
    with pytest.raises(UserError, match=r"no images or videos in it.*notes\.txt"):
        find_inputs([str(tmp_path)])


def test_a_link_in_a_circle_is_not_a_missing_file(tmp_path: Path):
    os.symlink(tmp_path / "b", tmp_path / "a")
    os.symlink(tmp_path / "a", tmp_path / "b")
    with pytest.raises(UserError, match="circle"):
        find_inputs([str(tmp_path / "a")])


def test_a_list_may_begin_with_a_byte_order_mark(tmp_path: Path):
    reading, writing = os.pipe()
    saved = os.dup(0)
    try:
        os.dup2(reading, 0)
        os.write(writing, "\ufeffone.png\r\n\ufefftwo.png\n".encode())
        os.close(writing)
        assert [source.name for source in find_inputs(["-"]).sources] == ["one.png", "\ufefftwo.png"]
    finally:
        os.dup2(saved, 0)
        os.close(reading)


def test_the_first_bytes_of_a_webp_animation_alone_are_an_unreadable_file(tmp_path):
    path = tmp_path / "short.webp"
    path.write_bytes(b"RIFF\x08\0\0\0WEBPVP8X")
    assert kind_of(path) == "image"
    with pytest.raises(Unreadable):
        image_of(Source("image", str(path), path.name))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes on this system")
@pytest.mark.parametrize("name", ["pipe.jpg", "pipe.mp4", "pipe"])
def test_a_pipe_is_refused_instead_of_waiting_for_ever(tmp_path, name):
    path = tmp_path / name
    os.mkfifo(path)
    (source,) = find_inputs([str(path)]).sources
    with pytest.raises(Unreadable, match="not a file"):
        image_of(source) if source.kind == "image" else open_pictures(source)


def test_a_folder_in_a_list_is_refused_with_what_to_do_instead(tmp_path):
    with pytest.raises(Unreadable, match=r"a folder\. Name it on the command line"):
        open_pictures(Source("video", str(tmp_path), tmp_path.name))


def test_the_own_name_of_a_folder_counts_and_not_that_of_a_link(tmp_path):
    (tmp_path / "own").mkdir()
    write_image(tmp_path / "own" / "a.png", scene())
    (tmp_path / "alias").symlink_to("own")
    assert [source.short for source in find_inputs([str(tmp_path)]).sources] == [os.path.join("own", "a.png")]


def test_sound_in_a_folder_is_left_out_like_other_files(tmp_path):
    write_image(tmp_path / "a.png", scene())
    shutil.copy(MEDIA / "song.m4a", tmp_path)
    inputs = find_inputs([str(tmp_path)])
    assert [source.short for source in inputs.sources] == ["a.png"] and "song.m4a" in inputs.skipped[0]


def test_the_pages_of_a_tiff_are_counted_whatever_its_name_is(tmp_path):
    path = tmp_path / os.fsdecode(b"\xff.tif")
    try:
        shutil.copy(MEDIA / "pages.tiff", path)
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    _, (note,) = image_of(Source("image", str(path), path.name))
    assert "holds 4 pictures" in note


def big_tiff(pages: int, order: str) -> bytes:
    """A BigTIFF of grey pages, 8 x 8 pixels each."""
    content = struct.pack(order + "2sHHHQ", b"II" if order == "<" else b"MM", 43, 8, 0, 16)
    for page in range(pages):
        pixels = len(content) + 8 + 7 * 20 + 8
        entries = [(256, 4, 8), (257, 4, 8), (258, 4, 8), (262, 4, 1), (273, 16, pixels), (278, 4, 8), (279, 16, 64)]
        content += struct.pack(order + "Q", len(entries))
        for tag, kind, value in entries:
            packed = struct.pack(order + ("Q" if kind == 16 else "I4x"), value)
            content += struct.pack(order + "HHQ", tag, kind, 1) + packed
        content += struct.pack(order + "Q", pixels + 64 if page < pages - 1 else 0) + bytes([40 * page] * 64)
    return content


@pytest.mark.parametrize("order", "<>")
def test_the_pages_of_a_big_tiff_are_counted(tmp_path, order):
    path = tmp_path / "pages"
    path.write_bytes(big_tiff(3, order))
    assert kind_of(path) == "image"
    image, (note,) = image_of(Source("image", str(path), path.name))
    assert image.shape == (8, 8, 3) and "holds 3 pictures" in note


@pytest.mark.parametrize(
    "content",
    [b"II+\0", b"MM\0+\0\x08\0\0" + b"\xff" * 8, b"II*\0", b"II*\0\x08\0\0\0\0\0\x08\0\0\0", b"MM\0*\xff\xff\xff\xff"],
)
def test_a_damaged_tiff_has_no_further_pages(tmp_path, content):
    path = tmp_path / "a.tif"
    path.write_bytes(content)
    assert unread_pictures(path) == 0


@pytest.mark.parametrize("content", [
    b"%PDF-1.4 " + (MEDIA / "raw.mjpeg").read_bytes(), b"\0\0\1\0\1\0" + bytes(500), b"<svg xmlns='http://www.w3.org/2000/svg'/>",
], ids=["PDF with a photograph", "icon", "drawing"])  # fmt: skip
def test_documents_in_a_folder_are_no_films(tmp_path, content):
    write_image(tmp_path / "a.png", scene())
    (tmp_path / "document").write_bytes(content)
    inputs = find_inputs([str(tmp_path)])
    assert [source.short for source in inputs.sources] == ["a.png"] and "document" in inputs.skipped[0]


@pytest.mark.parametrize("ending", ["bin", "xb", "adf", "idf", "txt"])
def test_data_in_a_folder_is_no_film_of_a_terminal(tmp_path, ending):
    write_image(tmp_path / "a.png", scene())
    (tmp_path / f"weights.{ending}").write_bytes(bytes(range(256)) * 400)
    inputs = find_inputs([str(tmp_path)])
    assert [source.short for source in inputs.sources] == ["a.png"]
    assert f"weights.{ending}" in inputs.skipped[0]
