"""The configuration sections of the networks, their sizes, and the layer names of AU heads (TensorFlow-free)."""

import keyword
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, FiniteFloat

from pipeline.errors import UserError
from pipeline.models.applications import APPLICATIONS, RESERVED, closest_application
from pipeline.settings import Conflict, Section

MIN_IMAGE_SIZE = {"small_resnet": 24, "mobilenet_v2": 32, "inception_v3": 75}  # pixels, by encoder
COMMON = "common"  # the head that all action units share
HIDDEN = ("dense1", "dense2")  # layers of a head before its logit


def blocks_per_stage(depth: int) -> int:
    """The n of a residual network of `depth` = 6n + 2 layers with weights (He et al. 2015, arXiv:1512.03385, sec. 4.2).

    Raises UserError for any other depth.
    """
    if depth < 8 or depth % 6 != 2:
        raise UserError(f"a depth is 6n + 2, such as 8, 14, 20, 32, 44 or 56, not {depth}")
    return (depth - 2) // 6


def _resnet_depth(depth: int) -> int:
    """`depth` itself if it is a valid depth."""
    try:
        blocks_per_stage(depth)
    except UserError as error:
        raise ValueError(str(error)) from error
    return depth


class ResNet20(Section):
    """The residual network of He et al. for CIFAR-10."""

    name: Literal["resnet20"] = Field("resnet20", description="The network.")
    depth: Annotated[int, AfterValidator(_resnet_depth)] = Field(20, description="Layers with weights: 6n + 2.")
    width: int = Field(
        16, ge=1, le=256, description="Filters of the first stage; the others have 2 and 4 times as many."
    )
    shortcut: Literal["identity", "projection"] = Field(
        "identity", description="Shortcut where the size changes: subsample and pad, or a 1x1 convolution."
    )


class AuNetwork(Section):
    """An encoder with a head for every action unit."""

    name: Literal["au_network"] = Field("au_network", description="The network.")
    encoder: Literal["small_resnet", "mobilenet_v2", "inception_v3"] = Field(
        "small_resnet", description="What turns a face into features."
    )
    weights: str = Field(
        "none", min_length=1, description="Initial weights of the encoder: none, imagenet, or a file of Keras weights."
    )
    pooling: Literal["avg", "max"] = Field("avg", description="How features are pooled over the image.")
    heads: Literal["common", "per_au"] = Field(
        "per_au", description="One stack of dense layers for all AUs, or one per AU."
    )
    head_units: int = Field(64, ge=1, le=1024, description="Neurons in each of the two hidden layers of a head.")
    width: int = Field(
        16, ge=1, le=256, description="Filters of small_resnet's first stage; the others have 2 and 4 times as many."
    )
    depth: Annotated[int, AfterValidator(_resnet_depth)] = Field(8, description="Layers of small_resnet: 6n + 2.")
    alpha: FiniteFloat = Field(1.0, gt=0, le=2, description="Factor on the filters of mobilenet_v2.")

    def conflicts(self) -> Iterator[Conflict]:
        """ImageNet weights that do not exist."""
        if self.encoder == "small_resnet" and self.weights == "imagenet":
            message = "there are no ImageNet weights for small_resnet. Use none, or another encoder"
            yield Conflict(("weights",), message, (("encoder",),))


def _factory(text: str) -> str:
    """`text` itself if it is the path of a function, "module:function"."""
    module, colon, function = text.partition(":")
    if not colon or not all(
        word.isidentifier() and not keyword.iskeyword(word) for word in (*module.split("."), function)
    ):
        raise ValueError(f"expected MODULE:FUNCTION, such as my_package.nets:build, not {text!r}")
    return text


def _application(name: str) -> str:
    """`name` itself if there is such a network."""
    if name not in APPLICATIONS:
        guess = closest_application(name)
        advice = f"Did you mean {guess!r}?" if guess else f"There are {', '.join(APPLICATIONS)}"
        raise ValueError(f"there is no network {name!r} in tf_keras.applications. {advice}")
    return name


class KerasNetwork(Section):
    """Your own tf_keras network: what a function returns, a file, or a network of tf_keras.applications."""

    name: Literal["keras"] = Field("keras", description="The network.")
    factory: Annotated[str, AfterValidator(_factory)] | None = Field(
        None, description="The function that returns the network, as MODULE:FUNCTION, such as my_package.nets:build."
    )
    file: str | None = Field(None, min_length=1, description="A float network written by model.save: .keras or .h5.")
    application: Annotated[str, AfterValidator(_application)] | None = Field(
        None, description="A network of tf_keras.applications, such as mobilenet_v3_small, with random initial weights."
    )
    arguments: dict[str, Any] = Field({}, description="Keyword arguments of the factory or the application.")
    input_range: Annotated[list[FiniteFloat], Field(min_length=2, max_length=2)] | None = Field(
        None,
        description="What the network takes for black and white, such as [-1, 1]; null: [0, 255] before a Rescaling that "
        "expects it, else [0, 1].",
    )

    def conflicts(self) -> Iterator[Conflict]:
        """No source or several of them, and arguments that nothing takes."""
        sources = [key for key in ("factory", "file", "application") if getattr(self, key) is not None]
        if not sources:
            yield Conflict((), "give factory: MODULE:FUNCTION, file: net.keras, or application: mobilenet_v3_small")
        for key in sources[1:]:
            yield Conflict((key,), f"is given beside {sources[0]}. Remove one of the two", ((sources[0],),))
        if self.file is not None and self.arguments:
            yield Conflict(
                ("arguments",), "are for a factory or an application, not for a file. Remove them", (("file",),)
            )
        for key in RESERVED & self.arguments.keys() if self.application is not None else ():
            message = "is set by the pipeline, from the data. Remove it, or write a factory"
            yield Conflict(("arguments", key), message, (("application",),))
        if self.input_range is not None and self.input_range[0] >= self.input_range[1]:
            yield Conflict(("input_range",), "the first number must be smaller: [black, white]")

    @property
    def source(self) -> str:
        """Where the network comes from, for messages, such as `model.file: net.keras`."""
        return next(
            f"model.{key}: {text}" for key in ("factory", "file", "application") if (text := getattr(self, key))
        )


AnyModel = Annotated[ResNet20 | AuNetwork | KerasNetwork, Field(discriminator="name")]


def head_layer(head: str, part: str) -> str:
    """The name of a layer in a head, such as AU6_dense1."""
    return f"{head}_{part}"


def hidden_layers(head: str) -> tuple[str, ...]:
    """The names of a head's dense layers before its logit."""
    return tuple(head_layer(head, part) for part in HIDDEN)


def au_heads(layer_names: Iterable[str]) -> list[str]:
    """The action units that have their own head among layers of these names, in order."""
    ending = head_layer("", "logit")
    heads = [name.removesuffix(ending) for name in layer_names if name.endswith(ending)]
    return [head for head in heads if head != COMMON]
