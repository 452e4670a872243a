"""Action units in images, videos and from cameras, by LiteRT and without TensorFlow (docs/detect.md).

from pipeline.detect import Detector
faces = Detector("tflite_out/synthetic_faces").frame(image)
"""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.detect.detector import Detector, Face, FaceSettings

# Read by OpenCV when it is loaded: a damaged header must not ask for gigabytes, nor a video file for a web page.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(2**28))
os.environ.setdefault("OPENCV_FFMPEG_CAPTURE_OPTIONS", "protocol_whitelist;file")

__all__ = ["Detector", "Face", "FaceSettings"]


def __getattr__(name: str) -> object:
    """The public classes, loaded with their libraries when they are first asked for: `--help` needs none of them."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from pipeline.detect import detector

    return getattr(detector, name)
