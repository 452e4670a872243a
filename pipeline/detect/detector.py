"""Action units of every face in an image, or in the frames of a video in order."""

import math
from dataclasses import dataclass
from numbers import Integral, Real
from os import PathLike
from pathlib import Path

import numpy as np

from pipeline.detect.network import AuNetwork, load_shipped
from pipeline.detect.values import NeutralBaseline, TemporalMedian
from pipeline.errors import UserError
from pipeline.faces.blazeface import Detection, FaceDetector
from pipeline.faces.crop import Square
from pipeline.faces.search import find_faces
from pipeline.faces.tracking import FaceTracker, Finding

MIN_EYE_DISTANCE = 8.0  # in pixels: below this, a crop shows only blur
MIN_VISIBLE = 0.5  # share of the crop inside the image: below this, it shows mostly the border
FOLLOWED_MARGIN = 0.1  # how much less probable a face that is already followed may be than a new one
MIN_FIRST_LOOK = 0.5  # probability at which a place is worth a close look
MIN_WIDTH_IN_IMAGE, MIN_WIDTH_IN_VIDEO = 1 / 32, 1 / 16  # of a face, longer side of the image = 1, but at most
MIN_WIDTH = 64  # pixels, whatever the size of the image
MAX_THREADS = 64
MAX_MEDIAN_FRAMES = 9999


@dataclass(frozen=True)
class FaceSettings:
    """How faces are found.

    Args:
        threshold: minimum probability of a new face, between 0 and 1.
        search_every: frames between two searches for new faces.
        most: maximum number of faces at a time; None: no limit.
        smallest: minimum width of a face in pixels; None: 1/16 of the longer side in videos, 1/32 in single images, at
            most 64.

    Raises:
        UserError: a value of the wrong type or out of its range.
    """

    threshold: float = 0.75
    search_every: int = 10
    most: int | None = None
    smallest: float | None = None

    def __post_init__(self):
        if not 0 < _number(self.threshold) < 1:
            raise UserError(f"the minimum probability of a face must be between 0 and 1, not {self.threshold!r}")
        if not _integer(self.search_every) >= 1:
            raise UserError(f"the frames between searches must be an integer of at least 1, not {self.search_every!r}")
        if self.most is not None and not _integer(self.most) >= 1:
            raise UserError(f"the maximum number of faces must be an integer of at least 1, not {self.most!r}")
        if self.smallest is not None and not _number(self.smallest) >= 1:
            raise UserError(f"the minimum width of a face must be at least 1 pixel, not {self.smallest!r}")

    @property
    def followed(self) -> float:
        """The minimum probability of a face that is followed."""
        return max(self.threshold - FOLLOWED_MARGIN, self.threshold / 2)

    def finding(self, smallest: float) -> Finding:
        """What the tracker needs to know, with the minimum width of a face in pixels."""
        return Finding(self.search_every, smallest, self.most, self.threshold, self.followed)


@dataclass(frozen=True)
class Face:
    """A face in pixels of the image: box (x, y, width, height), its probability, `landmarks` (right eye, left eye).

    The right eye is the subject's, on the left of the image. `success` means large enough and mostly inside the image;
    otherwise `probabilities` and `present` are empty. Both are keyed by action unit, without those not learned.
    """

    id: int
    box: tuple[float, float, float, float]
    confidence: float
    success: bool
    landmarks: tuple[tuple[float, float], tuple[float, float]]
    probabilities: dict[str, float]
    present: dict[str, bool]


