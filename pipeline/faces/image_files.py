"""Reading image files of every common kind as 8-bit RGB.

How many bits of a 16-bit sample are used is in few headers, so it follows from the brightest sample of each picture: see
`_eight_bits`. Two pictures of a camera may therefore be read with different factors, if one is much darker.
"""

import re
from pathlib import Path

import cv2
import numpy as np

from pipeline.faces.heif import UnreadableHeif, decode_heif, is_heif
from pipeline.faces.transparency import on_white, turned_like

JPEG_START, JPEG_SCAN, JPEG_END = b"\xff\xd8", b"\xff\xda", b"\xff\xd9"
PNG_START, PNG_COLOUR_TYPE, PNG_ALPHA, PNG_PIXELS = b"\x89PNG", 25, (4, 6), b"IDAT"
DEPTHS = (8, 10, 12, 14, 16)  # bits of sensors and files
DEPTH_IN_HEADER = (b"ftyp", b"ANCE")  # bytes 4 to 8 of AVIF and Radiance HDR: OpenCV makes 8 bits of these itself
NETPBM = re.compile(rb"P[56]" + 2 * rb"(?:\s|#[^\n]*\n)+\d{1,9}" + rb"(?:\s|#[^\n]*\n)+(\d{1,5})\s")
FLOAT_DEPTH = (128, 255)  # the brightest sample of a float picture of 8 bits
FLOAT_ENDS = (0.5, 99.5)  # percentiles that become black and white
MAX_FLOAT = 1e30  # damaged files have larger samples


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

    Grey and CMYK become RGB, more than 8 bits become 8, transparent pixels white, and EXIF rotation is applied.

    Raises:
        UnreadableImage: not an image, a JPEG that ends early (decoders silently fill the rest with grey), or a HEIC file
            without what reads it.
    """
    if content.startswith(JPEG_START) and content.find(JPEG_END, content.rfind(JPEG_SCAN)) < 0:
        raise UnreadableImage("the JPEG ends early")
    if is_heif(content):
        try:
            return decode_heif(content)
        except UnreadableHeif as error:
            raise UnreadableImage(str(error)) from error
    raw = _decode(content, cv2.IMREAD_UNCHANGED) if _may_have_alpha(content) else None
    has_alpha = raw is not None and raw.ndim == 3 and raw.shape[2] == 4
    if raw is not None and raw.ndim == 2 and raw.itemsize > 2:  # OpenCV makes no colours of 32 bits
        image = np.dstack([raw] * 3)
    elif has_alpha and raw.dtype.kind == "f":  # nor does it drop the alpha of floats
        image = raw[..., :3]
    else:
        own_depth = content[4:8] in DEPTH_IN_HEADER
        image = _decode(content, cv2.IMREAD_COLOR | (0 if own_depth else cv2.IMREAD_ANYDEPTH))
    if image is None:
        raise UnreadableImage("empty" if not content else "no image")
    if netpbm := NETPBM.match(content):
        image = _of_maximum(image, int(netpbm[1]))
    pixels = cv2.cvtColor(_eight_bits(image), cv2.COLOR_BGR2RGB)  # IMREAD_COLOR_RGB swaps colours of AVIF and TIFF
    return on_white(pixels, turned_like(image, raw)[..., 3], _opaque(raw)) if has_alpha else pixels


def _decode(content: bytes, flags: int) -> np.ndarray | None:
    """What OpenCV makes of it; floats are finite and float64, nan becomes 0."""
    try:
        image = cv2.imdecode(np.frombuffer(content, np.uint8), flags) if content else None
    except cv2.error:
        return None
    if image is None or image.dtype.kind != "f":
        return image
    with np.errstate(invalid="ignore"):  # signalling nan
        image = image.astype(np.float64)
    return np.clip(np.nan_to_num(image, posinf=0, neginf=0), -MAX_FLOAT, MAX_FLOAT)


def _of_maximum(image: np.ndarray, maximum: int) -> np.ndarray:
    """The samples of a netpbm file as uint8, if the maximum in its header says more than that there are 8 or 16 bits."""
    if maximum in (0, 255, 65535) or image.max() > maximum:
        return image
    return np.rint(image * (255 / maximum)).astype(np.uint8)


def _may_have_alpha(content: bytes) -> bool:
    """Whether it is worth decoding again: not for JPEG, nor for a PNG whose header speaks of no transparency."""
    if content.startswith(PNG_START):
        header = content[: content.find(PNG_PIXELS)]
        return len(header) > PNG_COLOUR_TYPE and (header[PNG_COLOUR_TYPE] in PNG_ALPHA or b"tRNS" in header)
    return not content.startswith(JPEG_START)


def _eight_bits(image: np.ndarray) -> np.ndarray:
    """The image as uint8.

    Integers have the fewest of 8, 10, 12, 14 and 16 bits that hold the brightest sample: cameras store 12 bits in 16. Floats
    are shares of 1, or levels up to 255, or else scaled by their brightest half percent. Negative samples (Hounsfield
    units) move the zero.
    """
    if image.dtype == np.uint8:
        return image
    if image.dtype.kind == "f":
        return _eight_bits_of_floats(image)
    if image.dtype.kind == "i":
        image = image.astype(np.int64) - min(int(image.min()), 0)
    return (image >> (_depth(image) - 8)).astype(np.uint8)


def _opaque(raw: np.ndarray) -> float:
    """The alpha of opaque pixels (H, W, 4): it has as many bits as the samples, 10 or 12 in 16 in AVIF; floats have 1 or more."""
    return 2 ** _depth(raw) - 1 if raw.dtype.kind in "ui" else max(float(raw[..., 3].max()), 1.0)


def _depth(image: np.ndarray) -> int:
    """The fewest bits of DEPTHS that hold the brightest of whole samples; of larger ones as many as they need."""
    needed = int(image.max()).bit_length()
    return next((depth for depth in DEPTHS if depth >= needed), needed)


def _eight_bits_of_floats(image: np.ndarray) -> np.ndarray:
    black, bright = np.percentile(image, FLOAT_ENDS)
    image = image - min(black, 0)
    brightest, (low, high) = image.max(), FLOAT_DEPTH
    white = high if low <= brightest <= high else bright - min(black, 0) or brightest
    return np.rint(np.clip(image * (255 / (white if brightest > 1 else 1)), 0, 255)).astype(np.uint8)
