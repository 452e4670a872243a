"""Quantized models in files of Keras."""

from pathlib import Path

import tf_keras

from pipeline.errors import UserError
from pipeline.quantization.model_access import quantize_scope, recipe_of


def load(path: str | Path) -> tf_keras.Model:
    """Load a quantized model written by `model.save` (.keras or .h5); it trains and converts as before.

    The same as `tf_keras.models.load_model(path)` in a block `with quantize_scope():`. Raises UserError if the file cannot
    be read or holds a float model.
    """
    if not isinstance(path, str | Path):
        raise UserError(f"load: path must be a path, not {type(path).__name__}")
    path = Path(path)
    if not path.exists():
        raise UserError(f"{path}: no such file. Pass a file written by model.save")
    try:
        with quantize_scope():
            model = tf_keras.models.load_model(path)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not a readable Keras model: {str(error).splitlines()[0]}") from error
    if recipe_of(model) is None:
        raise UserError(f"{path}: holds a float model, not a quantized one; load it with tf_keras and quantize it")
    return model
