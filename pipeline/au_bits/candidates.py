"""Choosing the bits of every action unit's head: settings of the search, sensitivity of F1 to bits, and the choice."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np

from pipeline.action_units.metrics import counts, decisions, f1
from pipeline.config import Experiment
from pipeline.errors import UserError
from pipeline.methods import Quantization
from pipeline.models.settings import hidden_layers

CANDIDATES = (2, 3, 4, 8)
SUFFIX = "-au_bits"
MAX_NAME_LENGTH = 100 - len(SUFFIX)
MAX_BUDGET = 4  # 8 bits instead of 2

Predict = Callable[[int], np.ndarray]  # bits of a head to logits float32 (N, A)
Table = Mapping[str, Mapping[int, float | None]]  # validation F1 by action unit and bits; None: undefined


def sensitivity(
    predict: Predict, labels: np.ndarray, au_names: Sequence[str], candidates: Sequence[int] = CANDIDATES
) -> dict[str, dict[int, float | None]]:
    """F1 at probability 0.5 of every action unit for every number of bits of its head, with the weights as trained.

    labels: uint8 (N, A). `predict` returns each logit as if only its head had these bits; heads are independent, so one
    prediction serves all action units. None where no label is positive.
    """
    table: dict[str, dict[int, float | None]] = {name: {} for name in au_names}
    for bits in sorted(candidates):
        scores = f1(counts(decisions(predict(bits)), labels))
        for name, score in zip(au_names, scores, strict=True):
            table[name][bits] = None if np.isnan(score) else float(score)
    return table


def head_sizes(layer_weights: Mapping[str, int], au_names: Sequence[str]) -> dict[str, int]:
    """The number of weights in the hidden layers of every head, from those by layer name."""
    return {name: sum(layer_weights[layer] for layer in hidden_layers(name)) for name in au_names}


def size_bytes(au_bits: Mapping[str, int], sizes: Mapping[str, int]) -> float:
    """Bytes of the heads' hidden weights at these bits, fully packed (an int4 file stores 2 and 3 bits as 4)."""
    return sum(sizes[name] * bits for name, bits in au_bits.items()) / 8


def choose_bits(
    table: Table,
    sizes: Mapping[str, int],
    tolerance: float,
    size_budget: float | None = None,
    uniform: int | None = None,
) -> dict[str, int]:
    """{action unit: bits of its head}: the fewest with an F1 within `tolerance` of the best, reduced to fit the budget.

    `sizes`: weights of every head. While the heads take more than `size_budget` bytes (None: no limit), the reduction
    that costs the least F1 per byte is made. An action unit whose F1 is undefined keeps the `uniform` bits of training
    (None: the most tried) and is reduced only when no other can be. Raises UserError if the budget is too small for the
    fewest bits everywhere.
    """
    chosen = {name: _fewest(scores, tolerance, uniform or max(scores)) for name, scores in table.items()}
    while size_budget is not None and size_bytes(chosen, sizes) > size_budget:
        steps = [step for name in chosen if (step := _step_down(name, chosen[name], table[name], sizes[name]))]
        if not steps:
            least = size_bytes(chosen, sizes)
            raise UserError(
                f"size_budget: the heads take {least:.0f} bytes at the fewest bits tried, more than {size_budget:g}. "
                "Raise the budget or lower model.head_units"
            )
        _, name, bits = min(steps)
        chosen[name] = bits
    return chosen


def _fewest(scores: Mapping[int, float | None], tolerance: float, undefined: int) -> int:
    """The fewest bits within the tolerance; `undefined` if F1 is undefined for all bits."""
    defined = [score for score in scores.values() if score is not None]
    if not defined:
        return undefined
    return min(bits for bits, score in scores.items() if score is not None and score >= max(defined) - tolerance)


def _step_down(name: str, bits: int, scores: Mapping[int, float | None], size: int) -> tuple[float, str, int] | None:
    """(F1 lost per byte saved, action unit, bits) of the cheapest step to fewer bits; None if there is none.

    An action unit without any F1 goes to the next fewer bits, at a higher cost than any other.
    """
    fewer_bits = [fewer for fewer in scores if fewer < bits]
    if fewer_bits and all(score is None for score in scores.values()):
        return math.inf, name, max(fewer_bits)
    steps = [
        (((scores[bits] or 0.0) - (scores[fewer] or 0.0)) / (size * (bits - fewer) / 8), name, fewer)
        for fewer in fewer_bits
    ]
    return min(steps, default=None)


