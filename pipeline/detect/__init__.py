"""Action units in images, in videos and from cameras, with LiteRT and without TensorFlow (docs/detect.md).

from pipeline.detect import Detector
faces = Detector("tflite_out/synthetic_faces").image(image)
"""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.detect.detector import Detector, Face, FaceSettings

# OpenCV reads these when it is loaded: a damaged header must not allocate gigabytes, nor a video file open a web page.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(2**28))
os.environ.setdefault("OPENCV_FFMPEG_CAPTURE_OPTIONS", "protocol_whitelist;file")

__all__ = ["Detector", "Face", "FaceSettings"]


def __getattr__(name: str) -> object:
    """The public classes; OpenCV and LiteRT are loaded with the first of them, so `--help` needs neither."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from pipeline.detect import detector

    return getattr(detector, name)
