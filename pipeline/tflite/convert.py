"""Convert a trained Keras model to TFLite files: int8, packed int4 and float32, batch 1, no custom operations."""

from dataclasses import dataclass
from pathlib import Path

import tensorflow as tf
import tf_keras

from pipeline.errors import UserError
from pipeline.models.inference import check_image_network
from pipeline.quantization.device import rounded_network
from pipeline.quantization.integer_model import IntegerModel
from pipeline.quantization.lowering import lower
from pipeline.quantization.model_access import recipe_of
from pipeline.quantization.scheme import has_per_channel_dense
from pipeline.runs.files import write_bytes
from pipeline.settings import checked_settings
from pipeline.tflite.settings import ConvertSettings
from pipeline.tflite.write import write_tflite


@dataclass(frozen=True)
class Converted:
    """The files of one model, {"int8" | "int4" | "float32": path}, and the integer models of the first two."""

    files: dict[str, Path]
    integer_model: IntegerModel | None
    narrow_model: IntegerModel | None
    weight_storage: str


def convert(
    model: tf_keras.Model,
    folder: str | Path,
    settings: ConvertSettings | None = None,
    description: str = "",
    **fields: object,
) -> Converted:
    """Write model_int8.tflite, model_int4.tflite and model_float32.tflite into `folder`.

    A float network gives only the float32 file; the int4 file is written if any layer has weights of 4 bits or fewer.
    `settings`, or its fields as keyword arguments, choose the files. Raises UserError for invalid arguments and if no
    file is left to write, RunFailed if the disk is full.
    """
    settings = checked_settings(ConvertSettings, settings, fields, "convert")
    check_image_network(model, "convert")
    if not isinstance(folder, str | Path):
        raise UserError(f"convert: folder must be a path, not {type(folder).__name__}")
    if not isinstance(description, str):
        raise UserError(f"convert: description must be text, not {type(description).__name__}")
    folder = Path(folder)
    files, integer_model, narrow_model = {}, None, None
    if recipe_of(model):
        if not settings.per_channel_dense and has_per_channel_dense(model):
            raise UserError("convert: per_channel_dense=False: call use_per_tensor_dense(model) before training")
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
    if not files:
        raise UserError("convert: no file is left to write. Set convert.int8 or convert.float32 to true")
    return Converted(files, integer_model, narrow_model, settings.weight_storage)


def float_tflite(network: tf_keras.Model) -> bytes:
    """The float32 TFLite file of a float tf_keras network, batch 1."""
    spec = tf.TensorSpec((1, *network.input_shape[1:]), tf.float32, name="image")
    function = tf.function(lambda image: {"output": network(image, training=False)}).get_concrete_function(spec)
    held = tf.Module()  # variables only: the same file, without the slow step of saving the layers first
    held.all = network.variables
    return tf.lite.TFLiteConverter.from_concrete_functions([function], held).convert()


def _has_int4(model: IntegerModel) -> bool:
    return any(operation.weights is not None and operation.weights.bits <= 4 for operation in model.operations)
