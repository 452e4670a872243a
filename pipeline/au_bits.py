"""Bits for every action unit's head: how much validation F1 each width costs, and the choice that follows from it."""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from pipeline.au_metrics import counts, decisions, f1
from pipeline.errors import UserError
from pipeline.models.head_names import hidden_layers

CANDIDATES = (2, 3, 4, 8)
Predict = Callable[[int], np.ndarray]  # bits of a head to logits float32 (N, A)
Table = Mapping[str, Mapping[int, float | None]]  # validation F1 by action unit and bits; None: undefined


def sensitivity(
    predict: Predict, labels: np.ndarray, au_names: Sequence[str], candidates: Sequence[int] = CANDIDATES
) -> dict[str, dict[int, float | None]]:
    """F1 at probability 0.5 of every action unit at every number of bits of its head, the weights as trained.

    labels: uint8 (N, A). `predict` gives each logit as if its head alone had these bits; heads do not see each other, so
    one prediction serves all action units. None where no label is positive.
    """
    table: dict[str, dict[int, float | None]] = {name: {} for name in au_names}
    for bits in sorted(candidates):
        scores = f1(counts(decisions(predict(bits)), labels))
        for name, score in zip(au_names, scores, strict=True):
            table[name][bits] = None if np.isnan(score) else float(score)
    return table


def head_sizes(layer_weights: Mapping[str, int], au_names: Sequence[str]) -> dict[str, int]:
    """Weights in the hidden layers of every action unit's head, from the number of weights by layer name."""
    return {name: sum(layer_weights[layer] for layer in hidden_layers(name)) for name in au_names}


def size_bytes(au_bits: Mapping[str, int], sizes: Mapping[str, int]) -> float:
    """Bytes of the heads' hidden weights at these bits, packed without gaps (an int4 file stores 2 and 3 bits as 4)."""
    return sum(sizes[name] * bits for name, bits in au_bits.items()) / 8


def choose_bits(
    table: Table,
    sizes: Mapping[str, int],
    tolerance: float,
    size_budget: float | None = None,
    uniform: int | None = None,
) -> dict[str, int]:
    """{action unit: bits of its head}: the fewest whose F1 is within `tolerance` of its best, then down to the budget.

    `sizes`: weights of every head. While the heads take more than `size_budget` bytes (None: no limit), the step down
    that costs the least F1 per byte is taken. An action unit whose F1 is undefined keeps the `uniform` bits all heads were
    trained with (None: the most tried) and steps down only when no other can. Raises UserError if the budget is too small
    for the fewest bits everywhere.
    """
    chosen = {name: _fewest(scores, tolerance, uniform or max(scores)) for name, scores in table.items()}
    while size_budget is not None and size_bytes(chosen, sizes) > size_budget:
        steps = [step for name in chosen if (step := _step_down(name, chosen[name], table[name], sizes[name]))]
        if not steps:
            least = size_bytes(chosen, sizes)
            raise UserError(
                f"size_budget: the heads take {least:.0f} bytes at the fewest bits tried, more than {size_budget:g}. "
                "Give a larger budget or fewer head_units"
            )
        _, name, bits = min(steps)
        chosen[name] = bits
    return chosen


def _fewest(scores: Mapping[int, float | None], tolerance: float, undefined: int) -> int:
    """The fewest bits within the tolerance; `undefined` where no number of bits has an F1."""
    defined = [score for score in scores.values() if score is not None]
    if not defined:
        return undefined
    return min(bits for bits, score in scores.items() if score is not None and score >= max(defined) - tolerance)


def _step_down(name: str, bits: int, scores: Mapping[int, float | None], size: int) -> tuple[float, str, int] | None:
    """(F1 lost per byte saved, action unit, bits) of the cheapest step to fewer bits; None if there is none.

    What a unit without any F1 loses is unknown: its step is one width down and costs more than any other.
    """
    fewer_bits = [fewer for fewer in scores if fewer < bits]
    if fewer_bits and all(score is None for score in scores.values()):
        return math.inf, name, max(fewer_bits)
    steps = [
        (((scores[bits] or 0.0) - (scores[fewer] or 0.0)) / (size * (bits - fewer) / 8), name, fewer)
        for fewer in fewer_bits
    ]
    return min(steps, default=None)
