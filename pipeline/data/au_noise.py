"""Wrong labels of action units on purpose: flips at a rate per unit, and annotators' errors."""

from collections.abc import Mapping, Sequence
from zlib import crc32

import numpy as np

from pipeline.data.annotators import annotate
from pipeline.data.au_set import UNKNOWN
from pipeline.data.sampling import count_of, stream
from pipeline.errors import UserError

DEFAULT = "default"  # the key of `noise.rates` for every action unit that has none of its own


def corrupt_aus(
    labels: np.ndarray, noise, au_names: Sequence[str], sequences: np.ndarray, frames: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Noisy labels uint8 (N, A) for `labels` uint8 (N, A) by the config section `noise`, and where they differ, bool.

    Unknown labels stay unknown. `sequences` (N,) and `frames` (N,) place every example in its recording. At one seed
    the labels that weaker noise of a kind gets wrong are among those of a stronger one.

    Raises:
        UserError: a kind of noise for other data, or a rate for an action unit that the data do not have.
    """
    labels = np.asarray(labels, np.uint8)
    match noise.kind:
        case "none":
            noisy = labels.copy()
        case "per_label":
            noisy = _per_label(labels, noise.rates, au_names, seed)
        case "annotators":
            noisy = annotate(labels, sequences, frames, au_names, noise.strength, seed)
        case kind:
            raise UserError(f"noise.kind: {kind!r} is not for action units; use none, per_label or annotators")
    return noisy, noisy != labels


def _per_label(labels: np.ndarray, rates: Mapping[str, float], au_names: Sequence[str], seed: int) -> np.ndarray:
    """Exactly floor(n * rate) of an action unit's n known labels flipped; a unit without a rate has the default's."""
    strangers = [name for name in rates if name not in (*au_names, DEFAULT)]
    if strangers:
        raise UserError(
            f"noise.rates: the data have no {', '.join(strangers)}; use {', '.join(au_names)}, or {DEFAULT!r} for the rest"
        )
    noisy = labels.copy()
    for column, name in enumerate(au_names):
        known = np.flatnonzero(labels[:, column] != UNKNOWN)
        order = stream("noise", seed, crc32(name.encode())).permutation(known)
        noisy[order[: count_of(len(known), rates.get(name, rates.get(DEFAULT, 0.0)))], column] ^= 1
    return noisy
