"""The paper's methods: each file one method, its fields the method's config schema."""

from typing import Annotated

from pydantic import Field

from pipeline.methods.dropout import Dropout
from pipeline.methods.early_stopping import EarlyStopping
from pipeline.methods.label_smoothing import LabelSmoothing
from pipeline.methods.pruning import Pruning
from pipeline.methods.quantization import Quantization
from pipeline.methods.weight_decay import WeightDecay

AnyMethod = Annotated[
    EarlyStopping | WeightDecay | Dropout | LabelSmoothing | Pruning | Quantization, Field(discriminator="name")
]

__all__ = ["AnyMethod", "Dropout", "EarlyStopping", "LabelSmoothing", "Pruning", "Quantization", "WeightDecay"]
