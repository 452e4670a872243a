"""Activations that LiteRT computes by a table of the 256 INT8 codes, and tables that are the same on every processor.

A table is made in float32: value of the code, function, division by the output's scale, rounding. XNNPACK makes those
of LOGISTIC, TANH and ELU (zero point added before the rounding, half to even), LiteRT's own kernel that of GELU (half
away from zero). The last bit of `exp` or `tanh` differs between C libraries, so only entries that lie `TIE_MARGIN` or
more from a tie are certain; `certain_tensors` finds scales at which all 256 do.
"""

import math
from dataclasses import replace

import numpy as np

from pipeline.errors import UserError

CODES = np.arange(-128, 128)
TIE_MARGIN = 2.0**-12  # output codes; float32 arithmetic on values of up to 256 codes is off by less
SCALE_STEP = 2.0**-12  # by which `certain_tensors` shrinks a scale at a time
MAX_STEPS = 256  # so by 6 % at most


def _logistic(x: np.ndarray, options: dict) -> np.ndarray:
    decay = np.exp(-np.abs(x))
    return np.where(x < 0, decay, 1) / (1 + decay)


def _tanh(x: np.ndarray, options: dict) -> np.ndarray:
    return np.tanh(x)


def _elu(x: np.ndarray, options: dict) -> np.ndarray:
    return np.where(x < 0, np.expm1(np.minimum(x, 0)), x)


def _gelu(x: np.ndarray, options: dict) -> np.ndarray:
    """options["approximate"]: the formula with tanh instead of the error function."""
    if options["approximate"]:
        return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return 0.5 * x * np.array([math.erfc(-value / math.sqrt(2)) for value in x])


FUNCTIONS = {"LOGISTIC": _logistic, "TANH": _tanh, "ELU": _elu, "GELU": _gelu}
HALF_AWAY = {"GELU"}
FIXED_OUTPUT = {"LOGISTIC", "TANH"}  # LiteRT's own kernel takes only the output scale 1/256 for LOGISTIC


def table(kind: str, options: dict, source, output) -> np.ndarray:
    """The output code of every input code -128..127, int8 (256,)."""
    exact = FUNCTIONS[kind](_values(source), options)
    scaled = exact.astype(np.float32) * (np.float32(1) / np.float32(output.scale))
    if kind in HALF_AWAY:
        rounded = np.trunc(scaled.astype(np.float64) + np.copysign(0.5, scaled)) + output.zero_point
    else:
        rounded = np.rint(scaled + np.float32(output.zero_point))
    return np.clip(rounded, -128, 127).astype(np.int8)


def tie_margin(kind: str, options: dict, source, output) -> float:
    """The smallest distance, in output codes, of an entry of the table from a border between two codes."""
    exact = FUNCTIONS[kind](_values(source), options) / float(output.scale) + output.zero_point
    borders = np.clip(np.floor(exact) + 0.5, -127.5, 126.5)
    return float(np.abs(exact - borders).min())


def certain_tensors(kind: str, options: dict, source, output) -> tuple:
    """(source, output), with the scale of one of them reduced as little as makes the table certain.

    It is the source's for LOGISTIC and TANH, whose output grid is fixed. UserError where no such scale is close by.
    """
    for step in range(MAX_STEPS):
        shrink = np.float32(1 - step * SCALE_STEP)
        if kind in FIXED_OUTPUT:
            pair = replace(source, scale=np.float32(source.scale * shrink)), output
        else:
            pair = source, replace(output, scale=np.float32(output.scale * shrink))
        if tie_margin(kind, options, *pair) >= TIE_MARGIN:
            return pair
    raise UserError(f"{kind} of {source.name}: no scale close by keeps all of its 256 values away from rounding ties")


def _values(source) -> np.ndarray:
    """The float32 values of the 256 codes, as float64."""
    return (np.float32(source.scale) * (CODES - source.zero_point).astype(np.float32)).astype(np.float64)


def look_up(operation, inputs, tensors, output) -> np.ndarray:
    """LOGISTIC, TANH, ELU or GELU of any shape."""
    entries = table(operation.kind, operation.options, tensors[0], output)
    return entries[inputs[0].astype(np.int16) + 128]


TABLE_OPERATIONS = dict.fromkeys(FUNCTIONS, look_up)
