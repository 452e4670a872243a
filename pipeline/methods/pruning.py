"""Structured magnitude pruning: filters of lowest L1 norm are zeroed during training and removed at export."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from weakref import WeakKeyDictionary

import numpy as np
from pydantic import Field, FiniteFloat, model_validator

from pipeline.errors import UserError
from pipeline.methods.base import Method
from pipeline.settings import Conflict

if TYPE_CHECKING:
    import tf_keras

    from pipeline.models.channels import ChannelGroups, Variables


FILTERED = ("kernel", "depthwise_kernel", "moving_mean")  # what layers have that lose filters


class Pruning(Method):
    """Removes the share `ratio` of every layer's filters (paper: 0.75) between the epochs `begin` and `end`.

    The share grows with the cubic schedule of Zhu & Gupta 2017, "To prune, or not to prune", eq. 1. Filters tied by
    an addition or a depthwise kernel are removed together, ranked by the mean of their L1 norms (Li et al. 2017,
    "Pruning filters for efficient ConvNets"). What is pruned follows from the weights alone: a filter of zeros has the
    lowest norm, so it stays pruned, also after a resume.
    """

    name: Literal["pruning"] = "pruning"
    ratio: FiniteFloat = Field(0.75, ge=0, lt=1, description="Share of every layer's filters that is removed.")
    begin: FiniteFloat = Field(0.25, ge=0, le=1, description="Share of the epochs without any removal.")
    end: FiniteFloat = Field(0.75, ge=0, le=1, description="Share of the epochs after which `ratio` is reached.")

    @model_validator(mode="after")
    def _begins_before_it_ends(self):
        if self.begin >= self.end:
            raise ValueError(f"begin ({self.begin}) must be smaller than end ({self.end})")
        return self

    @property
    def title(self) -> str:
        """Such as `75 % pruning`."""
        return f"{100 * self.ratio:.0f} % pruning"

    def conflicts(self, experiment) -> Iterator[Conflict]:
        """A ratio that removes all filters of the narrowest layers."""
        width = getattr(experiment.model, "width", None)
        if width is None or getattr(experiment.model, "encoder", "small_resnet") != "small_resnet":
            return
        if math.floor(self.ratio * width + 1e-9) >= width:
            message = f"{self.ratio!r} leaves no filter in layers of {width} filters (model.width). Lower it"
            yield Conflict(("ratio",), message, (("model", "width"),))

    def ratio_at(self, epoch: int, epochs: int) -> float:
        """The share removed in 0-based `epoch`; the last epoch always runs at the full ratio."""
        start, stop = self.begin * epochs, min(self.end * epochs, epochs - 1)
        if epoch >= stop:
            return self.ratio
        if epoch <= start:
            return 0.0
        return self.ratio * (1 - (1 - (epoch - start) / (stop - start)) ** 3)

    def settled_from(self, epochs: int) -> int:
        """The first epoch at the full ratio."""
        return next(epoch for epoch in range(epochs) if self.ratio_at(epoch, epochs) == self.ratio)

    def before_epoch(self, model: "tf_keras.Model", epoch: int, epochs: int) -> bool:
        """Choose the filters to prune from the current weights and set them to zero."""
        state = _state(model)
        chosen = masks(state.variables, state.groups, self.ratio_at(epoch, epochs))
        for layer, named in chosen.items():
            for name, mask in named.items():
                state.masks[layer][name].assign(mask)
        self.after_step(model)
        return False

    def after_step(self, model: "tf_keras.Model") -> None:
        """Set the pruned filters to zero again."""
        state = _state(model)
        for layer, named in state.masks.items():
            for name, mask in named.items():
                variable = state.variables[layer][name]
                variable.assign(variable * mask)

    def export(self, model: "tf_keras.Model") -> "tf_keras.Model":
        """The network without the pruned filters, quantized again if the model is quantized."""
        from pipeline.models.channels import shrink

        smaller = shrink(network_and_variables(model)[0])
        if not _is_quantized(model):
            return smaller
        from pipeline.quantization.scheme import rewrap

        return rewrap(model, smaller)


def network_and_variables(model: "tf_keras.Model") -> "tuple[tf_keras.Model, Variables]":
    """The float network of a float or quantized model, and the trained variables by layer and weight name."""
    if _is_quantized(model):
        from pipeline.quantization.model_access import float_network, variables_by_layer

        return float_network(model), variables_by_layer(model)
    from pipeline.models.channels import float_variables

    return model, float_variables(model)


def component_norms(variables: "Variables", groups: "ChannelGroups") -> np.ndarray:
    """(size,) mean L1 norm of the filters in each component, without batch norm and biases."""
    total, filters = np.zeros(groups.size), np.zeros(groups.size)
    for layer, named in variables.items():
        kernel = named.get("kernel", named.get("depthwise_kernel"))
        if kernel is not None:
            total += groups.sum_per_component(layer, kernel.numpy())
            filters += np.bincount(groups.outputs[layer], minlength=groups.size)
    return total / np.maximum(filters, 1)


def survivors(variables: "Variables", groups: "ChannelGroups", ratio: float) -> np.ndarray:
    """(size,) bool: False for the floor(ratio * n) components of lowest norm of every group of n."""
    norms = component_norms(variables, groups)
    alive = np.ones(groups.size, bool)
    for members in groups.groups:
        # 0.29 * 100 is 28.999999999999996
        removed = int(np.floor(ratio * len(members) + 1e-9))
        ranked = members[np.argsort(norms[members], kind="stable")]
        alive[ranked[:removed]] = False
    return alive


def masks(variables: "Variables", groups: "ChannelGroups", ratio: float) -> dict[str, dict[str, np.ndarray]]:
    """0/1 factors by layer and weight name: (C_in, C_out) for kernels, (C_out,) for biases, gammas and betas.

    Kernels are also zeroed at pruned inputs: their output does not change, and their quantization range is then the
    same as after removal. Depthwise kernels get (C_in, multiplier). Moving statistics have no mask.
    """
    alive = survivors(variables, groups, ratio).astype(np.float32)
    chosen = {}
    for layer, named in variables.items():
        alive_in, alive_out = alive[groups.inputs[layer]], alive[groups.outputs[layer]]
        weights = [name for name in named if not name.startswith("moving_")]
        chosen[layer] = {name: _mask(name, alive_in, alive_out) for name in weights}
    return chosen


def _mask(name: str, alive_in: np.ndarray, alive_out: np.ndarray) -> np.ndarray:
    if name == "kernel":
        return np.outer(alive_in, alive_out)
    if name == "depthwise_kernel":
        return alive_out.reshape(len(alive_in), -1)
    return alive_out


def _is_quantized(model: "tf_keras.Model") -> bool:
    from pipeline.quantization.model_access import recipe_of

    return recipe_of(model) is not None


@dataclass(frozen=True)
class _State:
    """The pruning state of a model: its groups, its variables, and a mask for each variable that the graph reads."""

    groups: "ChannelGroups"
    variables: "Variables"
    masks: "Variables"


# Not on the model: Keras would save the masks with its weights.
_STATES: WeakKeyDictionary = WeakKeyDictionary()


def _state(model) -> _State:
    if model not in _STATES:
        _STATES[model] = _new_state(model)
    return _STATES[model]


def _check_unfrozen(network) -> None:
    """Raise UserError for a frozen layer, whose filters must stay as they are."""
    for layer in network.layers:
        if not layer.trainable and any(hasattr(layer, name) for name in FILTERED):
            raise UserError(
                f"pruning: layer '{layer.name}' is frozen (trainable=False), but pruning removes filters of every layer; "
                "unfreeze it, or remove the method"
            )


def _new_state(model) -> _State:
    import tensorflow as tf

    from pipeline.models.channels import channel_groups

    with tf.init_scope():
        network, variables = network_and_variables(model)
        _check_unfrozen(network)
        groups = channel_groups(network)
        ones = masks(variables, groups, 0.0)
        held = {
            layer: {name: tf.Variable(mask, trainable=False) for name, mask in named.items()}
            for layer, named in ones.items()
        }
    return _State(groups, variables, held)
