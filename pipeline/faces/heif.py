"""HEIC photographs, and AVIF images that are stored rotated: read by pillow-heif and Pillow, an extra of this package.

OpenCV reads no HEIC and ignores the rotation in AVIF; FFmpeg shows a single tile of a HEIC as phones write it.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from pipeline.faces.transparency import without_alpha

HEIF_BRANDS = frozenset((b"heic", b"heix", b"heim", b"heis", b"mif1", b"mif2", b"avif"))
AVIF = b"avif"
TURNED = (b"irot", b"imir")  # boxes of a rotation and a mirroring
HEADER_BYTES = 65536
BRAND_BYTES = 512  # that may name what the file is
INSTALL = "pip install pillow-heif 'Pillow>=11.3'"


class UnreadableHeif(ValueError):
    """A HEIC or rotated AVIF file is damaged, or what reads it is not installed."""


def is_heif(content: bytes) -> bool:
    """Whether the content of a file is an image that OpenCV does not read, or not upright."""
    if content[4:8] != b"ftyp":
        return False
    if content[8:12] == AVIF or AVIF in content[16:64]:
        return any(box in content[:HEADER_BYTES] for box in TURNED)
    size = int.from_bytes(content[:4], "big")
    return any(content[place : place + 4] in HEIF_BRANDS for place in (8, *range(16, min(size, BRAND_BYTES), 4)))


def decode_heif(content: bytes) -> np.ndarray:
    """The whole main picture, upright, uint8 (H, W, 3), RGB; raises UnreadableHeif."""
    with _clear_errors():
        if AVIF in content[8:64]:
            from PIL import Image, ImageOps

            image = ImageOps.exif_transpose(Image.open(io.BytesIO(content)))
        else:
            image = _heif_file(content).to_pillow()
        return without_alpha(np.array(image.convert("RGBA")))


def pictures_in_heif(content: bytes) -> int:
    """The number of pictures in a HEIC file; raises UnreadableHeif."""
    with _clear_errors():
        return len(_heif_file(content))


def _heif_file(content: bytes):
    import pillow_heif

    return pillow_heif.open_heif(io.BytesIO(content))


@contextmanager
def _clear_errors() -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise UnreadableHeif(f"HEIC photographs and rotated AVIF images need the extra heif: {INSTALL}") from error
    except (ValueError, OSError, SyntaxError, RuntimeError, EOFError, IndexError, _too_large()) as error:
        raise UnreadableHeif(f"the image cannot be decoded: {error}") from error


def _too_large() -> type[Exception]:
    """What Pillow raises for images with absurdly many pixels."""
    from PIL.Image import DecompressionBombError

    return DecompressionBombError
