"""Weight decay on the kernels: the paper's L2 penalty, or decoupled from the gradient."""

from typing import Literal

from pydantic import Field, FiniteFloat

from pipeline.methods.base import Method

KERNEL_NAMES = frozenset({"kernel", "depthwise_kernel"})


def kernels(model) -> list:
    """The trainable kernels of a tf_keras model: no biases, no batch norm."""
    return [variable for variable in model.trainable_variables if _last_part(variable.name) in KERNEL_NAMES]


def _last_part(variable_name: str) -> str:
    return variable_name.rsplit("/", 1)[-1].split(":", 1)[0]


class WeightDecay(Method):
    """Pull the kernels towards zero; biases and batch norm are left alone."""

    name: Literal["weight_decay"] = "weight_decay"
    rate: FiniteFloat = Field(0.01, ge=0, description="Strength of the decay (paper: 0.01).")
    kind: Literal["l2", "decoupled"] = Field(
        "l2", description="l2 adds rate * sum ||W||^2 to the loss; decoupled shrinks W by learning_rate * rate a step."
    )

    def penalty(self, model):
        """The scalar rate * sum ||W||^2 over the kernels for l2, None for decoupled."""
        if self.kind == "decoupled":
            return None
        import tensorflow as tf

        return self.rate * tf.add_n([tf.reduce_sum(tf.square(kernel)) for kernel in kernels(model)])

    def decoupled_rate(self) -> float:
        """The r of `w -= learning_rate * r * w`, applied to `kernels(model)` after each step; 0 for l2.

        Source: Loshchilov and Hutter, Decoupled Weight Decay Regularization, https://arxiv.org/abs/1711.05101
        """
        return self.rate if self.kind == "decoupled" else 0.0
