"""The methods of the paper: one file per method, whose fields are its configuration."""

from collections.abc import Mapping
from typing import Annotated, get_args

from pydantic import Field, ValidationError

from pipeline.methods.base import Method
from pipeline.methods.dropout import Dropout
from pipeline.methods.early_stopping import EarlyStopping
from pipeline.methods.label_smoothing import LabelSmoothing
from pipeline.methods.pruning import Pruning
from pipeline.methods.quantization import Quantization
from pipeline.methods.weight_decay import WeightDecay

AnyMethod = Annotated[
    EarlyStopping | WeightDecay | Dropout | LabelSmoothing | Pruning | Quantization, Field(discriminator="name")
]
METHODS: dict[str, type[Method]] = {
    method.model_fields["name"].default: method for method in get_args(get_args(AnyMethod)[0])
}

__all__ = [
    "METHODS",
    "AnyMethod",
    "Dropout",
    "EarlyStopping",
    "LabelSmoothing",
    "Method",
    "Pruning",
    "Quantization",
    "WeightDecay",
    "method_from",
]


def method_from(fields: Mapping[str, object]) -> Method | None:
    """The method in a recorded configuration; None if this version has no such method or field."""
    try:
        return METHODS[fields["name"]](**fields)
    except (KeyError, TypeError, ValidationError):  # TypeError: the name is a list or a section
        return None
