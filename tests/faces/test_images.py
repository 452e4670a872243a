"""Image files of every kind become 8-bit RGB, or are said to be unreadable."""

import base64
import io
import struct
from pathlib import Path

import cv2
import numpy as np
import pillow_heif
import pytest
from PIL import Image

from pipeline.faces.image_files import UnreadableImage, decode_image, read_image
from tests.data.bp4d_trees import face_image

IMAGE = face_image(1)
# A CMYK JPEG of 8 x 8 pixels of the colour (200, 40, 90); OpenCV writes none.
CMYK = (
    "/9j/7gAOQWRvYmUAZAAAAAAA/9sAQwAIBgYHBgUIBwcHCQkICgwUDQwLCwwZEhMPFB0aHx4dGhwcICQuJyAiLCMcHCg3KSwwMTQ0NB8nOT04Mj"
    "wuMzQy/8AAFAgACAAIBEMRAE0RAFkRAEsRAP/EABUAAQEAAAAAAAAAAAAAAAAAAAcG/8QAFBABAAAAAAAAAAAAAAAAAAAAAP/aAA4EQwBNAFkA"
    "SwAAPwBIE6ZP7//Z"
)
TURNS = {3: lambda image: image[::-1, ::-1], 6: lambda image: np.rot90(image, -1), 8: np.rot90}


def encoded(image: np.ndarray, ending: str) -> bytes:
    stored = image[..., ::-1] if image.ndim == 3 else image
    lossless = (cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, 1000) if ending == ".jp2" else ()
    return cv2.imencode(ending, np.ascontiguousarray(stored), lossless)[1].tobytes()


def turned(jpeg: bytes, orientation: int) -> bytes:
    """The JPEG with an EXIF segment that holds an orientation only."""
    entry = struct.pack("<HHIHH", 0x112, 3, 1, orientation, 0)
    exif = b"Exif\0\0" + b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", 1) + entry + struct.pack("<I", 0)
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]


@pytest.mark.parametrize("ending", [".png", ".bmp"])
def test_lossless_files_keep_their_colours(ending: str, tmp_path: Path):
    path = tmp_path / f"image{ending}"
    path.write_bytes(encoded(IMAGE, ending))
    np.testing.assert_array_equal(read_image(path), IMAGE)


def test_jpeg_is_near():
    assert np.abs(decode_image(encoded(IMAGE, ".jpg")).astype(int) - IMAGE).mean() < 4


def test_grey_gets_three_equal_channels():
    grey = IMAGE[..., 0]
    np.testing.assert_array_equal(decode_image(encoded(grey, ".png")), np.repeat(grey[..., None], 3, axis=2))


@pytest.mark.parametrize("image", [IMAGE, IMAGE[..., 0]], ids=["colour", "grey"])
def test_16_bits_become_8(image: np.ndarray):
    wide = decode_image(encoded(image.astype(np.uint16) * 256 + 3, ".png"))
    np.testing.assert_array_equal(wide, image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2))


@pytest.mark.parametrize("ending", [".png", ".tiff", ".jp2", ".ppm"])
@pytest.mark.parametrize("depth", [8, 10, 12, 14, 16])
def test_what_cameras_store_in_16_bits_is_not_black(depth: int, ending: str):
    samples = np.maximum(IMAGE, 1).astype(np.uint16) << (depth - 8)
    samples[0, 0] = 2**depth - 1
    np.testing.assert_array_equal(decode_image(encoded(samples, ending)), samples >> (depth - 8))


def test_a_dark_picture_is_as_bright_as_its_bits_allow():
    dark = np.full((8, 8), 700, np.uint16)  # of 4095, perhaps; nothing says so
    assert (decode_image(encoded(dark, ".png")) == 175).all()
    assert (decode_image(encoded(np.zeros((8, 8), np.uint16), ".png")) == 0).all()
    assert (decode_image(encoded(dark * 64, ".png")) == 175).all()  # 12 bits at the upper end


