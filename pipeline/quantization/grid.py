"""Integer grids of b bits and how they live inside an INT8 tensor (NumPy only)."""

from dataclasses import dataclass

INT8_TOP = 127


def weight_top_code(bits: int) -> int:
    """Largest weight code of the symmetric narrow grid: 2^(bits-1) - 1, so 7 at 4 bits (paper sec. 2.2)."""
    return 2 ** (bits - 1) - 1


@dataclass(frozen=True)
class Grid:
    """Codes low..top of one activation tensor; value = code * scale, code 0 is the value 0.

    In an INT8 tensor code c is stored as c + zero_point with zero_point = 127 - top: INT8 saturation at 127 is then
    the upper clamp of the low-bit grid, and a fused ReLU is the lower one.
    """

    bits: int
    low: int
    top: int

    @classmethod
    def of(cls, bits: int, signed: bool, unsigned_range: bool) -> "Grid":
        """The grid of a tensor; `unsigned_range` uses all 2^bits codes where nothing is negative (not `signed`)."""
        if not signed:
            return cls(bits, 0, 2**bits - 1 if unsigned_range else weight_top_code(bits))
        top = weight_top_code(bits)
        return cls(bits, -128 if bits == 8 else -top, top)

    @property
    def zero_point(self) -> int:
        """The INT8 value that means 0."""
        return INT8_TOP - self.top

    @property
    def uses_all_codes(self) -> bool:
        """True for the unsigned range: 2^bits codes, none of them negative."""
        return self.top == 2**self.bits - 1

    @property
    def needs_lower_clamp(self) -> bool:
        """True where neither INT8 saturation nor a fused ReLU gives the lowest code."""
        return self.low < 0 and self.low + self.zero_point > -128
