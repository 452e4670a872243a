"""The end of an integer operation: zero point and saturation (NumPy only)."""

import numpy as np


def store(codes, output, operation) -> np.ndarray:
    """Add the zero point and saturate at the limits of the fused activation."""
    lowest, highest = code_limits(operation, output)
    return np.clip(codes + output.zero_point, lowest, highest).astype(np.int8)


def code_limits(operation, output) -> tuple[int, int]:
    """The lowest and highest INT8 code: a fused ReLU saturates at the code of 0, ReLU6 at the code of 6 too."""
    activation = operation.options.get("activation")
    top = int(np.rint(np.float32(6) / output.scale)) if activation == "RELU6" else 255
    return output.zero_point if activation else -128, min(127, output.zero_point + top)
