"""How each action unit moves the head: weights of face units at intensity 1, both sides. Chosen by eye, not FACS-certified."""

import numpy as np

from pipeline.data.au_set import AU_NUMBERS

FACE_UNITS = {
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


def movements(units: dict[str, np.ndarray], points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A person's way of moving: offsets float32 (A, V, 3) at intensity 1 of AU_NUMBERS, from `units` on base `points` (V, 3)."""
    side = np.tanh(points[:, :1] / SIDE_WIDTH)
    moved = np.empty((len(AU_NUMBERS), *points.shape), np.float32)
    for row, number in zip(moved, AU_NUMBERS, strict=True):
        row[:] = sum(rng.uniform(0.85, 1.15) * weight * units[name] for name, weight in FACE_UNITS[number].items())
        row *= 1 + np.clip(rng.normal(0, 0.12), -0.3, 0.3) * side
    return moved


def teeth_shown(intensities: np.ndarray) -> float:
    """How far the teeth stand in their place, 0..1, for intensities (A,)."""
    return min(1.0, sum(intensities[AU_NUMBERS.index(number)] * share for number, share in TEETH_SHOWN.items()))
