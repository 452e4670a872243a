"""Which training examples are used, and which of them are held out for validation."""

import numpy as np

from pipeline.errors import UserError
from pipeline.runs.sampling import count_of, stream


def training_subset(n: int, count: int) -> np.ndarray:
    """Ascending indices int64 (count,) of a random subset of n examples, the same for every seed.

    The subsets are nested: all of a smaller one is in every larger one.
    """
    return np.sort(stream("subset", 0).permutation(n)[:count])


def validation_split(n: int, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Ascending, disjoint indices int64 (train, validation) over n examples; floor(n * fraction) are validation.

    Raises:
        UserError: a fraction above 0 that leaves no example to validate on.
    """
    held_out = count_of(n, fraction)
    if fraction > 0 and held_out == 0:
        raise UserError(
            f"data.val_fraction: {fraction} of {n} training examples is less than one; raise it, "
            "raise data.train_examples, or set it to 0"
        )
    order = stream("split", seed).permutation(n)
    return np.sort(order[held_out:]), np.sort(order[:held_out])
