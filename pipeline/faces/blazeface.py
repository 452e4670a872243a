"""BlazeFace, short range: faces with their eyes in an image, by LiteRT.

Bazarevsky et al. 2019, "BlazeFace: Sub-millisecond Neural Face Detection on Mobile GPUs". The network is MediaPipe's
(blaze_face_short_range.tflite, Apache-2.0, see NOTICE), made for faces that fill at least a fifth of the image.
"""

import math
from dataclasses import dataclass
from functools import cache
from importlib import resources

import cv2
import numpy as np
from ai_edge_litert.interpreter import Interpreter

from pipeline.faces.crop import Square, sample

SIDE = 128  # of the network's input, in pixels
LAYERS = ((16, 2), (8, 6))  # grids of anchors: cells a side, anchors a cell
MARGINS = (1.0, 1.6)  # side of the square fed to the network, image = 1: a face that fills the image needs room
CLOSER = 2.0  # side of the second look, width of the face's box = 1
MAX_LOGIT = 100.0


@dataclass(frozen=True)
class Detection:
    """A face in pixels of the image: box (x, y, width, height), eye centres (x, y), and its probability.

    The eyes are the subject's: the right eye is on the left of the image.
    """

    box: tuple[float, float, float, float]
    right_eye: tuple[float, float]
    left_eye: tuple[float, float]
    score: float


class FaceDetector:
    """Finds faces; one detector serves one thread.

    `threshold` is the minimum probability of a face, `overlap` the minimum intersection over union of two boxes of one face.
    """

    def __init__(self, threshold: float = 0.5, overlap: float = 0.3):
        content = resources.files("pipeline.faces").joinpath("blaze_face_short_range.tflite").read_bytes()
        self._interpreter = Interpreter(model_content=content, num_threads=1)
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]["index"]
        outputs = self._interpreter.get_output_details()
        self._points, self._scores = sorted((output["index"] for output in outputs), key=self._width, reverse=True)
        self._threshold, self._overlap = threshold, overlap

    def detect(self, image: np.ndarray) -> list[Detection]:
        """The faces in an RGB image uint8 (H, W, 3), the most probable first; [] if there is none.

        Every face is looked at again, enlarged, which locates its eyes more precisely.
        """
        for square in wholes(*image.shape[:2]):
            found = self.look(image, square)
            if found:
                return [self._closer(image, face) for face in found]
        return []

    def look(self, image: np.ndarray, square: Square) -> list[Detection]:
        """The faces in a square of the image uint8 (H, W, 3), the most probable first; outside is black.

        In a rotated square the network sees rotated faces upright. Boxes are upright in the image at any angle.
        """
        faces = self._faces(image, square)
        return [_detection(_in_image(points.reshape(-1, 2) / SIDE - 0.5, square), score) for points, score in faces]

    def _closer(self, image: np.ndarray, face: Detection) -> Detection:
        """The face as seen in a square twice as wide as its box; unchanged if none is seen there."""
        found = self.look(image, around(face))
        return found[0] if found else face

    def _width(self, output: int) -> int:
        return self._interpreter.get_tensor(output).shape[-1]

    def _faces(self, image: np.ndarray, square: Square) -> list[tuple[np.ndarray, float]]:
        """Faces (16,) in input pixels (see `decode`) and their scores."""
        pixels = sample(image, square, SIDE, cv2.BORDER_CONSTANT)
        self._interpreter.set_tensor(self._input, pixels[None].astype(np.float32) / np.float32(127.5) - np.float32(1))
        self._interpreter.invoke()
        points, scores = (self._interpreter.get_tensor(output)[0] for output in (self._points, self._scores))
        return merge(decode(points), _probability(scores[:, 0]), self._threshold, self._overlap)


def wholes(height: int, width: int) -> list[Square]:
    """Squares that contain the whole image: tightly, and with room around it."""
    return [Square(width / 2, height / 2, margin * max(height, width)) for margin in MARGINS]


def around(face: Detection, angle: float = 0.0) -> Square:
    """The square twice as wide as the face's box, in which BlazeFace sees it best."""
    x, y, width, height = face.box
    return Square(x + width / 2, y + height / 2, CLOSER * max(width, height), angle)


@cache
def anchors() -> np.ndarray:
    """The centres (896, 2) of the anchors, x and y in input pixels."""
    grids = []
    for cells, repeats in LAYERS:
        centres = (np.arange(cells) + 0.5) * (SIDE / cells)
        ys, xs = np.meshgrid(centres, centres, indexing="ij")
        grids.append(np.repeat(np.stack([xs.ravel(), ys.ravel()], axis=1), repeats, axis=0))
    return np.concatenate(grids)


def decode(points: np.ndarray) -> np.ndarray:
    """Boxes and key points float64 (n, 16) in input pixels from the network's output (n, 16).

    Columns: left, top, right, bottom; then x and y of right eye, left eye, nose, mouth, right ear, left ear.
    """
    places = points.astype(np.float64).reshape(len(points), -1, 2)
    centre, size = places[:, 0] + anchors(), places[:, 1]
    corners = np.stack([centre - size / 2, centre + size / 2], axis=1)
    return np.concatenate([corners, places[:, 2:] + anchors()[:, None]], axis=1).reshape(len(points), -1)


def merge(faces: np.ndarray, scores: np.ndarray, threshold: float, overlap: float) -> list[tuple[np.ndarray, float]]:
    """Faces (16,) with their scores, best first: each the score-weighted mean of those that overlap the best.

    `overlap` is the minimum intersection over union of two boxes of one face. Bazarevsky et al. 2019, sec. 3.3.
    """
    keep = scores >= threshold
    order = np.argsort(-scores[keep], kind="stable")
    faces, scores = faces[keep][order], scores[keep][order]
    merged = []
    while len(faces):
        same = _intersection_over_union(faces[0], faces) >= overlap
        same[0] = True
        merged.append((np.average(faces[same], axis=0, weights=scores[same]), float(scores[0])))
        faces, scores = faces[~same], scores[~same]
    return merged


def _intersection_over_union(face: np.ndarray, faces: np.ndarray) -> np.ndarray:
    start, end = np.maximum(face[:2], faces[:, :2]), np.minimum(face[2:4], faces[:, 2:4])
    common = np.prod(np.maximum(end - start, 0), axis=1)
    areas = np.prod(faces[:, 2:4] - faces[:, :2], axis=1)
    return common / np.maximum(np.prod(face[2:4] - face[:2]) + areas - common, 1e-9)


def _probability(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(logits.astype(np.float64), -MAX_LOGIT, MAX_LOGIT)))


def _in_image(places: np.ndarray, square: Square) -> np.ndarray:
    """Positions (8, 2) in the image of those in a square (side 1, centre 0), the first two being a box's corners.

    The box is rotated about its own centre to be upright again.
    """
    centre = np.array([square.x, square.y])
    if not square.angle:
        return centre + places * square.side
    turn = np.array(
        [[math.cos(square.angle), -math.sin(square.angle)], [math.sin(square.angle), math.cos(square.angle)]]
    )
    middle, half = (places[0] + places[1]) / 2, (places[1] - places[0]) / 2
    turned = places @ turn.T
    turned[:2] = turn @ middle + np.stack([-half, half])
    return centre + turned * square.side


def _detection(points: np.ndarray, score: float) -> Detection:
    start, end, right_eye, left_eye = points[:4].tolist()
    return Detection((*start, end[0] - start[0], end[1] - start[1]), tuple(right_eye), tuple(left_eye), score)
