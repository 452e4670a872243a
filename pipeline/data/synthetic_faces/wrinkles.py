"""Creases that action units and age leave, random for each person: place, number, strength and presence are random."""

from collections.abc import Callable

import numpy as np

from pipeline.action_units.labels import AU_NUMBERS
from pipeline.data.synthetic_faces.skin import TEXELS, curve, mirrored, noise

Curves = list[np.ndarray]  # base-mesh points (P, 2) each


def au_creases(rng: np.random.Generator) -> np.ndarray:
    """Depths of one person's creases at intensity 1 of AU_NUMBERS, float32 (A, TEXELS, TEXELS), 0..1.5."""
    person = rng.uniform(0.7, 1.4)
    return np.stack([_strength(rng, person) * _drawn(CREASES[number], rng) for number in AU_NUMBERS]).astype(np.float32)


def age_creases(rng: np.random.Generator, age: float) -> np.ndarray:
    """Depths of the creases that one person always shows, float32 (TEXELS, TEXELS); `age` 0..1."""
    total = np.zeros((TEXELS, TEXELS), np.float32)
    for number in AU_NUMBERS:
        if rng.random() < 0.15 + 0.45 * age:
            total += rng.uniform(0.1, 0.35 + 0.35 * age) * _drawn(CREASES[number], rng)
    return total


def _strength(rng: np.random.Generator, person: float) -> float:
    return person * rng.uniform(0.6, 1.3) if rng.random() < 0.85 else 0.0


def _drawn(curves: Callable[[np.random.Generator], Curves], rng: np.random.Generator) -> np.ndarray:
    total = np.zeros((TEXELS, TEXELS), np.float32)
    for points in curves(rng):
        if rng.random() < 0.88:
            moved = points + rng.normal(0, 0.008, points.shape)
            total = np.maximum(total, rng.uniform(0.5, 1) * curve(moved, rng.uniform(0.012, 0.03)))
    return total * (1 + 0.25 * noise(rng, 24))


def _forehead_middle(rng: np.random.Generator) -> Curves:
    half, bow = rng.uniform(0.18, 0.42), rng.uniform(-0.02, 0.06)
    heights = rng.uniform(7.6, 7.68) + np.arange(rng.integers(2, 5)) * rng.uniform(0.07, 0.12)
    return [np.array([[-half, y - bow], [rng.normal(0, 0.03), y + bow], [half, y - bow]]) for y in heights]


def _forehead_sides(rng: np.random.Generator) -> Curves:
    start, end, rise = rng.uniform(0.12, 0.3), rng.uniform(0.5, 0.68), rng.uniform(0.02, 0.07)
    heights = rng.uniform(7.6, 7.68) + np.arange(rng.integers(2, 4)) * rng.uniform(0.06, 0.11)
    one = [np.array([[start, y], [(start + end) / 2, y + rise], [end, y - rise]]) for y in heights]
    return one + [mirrored(points) for points in one]


def _between_brows(rng: np.random.Generator) -> Curves:
    bottom, top = rng.uniform(7.34, 7.42), rng.uniform(7.52, 7.64)
    places = rng.permutation([-0.1, -0.05, 0.05, 0.1])[: rng.integers(2, 4)] + rng.normal(0, 0.012)
    return [np.array([[x * 0.8, bottom], [x, (bottom + top) / 2], [x * rng.uniform(0.8, 1.3), top]]) for x in places]


def _crows_feet(rng: np.random.Generator) -> Curves:
    x, y, length = rng.uniform(0.47, 0.53), rng.uniform(7.24, 7.32), rng.uniform(0.12, 0.24)
    angles = rng.uniform(-0.9, -0.5) + np.arange(rng.integers(3, 5)) * rng.uniform(0.3, 0.5)
    one = [np.array([[x, y + 0.03 * a], [x + length * np.cos(a), y + length * np.sin(a)]]) for a in angles]
    one.append(_under_eye(rng, rng.uniform(7.06, 7.13), 0.05))
    return one + [mirrored(points) for points in one]


