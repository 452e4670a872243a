"""A network as people write it, rebuilt from the few layers that quantization knows: the same function and weights.

Activations inside of layers, sums of several tensors, separable convolutions, arithmetic on tensors, nested models: each
becomes the layers that it stands for. Layers without a rule are kept as they are; whether they can be quantized is
decided later, by name.
"""

from collections.abc import Callable
from functools import partial

import tensorflow as tf
import tf_keras

from pipeline.errors import UserError
from pipeline.models.canonical_kinds import RULES
from pipeline.models.canonical_pointwise import kept
from pipeline.models.graph import graph_problem, kind_of

_FLOATS = {tf.uint8: tf.float32}  # pixels become floats


def canonical(model: tf_keras.Model) -> tf_keras.Model:
    """The functional network that `model`, functional or a built Sequential one, computes, from canonical layers.

    Layers keep their names where they can; a layer that becomes several gives its name to the one with its kernel. Raises
    UserError for networks without a graph of layers, and for operations that no layer stands for.
    """
    return Rewriting().whole(model)


class Rewriting:
    """One network being rebuilt: the layers made so far, so that a shared layer stays shared, and their names."""

    def __init__(self):
        self._made: dict[tuple[int, str, str], tf_keras.layers.Layer] = {}
        self._names: set[str] = set()

    def whole(self, model: tf_keras.Model) -> tf_keras.Model:
        """The whole network."""
        check_graph(model)
        inputs = [
            tf_keras.Input(
                tuple(tensor.shape)[1:], dtype=_FLOATS.get(tensor.dtype, tensor.dtype), name=self._new_name(name)
            )
            for tensor, name in zip(model.inputs, model.input_names, strict=True)
        ]
        outputs = self.inline(model, inputs)
        return tf_keras.Model(like(model.input, inputs), like(model.output, outputs), name=model.name)

    def inline(self, model: tf_keras.Model, inputs: list, prefix: str = "") -> list:
        """The outputs of a (nested) network on these tensors."""
        values = {id(old): new for old, new in zip(model.inputs, inputs, strict=True)}
        ends = {id(tensor) for tensor in model.outputs}
        for depth in sorted(model._nodes_by_depth, reverse=True):
            for call in model._nodes_by_depth[depth]:
                if not call.is_input:
                    made = [id(tensor) for tensor in tf.nest.flatten(call.outputs)]
                    site = Site(self, call, prefix, not ends.isdisjoint(made))
                    values.update(zip(made, tf.nest.flatten(self._applied(site, values)), strict=True))
        return [values[id(tensor)] for tensor in model.outputs]

    def layer(self, key: tuple[int, str, str], name: str, make: Callable) -> tf_keras.layers.Layer:
        """The layer in place of an original one, by its id, role and settings: `make(name=...)`, or the one made earlier."""
        if key not in self._made:
            self._made[key] = make(name=self._new_name(name))
        return self._made[key]

    def _applied(self, site: "Site", values: dict[int, tf.Tensor]):
        layer, call = site.original, site.call
        args, kwargs = tf.nest.map_structure(
            lambda part: values.get(id(part), part), (call.call_args, call.call_kwargs)
        )
        if isinstance(layer, tf_keras.Model):
            check_graph(layer)
            inputs = tf.nest.flatten(args[0] if args else kwargs["inputs"])
            outputs = self.inline(layer, inputs, f"{site.prefix}{layer.name}_")
            return like(layer.output, outputs)
        return RULES.get(kind_of(layer), kept)(site, *args, **kwargs)

    def _new_name(self, wanted: str) -> str:
        name, number = wanted, 1
        while name in self._names:
            number += 1
            name = f"{wanted}_{number}"
        self._names.add(name)
        return name


class Site:
    """Where a rule builds: the call of the original layer, and the layers that take its place.

    at_output: the call gives an output of the (nested) network.
    """

    def __init__(self, rewriting: Rewriting, call, prefix: str, at_output: bool):
        self.original: tf_keras.layers.Layer = call.layer
        self.call, self._rewriting, self.prefix, self.at_output = call, rewriting, prefix, at_output

    @property
    def output_shape(self) -> tuple:
        """The shape (B, ...) of the original layer's only output."""
        return tuple(self.call.outputs.shape)

    @property
    def function(self) -> str:
        """The TensorFlow function that the original layer calls."""
        return self.original.get_config()["function"]

    def new(self, make: Callable, role: str = "", **config) -> tf_keras.layers.Layer:
        """A layer `make(**config)` named after the original one and its role, frozen if the original is."""
        name = f"{self.prefix}{self.original.name}" + (f"_{role}" if role else "")
        key = (id(self.original), role, repr(sorted(config.items())))
        return self._rewriting.layer(key, name, partial(make, trainable=self.original.trainable, **config))

    def same(self, **changes) -> "_WithWeights":
        """A copy of the original layer, its weights included, with other settings."""
        return self.like(type(self.original), {**self.original.get_config(), **changes}, self.original.get_weights())

    def like(self, kind: type, config: dict, weights: list, role: str = "") -> "_WithWeights":
        """A layer of this kind with these settings and weights, frozen if the original is."""
        settings = {**config, "trainable": self.original.trainable}
        layer = self.new(lambda name, trainable: kind.from_config({**settings, "name": name}), role)
        return _WithWeights(layer, weights)


class _WithWeights:
    """A layer that gets its weights when it is first called."""

    def __init__(self, layer: tf_keras.layers.Layer, weights: list):
        self._layer, self._weights = layer, weights

    def __call__(self, *args, **kwargs):
        built = self._layer.built and bool(self._layer.inbound_nodes)
        outputs = self._layer(*args, **kwargs)
        if not built and self._weights:
            self._layer.set_weights(self._weights)
        return outputs


def like(structure: object, tensors: list) -> object:
    """The tensors of all inputs or outputs in the structure (one, list, dict, ...) that the user gave them."""
    return tf.nest.pack_sequence_as(structure, tensors) if tf.nest.is_nested(structure) else tensors[0]


def check_graph(model: tf_keras.Model) -> None:
    """Raise UserError unless the network is made of layer calls that can be followed."""
    if problem := graph_problem(model):
        raise UserError(f"network '{model.name}': {problem}")
