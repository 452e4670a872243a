"""Measure the validation F1 of a trained network with other bits in its heads."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from pipeline.au_bits.candidates import head_sizes, sensitivity, uniform_bits
from pipeline.errors import UserError
from pipeline.models.inference import logits_in_batches
from pipeline.quantization.device_network import DeviceNetwork
from pipeline.quantization.integer_model import IntegerModel
from pipeline.quantization.lowering import lower
from pipeline.quantization.scheme import with_au_bits
from pipeline.runs.stopping import StopFlag
from pipeline.training.experiment import Trained, export
from pipeline.training.statistics import reestimate, statistics_batches


def measure(trained: Trained, candidates: Sequence[int], stop: StopFlag) -> dict:
    """{"f1": F1 by action unit and bits on the noisy labels of the validation subjects, "head_weights", "other_bits"}.

    The weights stay as trained; statistics are re-estimated for every number of bits if training does so, and F1 is
    computed in the arithmetic of the device. "head_weights" is the number of weights in each head's hidden layers,
    "other_bits" the packed bits of all other weights. Raises UserError without validation subjects, Stopped if `stop`
    is set.
    """
    experiment, data = trained.experiment, trained.data
    if not len(data.val_labels):
        raise UserError(
            f"data.val_fraction: {trained.training.title} has no validation subjects to choose bits with; raise it"
        )
    network, storage = export(trained.model, experiment.methods), experiment.convert.weight_storage

    def logits(au_bits: dict[str, int]) -> np.ndarray:
        stop.check()
        changed = with_au_bits(network, au_bits)
        if experiment.train.statistics == "reestimate":
            batch_size, batches = experiment.train.batch_size, experiment.train.statistics_batches
            reestimate(changed, statistics_batches(data.train_images, batch_size, trained.training.seed, batches))
        device = DeviceNetwork(lower(changed, storage).integer_model)
        return logits_in_batches(device.forward, data.val_images, stop.check)

    predict = partial(_alone, logits, data.label_names, uniform_bits(experiment))
    table = sensitivity(predict, data.val_labels, data.label_names, candidates)
    return {"f1": table, **_sizes(lower(network).integer_model, data.label_names)}


def _alone(logits: Callable[[dict], np.ndarray], au_names: Sequence[str], uniform: int, bits: int) -> np.ndarray:
    """Logits (N, A), each as if only its head had other bits than `uniform`.

    All heads read one pooled vector, which has the most bits that any of them needs; the others read coarser copies. So
    at fewer bits the first head stays at `uniform` to keep that vector fine, and is measured separately.
    """
    if bits >= uniform or len(au_names) == 1:
        return logits({"default": bits})
    others = logits({au_names[0]: uniform, "default": bits})
    first = logits({au_names[0]: bits, "default": uniform})
    return np.concatenate([first[:, :1], others[:, 1:]], axis=1)


def _sizes(model: IntegerModel, au_names: Sequence[str]) -> dict:
    operations = [operation for operation in model.operations if operation.weights is not None]
    heads = head_sizes({operation.name: operation.weights.codes.size for operation in operations}, au_names)
    packed = {operation.name: operation.weights.codes.size * operation.weights.bits for operation in operations}
    return {"head_weights": heads, "other_bits": sum(packed.values()) - sum(head_sizes(packed, au_names).values())}
