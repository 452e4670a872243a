"""Convert a trained Keras model to TFLite files: int8, packed int4 and float32, batch 1, no custom operations."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tensorflow as tf
import tf_keras

from pipeline.errors import UserError
from pipeline.models.final import Finals, finals_of, without_final
from pipeline.models.graph import Range, names_of_outputs
from pipeline.models.inference import check_network
from pipeline.models.input_range import found_ranges
from pipeline.quantization.device import rounded_network
from pipeline.quantization.integer_model import IntegerModel, unlisted
from pipeline.quantization.lowering import lower
from pipeline.quantization.model_access import range_variables, ranges_of, recipe_of
from pipeline.quantization.scheme import has_per_channel_dense
from pipeline.runs.files import write_bytes
from pipeline.settings import checked_settings
from pipeline.tflite.names import OUTPUTS, input_names
from pipeline.tflite.packing import packs
from pipeline.tflite.probabilities import OPERATIONS
from pipeline.tflite.settings import ConvertSettings
from pipeline.tflite.write import in_order, with_ranges, write_tflite


@dataclass(frozen=True)
class Converted:
    """The files of one model, {"int8" | "int4" | "float32": path}, and the integer models of the first two.

    finals: by output "softmax" or "sigmoid", of which the files return the probabilities, or None; empty: logits.
    ranges: by input the lowest and highest value.
    """

    files: dict[str, Path]
    integer_model: IntegerModel | None
    narrow_model: IntegerModel | None
    weight_storage: str
    finals: Finals = ()
    ranges: tuple[Range, ...] = ()


def convert(
    model: tf_keras.Model,
    folder: str | Path,
    settings: ConvertSettings | None = None,
    description: str = "",
    **fields: object,
) -> Converted:
    """Write model_int8.tflite, model_int4.tflite and model_float32.tflite into `folder`.

    A float network gives only the float32 file; the int4 file is written if the weights of any layer can be packed.
    `settings`, or its fields as keyword arguments, choose the files. Raises UserError for invalid arguments, for a
    quantized network that has seen no data, and if no file is left to write, RunFailed if the disk is full.
    """
    settings = checked_settings(ConvertSettings, settings, fields, "convert")
    check_network(model, "convert")
    if not isinstance(folder, str | Path):
        raise UserError(f"convert: folder must be a path, not {type(folder).__name__}")
    if not isinstance(description, str):
        raise UserError(f"convert: description must be text, not {type(description).__name__}")
    folder = Path(folder)
    files, integer_model, narrow_model = {}, None, None
    ranges = _ranges(model)
    finals = checked_finals(model) if settings.outputs == "probabilities" else ()
    if recipe_of(model):
        check_calibrated(model)
        if not settings.per_channel_dense and has_per_channel_dense(model):
            raise UserError("convert: per_channel_dense=False: call use_per_tensor_dense(model) before training")
        integer_model = _lowered(model, settings.weight_storage, finals)
        narrow = settings.weight_storage == "narrow"
        narrow_model = integer_model if narrow else _lowered(model, "narrow", finals)
        float_io = settings.io == "float32"
        if settings.int8:
            files["int8"] = folder / "model_int8.tflite"
            write_bytes(files["int8"], write_tflite(integer_model, float_io, False, description))
        if settings.int4 and _has_int4(narrow_model):
            files["int4"] = folder / "model_int4.tflite"
            write_bytes(files["int4"], write_tflite(narrow_model, float_io, True, description))
    if settings.float32:
        files["float32"] = folder / "model_float32.tflite"
        network = rounded_network(model)
        network, output = (network, "probabilities") if finals else (without_final(network), "logits")
        names = [OUTPUTS[output]] if len(model.outputs) == 1 else names_of_outputs(model)
        write_bytes(files["float32"], with_ranges(float_tflite(network, names), ranges))
    if not files:
        raise UserError("convert: no file is left to write. Set convert.int8 or convert.float32 to true")
    return Converted(files, integer_model, narrow_model, settings.weight_storage, finals, ranges)


def checked_finals(model: tf_keras.Model) -> Finals:
    """The activations that make probabilities of a network's logits; UserError if no output ends in one."""
    finals = finals_of(model)
    if not any(finals):
        raise UserError(
            f"convert.outputs: probabilities, but network '{model.name}' does not end in softmax or sigmoid. Add that layer, "
            "or set convert.outputs: logits"
        )
    return finals


def check_calibrated(model: tf_keras.Model) -> None:
    """Raise UserError if the activations of a quantized network have no range: it has seen no data, or has diverged."""
    ranges = {name: float(variable.numpy()) for name, variable in range_variables(model).items()}
    if lost := [name for name, value in ranges.items() if not np.isfinite(value)]:
        raise UserError(
            f"convert: network '{model.name}': the range of layer '{lost[0]}' is not finite. Its weights are far too large, or "
            "training has diverged: train it again, with a smaller learning rate"
        )
    unseen = [name for name, value in ranges.items() if not value > 0]
    if unseen:
        names = ", ".join(unseen[:3]) + (", ..." if len(unseen) > 3 else "")
        raise UserError(
            f"convert: network '{model.name}' has seen no data: the ranges of {len(unseen)} activations ({names}) are "
            "unknown. Train it, or call calibrate(model, data), before you convert it"
        )


def _ranges(model: tf_keras.Model) -> tuple[Range, ...]:
    """The range of every input: what a quantized model was made for, and what a float one seems to be made for."""
    if recipe_of(model):
        return tuple(ranges_of(model).values())
    return found_ranges(model)


def _lowered(model: tf_keras.Model, weight_storage: str, finals: Finals) -> IntegerModel:
    return replace(lower(model, weight_storage).integer_model, finals=tuple(map(OPERATIONS.get, finals)))


def float_tflite(network: tf_keras.Model, outputs: Sequence[str] = (OUTPUTS["logits"],)) -> bytes:
    """The float32 TFLite file of a float tf_keras network, batch 1, with these names of its outputs."""
    shapes = [tuple(tensor.shape)[1:] for tensor in network.inputs]
    names = input_names(tuple(network.input_names), shapes)
    specs = [tf.TensorSpec((1, *shape), tf.float32, name) for shape, name in zip(shapes, names, strict=True)]

    def forward(*inputs):
        results = tf.nest.flatten(network(unlisted(inputs), training=False))
        return dict(zip(outputs, results, strict=True))

    held = tf.Module()  # variables only: the same file, without the slow step of saving the layers first
    held.all = network.variables
    function = tf.function(forward).get_concrete_function(*specs)
    content = tf.lite.TFLiteConverter.from_concrete_functions([function], held).convert()
    return in_order(content, names, outputs)


def _has_int4(model: IntegerModel) -> bool:
    return any(packs(operation, model) for operation in model.operations)
