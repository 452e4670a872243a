"""Faces that keep their number from frame to frame: BlazeFace around each known face, and periodic searches."""

import math
from dataclasses import dataclass, field

import numpy as np

from pipeline.faces.blazeface import Detection, FaceDetector, around
from pipeline.faces.crop import Square
from pipeline.faces.search import SAME_FACE, common_share, find_faces, look, tilt

HOLD = 25  # frames for which a face out of sight keeps its number
WIDEST = 4  # a quick search finds faces of at least this part (1 / WIDEST) of the image's longer side
NEAR = 1.0  # how far from its expected place a face may reappear, its width = 1
SWELLING = 1.5  # growth of a face's width from one frame to the next; more means part of it, or something else
NEWEST = 0.2  # weight of the newest step in a face's mean motion
# Below these, from look to look, a face counts as still:
STILL_MOVE, STILL_GROWTH = 0.01, 0.02  # side of the square = 1
STILL_TURN = 0.02  # radians


@dataclass
class Track:
    """A face with its number, where it was last seen, its motion, and for how many frames it has been missing."""

    number: int
    face: Detection
    missed: int = 0
    motion: tuple[float, float] = (0.0, 0.0)  # of its centre, in pixels a frame
    square: Square = field(init=False)  # to look into next

    def __post_init__(self):
        self.square = around(self.face, tilt(self.face))

    def see(self, face: Detection) -> None:
        """Note that the face was seen again, `missed` + 1 frames after the last time."""
        steps = np.subtract(centre(face), centre(self.face)) / (self.missed + 1)
        self.motion = tuple(((1 - NEWEST) * np.array(self.motion) + NEWEST * steps).tolist())
        self.face, self.missed, self.square = face, 0, steady(self.square, around(face, tilt(face)))

    def distance(self, face: Detection) -> float:
        """Distance of a face from where this one was, or would be had it moved on, mean width = 1."""
        width = (self.face.box[2] + face.box[2]) / 2
        moved = np.add(centre(self.face), np.multiply(self.motion, self.missed))
        away = [np.hypot(*np.subtract(centre(face), place)) for place in (centre(self.face), moved)]
        return float(min(away) / max(width, 1e-9))


@dataclass(frozen=True)
class Finding:
    """How faces are found: frames between searches, minimum width in pixels, maximum number of faces (None: no limit).

    `least` is the minimum probability of a face that is new or was out of sight, `least_followed` of one being followed.
    """

    search_every: int
    smallest: float
    most: int | None
    least: float
    least_followed: float


class FaceTracker:
    """Follows the faces of one video; `update` takes its frames in order.

    Every `search_every` frames, and when a face has just been lost, the whole image is searched. In between, BlazeFace looks
    once around each face's last place, rotated with it: such a tracker cannot drift away from faces.
    """

    def __init__(self, detector: FaceDetector, finding: Finding):
        self._detector, self._finding = detector, finding
        self._tracks: list[Track] = []
        self._next_number, self._frame = 0, 0

    def update(self, image: np.ndarray) -> list[Track]:
        """The faces seen in the next frame, RGB uint8 (H, W, 3), by number."""
        self._follow(image)
        lost = any(track.missed == 1 for track in self._tracks)
        if self._frame % self._finding.search_every == 0 or lost:
            self._add(find_faces(self._detector, image, self._finding.smallest, self._finding.least))
        elif not self._seen():
            self._add(find_faces(self._detector, image, max(image.shape) / WIDEST, self._finding.least))
        self._frame += 1
        self._tracks = [track for track in self._tracks if track.missed <= HOLD]
        return self._seen()[: self._finding.most]

    def numbers(self) -> set[int]:
        """The numbers of the known faces, in sight or not."""
        return {track.number for track in self._tracks}

    def _seen(self) -> list[Track]:
        return [track for track in self._tracks if not track.missed]

    def _follow(self, image: np.ndarray) -> None:
        """Look for every face where it was; of several claims to a face the nearest wins, the others are out of sight."""
        claims = [(track, face) for track in self._tracks for face in self._claims(track, image)]
        claims.sort(key=lambda claim: (claim[0].missed > 0, claim[0].distance(claim[1])))
        free, taken = {track.number for track in self._tracks}, []
        for track, face in claims:
            if track.number in free and not any(same(face, other) for other in taken):
                track.see(face)
                free.remove(track.number)
                taken.append(face)
        for track in self._tracks:
            track.missed += track.number in free

    def _claims(self, track: Track, image: np.ndarray) -> list[Detection]:
        """Faces around the last place of this one that may be the same face."""
        found = look(self._detector, image, track.square)
        least = self._finding.least if track.missed else self._finding.least_followed
        likely = [face for face in found if face.score >= least and _alike(face, track.face)]
        return [face for face in likely if common_share(face.box, track.face.box) > 0]

    def _add(self, faces: list[Detection]) -> None:
        """Add found faces: those already followed are skipped, others are lost ones seen again, or new."""
        for face in faces:
            if any(same(face, track.face) for track in self._seen()):
                continue
            lost = [track for track in self._tracks if track.missed]
            nearest = min(lost, key=lambda track: track.distance(face), default=None)
            if nearest and nearest.distance(face) <= NEAR:
                nearest.see(face)
            elif self._finding.most is None or len(self._seen()) < self._finding.most:
                self._tracks.append(Track(self._next_number, face))
                self._next_number += 1


def steady(old: Square, new: Square) -> Square:
    """The old square while the new one is nearly the same, so that a still face is seen the same way again."""
    moved = math.hypot(new.x - old.x, new.y - old.y) / old.side
    turned = math.remainder(new.angle - old.angle, math.tau)
    still = moved < STILL_MOVE and abs(new.side / old.side - 1) < STILL_GROWTH and abs(turned) < STILL_TURN
    return old if still else new


def same(one: Detection, other: Detection) -> bool:
    """Whether two detections are of the same face."""
    return common_share(one.box, other.box) >= SAME_FACE


def _alike(one: Detection, other: Detection) -> bool:
    """Whether a face may have changed its size this much from one frame to the next."""
    return 1 / SWELLING <= one.box[2] / max(other.box[2], 1e-9) <= SWELLING


def centre(face: Detection) -> tuple[float, float]:
    """The centre of a face's box."""
    x, y, width, height = face.box
    return x + width / 2, y + height / 2