class Detector:
    """Finds faces and their action units with a network trained by pipeline.run; one detector serves one thread.

    Args:
        model: a .tflite file with its sidecar model.json beside it, or a folder tflite_out/NAME (its int8 file is used).
        faces: how faces are found.
        threads: of the action unit network, 1 to 64.
        smooth: frames in the causal temporal median of each face's probabilities, odd, 1 (none) to 9999.
        calibrate: seconds after a face appears during which it is assumed to be neutral; 0: no calibration.

    Raises:
        UserError: no model, no sidecar, or they do not belong together; an argument of the wrong type or out of range.
    """

    def __init__(
        self,
        model: str | PathLike[str],
        *,
        faces: FaceSettings | None = None,
        threads: int = 1,
        smooth: int = 1,
        calibrate: float = 0.0,
    ):
        try:
            path = Path(model)
        except TypeError as error:
            raise UserError(f"model must be a path, not {model!r}") from error
        if faces is not None and not isinstance(faces, FaceSettings):
            raise UserError(f"faces must be a pipeline.detect.FaceSettings, not {faces!r}")
        if not 1 <= _integer(threads) <= MAX_THREADS:
            raise UserError(f"threads must be an integer from 1 to {MAX_THREADS}, not {threads!r}")
        if not 1 <= _integer(smooth) <= MAX_MEDIAN_FRAMES or smooth % 2 == 0:
            raise UserError(f"smooth must be an odd number of frames, 1 to {MAX_MEDIAN_FRAMES}, not {smooth!r}")
        if not _number(calibrate) >= 0:
            raise UserError(f"calibrate must be a number of seconds, 0 or more, not {calibrate!r}")
        self._network = AuNetwork(load_shipped(path), int(threads))
        self.sidecar, self.model_files = self._network.model.sidecar, self._network.model.files
        self.thresholds = {
            label: threshold
            for label, threshold in zip(self.sidecar.labels, self.sidecar.thresholds, strict=True)
            if threshold is not None
        }
        self._learned = [label in self.thresholds for label in self.sidecar.labels]
        self._settings = faces or FaceSettings()
        self._faces = FaceDetector(min(MIN_FIRST_LOOK, self._settings.followed))
        self._smooth, self._calibrate = int(smooth), float(calibrate)
        self.reset()

    def reset(self) -> None:
        """Forget the faces seen so far: the next frame is the first of another video."""
        self._tracker: FaceTracker | None = None
        self._time = -math.inf
        self._baseline, self._median = NeutralBaseline(self._calibrate), TemporalMedian(self._smooth)

    def frame(self, image: np.ndarray, timestamp: float | None = None) -> list[Face]:
        """The faces in the next frame of a video, RGB uint8 (H, W, 3), by id; `timestamp` in seconds from its start.

        Raises UserError for anything but such an image, for a timestamp that is not a number or goes backwards, and for
        a missing timestamp if the detector calibrates.
        """
        _check_image(image)
        seconds = self._next_time(timestamp)
        if self._tracker is None:
            smallest = self._settings.smallest or min(MIN_WIDTH, MIN_WIDTH_IN_VIDEO * max(image.shape))
            self._tracker = FaceTracker(self._faces, self._settings.finding(smallest))
        tracks = self._tracker.update(image)
        faces = [self._face(image, track.number, track.face, seconds) for track in tracks]
        self._baseline.keep(self._tracker.numbers())
        self._median.keep(self._tracker.numbers())
        return faces

    def image(self, image: np.ndarray) -> list[Face]:
        """The faces in a single image, RGB uint8 (H, W, 3), numbered from the largest; nothing is remembered.

        Raises UserError for anything but such an image.
        """
        _check_image(image)
        smallest = self._settings.smallest or min(MIN_WIDTH, MIN_WIDTH_IN_IMAGE * max(image.shape))
        found = find_faces(self._faces, image, smallest, self._settings.threshold)
        return [self._measure(image, number, face) for number, face in enumerate(found[: self._settings.most])]

    def _face(self, image: np.ndarray, number: int, face: Detection, timestamp: float | None) -> Face:
        """The face with its probabilities relative to neutral, smoothed."""
        measured = self._measure(image, number, face)
        if not measured.success:
            return measured
        values = np.array(list(measured.probabilities.values()))
        values = self._median(number, self._baseline(number, values, timestamp))
        return self._with_probabilities(number, face, values)

    def _measure(self, image: np.ndarray, number: int, face: Detection) -> Face:
        crop = self.sidecar.crop
        square = crop.from_eyes(face.right_eye, face.left_eye)
        if square.side < crop.side * MIN_EYE_DISTANCE or visible_share(square, *image.shape[:2]) < MIN_VISIBLE:
            return Face(number, face.box, face.score, False, (face.right_eye, face.left_eye), {}, {})
        probabilities = self._network.probabilities(crop.cut(image, square))
        return self._with_probabilities(number, face, probabilities[self._learned])

    def _with_probabilities(self, number: int, face: Detection, values: np.ndarray) -> Face:
        probabilities = dict(zip(self.thresholds, values.tolist(), strict=True))
        present = {label: probabilities[label] >= threshold for label, threshold in self.thresholds.items()}
        return Face(number, face.box, face.score, True, (face.right_eye, face.left_eye), probabilities, present)

    def _next_time(self, timestamp: object) -> float | None:
        if timestamp is None:
            if self._calibrate:
                raise UserError("calibration needs the timestamps of the frames, in seconds")
            return None
        seconds = _number(timestamp)
        if not seconds >= self._time:
            raise UserError(
                f"timestamp {timestamp!r} after {self._time}: it must be a number of seconds and must not go backwards"
            )
        self._time = seconds
        return seconds


def visible_share(square: Square, height: int, width: int) -> float:
    """The share of a square that lies inside an image, by a grid of 16 x 16 points."""
    places = (np.arange(16) + 0.5) / 16 - 0.5
    along, down = np.meshgrid(places * square.side, places * square.side)
    x = square.x + math.cos(square.angle) * along - math.sin(square.angle) * down
    y = square.y + math.sin(square.angle) * along + math.cos(square.angle) * down
    return float(np.mean((x >= 0) & (x < width) & (y >= 0) & (y < height)))


def _check_image(image: object) -> None:
    if not isinstance(image, np.ndarray):
        raise UserError(f"an image must be a NumPy array uint8 (H, W, 3), not {type(image).__name__}")
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise UserError(
            f"an image must be uint8 (H, W, 3), RGB, values 0 to 255, not {image.dtype} {image.shape}. Convert grey "
            "images with np.repeat, floats with (255 * image).round().astype(np.uint8) after checking for NaN"
        )


def _integer(value: object) -> float:
    """The value if it is an integer; NaN, which fails every comparison, if not."""
    return int(value) if isinstance(value, Integral) and not isinstance(value, bool) else math.nan


def _number(value: object) -> float:
    """The value as a float if it is a finite number; NaN, which fails every comparison, if not."""
    try:
        number = float(value) if isinstance(value, Real) and not isinstance(value, bool) else math.nan
    except OverflowError:
        return math.nan
    return number if math.isfinite(number) else math.nan
