"""Versions and builtin options of the activations in a TFLite file."""

from ai_edge_litert import schema_py_generated as schema

from pipeline.quantization.integer_model import Operation

ACTIVATION_VERSIONS = {
    "LOGISTIC": 2,
    "TANH": 2,
    "ELU": 1,
    "GELU": 2,
    "LEAKY_RELU": 2,
}


def _gelu(operation: Operation):
    table = schema.GeluOptionsT()
    table.approximate = operation.options["approximate"]
    return table


def _leaky_relu(operation: Operation):
    table = schema.LeakyReluOptionsT()
    table.alpha = operation.options["alpha"]
    return table


ACTIVATION_OPTIONS = {"GELU": _gelu, "LEAKY_RELU": _leaky_relu}
