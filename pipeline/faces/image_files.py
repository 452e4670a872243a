"""Reading image files of every common kind as 8-bit RGB."""

from pathlib import Path

import cv2
import numpy as np

JPEG_START, JPEG_SCAN, JPEG_END = b"\xff\xd8", b"\xff\xda", b"\xff\xd9"


class UnreadableImage(ValueError):
    """A file is not an image, or only part of one."""


def read_image(path: Path) -> np.ndarray:
    """The image uint8 (H, W, 3), RGB, in an image file; raises UnreadableImage, also if the file is missing."""
    try:
        return decode_image(path.read_bytes())
    except OSError as error:
        raise UnreadableImage(error.strerror) from error


def decode_image(content: bytes) -> np.ndarray:
    """The image uint8 (H, W, 3), RGB, in the content of an image file.

    Grey and CMYK become RGB, 16 bits become 8, and EXIF rotation is applied.

    Raises:
        UnreadableImage: not an image, or a JPEG that ends early (decoders silently fill the rest with grey).
    """
    if content.startswith(JPEG_START) and content.find(JPEG_END, content.rfind(JPEG_SCAN)) < 0:
        raise UnreadableImage("the JPEG ends early")
    try:
        image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR_RGB) if content else None
    except cv2.error:
        image = None
    if image is None:
        raise UnreadableImage("empty" if not content else "no image")
    return image
