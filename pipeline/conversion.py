"""A trained Keras model as TFLite files: int8, packed int4 and float32, batch 1, no custom operation."""

from dataclasses import dataclass
from pathlib import Path

import tensorflow as tf

from pipeline.quantization.device import rounded_network
from pipeline.quantization.integer_model import IntegerModel
from pipeline.quantization.lowering import lower
from pipeline.quantization.model_access import recipe_of
from pipeline.run_files import write_bytes
from pipeline.tflite_writer import write_tflite


@dataclass(frozen=True)
class Converted:
    """The files of one model, {"int8" | "int4" | "float32": path}, and the integer models behind the first two."""

    files: dict[str, Path]
    integer_model: IntegerModel | None
    narrow_model: IntegerModel | None


def convert(model, settings, folder: Path, description: str) -> Converted:
    """Write model_int8.tflite, model_int4.tflite and model_float32.tflite into `folder`; `settings`: section convert.

    A float network gives only the float32 file; the int4 file is written where a layer has 4-bit weights or fewer.
    """
    files, integer_model, narrow_model = {}, None, None
    if recipe_of(model):
        integer_model = lower(model, settings.weight_storage).integer_model
        narrow_model = integer_model if settings.weight_storage == "narrow" else lower(model).integer_model
        float_io = settings.io == "float32"
        if settings.int8:
            files["int8"] = folder / "model_int8.tflite"
            write_bytes(files["int8"], write_tflite(integer_model, float_io, False, description))
        if settings.int4 and _has_int4(narrow_model):
            files["int4"] = folder / "model_int4.tflite"
            write_bytes(files["int4"], write_tflite(narrow_model, float_io, True, description))
    if settings.float32:
        files["float32"] = folder / "model_float32.tflite"
        write_bytes(files["float32"], float_tflite(rounded_network(model)))
    return Converted(files, integer_model, narrow_model)


def float_tflite(network) -> bytes:
    """The float32 TFLite file of a float tf_keras network, batch 1."""
    spec = tf.TensorSpec((1, *network.input_shape[1:]), tf.float32, name="image")
    function = tf.function(lambda image: {"output": network(image, training=False)}).get_concrete_function(spec)
    held = tf.Module()  # the variables alone: the same file, without saving the layers first, which takes longest
    held.all = network.variables
    return tf.lite.TFLiteConverter.from_concrete_functions([function], held).convert()


def _has_int4(model: IntegerModel) -> bool:
    return any(operation.weights is not None and operation.weights.bits <= 4 for operation in model.operations)
