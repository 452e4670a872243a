"""What a search for the bits of every action unit's head is given, and what it cannot work with."""

from dataclasses import dataclass
from fnmatch import fnmatchcase

from pipeline.au_bits import CANDIDATES
from pipeline.config import Experiment
from pipeline.config_schema import FaceData
from pipeline.errors import UserError
from pipeline.methods import Quantization
from pipeline.models.head_names import hidden_layers

SUFFIX = "-au_bits"
LONGEST_NAME = 100 - len(SUFFIX)
WIDEST_BUDGET = 4  # 8 bits instead of 2


@dataclass(frozen=True)
class SearchSettings:
    """F1 that may be lost, packed size of the heads as a share of that with equal bits, and the bits tried.

    Raises UserError for what is out of range.
    """

    tolerance: float = 0.01
    size_budget: float = 0.9
    candidates: tuple[int, ...] = CANDIDATES

    def __post_init__(self):
        if not 0 <= self.tolerance <= 1:
            raise UserError(f"--tolerance {self.tolerance:g}: give an F1 from 0 to 1, such as 0.01")
        if not 0 < self.size_budget <= WIDEST_BUDGET:
            raise UserError(
                f"--size-budget {self.size_budget:g}: give a share of the size with equal bits, more than 0 and at most "
                f"{WIDEST_BUDGET}, such as 0.9"
            )
        if not self.candidates or not all(2 <= bits <= 8 for bits in self.candidates):
            raise UserError(f"--candidates {','.join(map(str, self.candidates))}: give numbers from 2 to 8: 2,3,4,8")


def candidates_of(text: str) -> tuple[int, ...]:
    """Different numbers of bits, ascending, from text such as 2,3,4,8; UserError if it is something else."""
    try:
        return tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError:
        raise UserError(f"--candidates {text}: give whole numbers from 2 to 8 with commas between: 2,3,4,8") from None


def quantization_of(experiment: Experiment) -> Quantization | None:
    """The quantization method of an experiment."""
    return next((method for method in experiment.methods if isinstance(method, Quantization)), None)


def uniform_bits(experiment: Experiment) -> int:
    """Bits of the weights in all heads' hidden layers."""
    method = quantization_of(experiment)
    return method.au_bits.get("default", method.weight_bits)


def with_bits(experiment: Experiment, au_bits: dict[str, int]) -> Experiment:
    """The same experiment with these bits for the heads of its action units."""
    methods = [
        method.model_copy(update={"au_bits": au_bits}) if isinstance(method, Quantization) else method
        for method in experiment.methods
    ]
    return experiment.model_copy(update={"methods": methods})


def check_searchable(experiment: Experiment) -> None:
    """Raise UserError for an experiment in which there are no bits of action units to choose."""
    if not isinstance(experiment.data, FaceData):
        raise UserError(
            f"data.name: {experiment.data.name} has no action units. Give a config such as qat_configs/synthetic_faces.yaml"
        )
    method = quantization_of(experiment)
    if method is None:
        raise UserError("methods: no quantization, so there are no bits to choose. Add {name: quantization}")
    if experiment.model.heads != "per_au":
        raise UserError("model.heads: common has one head for all action units. Set model.heads: per_au")
    if named := [name for name in method.au_bits if name != "default"]:
        raise UserError(
            f"quantization.au_bits: names {', '.join(named)}, but the search starts from equal bits. Remove them"
        )
    _check_overrides(experiment, method)
    if experiment.data.val_fraction == 0:
        raise UserError("data.val_fraction: 0 leaves no validation subjects to choose bits by. Set it to such as 0.15")
    if len(experiment.name) > LONGEST_NAME:
        raise UserError(
            f"name: {experiment.name} is too long for {SUFFIX} behind it; give {LONGEST_NAME} characters or fewer"
        )


def _check_overrides(experiment: Experiment, method: Quantization) -> None:
    hidden = [layer for name in experiment.data.au_names for layer in hidden_layers(name)]
    for override in method.overrides:
        if matched := [layer for layer in hidden if fnmatchcase(layer, override.layers)]:
            raise UserError(
                f"quantization.overrides: '{override.layers}' sets the bits of {matched[0]}, which the search would choose. "
                "Remove it"
            )