@dataclass(frozen=True)
class SearchSettings:
    """The F1 that may be lost, the packed size of the heads relative to equal bits, and the bits to try.

    Raises UserError for values out of range.
    """

    tolerance: float = 0.01
    size_budget: float = 0.9
    candidates: tuple[int, ...] = CANDIDATES

    def __post_init__(self):
        if not 0 <= self.tolerance <= 1:
            raise UserError(f"--tolerance {self.tolerance:g}: give an F1 from 0 to 1, such as 0.01")
        if not 0 < self.size_budget <= MAX_BUDGET:
            raise UserError(
                f"--size-budget {self.size_budget:g}: give a share of the size with equal bits above 0 and up to "
                f"{MAX_BUDGET}, such as 0.9"
            )
        if not self.candidates or not all(2 <= bits <= 8 for bits in self.candidates):
            raise UserError(f"--candidates {','.join(map(str, self.candidates))}: give numbers from 2 to 8: 2,3,4,8")


def candidates_of(text: str) -> tuple[int, ...]:
    """Distinct numbers of bits, ascending, from text such as 2,3,4,8; UserError for other text."""
    try:
        return tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError:
        raise UserError(f"--candidates {text}: give whole numbers from 2 to 8, separated by commas: 2,3,4,8") from None


def quantization_of(experiment: Experiment) -> Quantization | None:
    """The quantization method of an experiment, None if it has none."""
    return next((method for method in experiment.methods if isinstance(method, Quantization)), None)


def uniform_bits(experiment: Experiment) -> int:
    """The bits of the hidden layers of all heads before the search."""
    method = quantization_of(experiment)
    return method.au_bits.get("default", method.weight_bits)


def with_bits(experiment: Experiment, au_bits: dict[str, int]) -> Experiment:
    """The experiment with these bits for the heads of its action units."""
    methods = [
        method.model_copy(update={"au_bits": au_bits}) if isinstance(method, Quantization) else method
        for method in experiment.methods
    ]
    return experiment.model_copy(update={"methods": methods})


def check_searchable(experiment: Experiment) -> None:
    """Raise UserError for an experiment without bits per action unit to choose."""
    if experiment.data.task != "multilabel":
        raise UserError(
            f"data.name: {experiment.data.name} has no action units. Use a configuration such as qat_configs/synthetic_faces.yaml"
        )
    method = quantization_of(experiment)
    if method is None:
        raise UserError("methods: no quantization, so there are no bits to choose. Add {name: quantization}")
    if experiment.model.name == "keras":
        raise UserError("model.name: only the heads of au_network can be searched. Write model: {name: au_network}")
    if experiment.model.heads != "per_au":
        raise UserError("model.heads: common has one head for all action units. Set model.heads: per_au")
    if named := [name for name in method.au_bits if name != "default"]:
        raise UserError(
            f"quantization.au_bits: names {', '.join(named)}, but the search starts from equal bits. Remove them"
        )
    _check_overrides(experiment, method)
    if experiment.data.val_fraction == 0:
        raise UserError(
            "data.val_fraction: 0 leaves no validation subjects to choose bits with. Set it to 0.15, for example"
        )
    if len(experiment.name) > MAX_NAME_LENGTH:
        raise UserError(
            f"name: {experiment.name} is too long to append {SUFFIX}. Use at most {MAX_NAME_LENGTH} characters"
        )


def _check_overrides(experiment: Experiment, method: Quantization) -> None:
    hidden = [layer for name in experiment.data.au_names for layer in hidden_layers(name)]
    for override in method.overrides:
        if matched := [layer for layer in hidden if fnmatchcase(layer, override.layers)]:
            raise UserError(
                f"quantization.overrides: '{override.layers}' sets the bits of {matched[0]}, which the search would choose. "
                "Remove it"
            )
