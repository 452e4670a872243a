"""Names of inputs, outputs and activation tensors of a TFLite file: each only once, whatever layers and inputs are called."""

from pipeline.models.names import free_name
from pipeline.quantization.integer_model import IntegerModel

IMAGE, INPUT = "image", "input"  # the only input in the signature, and its tensor in a file with float input and output
OUTPUTS = {"logits": "output", "probabilities": "probabilities"}  # the same of the output, by convert.outputs
LOGITS = "logits"  # the tensor from which a file computes probabilities


def input_names(names: tuple[str, ...], shapes: list[tuple[int, ...]]) -> list[str]:
    """The names of a file's inputs: those of the network if it has several; shapes without batch axis."""
    if len(names) > 1:
        return list(names)
    return [IMAGE if len(shapes[0]) == 3 else INPUT]


def inputs_of(model: IntegerModel) -> list[str]:
    """The names of the inputs of the file of an integer model."""
    return input_names(model.inputs, [model.tensors[name].shape for name in model.inputs])


def outputs_of(model: IntegerModel) -> list[str]:
    """The names of the outputs of a file: those of the network if it has several."""
    if len(model.outputs) > 1:
        return list(model.names)
    return [OUTPUTS["probabilities" if any(model.finals) else "logits"]]


def activation_names(model: IntegerModel, float_io: bool) -> dict[str, str]:
    """{tensor of the integer model: its name in the file}: its own, unless a float input or output of the file has it."""
    ends = {*inputs_of(model), *outputs_of(model)} if float_io else set()
    names, taken = {}, ends | model.tensors.keys()
    for name in model.tensors:
        names[name] = free_name(name, taken) if name in ends else name
        taken.add(names[name])
    return names
