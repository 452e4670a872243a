"""How sidecar and golden vectors describe what a network is fed: an entry for one input, a list for several."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.models.graph import UNIT_RANGE, Range
from pipeline.quantization.feed import grid_of

ENCODING = "base64 of uint8, row by row, RGB or grey"


@dataclass(frozen=True)
class Input:
    """An input of a network: its name in the files, its shape without batch axis, and its range."""

    name: str
    shape: tuple[int, ...]
    range: Range = UNIT_RANGE

    @property
    def is_image(self) -> bool:
        """Whether it is (H, W, C)."""
        return len(self.shape) == 3


def sidecar_input(inputs: Sequence[Input], io: str) -> dict | list[dict]:
    """`input` of model.json; io: the type of the files' inputs."""
    return _one_or_all(inputs, [_sidecar_entry(each, io) for each in inputs])


def golden_input(inputs: Sequence[Input]) -> dict | list[dict]:
    """`input` of golden_vectors.json."""
    return _one_or_all(inputs, [{**_shape(each), "encoding": _encoding(each), **_range(each)} for each in inputs])


def _one_or_all(inputs: Sequence[Input], entries: list[dict]) -> dict | list[dict]:
    if len(inputs) == 1:
        return entries[0]
    return [{"name": each.name, **entry} for each, entry in zip(inputs, entries, strict=True)]


def _sidecar_entry(each: Input, io: str) -> dict:
    scale, zero_point = grid_of(each.range)
    grid = {"scale": float(scale), "zero_point": zero_point}
    return {**_shape(each), "type": io, "value": _value(each), **_range(each), **grid}


def _shape(each: Input) -> dict:
    return {"height_width_channels" if each.is_image else "shape": list(each.shape)}


def _range(each: Input) -> dict:
    """The range, unless it is that of pixel / 255."""
    return {} if each.range == UNIT_RANGE and each.is_image else {"range": list(each.range)}


def _encoding(each: Input) -> str:
    return (
        ENCODING if not _range(each) else "base64 of uint8, row by row; 0 to 255 stand for the range, from low to high"
    )


def _value(each: Input) -> str:
    """How a number of 0 to 255 becomes a value; what is no image is given as values."""
    low, high = each.range
    if not each.is_image:
        return f"values from {low:g} to {high:g}"
    shift = "" if low == 0 else f" - {-low:g}"
    if high - low == 255:
        return f"pixel{shift}"
    return f"pixel / {255 / (high - low):.9g}{shift}"
