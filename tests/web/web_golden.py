"""What the page's TypeScript must compute, as Python does: `python -m tests.web.web_golden` writes web/test/golden.json."""

import base64
import json
from dataclasses import asdict, astuple
from pathlib import Path

import cv2
import numpy as np

from pipeline.detect.values import TemporalMedian
from pipeline.faces.blazeface import anchors, decode, merge
from pipeline.faces.crop import CropRecipe, Square, sample
from pipeline.faces.search import squares
from pipeline.faces.tracking import steady

GOLDEN = Path(__file__).resolve().parents[2] / "web" / "test" / "golden.json"
WIDTH, HEIGHT = 97, 71
THRESHOLD, OVERLAP = 0.9995, 0.3
SQUARES = (  # x, y, side, angle, size, border
    (48.5, 35.5, 32, 0, 32, "edge"),
    (48.2, 35.9, 29.3, 0, 32, "edge"),
    (48.2, 35.9, 31.7, 0.31, 32, "edge"),
    (40.1, 30.2, 55.5, -0.7, 32, "edge"),
    (52.7, 33.3, 90.2, 2.9, 32, "edge"),
    (5.0, 66.0, 100.0, 0.2, 24, "edge"),
    (48.5, 35.5, 97.0, 0, 24, "black"),
    (48.5, 35.5, 155.2, 0, 32, "black"),
    (3.3, 4.4, 60.6, 1.2, 32, "black"),
    (-80.0, 20.0, 40.0, 0.4, 16, "edge"),
)
EYES = (((30.2, 28.7), (55.9, 31.3)), ((50.0, 20.0), (40.0, 45.0)))
SHRUNK = (
    (0, 0, 48, 35, 2),
    (1, 3, 47, 33, 2),
    (10, 5, 26, 22, 3),
    (3, 2, 23, 17, 4),
    (0, 0, 13, 10, 7),
)  # left, top, width, height, factor
MOVES = (  # from the square (50, 40, 100, 0.1): x, y, side, angle
    (0.5, 0.8, 0, 0),
    (0.6, 0.9, 0, 0),
    (0, 0, 1.9, 0),
    (0, 0, 2.1, 0),
    (0, 0, -2.1, 0),
    (0, 0, 0, 0.019),
    (0, 0, 0, -0.021),
    (0, 0, 0, 6.28),
    (0, 0, 0, 3.1),
)
BORDERS = {"edge": cv2.BORDER_REPLICATE, "black": cv2.BORDER_CONSTANT}


def golden() -> dict:
    """Everything that is compared."""
    image = test_image()
    return {
        "picture": {"width": WIDTH, "height": HEIGHT, "rgb": _base64(image)},
        "samples": [_sample(image, *values) for values in SQUARES],
        "crops": [_crop(image, grey, right, left) for grey in (False, True) for right, left in EYES],
        "shrunk": [_shrunk(image, *values) for values in SHRUNK],
        "anchors": [anchors()[row].tolist() for row in (0, 1, 2, 511, 512, 895)],
        "faces": [{"points": points.tolist(), "score": score} for points, score in _faces()],
        "squares": {
            f"{h}x{w}/{least}": _squares(h, w, least) for h, w, least in ((384, 512, 32), (100, 300, 5), (64, 64, 8))
        },
        "medians": _medians(),
        "steady": [_steady(*move) for move in MOVES],
    }


def test_image() -> np.ndarray:
    """An image uint8 (HEIGHT, WIDTH, 3) that a formula makes: rough, without two equal rows or columns."""
    y, x, c = np.ogrid[:HEIGHT, :WIDTH, :3]
    return ((x * 37 + y * 91 + (x * y) // 8 + c * 50) % 256).astype(np.uint8)


def network_output() -> tuple[np.ndarray, np.ndarray]:
    """Points (896, 16) and logits (896,), float32, that a formula makes."""
    numbers = np.arange(896 * 16, dtype=np.int64)
    points = ((numbers * 7919) % 2001 - 1000) / 40
    points = points.reshape(896, 16)
    points[:, 2:4] = 20 + np.abs(points[:, 2:4])
    logits = ((np.arange(896) * 104729) % 4001 - 2000) / 200
    return points.astype(np.float32), logits.astype(np.float32)


test_image.__test__ = False


def _sample(image: np.ndarray, x: float, y: float, side: float, angle: float, size: int, border: str) -> dict:
    pixels = sample(image, Square(x, y, side, angle), size, BORDERS[border])
    return {
        "square": {"x": x, "y": y, "side": side, "angle": angle},
        "size": size,
        "border": border,
        "rgb": _base64(pixels),
    }


def _crop(image: np.ndarray, grey: bool, right: tuple, left: tuple) -> dict:
    recipe = CropRecipe(24, side=2.4, eye_line=0.4, grey=grey)
    pixels = recipe.cut(image, recipe.from_eyes(right, left))
    return {"grey": grey, "right": right, "left": left, "pixels": _base64(pixels)}


def _shrunk(image: np.ndarray, left: int, top: int, width: int, height: int, factor: int) -> dict:
    part = image[top : top + height * factor, left : left + width * factor]
    pixels = cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA)
    return {"part": [left, top, width, height], "factor": factor, "rgb": _base64(pixels)}


def _faces() -> list[tuple[np.ndarray, float]]:
    points, logits = network_output()
    return merge(decode(points), 1 / (1 + np.exp(-logits.astype(np.float64))), THRESHOLD, OVERLAP)


def _squares(height: int, width: int, least: float) -> list[list[float]]:
    return [[square.x, square.y, square.side] for square in squares(height, width, least)]


def _medians() -> list[float]:
    median = TemporalMedian(5)
    values = ((np.arange(20) * 7) % 11 / 11)[:, None]
    return [float(median(0, value)[0]) for value in values]


def _steady(*move: float) -> dict:
    old = Square(50.0, 40.0, 100.0, 0.1)
    new = Square(*(value + step for value, step in zip(astuple(old), move, strict=True)))
    return {"old": asdict(old), "next": asdict(new), "kept": steady(old, new) is old}


def _base64(pixels: np.ndarray) -> str:
    return base64.b64encode(pixels.tobytes()).decode()


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(golden(), indent=1) + "\n", encoding="utf-8")
    print(GOLDEN)
