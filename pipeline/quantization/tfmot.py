"""What quantization uses of TF-MOT, imported without Keras 3.

TF-MOT looks for a class in Keras 3 that is no longer there, and does without. Importing Keras 3 with scikit-learn and
matplotlib for that would lengthen the start of every training by a quarter.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def _without_keras_3() -> Iterator[None]:
    """A block in which `import keras` fails, unless it has been imported before."""
    if "keras" in sys.modules:
        yield
        return
    sys.modules["keras"] = None
    try:
        yield
    finally:
        del sys.modules["keras"]


with _without_keras_3():
    from tensorflow_model_optimization.python.core.quantization.keras.quantize import (
        quantize_annotate_model,
        quantize_apply,
        quantize_scope,
    )
    from tensorflow_model_optimization.python.core.quantization.keras.quantize_config import QuantizeConfig
    from tensorflow_model_optimization.python.core.quantization.keras.quantize_layout_transform import (
        QuantizeLayoutTransform,
    )
    from tensorflow_model_optimization.python.core.quantization.keras.quantize_registry import QuantizeRegistry
    from tensorflow_model_optimization.python.core.quantization.keras.quantize_scheme import QuantizeScheme
    from tensorflow_model_optimization.python.core.quantization.keras.quantize_wrapper import (
        QuantizeWrapper,
        QuantizeWrapperV2,
    )
    from tensorflow_model_optimization.python.core.quantization.keras.quantizers import Quantizer
    from tensorflow_model_optimization.python.core.quantization.keras.utils import (
        deserialize_keras_object,
        deserialize_layer,
        serialize_keras_object,
    )

__all__ = [
    "QuantizeConfig",
    "QuantizeLayoutTransform",
    "QuantizeRegistry",
    "QuantizeScheme",
    "QuantizeWrapper",
    "QuantizeWrapperV2",
    "Quantizer",
    "deserialize_keras_object",
    "deserialize_layer",
    "quantize_annotate_model",
    "quantize_apply",
    "quantize_scope",
    "serialize_keras_object",
]
