"""First weights of an encoder from a file, or the ImageNet weights that Keras offers."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import tf_keras
from tf_keras import layers as kl

from pipeline.errors import UserError

BatchNorm = kl.BatchNormalization


def check_file(path: str | Path) -> Path:
    """The path with its ~ resolved; UserError if no file is there."""
    path = Path(path).expanduser()
    if not path.is_file():
        raise UserError(f"model.weights: {path}: no such file. Give a file of Keras weights, imagenet or none")
    return path


def load_file(model: tf_keras.Model, path: str | Path) -> None:
    """Load a weights file (.weights.h5 or .h5) that fits `model` layer by layer; UserError if it does not."""
    path = check_file(path)
    try:
        model.load_weights(path)
    except Exception as error:  # h5py and Keras raise what they like
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise UserError(
            f"model.weights: {path} is damaged, or holds the weights of another network than this {model.name} "
            f"without its top layers: {reason}"
        ) from error
    for variable in model.variables:
        if not np.isfinite(variable.numpy()).all():
            raise UserError(f"model.weights: {path}: '{variable.name}' holds numbers that are not finite")


def load_pretrained(
    encoder: tf_keras.Model,
    original: tf_keras.Model,
    names: dict[str, str],
    weights: str,
    build: Callable[..., tf_keras.Model],
) -> None:
    """Put a Keras application's weights, imagenet or a file, into `encoder`, the copy of `original`.

    `names`: {layer of the original: layer of the copy}. `build` is what makes the original. Such weights were trained
    on pixels in [-1, 1], ours lie in [0, 1]: the first convolution and its batch norm absorb the difference.
    """
    original = load_original(original, weights, build)
    for source, name in zip(original.layers, names.values(), strict=True):
        if source.weights:
            _hand_over(source, encoder.get_layer(name))
    _absorb_pixel_range(encoder)


def load_original(original: tf_keras.Model, weights: str, build: Callable[..., tf_keras.Model]) -> tf_keras.Model:
    """The Keras application with its weights, `imagenet` or those of a file; UserError if they cannot be had."""
    if weights == "imagenet":
        return _imagenet(original, build)
    load_file(original, weights)
    return original


def _imagenet(model: tf_keras.Model, build: Callable[..., tf_keras.Model]) -> tf_keras.Model:
    """The application with the weights Keras offers, downloaded to ~/.keras/models if they are not there yet."""
    try:
        return build(input_shape=model.input_shape[1:], include_top=False, weights="imagenet", pooling=None)
    except Exception as error:  # no connection, a damaged download, an alpha without weights
        raise UserError(
            f"model.weights: the ImageNet weights of {model.name} cannot be had: {str(error).strip()}\n"
            "Download the file (its name ends in _no_top.h5 or _notop.h5) elsewhere and put it into ~/.keras/models, "
            "or give its path as model.weights"
        ) from error


def _hand_over(source: kl.Layer, target: kl.Layer) -> None:
    """The weights of `source` in its copy; a first kernel is summed over the colours where the copy sees grey images."""
    if isinstance(source, BatchNorm):
        for key in ("gamma", "beta", "moving_mean", "moving_variance"):
            if (variable := getattr(source, key)) is not None:
                getattr(target, key).assign(variable)
        return
    arrays = source.get_weights()
    if arrays[0].shape[2] != target.weights[0].shape[2]:
        arrays[0] = arrays[0].sum(axis=2, keepdims=True)
    target.set_weights(arrays)


def _absorb_pixel_range(encoder: tf_keras.Model) -> None:
    """conv(2x - 1) = 2 conv(x) - sum(W): the kernel doubles, the mean of its batch norm grows by sum(W).

    Exact where the window lies inside the image; zero padding meant middle grey before and means black now.
    """
    convolution = next(layer for layer in encoder.layers if isinstance(layer, kl.Conv2D))
    norm = next(layer for layer in encoder.layers if isinstance(layer, BatchNorm))
    (kernel,) = convolution.get_weights()
    convolution.set_weights([2 * kernel])
    norm.moving_mean.assign_add(kernel.sum(axis=(0, 1, 2)))