@pytest.mark.parametrize("maximum", [1, 100, 1000, 4095, 16383])
def test_a_netpbm_file_names_its_maximum(maximum: int):
    samples = np.rint(IMAGE[..., 0] / 255 * maximum).astype(np.uint8 if maximum < 256 else ">u2")
    head = b"P5\n# a camera's\n80 60 %d\n" % maximum
    image = decode_image(head + samples.tobytes()).astype(int)
    assert np.abs(image[..., 0] - samples * 255.0 / maximum).max() <= 1
    assert (
        decode_image(head + (samples // 4).astype(samples.dtype).tobytes()) <= 64
    ).all()  # a dark picture stays dark


SHARES = IMAGE.astype(np.float32) / 255


@pytest.mark.parametrize(("samples", "off"), [
    (SHARES, 0), (SHARES[..., 0], 0), (SHARES.astype(np.float64), 0), (SHARES * 0.4, 154), (IMAGE.astype(np.float32), 0),
    (SHARES * 1000, 6), (SHARES * 40, 6), (IMAGE.astype(np.int16) * 16 - 1000, 3),
    (np.where(IMAGE.max() == IMAGE, np.nan, SHARES), 255),
])  # fmt: skip
def test_floats_and_signed_samples(samples: np.ndarray, off: int):
    image = decode_image(encoded(samples, ".tiff")).astype(int)
    expected = np.repeat(IMAGE[..., :1], 3, axis=2) if samples.ndim == 2 else IMAGE
    assert np.abs(image - expected).max() <= off and image.max() > 100


@pytest.mark.parametrize("damage", [np.inf, -np.inf, 1e38, -1e38])
def test_a_few_absurd_floats_do_not_hide_the_rest(damage: float):
    samples = SHARES * 255
    samples[0, :5] = damage
    image = decode_image(encoded(samples, ".tiff"))[1:].astype(int)
    assert np.abs(image - IMAGE[1:]).max() <= 2


def by_pillow(image: Image.Image, ending: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, ending, **options)
    return buffer.getvalue()


STORED = [(mode, ending) for mode in ("1", "P", "L") for ending in ("PNG", "TIFF", "BMP")]


@pytest.mark.parametrize(("mode", "ending"), [*STORED, ("I;16", "PNG"), ("I;16", "TIFF")])
def test_palettes_and_single_bits(mode: str, ending: str):
    picture = Image.fromarray(IMAGE).convert("L" if mode == "I;16" else mode)
    stored = Image.fromarray(np.asarray(picture).astype(np.uint16) * 16) if mode == "I;16" else picture
    np.testing.assert_array_equal(decode_image(by_pillow(stored, ending)), np.asarray(picture.convert("RGB")))


HOLE = np.full(IMAGE.shape[:2], 255, np.uint8)
HOLE[10:30, 5:50] = 0


@pytest.mark.parametrize("ending", ["PNG", "WEBP", "TIFF", "AVIF"])
def test_what_is_transparent_is_white(ending: str):
    options = {} if ending == "TIFF" else {"quality": 95} if ending == "AVIF" else {"lossless": True}
    image = decode_image(by_pillow(Image.fromarray(np.dstack([IMAGE, HOLE])), ending, **options)).astype(int)
    assert (image[12:28, 7:48] >= 254).all()
    assert np.abs(image - IMAGE)[HOLE > 0].mean() < (5 if ending == "AVIF" else 1e-6)


TEN_BITS = (cv2.IMWRITE_AVIF_DEPTH, 10, cv2.IMWRITE_AVIF_QUALITY, 100)


@pytest.mark.parametrize(("ending", "bits", "options"), [
    (".png", 12, ()), (".tiff", 10, ()), (".png", 16, ()), (".avif", 10, TEN_BITS),
])  # fmt: skip
def test_the_alpha_has_as_many_bits_as_the_samples(ending: str, bits: int, options: tuple[int, ...]):
    stored = (np.dstack([IMAGE[..., ::-1], HOLE]) / 255 * (2**bits - 1)).astype(np.uint16)
    image = decode_image(cv2.imencode(ending, stored, options)[1].tobytes()).astype(int)
    assert (image[12:28, 7:48] >= 254).all()
    assert np.abs(image - IMAGE)[HOLE > 0].mean() < (5 if ending == ".avif" else 1)


@pytest.mark.parametrize("white", [1, 255])
def test_floats_with_an_alpha(white: int):
    stored = np.dstack([SHARES[..., ::-1], HOLE.astype(np.float32) / 255]) * np.float32(white)
    image = decode_image(cv2.imencode(".tiff", stored)[1].tobytes())
    np.testing.assert_array_equal(image, np.where(HOLE[..., None] == 0, 255, IMAGE))


def test_what_is_transparent_in_heic_is_white():
    buffer = io.BytesIO()
    pillow_heif.from_pillow(Image.fromarray(np.dstack([IMAGE, HOLE]))).save(buffer, quality=-1, chroma=444)
    image = decode_image(buffer.getvalue()).astype(int)
    assert (image[HOLE == 0] == 255).all() and np.abs(image - IMAGE)[HOLE > 0].mean() < 2


def test_transparent_pixels_are_turned_with_the_picture():
    picture, exif = Image.fromarray(np.dstack([IMAGE, HOLE])), Image.Exif()
    exif[0x112] = 6
    image = decode_image(by_pillow(picture, "PNG", exif=exif))
    expected = np.where(HOLE[..., None] == 0, 255, IMAGE)
    np.testing.assert_array_equal(image, np.rot90(expected, -1))


@pytest.mark.parametrize("opacity", [0, 1, 255])
@pytest.mark.parametrize("ending", [".png", ".bmp", ".tiff"])
def test_an_alpha_that_says_nothing_changes_nothing(opacity: int, ending: str):
    stored = np.dstack([IMAGE[..., ::-1], np.full(IMAGE.shape[:2], opacity, np.uint8)])
    np.testing.assert_array_equal(decode_image(cv2.imencode(ending, stored)[1].tobytes()), IMAGE)


def test_half_transparent_palettes_and_grey():
    grey = np.dstack([IMAGE[..., 0], np.where(HOLE == 0, 51, 255).astype(np.uint8)])
    image = decode_image(by_pillow(Image.fromarray(grey, "LA"), "PNG"))
    np.testing.assert_array_equal(image[20, 20], np.rint(IMAGE[20, 20, 0] * 0.2 + 255 * 0.8).repeat(3))
    palette = Image.fromarray(IMAGE).quantize(8)
    seen = np.asarray(palette.convert("RGB")).copy()
    seen[np.asarray(palette) == 3] = 255
    np.testing.assert_array_equal(decode_image(by_pillow(palette, "PNG", transparency=3)), seen)


@pytest.mark.parametrize("orientation", TURNS)
def test_exif_turns_the_image(orientation: int):
    jpeg = encoded(IMAGE, ".jpg")
    np.testing.assert_array_equal(decode_image(turned(jpeg, orientation)), TURNS[orientation](decode_image(jpeg)))


def test_cmyk():
    image = decode_image(base64.b64decode(CMYK))
    assert image.shape == (8, 8, 3)
    np.testing.assert_allclose(image, np.broadcast_to((200, 40, 90), (8, 8, 3)), atol=6)


def broken() -> dict[str, bytes]:
    noise = np.random.default_rng(1).integers(0, 256, (100, 100, 3), dtype=np.uint8)
    jpeg, png = encoded(noise, ".jpg"), encoded(noise, ".png")
    return {"empty": b"", "text": b"not an image", "half a JPEG": jpeg[: len(jpeg) // 2], "JPEG without end": jpeg[:-2],
            "half a JPEG with EXIF": turned(jpeg, 3)[:3000], "half a PNG": png[:5000]}  # fmt: skip


@pytest.mark.parametrize("name", broken())
def test_broken_files(name: str):
    with pytest.raises(UnreadableImage):
        decode_image(broken()[name])


def test_bytes_behind_the_end_do_no_harm():
    jpeg = encoded(IMAGE, ".jpg")
    np.testing.assert_array_equal(decode_image(jpeg + bytes(100)), decode_image(jpeg))


def test_a_file_that_is_not_there(tmp_path: Path):
    with pytest.raises(UnreadableImage, match="No such file"):
        read_image(tmp_path / "none.jpg")
