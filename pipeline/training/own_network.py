"""The user's own network for one training: built, checked before anything is trained, and the same after a resume."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import tf_keras

from pipeline.errors import UserError
from pipeline.models.adapted import (
    check_ends,
    check_trainable,
    logits_of,
    on_unit_range,
    seeded,
    with_head_dropout,
)
from pipeline.models.canonical import canonical
from pipeline.models.graph import FINAL
from pipeline.models.inference import check_keras, check_network
from pipeline.models.own_network import as_written
from pipeline.models.refusals import check_layers
from pipeline.models.settings import AnyModel, KerasNetwork
from pipeline.quantization.model_access import recipe_of
from pipeline.quantization.plan import plan
from pipeline.quantization.settings import QuantizationSettings
from pipeline.runs.files import read_json, write_json
from pipeline.runs.names import NETWORK

FINAL_OF = {"multiclass": ("softmax", "classes"), "multilabel": ("sigmoid", "action units")}
RANDOM_KEYS = {"seed", "momentum"}  # of layers; they differ between the trainings of a run


@dataclass(frozen=True)
class Needs:
    """What the data ask of a network: image shape (H, W, C), the names of its outputs, and the task."""

    image_shape: tuple[int, ...]
    labels: Sequence[str]
    task: str


def own_network(
    section: KerasNetwork,
    needs: Needs,
    seed: int,
    momentum: float,
    dropout_rate: float = 0.0,
    dropout_position: str = "head",
) -> tf_keras.Model:
    """The float network that section `model` names, from canonical layers: images (B, H, W, C) in [0, 1] to logits.

    Initial weights follow from the seed, and do not depend on dropout. Raises UserError, naming where the network comes
    from, for whatever cannot be trained and quantized.
    """
    model = as_written(section, needs.image_shape, len(needs.labels), seed)
    with _named(section.source):
        check_keras(model, "this network")
        check_layers(model)
        check_network(model, "this network")
        check_ends(model, needs.image_shape, needs.labels)
        network = logits_of(canonical(model), *_finals(section, needs.task))
        network = on_unit_range(network, section.input_range)
        plan(network, QuantizationSettings())
        check_trainable(network)
        if dropout_rate:
            network = with_head_dropout(network, dropout_rate, seed)
        return seeded(network, momentum, seed)


def check_own_network(section: AnyModel, needs: Needs) -> None:
    """Raise UserError as `own_network`, before hours of work on the data; nothing for the project's own networks."""
    if isinstance(section, KerasNetwork):
        own_network(section, needs, seed=0, momentum=0.99)


def check_same_network(section: AnyModel, model: tf_keras.Model, folder: Path) -> None:
    """Record the architecture of the user's network in the run folder, or compare it with the record.

    Raises UserError if the factory, the file or the library now gives another network than when the run began.
    """
    if not isinstance(section, KerasNetwork):
        return
    found, recorded = _digests(section, model), read_json(folder / NETWORK)
    if recorded is None:
        write_json(folder / NETWORK, found)
    elif recorded != found:
        names = [name for name in {**recorded, **found} if recorded.get(name) != found.get(name)]
        raise UserError(
            f"{section.source}: is another network than when this run began, from '{names[0]}' on. Undo the change, or "
            "start again with --fresh"
        )


def _digests(section: KerasNetwork, model: tf_keras.Model) -> dict[str, str]:
    """A digest of every layer of the float network, and of the file that it comes from."""
    recipe = recipe_of(model)
    layers = json.loads(recipe["network"] if recipe else model.to_json())["config"]["layers"]
    texts = {layer["name"]: json.dumps(_fixed(layer), sort_keys=True).encode() for layer in layers}
    if section.file:
        texts["the file"] = Path(section.file).expanduser().read_bytes()
    return {name: hashlib.sha256(text).hexdigest()[:16] for name, text in texts.items()}


def _fixed(value: object) -> object:
    """A configuration of Keras without what differs between the trainings of a run."""
    if isinstance(value, dict):
        return {key: _fixed(each) for key, each in value.items() if key not in RANDOM_KEYS}
    return [_fixed(each) for each in value] if isinstance(value, list) else value


def _finals(section: KerasNetwork, task: str) -> tuple[set[str], str]:
    """The final activations that are dropped, and what the labels are."""
    name, labels = FINAL_OF[task]
    return (set(FINAL) if section.application else {name}), labels


@contextmanager
def _named(source: str) -> Iterator[None]:
    """Errors in the block begin with where the network comes from."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{source}: {error}") from error