def _lower_lid(rng: np.random.Generator) -> Curves:
    one = [_under_eye(rng, y, 0.035) for y in rng.uniform(7.14, 7.2) - np.arange(rng.integers(1, 3)) * 0.035]
    return one + [mirrored(points) for points in one]


def _under_eye(rng: np.random.Generator, y: float, bow: float) -> np.ndarray:
    inner, outer = rng.uniform(0.14, 0.22), rng.uniform(0.4, 0.5)
    return np.array([[inner, y + bow / 2], [(inner + outer) / 2, y - bow / 2], [outer, y + bow]])


def _nose_sides(rng: np.random.Generator) -> Curves:
    end = rng.uniform(6.72, 6.82)
    one = [
        np.array(
            [
                [rng.uniform(0.14, 0.18), rng.uniform(6.96, 7.04)],
                [rng.uniform(0.23, 0.27), 6.9],
                [rng.uniform(0.28, 0.34), end],
            ]
        )
    ]
    one += [np.array([[0.06, y], [0.11, y - 0.05]]) for y in rng.uniform(7.08, 7.24, rng.integers(1, 4))]
    return one + [mirrored(points) for points in one]


def _nasolabial(rng: np.random.Generator) -> Curves:
    x = rng.uniform(0.36, 0.45)
    one = [np.array([[rng.uniform(0.15, 0.2), rng.uniform(6.9, 6.98)], [x * 0.82, 6.8], [x, rng.uniform(6.52, 6.66)]])]
    return one + [mirrored(points) for points in one]


def _dimples(rng: np.random.Generator) -> Curves:
    x, y, half = rng.uniform(0.29, 0.35), rng.uniform(6.57, 6.64), rng.uniform(0.05, 0.1)
    one = [np.array([[x - 0.02, y + half], [x + 0.01, y], [x - 0.02, y - half]])]
    return one + [mirrored(points) for points in one]


def _mouth_corners(rng: np.random.Generator) -> Curves:
    x, length = rng.uniform(0.25, 0.3), rng.uniform(0.1, 0.2)
    one = [np.array([[x, 6.56], [x + 0.035, 6.56 - length / 2], [x + rng.uniform(0.02, 0.07), 6.56 - length]])]
    return one + [mirrored(points) for points in one]


def _chin(rng: np.random.Generator) -> Curves:
    y, half = rng.uniform(6.38, 6.44), rng.uniform(0.1, 0.19)
    pits = rng.uniform([-0.13, 6.2], [0.13, 6.34], (rng.integers(8, 16), 2))
    return [np.array([[-half, y - 0.05], [0, y], [half, y - 0.05]])] + [
        np.stack([pit, pit + np.array([0.02, 0.01])]) for pit in pits
    ]


def _around_lips(rng: np.random.Generator) -> Curves:
    places = np.linspace(-0.17, 0.17, rng.integers(5, 9)) + rng.normal(0, 0.012)
    above = [np.array([[x, 6.7], [x * 1.15, rng.uniform(6.76, 6.82)]]) for x in places]
    return above + [np.array([[x, 6.5], [x * 1.15, rng.uniform(6.41, 6.46)]]) for x in places]


def _pressed_lips(rng: np.random.Generator) -> Curves:
    half = rng.uniform(0.2, 0.28)
    lines = [np.array([[-half, y - bow], [0, y], [half, y - bow]]) for y, bow in ((6.745, 0.05), (6.46, -0.03))]
    corner = [np.array([[0.27, 6.66], [0.3, 6.6], [0.27, 6.54]])]
    return lines + corner + [mirrored(points) for points in corner]


CREASES: dict[int, Callable[[np.random.Generator], Curves]] = {
    1: _forehead_middle,
    2: _forehead_sides,
    4: _between_brows,
    6: _crows_feet,
    7: _lower_lid,
    10: _nose_sides,
    12: _nasolabial,
    14: _dimples,
    15: _mouth_corners,
    17: _chin,
    23: _around_lips,
    24: _pressed_lips,
}
