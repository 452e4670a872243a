"""Groups of channels that must be pruned together, and the smaller network without the pruned channels."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import tensorflow as tf
import tf_keras
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from tf_keras import layers as kl

from pipeline.errors import UserError
from pipeline.models.graph import LIMITS
from pipeline.models.layers import Affine, PadChannels, SeededDropout

WEIGHT_NAMES = ("kernel", "depthwise_kernel", "bias", "gamma", "beta")
Variables = Mapping[str, Mapping[str, tf.Variable]]  # by layer name and weight name


@dataclass(frozen=True)
class ChannelGroups:
    """The channels of a network as components: sets of channels tied by an addition or a depthwise kernel.

    `outputs[layer]` (C_out,) and `inputs[layer]` (C_in,) give the component of each channel of a layer; components are
    numbered 0..size-1. Each of `groups` holds the components computed by the same layers, which are ranked against
    each other. Components in no group (the network's inputs and outputs) are always kept.
    """

    outputs: Mapping[str, np.ndarray]
    inputs: Mapping[str, np.ndarray]
    groups: tuple[np.ndarray, ...]
    size: int

    def sum_per_component(self, layer: str, weights: np.ndarray) -> np.ndarray:
        """L1 norm per component (size,) of weights (..., C_out), or depthwise ones (h, w, C_in, multiplier)."""
        channels = self.outputs[layer]
        norms = np.abs(np.asarray(weights, np.float64)).reshape(-1, len(channels)).sum(axis=0)
        return np.bincount(channels, norms, self.size)


def float_variables(model: tf_keras.Model) -> dict[str, dict[str, tf.Variable]]:
    """The variables of a float network by layer name and weight name, without layers that have none."""
    found = {}
    for layer in model.layers:
        named = {name: getattr(layer, name, None) for name in WEIGHT_NAMES}
        named = {name: variable for name, variable in named.items() if variable is not None}
        if named:
            found[layer.name] = named
    return found


def channel_groups(model: tf_keras.Model) -> ChannelGroups:
    """The components of a functional float network, and the groups within which filters are ranked.

    Raises UserError that names a layer whose channels cannot be traced or pruned.
    """
    components = _Components()
    known = {id(tensor): components.fresh(tensor.shape[-1]) for tensor in model.inputs}
    outputs, inputs = {}, {}
    for layer in model.layers:
        if isinstance(layer, kl.InputLayer):
            continue
        rule = _rule(layer)
        sources = [_look_up(known, tensor, layer) for tensor in tf.nest.flatten(layer.input)]
        known[id(layer.output)] = outputs[layer.name] = rule(layer, sources, components)
        inputs[layer.name] = np.concatenate(sources)
    ends = [_look_up(known, tensor, model) for tensor in (*model.inputs, *model.outputs)]
    numbers = components.numbers()
    outputs = {name: numbers[channels] for name, channels in outputs.items()}
    inputs = {name: numbers[channels] for name, channels in inputs.items()}
    fixed = set(numbers[np.concatenate(ends)].tolist())
    _check_zeros(model, outputs, fixed)
    return ChannelGroups(outputs, inputs, _groups(model, outputs, fixed), int(numbers.max()) + 1)


def shrink(model: tf_keras.Model) -> tf_keras.Model:
    """The network without the channels whose weights are all zero: same layer names, same function.

    At least one channel of every group is kept. Raises UserError like `channel_groups`.
    """
    groups = channel_groups(model)
    alive = _alive(groups, float_variables(model))
    smaller = tf_keras.models.clone_model(model, clone_function=partial(_smaller_layer, groups, alive))
    for layer in model.layers:
        if layer.weights:
            kept_in, kept_out = alive[groups.inputs[layer.name]], alive[groups.outputs[layer.name]]
            arrays = [_sliced(layer, array, kept_in, kept_out) for array in layer.get_weights()]
            smaller.get_layer(layer.name).set_weights(arrays)
    return smaller


class _Components:
    """Channels as nodes of a graph in which ties are edges."""

    def __init__(self):
        self.size = 0
        self.ties: list[np.ndarray] = [np.empty((2, 0), int)]

    def fresh(self, channels: int) -> np.ndarray:
        """New channels (channels,)."""
        self.size += channels
        return np.arange(self.size - channels, self.size)

    def tie(self, left: np.ndarray, right: np.ndarray) -> None:
        """Make pairs of channels members of the same component."""
        self.ties.append(np.stack([left, right]))

    def numbers(self) -> np.ndarray:
        """The component 0..size-1 of every channel."""
        rows, columns = np.concatenate(self.ties, axis=1)
        graph = coo_array((np.ones(len(rows)), (rows, columns)), (self.size, self.size))
        return connected_components(graph, directed=False)[1]


Rule = Callable[[kl.Layer, list[np.ndarray], _Components], np.ndarray]


def _same(layer: kl.Layer, sources: list[np.ndarray], components: _Components) -> np.ndarray:
    return sources[0]


def _new(layer: kl.Layer, sources: list[np.ndarray], components: _Components) -> np.ndarray:
    return components.fresh(layer.output.shape[-1])


def _depthwise(layer: kl.DepthwiseConv2D, sources: list[np.ndarray], components: _Components) -> np.ndarray:
    return np.repeat(sources[0], layer.depth_multiplier)


def _flat(layer: kl.Flatten, sources: list[np.ndarray], components: _Components) -> np.ndarray:
    return np.tile(sources[0], layer.output.shape[-1] // len(sources[0]))


def _joined(layer: kl.Concatenate, sources: list[np.ndarray], components: _Components) -> np.ndarray:
    return np.concatenate(sources)


def _padded(layer: PadChannels, sources: list[np.ndarray], components: _Components) -> np.ndarray:
    return np.concatenate([components.fresh(layer.before), sources[0], components.fresh(layer.after)])


def _reshaped(layer: kl.Reshape, sources: list[np.ndarray], components: _Components) -> np.ndarray:
    if layer.output.shape[-1] != len(sources[0]):
        raise UserError(
            f"pruning: layer '{layer.name}' (Reshape) moves values between channels; use Flatten, or keep the last axis"
        )
    return sources[0]


def _tied(layer: kl.Add | kl.Multiply, sources: list[np.ndarray], components: _Components) -> np.ndarray:
    if len({len(source) for source in sources}) > 1:
        verb = "multiplies" if isinstance(layer, kl.Multiply) else "adds"
        raise UserError(f"pruning: layer '{layer.name}' {verb} tensors of different channel counts; use the same count")
    for source in sources[1:]:
        components.tie(sources[0], source)
    return sources[0]


_RULES: dict[type, Rule] = {
    kl.Conv2D: _new,
    kl.Dense: _new,
    kl.DepthwiseConv2D: _depthwise,
    kl.Flatten: _flat,
    kl.Concatenate: _joined,
    kl.Add: _tied,
    kl.Multiply: _tied,
    kl.Reshape: _reshaped,
    PadChannels: _padded,
    kl.BatchNormalization: _same,
    Affine: _same,
    kl.ReLU: _same,
    kl.Activation: _same,
    kl.MaxPooling2D: _same,
    kl.AveragePooling2D: _same,
    kl.GlobalAveragePooling2D: _same,
    kl.GlobalMaxPooling2D: _same,
    kl.ZeroPadding2D: _same,
    kl.Cropping2D: _same,
    kl.Dropout: _same,
    kl.SpatialDropout2D: _same,
    kl.GaussianNoise: _same,
    SeededDropout: _same,
}


def _rule(layer: kl.Layer) -> Rule:
    kind = type(layer)
    if kind not in _RULES:
        supported = ", ".join(sorted(known.__name__ for known in _RULES))
        raise UserError(
            f"pruning: cannot trace the channels of layer '{layer.name}' ({kind.__name__}); "
            f"remove the pruning method or replace the layer (supported: {supported})"
        )
    if problem := _problem(layer):
        raise UserError(f"pruning: layer '{layer.name}' ({kind.__name__}) {problem}")
    return _RULES[kind]


def _problem(layer: kl.Layer) -> str | None:
    rank = len(layer.output.shape)
    if getattr(layer, "data_format", None) == "channels_first":
        return "has channels_first images; use channels_last"
    if getattr(layer, "groups", 1) != 1:
        return "is a grouped convolution; use groups=1"
    if isinstance(layer, kl.Concatenate | kl.BatchNormalization):
        axes = [axis % rank for axis in tf.nest.flatten(layer.axis)]
        return None if axes == [rank - 1] else "does not work along the channels; use axis=-1"
    return None


def _look_up(known: dict[int, np.ndarray], tensor: tf.Tensor, reader: kl.Layer) -> np.ndarray:
    if id(tensor) not in known:
        raise UserError(f"pruning: '{reader.name}' reads a layer that is used more than once; use separate layers")
    return known[id(tensor)]


def _check_zeros(model: tf_keras.Model, outputs: Mapping[str, np.ndarray], fixed: set[int]) -> None:
    """A pruned channel stays zero only if activations map 0 to 0 and batch norms have a gamma to set to zero.

    A sigmoid's half does no harm: every kernel that reads it is zero there, and its grid does not depend on the data.
    """
    for layer in model.layers:
        if layer.name not in outputs or fixed.issuperset(outputs[layer.name].tolist()):
            continue
        if getattr(layer, "scale", True) is False:
            raise UserError(
                f"pruning: layer '{layer.name}' has no gamma, so its channels cannot be pruned; use scale=True"
            )
        if isinstance(layer, kl.Activation) and layer.get_config()["activation"] in LIMITS:
            continue
        activation = getattr(layer, "activation", None)
        if activation is not None and np.any(activation(tf.zeros((1, 2)))):
            raise UserError(f"pruning: the activation of layer '{layer.name}' does not map 0 to 0; use relu")


def _groups(model: tf_keras.Model, outputs: Mapping[str, np.ndarray], fixed: set[int]) -> tuple[np.ndarray, ...]:
    makers = defaultdict(list)
    for layer in model.layers:
        if isinstance(layer, kl.Conv2D | kl.DepthwiseConv2D | kl.Dense):
            for component in outputs[layer.name].tolist():
                makers[component].append(layer.name)
    classes = defaultdict(list)
    for component in sorted(makers.keys() - fixed):
        classes[frozenset(makers[component])].append(component)
    return tuple(np.array(members) for members in classes.values())


def _alive(groups: ChannelGroups, variables: Variables) -> np.ndarray:
    """(size,) bool: False for components whose weights are all zero, except one where a whole group is."""
    total = np.zeros(groups.size)
    for layer, named in variables.items():
        for variable in named.values():
            total += groups.sum_per_component(layer, variable.numpy())
    alive = np.ones(groups.size, bool)
    for members in groups.groups:
        alive[members] = total[members] != 0
        alive[members[0]] |= not alive[members].any()
    return alive


def _smaller_layer(groups: ChannelGroups, alive: np.ndarray, layer: kl.Layer) -> kl.Layer:
    config = layer.get_config()
    kept = alive[groups.outputs[layer.name]]
    if isinstance(layer, PadChannels):
        config["before"] = int(kept[: layer.before].sum())
        config["after"] = int(kept[len(kept) - layer.after :].sum())
    elif isinstance(layer, kl.Dense):
        config["units"] = int(kept.sum())
    elif isinstance(layer, kl.Conv2D):
        config["filters"] = int(kept.sum())
    elif isinstance(layer, Affine):
        config |= {key: np.broadcast_to(config[key], kept.shape)[kept].tolist() for key in ("gain", "shift")}
    elif isinstance(layer, kl.Reshape):
        config["target_shape"] = (*layer.target_shape[:-1], int(kept.sum()))
    return type(layer).from_config(config)


def _sliced(layer: kl.Layer, array: np.ndarray, kept_in: np.ndarray, kept_out: np.ndarray) -> np.ndarray:
    """The kept part of a vector (C_out,), kernel (..., C_in, C_out) or depthwise kernel (h, w, C_in, multiplier)."""
    if array.ndim == 1:
        return array[kept_out]
    if isinstance(layer, kl.DepthwiseConv2D):
        return array[:, :, kept_in]
    return array[..., kept_in, :][..., kept_out]
