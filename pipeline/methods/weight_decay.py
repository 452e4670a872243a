"""Weight decay of the kernels: the paper's L2 penalty, or decoupled from the gradient."""

from typing import TYPE_CHECKING, Literal

from pydantic import Field, FiniteFloat

from pipeline.methods.base import Method

if TYPE_CHECKING:
    import tensorflow as tf
    import tf_keras

KERNEL_NAMES = frozenset({"kernel", "depthwise_kernel"})


def kernels(model: "tf_keras.Model") -> "list[tf.Variable]":
    """The trainable kernels of a model, without biases and batch norm."""
    return [variable for variable in model.trainable_variables if _last_part(variable.name) in KERNEL_NAMES]


class WeightDecay(Method):
    """Shrink the kernels towards zero, but not biases and batch norm."""

    name: Literal["weight_decay"] = "weight_decay"
    rate: FiniteFloat = Field(0.01, ge=0, description="Strength of the decay (paper: 0.01).")
    kind: Literal["l2", "decoupled"] = Field(
        "l2",
        description="l2 adds rate * sum ||W||^2 to the loss; decoupled shrinks W by learning_rate * rate per step.",
    )

    @property
    def title(self) -> str:
        """Such as `weight decay 0.01`."""
        return f"weight decay {self.rate}"

    @property
    def short_title(self) -> str:
        """`decay`."""
        return "decay"

    def penalty(self, model: "tf_keras.Model") -> "tf.Tensor | None":
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


def _last_part(variable_name: str) -> str:
    return variable_name.rsplit("/", 1)[-1].split(":", 1)[0]
