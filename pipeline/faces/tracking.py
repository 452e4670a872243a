"""Faces that keep their number from frame to frame: BlazeFace around each known face, and periodic searches."""

import math
from dataclasses import dataclass, field

import numpy as np

from pipeline.faces.blazeface import Detection, FaceDetector, around
from pipeline.faces.crop import Square
from pipeline.faces.likeness import Shots, View, view
from pipeline.faces.search import SAME_FACE, common_share, find_in, look, some_of, squares, tilt

HOLD = 25  # frames for which a face out of sight keeps its number
NEAR = 1.0  # how far from its expected place a face may reappear, its width = 1
SWELLING = 1.5  # growth of a face's width from one frame to the next; more means part of it, or something else
PATIENCE = 8  # frames for which another face in the place of a lost one is not counted, unless the picture has changed
VIEWS, VIEW_EVERY = 3, 12  # views kept of a face, and frames between them
LARGER = 1.2  # width of a face that takes the place of a smaller one, which has width 1
NEWEST = 0.2  # weight of the newest step in a face's mean motion
# Below these, from look to look, a face counts as still:
STILL_MOVE, STILL_GROWTH = 0.01, 0.02  # side of the square = 1
STILL_TURN = 0.02  # radians


@dataclass
class Track:
    """A face with its number, where it was last seen, its motion, and for how many frames it has been missing."""

    number: int
    face: Detection
    views: list[View]  # how it looks now and some time ago, when perhaps nothing covered it
    missed: int = 0
    waiting: bool = False  # others are larger: it is known, but not followed
    age: int = 0  # for how many frames it has been seen
    motion: tuple[float, float] = (0.0, 0.0)  # of its centre, in pixels a frame
    square: Square = field(init=False)  # to look into next

    def __post_init__(self):
        self.square = around(self.face, tilt(self.face))

    def see(self, face: Detection, view: View) -> None:
        """Note that the face was seen again, `missed` + 1 frames after the last time."""
        steps = np.subtract(centre(face), centre(self.face)) / (self.missed + 1)
        self.motion = tuple(((1 - NEWEST) * np.array(self.motion) + NEWEST * steps).tolist())
        self.age += 1
        earlier = self.views[: VIEWS - 1] if self.age % VIEW_EVERY == 0 else self.views[1:]
        self.face, self.views, self.missed = face, [view, *earlier], 0
        self.square = steady(self.square, around(face, tilt(face)))

    def is_same(self, seen: View) -> bool:
        """Whether a face that looks like this may be the same person's."""
        return any(seen.is_same(known) for known in self.views)

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

    Every `search_every` frames, and when a face has just been lost, the image is searched. In between, BlazeFace looks
    once around each face's last place, rotated with it: such a tracker cannot drift away from faces. A face that looks like
    another person's is a new one. Of more than `most` faces only the largest are followed.
    """

    def __init__(self, detector: FaceDetector, finding: Finding):
        self._detector, self._finding = detector, finding
        self._tracks: list[Track] = []
        self._shots = Shots()
        self._next_number, self._frame = 0, 0
        self._complete = 0  # the frame of the last search everywhere

    def update(self, image: np.ndarray) -> list[Track]:
        """The faces seen in the next frame, RGB uint8 (H, W, 3), by number."""
        last, shot = self._shots.number, self._shots.next(image)
        strangers = self._follow(image, shot)
        found = strangers + self._search(image, shot != last)
        self._add(sorted(found, key=width, reverse=True), image, shot)
        self._frame += 1
        hold = {False: HOLD, True: HOLD + self._finding.search_every}
        self._tracks = [track for track in self._tracks if track.missed <= hold[track.waiting]]
        return sorted(self._seen(), key=lambda track: track.number)

    def numbers(self) -> set[int]:
        """The numbers of the known faces, in sight or not."""
        return {track.number for track in self._tracks}

    def _seen(self) -> list[Track]:
        return [track for track in self._tracks if not track.missed and not track.waiting]

    def _search(self, image: np.ndarray, cut: bool) -> list[Detection]:
        """Faces that are not followed, if it is time to search: everywhere at first and after a cut, else in turn."""
        every = self._finding.search_every
        complete = self._frame == 0 or (cut and self._frame - self._complete >= every)
        seen = [track.face for track in self._seen()]
        lost = [centre(track.face) for track in self._tracks if track.missed == 1 and not track.waiting]
        due = complete or lost or self._frame % every == 0
        if seen and not due:
            return []
        parts = squares(*image.shape[:2], self._finding.smallest) if due else []
        if complete:
            self._complete = self._frame
        else:
            parts = some_of(parts, self._frame // every, lost)
        return find_in(self._detector, image, parts, self._finding.least, seen)

    def _follow(self, image: np.ndarray, shot: int) -> list[Detection]:
        """Look for every face where it was; return faces there that are another person's.

        Of several claims to a face the nearest wins, the others are out of sight.
        """
        followed = [track for track in self._tracks if not track.waiting]
        claims = [(track, face) for track in followed for face in self._claims(track, image)]
        claims.sort(key=lambda claim: (claim[0].missed > 0, claim[0].distance(claim[1])))
        free, taken, strangers = {track.number for track in self._tracks}, [], []
        for track, face in claims:
            if track.number not in free or any(same(face, other) for other in taken):
                continue
            seen = view(image, face, shot)
            if track.is_same(seen):
                track.see(face, seen)
                free.remove(track.number)
                taken.append(face)
            else:
                strangers.append(face)
        for track in self._tracks:
            track.missed += track.number in free
        most = self._finding.most or len(self._tracks)
        for track in sorted(self._seen(), key=lambda track: -width(track.face))[most:]:
            track.waiting = True
        return strangers

    def _claims(self, track: Track, image: np.ndarray) -> list[Detection]:
        """Faces around the last place of this one that may be the same face."""
        found = look(self._detector, image, track.square)
        least = self._finding.least if track.missed else self._finding.least_followed
        likely = [face for face in found if face.score >= least and _alike(face, track.face)]
        return [face for face in likely if common_share(face.box, track.face.box) > 0]

    def _add(self, faces: list[Detection], image: np.ndarray, shot: int) -> None:
        """Add found faces, the largest first: some are followed already, others are known ones seen again, or new."""
        for face in faces:
            if any(same(face, track.face) for track in self._seen()):
                continue
            seen = view(image, face, shot)
            known = self._known(face, seen)
            if not known and self._may_be_covered(face, shot):
                continue
            room = self._make_room(face)
            if known:
                known.see(face, seen)
                known.waiting = not room
            elif room:
                self._tracks.append(Track(self._next_number, face, [seen]))
                self._next_number += 1

    def _may_be_covered(self, face: Detection, shot: int) -> bool:
        """Whether the face is where one was lost a moment ago, in the same shot: something may be passing before it."""
        lost = [track for track in self._tracks if 0 < track.missed < PATIENCE and same(face, track.face)]
        return any(track.views[0].shot == shot for track in lost)

    def _make_room(self, face: Detection) -> bool:
        """Whether the face is among the `most` largest; the smallest one followed then waits.

        It must be clearly larger, so that two faces of one size do not take turns.
        """
        seen = self._seen()
        if self._finding.most is None or len(seen) < self._finding.most:
            return True
        smallest = min(seen, key=lambda track: width(track.face))
        smallest.waiting = width(face) >= LARGER * width(smallest.face)
        return smallest.waiting

    def _known(self, face: Detection, view: View) -> Track | None:
        """The nearest known face that is not followed now and may be this one."""
        others = [track for track in self._tracks if track.missed or track.waiting]
        near = [track for track in others if track.distance(face) <= NEAR and track.is_same(view)]
        return min(near, key=lambda track: track.distance(face), default=None)


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


def width(face: Detection) -> float:
    """The width of a face's box in pixels."""
    return face.box[2]


def centre(face: Detection) -> tuple[float, float]:
    """The centre of a face's box."""
    x, y, width, height = face.box
    return x + width / 2, y + height / 2
