"""The user's own network as configuration section `model` names it: from a function, a file or tf_keras.applications."""

import difflib
import importlib
import inspect
import json
import sys
import traceback
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import tf_keras

from pipeline.errors import UserError
from pipeline.models.applications import APPLICATIONS
from pipeline.models.inference import KERAS_3
from pipeline.models.settings import KerasNetwork


def as_written(section: KerasNetwork, image_shape: tuple[int, ...], outputs: int, seed: int) -> tf_keras.Model:
    """The network, as it is written, with initial weights that follow from `seed` unless it brings its own.

    Networks of tf_keras.applications get the shape (H, W, C) of the images and the number of outputs; a factory gets
    its arguments only. Seeds the generators of Python, NumPy and TensorFlow, and lets Keras count unnamed layers from
    zero. Raises UserError for whatever gives no tf_keras model.
    """
    tf_keras.backend.reset_uids()
    tf_keras.utils.set_random_seed(seed)
    if section.file:
        return _from_file(Path(section.file).expanduser())
    if section.application:
        return _application(section, image_shape, outputs)
    function = _function(section.factory)
    _check_arguments(function, section)
    return _checked(_called(function, section.arguments, section.source), section.source)


def _function(path: str) -> Callable:
    """The function at "module:function", looked for in the working directory too."""
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    name, _, wanted = path.partition(":")
    module = _module(name)
    if not hasattr(module, wanted):
        functions = [key for key, value in vars(module).items() if callable(value)]
        close = difflib.get_close_matches(wanted, functions, n=1)
        advice = f"Did you mean {name}:{close[0]}?" if close else "Give the name of a function in it"
        raise UserError(f"model.factory: module {name} ({module.__file__}) has no '{wanted}'. {advice}")
    function = getattr(module, wanted)
    if not callable(function):
        raise UserError(f"model.factory: {path} is a {type(function).__name__}, not a function that returns a network")
    return function


def _module(name: str):
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and f"{name}.".startswith(f"{error.name}."):
            raise UserError(
                f"model.factory: there is no module '{error.name}' in {Path.cwd()} or on PYTHONPATH. Run the command "
                "from the folder that holds it, or install its package"
            ) from error
        raise UserError(
            f"model.factory: module {name} was found, but it imports '{error.name}', which is not installed here "
            f"({_place(error)})"
        ) from error
    except Exception as error:  # whatever the user's module raises
        raise UserError(f"model.factory: importing {name} failed: {_told(error)}") from error


def _check_arguments(function: Callable, section: KerasNetwork) -> None:
    try:
        signature = inspect.signature(function)
    except ValueError:  # a builtin without a signature
        return
    try:
        signature.bind(**section.arguments)
    except TypeError as error:
        raise UserError(f"model.arguments: {error}; {section.factory} takes {signature}") from error


def _called(function: Callable, arguments: Mapping[str, object], source: str) -> object:
    try:
        return function(**arguments)
    except Exception as error:  # whatever the user's function raises
        raise UserError(f"{source}: {_told(error)}") from error


def _application(section: KerasNetwork, image_shape: tuple[int, ...], outputs: int) -> tf_keras.Model:
    build = getattr(tf_keras.applications, APPLICATIONS[section.application])
    from_data = {"weights": None, "classes": outputs, "input_shape": image_shape}
    if "include_preprocessing" in inspect.signature(build).parameters:
        from_data["include_preprocessing"] = False  # its Rescaling expects pixels up to 255
    return _called(build, {**from_data, **section.arguments}, section.source)


def _from_file(path: Path) -> tf_keras.Model:
    if not path.is_file():
        raise UserError(f"model.file: {path}: no such file. Give one written by model.save: NAME.keras or NAME.h5")
    _check_archive(path)
    try:
        model = tf_keras.models.load_model(path, compile=False)
    except Exception as error:  # h5py and Keras raise many kinds
        advice = "A network with layers of your own needs a factory, which can import them"
        raise UserError(f"model.file: {path}: not a readable Keras network: {_told(error)}. {advice}") from error
    return _checked(model, f"model.file: {path}")


def _check_archive(path: Path) -> None:
    """Raise UserError for a .keras file of Keras 3 and for one that holds a quantized network."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        parts = {"metadata.json", "config.json"} & set(archive.namelist())
        texts = {name: archive.read(name).decode("utf-8", "replace") for name in parts}
    try:
        version = str(json.loads(texts.get("metadata.json", "{}")).get("keras_version", ""))
    except (ValueError, AttributeError):  # no JSON, or no object: load_model tells what is wrong
        return
    if version.partition(".")[0].isdecimal() and int(version.partition(".")[0]) > 2:
        raise UserError(f"model.file: {path}: written by Keras {version}. {KERAS_3}")
    if '"QuantizeTensor"' in texts.get("config.json", ""):
        raise UserError(f"model.file: {path}: holds a quantized network. Give the float one; methods quantize it")


def _checked(model: object, source: str) -> tf_keras.Model:
    """`model` itself if it is a tf_keras model."""
    if isinstance(model, tf_keras.Model):
        return model
    kind = f"{type(model).__module__}.{type(model).__name__}"
    if kind.startswith("keras."):
        raise UserError(f"{source}: returned a {kind}. {KERAS_3}")
    advice = " Did it forget its return?" if model is None else ""
    raise UserError(f"{source}: returned {'None' if model is None else f'a {kind}'}, not a tf_keras.Model.{advice}")


def _told(error: Exception) -> str:
    """An error of the user's code in one line, with its place."""
    text = next(iter(str(error).strip().splitlines()), "")
    return f"{type(error).__name__}{f': {text}' if text else ''} ({_place(error)})"


def _place(error: Exception) -> str:
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}, line {error.lineno}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith("<")]
    own = [frame for frame in frames if "site-packages" not in frame.filename and frame.filename != __file__]
    frame = (own or frames)[-1]
    return f"{frame.filename}, line {frame.lineno}"
