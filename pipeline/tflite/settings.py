"""Configuration sections convert and verify: which TFLite files are written, and the limits they must meet."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field, FiniteFloat

from pipeline.settings import Conflict, Count, Section, Share


class ConvertSettings(Section):
    """Which TFLite files are written, and how."""

    int8: bool = Field(True, description="Write model_int8.tflite, the fast one.")
    int4: bool = Field(True, description="Write model_int4.tflite, the small one.")
    float32: bool = Field(True, description="Write model_float32.tflite to compare with.")
    per_channel_dense: bool = Field(True, description="One weight scale per output of a dense layer, or one per layer.")
    io: Literal["float32", "int8"] = Field("float32", description="Type of the network's input and output.")
    outputs: Literal["logits", "probabilities"] = Field(
        "logits", description="What the files of a network return that ends in softmax or sigmoid."
    )
    weight_storage: Literal["narrow", "scaled"] = Field(
        "narrow", description="4-bit codes in int8: unchanged (-7..7), or spread over the int8 range."
    )

    def conflicts(self) -> Iterator[Conflict]:
        """Probabilities are computed in float: the int8 softmax differs between processors."""
        if self.outputs == "probabilities" and self.io == "int8":
            message = "probabilities are computed and returned in float32. Set io: float32, or outputs: logits"
            yield Conflict(("outputs",), message, (("io",),))


class VerifySettings(Section):
    """How the TFLite files are verified, and the limits they must meet."""

    examples: Count | None = Field(None, description="Test examples compared; null takes all.")
    code_mismatch: Share = Field(0.0, description="Largest share of output codes that may differ.")
    decision_agreement: Share = Field(
        0.999, description="Smallest share of equal decisions between evaluation and file."
    )
    fake_quant_agreement: Share = Field(
        0.99, description="The same for Keras's float training graph, an independent computation."
    )
    metric_delta: FiniteFloat = Field(0.1, ge=0, description="Largest difference of the metric in points.")
    latency_runs: Count = Field(200, description="Timed runs of each file.")
