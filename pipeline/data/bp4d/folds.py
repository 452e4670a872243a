"""Subject-exclusive folds: BP4D's three parts, or the user's."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from pipeline.errors import UserError
from pipeline.runs.sampling import stream

# The split of JAA-Net, ME-GraphAU, AUNets, FG-Net and FMAE-IAT; a fold is named by the part it tests on.
BP4D_PARTS = tuple(
    tuple(part.split())
    for part in (
        "F001 F002 F008 F009 F010 F016 F018 F023 M001 M004 M007 M008 M012 M014",
        "F003 F005 F011 F013 F020 F022 M002 M005 M010 M011 M013 M016 M017 M018",
        "F004 F006 F007 F012 F014 F015 F017 F019 F021 M003 M006 M009 M015",
    )
)

Subjects = tuple[str, ...]


def fold_split(
    present: Iterable[str], fold: int, parts: Sequence[Sequence[str]] | None, val_fraction: float, seed: int
) -> tuple[Subjects, Subjects, Subjects]:
    """The sorted (training, validation, test) subjects of the fold that tests on part `fold` (1 is the first).

    Validation takes the share `val_fraction` of the subjects that are not tested on, rounded, at least one unless the
    share is 0. `parts` None: BP4D's. Case is ignored.

    Raises:
        UserError: a subject in two parts or in none, no such part, or no subject left to train or test on.
    """
    parts = BP4D_PARTS if parts is None else parts
    subjects = sorted(set(present))
    _check_parts(subjects, parts)
    if not 1 <= fold <= len(parts):
        raise UserError(f"data.folds: there is no part {fold}, only 1 to {len(parts)}")
    tested = {subject.upper() for subject in parts[fold - 1]}
    test = tuple(subject for subject in subjects if subject.upper() in tested)
    others = [subject for subject in subjects if subject not in test]
    held_out = _held_out(len(others), val_fraction)
    if not test or held_out >= len(others):
        raise UserError(
            f"data.folds: part {fold} leaves {len(others)} subjects to train and validate on and {len(test)} to test "
            f"on, of {len(subjects)} in the data; validation takes {held_out}. Every share needs at least one"
        )
    order = stream("split", seed, fold).permutation(len(others))
    val = {others[index] for index in order[:held_out]}
    return tuple(subject for subject in others if subject not in val), tuple(sorted(val)), test


def check_folds(present: Iterable[str], data: Any) -> None:
    """Raise UserError if the config section `data` has a fold that these subjects cannot be split into."""
    for fold in data.folds:
        fold_split(present, fold, data.parts, data.val_fraction, seed=1)


def _held_out(subjects: int, fraction: float) -> int:
    return max(1, round(subjects * fraction)) if fraction > 0 else 0


def _check_parts(subjects: Sequence[str], parts: Sequence[Sequence[str]]) -> None:
    counts = Counter(subject.upper() for part in parts for subject in part)
    twice = sorted({subject for part in parts for subject in part if counts[subject.upper()] > 1})
    if twice:
        raise UserError(f"data.parts: {', '.join(twice)} in two parts or twice in one; a subject belongs to one part")
    nowhere = [subject for subject in subjects if subject.upper() not in counts]
    if nowhere:
        raise UserError(f"data.parts: no part names {', '.join(nowhere)}; add every subject in the data to a part")
