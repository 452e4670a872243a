"""The rule of every kind of layer that has one, by kind."""

from collections.abc import Callable

from pipeline.models.canonical_functions import FUNCTION_RULES
from pipeline.models.canonical_pointwise import POINTWISE_RULES, kept
from pipeline.models.canonical_rules import ANY_SHAPE_RULES, CHANNEL_RULES
from pipeline.models.canonical_sequences import SEQUENCE_RULES, channelwise

# Layers without a rule of their own that treat all places alike.
ALIKE = ("Dropout", "GaussianNoise", "GaussianDropout", "AlphaDropout", "ActivityRegularization")

RULES: dict[str, Callable] = {
    **dict.fromkeys(ALIKE, channelwise(kept)),
    **{kind: channelwise(rule) for kind, rule in {**CHANNEL_RULES, **POINTWISE_RULES}.items()},
    **ANY_SHAPE_RULES,
    **SEQUENCE_RULES,
    **FUNCTION_RULES,
}
