"""Image files of every kind become 8-bit RGB, or are said to be unreadable."""

import base64
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

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
    stored = cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if image.ndim == 3 else image
    return cv2.imencode(ending, stored)[1].tobytes()


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
