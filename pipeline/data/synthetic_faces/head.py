"""The head mesh, the shapes it can take (as `build_asset` wrote them), and how action units move it."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from pipeline.action_units.labels import AU_NUMBERS

ASSET = Path(__file__).with_name("head.npz")
BODY, LEFT_EYE, RIGHT_EYE, TEETH = range(4)

# By action unit: the weights of the mesh's shapes at intensity 1, for both sides. Chosen by eye, not FACS-certified.
AU_SHAPES = {
    1: {"browInnerUp": 1.9},
    2: {"browOuterUp": 1.7, "browInnerUp": 0.25},
    4: {"browDown": 1.9},
    6: {"cheekSquint": 2.2, "eyeSquint": 0.35},
    7: {"eyeSquint": 1.7, "eyeBlink": 0.12},
    10: {"mouthUpperUp": 1.5, "noseSneer": 0.4},
    12: {"mouthSmile": 0.95},
    14: {"mouthDimple": 2.0, "mouthRollUpper": 0.1, "mouthRollLower": 0.25},
    15: {"mouthFrown": 2.5},
    17: {"mouthShrugLower": 2.0, "mouthShrugUpper": 0.5},
    23: {"mouthRollUpper": 0.5, "mouthRollLower": 0.5, "mouthPucker": 1.5},
    24: {"mouthRollUpper": 0.85, "mouthRollLower": 1.0, "mouthPress": 0.5, "mouthFrown": 0.3},
}
SIDE_WIDTH = 0.1  # decimetres over which an asymmetric movement changes from one side's strength to the other's
TEETH_SHOWN = {10: 1.0, 12: 0.6}


@dataclass(frozen=True)
class Head:
    """V vertices in decimetres, y up, z towards the viewer, x towards the left of the person (image right).

    `points` float32 (V, 3), `triangles` int32 (T, 3), `part` (V,) one of the codes above, `lips`, `eyelids`, `mouth` and
    `occlusion` float32 (V,) in 0..1. Offsets float32 (V, 3) by name: `movements` of the face, and the shapes of heads,
    `macros` of the whole head and `locals` of its parts.
    """

    points: np.ndarray
    triangles: np.ndarray
    part: np.ndarray
    lips: np.ndarray
    eyelids: np.ndarray
    mouth: np.ndarray
    occlusion: np.ndarray
    movements: dict[str, np.ndarray]
    macros: dict[str, np.ndarray]
    locals: dict[str, np.ndarray]


@cache
def head() -> Head:
    """The head in the package data."""
    with np.load(ASSET) as file:
        masks = {
            name: file[name].astype(np.float32) / np.float32(255) for name in ("lips", "eyelids", "mouth", "occlusion")
        }
        offsets = {
            "movements": _offsets(file, "unit"),
            "macros": _offsets(file, "macro"),
            "locals": _offsets(file, "local"),
        }
        return Head(file["points"], file["triangles"].astype(np.int32), file["part"], **masks, **offsets)


def _offsets(file: np.lib.npyio.NpzFile, kind: str) -> dict[str, np.ndarray]:
    codes, scales = file[f"{kind}_codes"], file[f"{kind}_scales"]
    parts = zip(file[f"{kind}_names"].tolist(), codes, scales, strict=True)
    return {name: np.ascontiguousarray(code.T * scale, dtype=np.float32) for name, code, scale in parts}


def au_movements(rng: np.random.Generator) -> np.ndarray:
    """A person's way of moving: offsets float32 (A, V, 3) of the base head at intensity 1 of AU_NUMBERS."""
    base = head()
    side = np.tanh(base.points[:, :1] / SIDE_WIDTH)
    moved = np.empty((len(AU_NUMBERS), *base.points.shape), np.float32)
    for row, number in zip(moved, AU_NUMBERS, strict=True):
        row[:] = sum(
            rng.uniform(0.85, 1.15) * weight * base.movements[name] for name, weight in AU_SHAPES[number].items()
        )
        row *= 1 + np.clip(rng.normal(0, 0.12), -0.3, 0.3) * side
    return moved


def teeth_shown(intensities: np.ndarray) -> float:
    """How far the teeth stand in their place, 0..1, for intensities (A,)."""
    return min(1.0, sum(intensities[AU_NUMBERS.index(number)] * share for number, share in TEETH_SHOWN.items()))
