"""Action units of every face in an image or in the frames of a video, in order."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.detect.baseline import NeutralBaseline
from pipeline.detect.network import AuNetwork
from pipeline.detect.sidecar import load_shipped
from pipeline.detect.smoothing import TemporalMedian
from pipeline.errors import UserError
from pipeline.faces.blazeface import Detection, FaceDetector
from pipeline.faces.crop import Square
from pipeline.faces.search import find_faces
from pipeline.faces.tracking import FaceTracker, Finding

LEAST_EYE_DISTANCE = 8.0  # in pixels: below, a crop shows blur
LEAST_VISIBLE = 0.5  # of the crop: below, it shows the image's border
FOLLOWED_LESS = 0.1  # a face that is followed may be that much less probable than a new one
FIRST_LOOK = 0.5  # least probability at which a place is looked at close up
MOST_THREADS = 64
SMALLEST_IN_IMAGE, SMALLEST_IN_VIDEO = 1 / 32, 1 / 16  # width of a face, longer side of the image = 1


@dataclass(frozen=True)
class FaceSettings:
    """How faces are found: least probability of a new one, frames between two searches, most faces, least width in pixels.

    `most` None: no limit. `smallest` None: 1/16 of the longer side in videos, 1/32 in single images.
    """

    threshold: float = 0.75
    search_every: int = 10
    most: int | None = None
    smallest: float | None = None

    def __post_init__(self):
        if not 0 < self.threshold < 1:
            raise UserError(f"the least probability of a face must be between 0 and 1, not {self.threshold}")
        if self.search_every < 1 or (self.most is not None and self.most < 1):
            raise UserError("the number of faces and the frames between searches must be at least 1")
        if self.smallest is not None and not 1 <= self.smallest < math.inf:
            raise UserError(f"the least width of a face must be at least 1 pixel, not {self.smallest}")

    @property
    def followed(self) -> float:
        """The least probability of a face that is followed."""
        return max(self.threshold - FOLLOWED_LESS, self.threshold / 2)

    def finding(self, smallest: float) -> Finding:
        """What the tracker needs to know."""
        return Finding(self.search_every, smallest, self.most, self.threshold, self.followed)


@dataclass(frozen=True)
class Face:
    """A face in pixels of the image: box (x, y, width, height), its probability, `landmarks` (right eye, left eye).

    The right eye is the subject's, at the image's left. `success`: large enough and mostly inside the image; otherwise
    `probabilities` and `present` are empty. Both are by action unit, without those the network has not learned.
    """

    id: int
    box: tuple[float, float, float, float]
    confidence: float
    success: bool
    landmarks: tuple[tuple[float, float], tuple[float, float]]
    probabilities: dict[str, float]
    present: dict[str, bool]


class Detector:
    """Finds faces and their action units with a network that pipeline.run made.

    Args:
        model: a .tflite file with its sidecar beside it, or a folder tflite_out/NAME (its int8 file).
        faces: how faces are found.
        threads: of the action unit network, at most 64.
        smooth: frames of the causal temporal median of each face's probabilities, at most 9999; 1: none.
        calibrate: seconds after a face appears in which it is taken to be neutral; 0: none.

    Raises:
        UserError: no model, no sidecar, or they do not belong together; a number out of its range.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        faces: FaceSettings | None = None,
        threads: int = 1,
        smooth: int = 1,
        calibrate: float = 0.0,
    ):
        if not 1 <= threads <= MOST_THREADS:
            raise UserError(f"threads must be 1 to {MOST_THREADS}, not {threads}")
        self._network = AuNetwork(load_shipped(Path(model)), threads)
        self.sidecar, self.model_files = self._network.model.sidecar, self._network.model.files
        self.thresholds = {
            label: threshold
            for label, threshold in zip(self.sidecar.labels, self.sidecar.thresholds, strict=True)
            if threshold is not None
        }
        self._learned = [label in self.thresholds for label in self.sidecar.labels]
        self._settings = faces or FaceSettings()
        self._faces = FaceDetector(min(FIRST_LOOK, self._settings.followed))
        self._smooth, self._calibrate = smooth, calibrate
        self.reset()

    def reset(self) -> None:
        """Forget the faces seen: the next frame is the first of another video."""
        self._tracker: FaceTracker | None = None
        self._time = -math.inf
        self._baseline, self._median = NeutralBaseline(self._calibrate), TemporalMedian(self._smooth)

    def frame(self, image: np.ndarray, timestamp: float | None = None) -> list[Face]:
        """The faces in the next frame of a video, RGB uint8 (H, W, 3), by id; `timestamp` in seconds from its start.

        Raises UserError for anything that is no such image, and for a time that goes backwards.
        """
        _check_image(image)
        self._check_time(timestamp)
        if self._tracker is None:
            smallest = self._settings.smallest or SMALLEST_IN_VIDEO * max(image.shape)
            self._tracker = FaceTracker(self._faces, self._settings.finding(smallest))
        tracks = self._tracker.update(image)
        faces = [self._face(image, track.number, track.face, timestamp) for track in tracks]
        self._baseline.keep(self._tracker.numbers())
        self._median.keep(self._tracker.numbers())
        return faces

    def image(self, image: np.ndarray) -> list[Face]:
        """The faces in a single image, RGB uint8 (H, W, 3), numbered from the largest; nothing is remembered."""
        _check_image(image)
        smallest = self._settings.smallest or SMALLEST_IN_IMAGE * max(image.shape)
        found = find_faces(self._faces, image, smallest, self._settings.threshold)
        return [self._measure(image, number, face) for number, face in enumerate(found[: self._settings.most])]

    def _face(self, image: np.ndarray, number: int, face: Detection, timestamp: float | None) -> Face:
        """The face with its probabilities above neutral, and smoothed."""
        measured = self._measure(image, number, face)
        if not measured.success:
            return measured
        values = np.array(list(measured.probabilities.values()))
        values = self._median(number, self._baseline(number, values, timestamp))
        return self._with_probabilities(number, face, values)

    def _measure(self, image: np.ndarray, number: int, face: Detection) -> Face:
        crop = self.sidecar.crop
        square = crop.from_eyes(face.right_eye, face.left_eye)
        if square.side < crop.side * LEAST_EYE_DISTANCE or visible_share(square, *image.shape[:2]) < LEAST_VISIBLE:
            return Face(number, face.box, face.score, False, (face.right_eye, face.left_eye), {}, {})
        probabilities = self._network.probabilities(crop.cut(image, square))
        return self._with_probabilities(number, face, probabilities[self._learned])

    def _with_probabilities(self, number: int, face: Detection, values: np.ndarray) -> Face:
        probabilities = dict(zip(self.thresholds, values.tolist(), strict=True))
        present = {label: probabilities[label] >= threshold for label, threshold in self.thresholds.items()}
        return Face(number, face.box, face.score, True, (face.right_eye, face.left_eye), probabilities, present)

    def _check_time(self, timestamp: float | None) -> None:
        if timestamp is None:
            if self._calibrate:
                raise UserError("calibration needs the timestamps of the frames, in seconds")
            return
        if not isinstance(timestamp, int | float | np.number) or not math.isfinite(timestamp) or timestamp < self._time:
            raise UserError(
                f"timestamp {timestamp!r} after {self._time}: it must be a number of seconds that does not go back"
            )
        self._time = timestamp


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
            f"an image must be uint8 (H, W, 3), RGB, values 0 to 255, not {image.dtype} {image.shape}. "
            "Convert grey with np.repeat, floats with (255 * image).round().astype(np.uint8) after a look for NaN"
        )
