"""Label noise of action units: labels flipped independently, or the errors of simulated annotators."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np

from pipeline.action_units.labels import UNKNOWN
from pipeline.errors import UserError
from pipeline.runs.sampling import count_of, stream

MAX_STRENGTH = 10
CARELESSNESS_SHAPE = 4.0  # of a gamma distribution of mean 1: errors gather in some sequences
WHOLE_SEQUENCE = 0  # in a stream's address, where a crc32 of an action unit's name stands otherwise
DEFAULT = "default"  # the key of `noise.rates` for every action unit that has none of its own


@dataclass(frozen=True)
class Errors:
    """What goes wrong with one action unit at strength 1, in a sequence of mean carelessness.

    `missed` is the share of the bouts, `shift` the mean distance in frames that an onset or offset moves, `invented`
    the share of the frames without the action unit that invented bouts of mean length `bout` frames cover.
    """

    missed: float
    shift: float
    invented: float
    bout: float


ERRORS = {
    "AU1": Errors(0.15, 6, 0.04, 32),
    "AU2": Errors(0.16, 6, 0.04, 33),
    "AU4": Errors(0.16, 6, 0.04, 36),
    "AU6": Errors(0.13, 8, 0.05, 62),
    "AU7": Errors(0.21, 10, 0.10, 71),
    "AU10": Errors(0.12, 8, 0.06, 73),
    "AU12": Errors(0.06, 6, 0.03, 92),
    "AU14": Errors(0.22, 8, 0.09, 60),
    "AU15": Errors(0.36, 6, 0.08, 19),
    "AU17": Errors(0.18, 5, 0.06, 21),
    "AU23": Errors(0.40, 6, 0.09, 15),
    "AU24": Errors(0.38, 6, 0.08, 24),
}
OTHER_AUS = Errors(0.16, 6, 0.05, 40)


def annotate(
    clean: np.ndarray, sequences: np.ndarray, frames: np.ndarray, au_names: Sequence[str], strength: float, seed: int
) -> np.ndarray:
    """Labels uint8 (N, A) as annotators would have written them for the true labels `clean` uint8 (N, A).

    `sequences` (N,) names the recording of every example and `frames` int (N,) its place there, 25 a second, however
    far apart. A bout is either faint (coded too short, and the first to be missed) or clear (coded too long, never missed);
    further bouts are invented. Every sequence has its own carelessness, shared by its action units. Unknown labels stay
    unknown. The result depends on the labels of the same sequence and the seed only, and the wrong labels at a lower
    strength are among those at a higher one.

    Measured at strength 1 on sequences of 450 frames with BP4D's base rates and bout lengths: 13.5 % of the labels are
    wrong (7.1 % at strength 0.5, 22.9 % at 2), between 8 % for AU4 and 21 % for AU7; F1 of the annotators against the
    truth is 0.76 on average, 0.92 for AU12, 0.54 for AU23.

    Raises:
        UserError: a strength below 0 or above MAX_STRENGTH.
    """
    if not 0 <= strength <= MAX_STRENGTH:
        raise UserError(f"noise.strength: {strength} is not between 0 (no errors) and {MAX_STRENGTH}; 1 is usual")
    clean, sequences, frames = np.asarray(clean, np.uint8), np.asarray(sequences), np.asarray(frames)
    noisy = clean.copy()
    for name, rows in _sequences(sequences, frames):
        address = crc32(str(name).encode())
        careless = stream("noise", seed, address, WHOLE_SEQUENCE).gamma(CARELESSNESS_SHAPE, 1 / CARELESSNESS_SHAPE)
        for column, au_name in enumerate(au_names):
            draws = stream("noise", seed, address, crc32(au_name.encode()))
            errors = ERRORS.get(au_name, OTHER_AUS)
            wrong = _wrong(clean[rows, column], frames[rows], errors, strength * careless, draws)
            noisy[rows[wrong], column] ^= 1
    return noisy


def _sequences(sequences: np.ndarray, frames: np.ndarray) -> Iterator[tuple[object, np.ndarray]]:
    """Every sequence's name and the indices (n,) of its examples by frame."""
    order = np.lexsort((frames, sequences))
    named = sequences[order]
    starts = np.flatnonzero(named[1:] != named[:-1]) + 1
    for rows in np.split(order, starts):
        if len(rows):
            yield sequences[rows[0]], rows


def _wrong(
    labels: np.ndarray, frames: np.ndarray, errors: Errors, strength: float, draws: np.random.Generator
) -> np.ndarray:
    """Which labels (n,) of one action unit in one sequence, by ascending frame (n,), are wrong."""
    wrong = np.zeros(len(labels), bool)
    for first, last in _bouts(labels):
        inside = np.zeros(len(labels), bool)
        inside[first : last + 1] = True
        coded = _coded(first, last, frames, errors, strength, draws)
        wrong |= (inside & ~coded) | ((labels == 0) & coded)
    return wrong | ((labels == 0) & _invented(frames, errors, strength, draws))


def _bouts(labels: np.ndarray) -> np.ndarray:
    """(bouts, 2) the first and the last index of every run of present labels (n,)."""
    edges = np.flatnonzero(np.diff(np.r_[False, labels == 1, False]))
    return edges.reshape(-1, 2) - [0, 1]


def _coded(
    first: int, last: int, frames: np.ndarray, errors: Errors, strength: float, draws: np.random.Generator
) -> np.ndarray:
    """The examples (n,) that are coded as the bout from index `first` to `last`.

    The true onset lies somewhere between two examples, the true offset too; what happens outside of the sequence
    shifts neither.
    """
    faint, miss, *between = draws.random(4)
    shifts = draws.exponential(errors.shift, 2) * strength
    if faint < 0.5:
        if miss < 2 * errors.missed * strength:
            return np.zeros(len(frames), bool)
        shifts = -shifts
    start, end = -math.inf, math.inf
    if first > 0:
        start = frames[first] - between[0] * (frames[first] - frames[first - 1]) - shifts[0]
    if last + 1 < len(frames):
        end = frames[last] + between[1] * (frames[last + 1] - frames[last]) + shifts[1]
    return (start <= frames) & (frames <= end)


def _invented(frames: np.ndarray, errors: Errors, strength: float, draws: np.random.Generator) -> np.ndarray:
    """The examples (n,) in bouts that never happened; a higher strength adds bouts to those of a lower one."""
    invented = np.zeros(len(frames), bool)
    start, duration = frames[0], frames[-1] - frames[0]
    bouts_per_strength = errors.invented / errors.bout * (duration + errors.bout)
    arrival = draws.exponential(1 / bouts_per_strength)
    while arrival <= strength:
        begin = start + max(
            draws.random() * (duration + errors.bout) - errors.bout, 0
        )  # some have begun before the first frame
        invented |= (begin <= frames) & (frames < begin + draws.exponential(errors.bout))
        arrival += draws.exponential(1 / bouts_per_strength)
    return invented


def corrupt_aus(
    labels: np.ndarray, noise, au_names: Sequence[str], sequences: np.ndarray, frames: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Noisy labels uint8 (N, A) for `labels` uint8 (N, A) by the config section `noise`, and where they differ, bool.

    Unknown labels stay unknown. `sequences` (N,) and `frames` (N,) place every example in its recording. At one seed
    the labels that weaker noise gets wrong are among those that stronger noise of the same kind does.

    Raises:
        UserError: a kind of noise for other data, or a rate for an action unit that the data lack.
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
    """Exactly floor(n * rate) of an action unit's n known labels flipped; without a rate of its own it has the default's."""
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
