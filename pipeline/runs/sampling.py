"""Independent random streams by purpose and seed, and exact shares of a count."""

import math
from fractions import Fraction
from typing import Literal

import numpy as np

Purpose = Literal["subset", "split", "noise", "order", "augmentation"]

# Changing a number changes the data of every run.
_PURPOSES: dict[str, int] = {"subset": 0, "split": 1, "noise": 2, "order": 3, "augmentation": 4}


def stream(purpose: Purpose, seed: int, *address: int) -> np.random.Generator:
    """An independent generator for every (purpose, seed, address).

    The seed is the entropy, the rest the spawn key of a `numpy.random.SeedSequence`: no two addresses share a stream.
    """
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(seed, spawn_key=(_PURPOSES[purpose], *address))))


def count_of(n: int, share: float) -> int:
    """floor(n * share) of the decimal number the user wrote: 29 for 0.29 of 100, where floats give 28.99...96."""
    return math.floor(n * Fraction(repr(float(share))))
