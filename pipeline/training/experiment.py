"""One experiment, stage by stage: data -> label noise -> model -> methods -> train -> convert -> verify -> ship."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np
import tf_keras

from pipeline.config import Experiment, load_config
from pipeline.errors import RunFailed, UserError
from pipeline.methods.base import Method
from pipeline.models.inference import Forward
from pipeline.quantization.device_network import DeviceNetwork
from pipeline.quantization.lowering import lower
from pipeline.quantization.model_access import is_enabled, recipe_of
from pipeline.quantization.scheme import use_per_tensor_dense
from pipeline.runs.files import read_json, write_json
from pipeline.runs.folder import Training, best_training, training_of, write_environment, write_status
from pipeline.runs.names import BEST_WEIGHTS, DATA, LOG, REPORT, RESOLVED, SCORES, VERIFICATION
from pipeline.runs.progress import make_progress, warn
from pipeline.runs.sampling import stream
from pipeline.runs.stopping import StopFlag
from pipeline.tflite.convert import checked_finals, convert
from pipeline.tflite.described_inputs import Input
from pipeline.tflite.golden_vectors import golden_vectors
from pipeline.tflite.names import IMAGE
from pipeline.tflite.ship import Destination, Shipment, mismatches, publish
from pipeline.tflite.verify import verify
from pipeline.training.data import TrainingData
from pipeline.training.loop import PrepareEvaluation, Recipe, own_forward, train
from pipeline.training.own_network import check_same_network
from pipeline.training.replicas import OneReplica, make_replicas
from pipeline.training.selection import scores
from pipeline.training.tasks import Task
from pipeline.training.workload import Workload, batch_norm_momentum, load_workload, method_options

OTHER_NUMBERS = "the numbers may differ from those of a run without interruption"
MAX_VERIFIED_BYTES = 400_000_000  # of test images that are compared, all held in memory


@dataclass(frozen=True)
class Surroundings:
    """What an experiment needs from outside: the stop flag, the stream for progress, and the devices."""

    stop: StopFlag
    terminal: TextIO
    replicas: OneReplica


def run_trainings(
    experiment: Experiment, folder: Path, destination: Destination | None, stop: StopFlag, terminal: TextIO
) -> None:
    """Train, convert and verify every seed and fold of `experiment` in its run `folder`; ship the best if there is a
    destination.

    Finished trainings are skipped. Raises RunFailed if a file misses its verification limits or the best training has
    learned nothing, Stopped on a signal.
    """
    surroundings = Surroundings(stop, terminal, make_replicas(experiment.train.replicas))
    workload = load_workload(experiment, terminal)
    write_json(folder / DATA, workload.facts())
    trainings, done = workload.trainings(), []
    pending = [training for training in trainings if not is_finished(training.folder(folder))]
    if pending and (changes := write_environment(folder)):
        warn(f"resumed under other conditions ({'; '.join(changes)}): {OTHER_NUMBERS}", folder / LOG, terminal)
    for training in trainings:
        write_status(folder, "running", training.title, done)
        if training in pending:
            run_training(experiment, workload, training, folder, surroundings)
        done.append(training.name)
    _check_verified(folder, trainings)
    if destination:
        _ship(experiment, workload, folder, destination, terminal)
    write_status(folder, "done", "", done)


def run_training(
    experiment: Experiment, workload: Workload, training: Training, run_folder: Path, surroundings: Surroundings
) -> None:
    """Train, score, convert and verify one seed and fold, in its folder in `run_folder`."""
    folder, stop, terminal = training.folder(run_folder), surroundings.stop, surroundings.terminal
    data = workload.training_data(training, folder)
    task = workload.task(data)
    with surroundings.replicas.network_scope():
        model = build_model(experiment, workload, data, training.seed)
    check_same_network(experiment.model, model, run_folder)
    recipe = Recipe(experiment.train, experiment.methods, training.seed, workload.augmentation())
    title = f"{experiment.name} {training.title}"
    evaluation = device_evaluation(model, experiment.convert.weight_storage)
    result = train(model, data, task, recipe, folder, stop, make_progress(title, terminal), evaluation)
    write_json(folder / SCORES, scores(result, task, training.seed, training.fold))
    for finding in result.details["no_better_than_chance"]:
        warn(f"{title} is NO BETTER THAN CHANCE: {finding}", run_folder / LOG, terminal)
    stop.check()
    print(f"{title}: converting and verifying", file=terminal, flush=True)
    exported = export(model, experiment.methods)
    converted = convert(exported, folder, experiment.convert, f"{experiment.name}, {training.title}")
    stop.check()
    images, labels = verified_examples(data, experiment.verify.examples)
    write_json(folder / VERIFICATION, verify(exported, converted, images, labels, experiment.verify, task))


def build_model(experiment: Experiment, workload: Workload, data: TrainingData, seed: int) -> tf_keras.Model:
    """The network of `seed` with all methods applied; its initial weights do not depend on the methods."""
    momentum = batch_norm_momentum(experiment.train, len(data.train_images))
    options = method_options(experiment.methods)
    model = workload.network(tuple(data.train_images.shape[1:]), seed, momentum, **options)
    for method in experiment.methods:
        model = method.wrap(model)
    if experiment.convert.outputs == "probabilities":
        checked_finals(model)  # an error before the training rather than after it
    if recipe_of(model) and not experiment.convert.per_channel_dense:
        use_per_tensor_dense(model)
    return model


def device_evaluation(model: tf_keras.Model, weight_storage: str) -> PrepareEvaluation:
    """The context of an evaluation in training: quantized networks are evaluated in the arithmetic of the device."""
    if recipe_of(model) is None:
        return own_forward
    network = DeviceNetwork(lower(model, weight_storage).integer_model)

    @contextmanager
    def on_device(model: tf_keras.Model) -> Iterator[Forward | None]:
        if is_enabled(model):
            network.update(lower(model, weight_storage).integer_model)
        yield network.forward if is_enabled(model) else None

    return on_device


def export(model: tf_keras.Model, methods: Sequence[Method]) -> tf_keras.Model:
    """The network to convert: the trained one after the export hooks of all methods."""
    for method in methods:
        model = method.export(model)
    return model


def verified_examples(data: TrainingData, wanted: int | None) -> tuple[np.ndarray, np.ndarray]:
    """`wanted` test images and labels for the verification, or as many as fit into MAX_VERIFIED_BYTES.

    They are in a fixed random order, since the slower comparisons use only the first ones.
    """
    fitting = max(MAX_VERIFIED_BYTES // int(np.prod(data.test_images.shape[1:])), 1)
    n = len(data.test_labels)
    chosen = stream("subset", 0).permutation(n)[: min(wanted or n, fitting)]
    return data.test_images[chosen], data.test_labels[chosen]


def is_finished(folder: Path) -> bool:
    """Whether a training is complete, verified within its limits, and its files are unchanged since."""
    verification = read_json(folder / VERIFICATION)
    if read_json(folder / SCORES) is None or verification is None or not verification["passed"]:
        return False
    return not mismatches(folder, verification["files"], VERIFICATION)


def verified_files(folder: Path) -> dict[str, bytes]:
    """{name: content} of the TFLite files of a finished training."""
    return {name: (folder / name).read_bytes() for name in read_json(folder / VERIFICATION)["files"]}


@dataclass(frozen=True)
class Trained:
    """A network with its selected weights, and the data and task it was trained on."""

    experiment: Experiment
    workload: Workload
    training: Training
    data: TrainingData
    task: Task
    model: tf_keras.Model


def load_trained(folder: Path, terminal: TextIO = sys.stderr) -> Trained:
    """The network in a folder runs/NAME-HASH8/seedS[-foldF]; UserError if the folder has no trained weights."""
    training = training_of(folder.resolve().name)
    if training is None or not (folder / BEST_WEIGHTS).is_file():
        raise UserError(f"{folder}: no finished training there. Give a folder such as runs/NAME-HASH8/seed1")
    experiment = load_config(folder / ".." / RESOLVED)
    workload = load_workload(experiment, terminal)
    data = workload.training_data(training)
    model = build_model(experiment, workload, data, training.seed)
    check_same_network(experiment.model, model, folder.resolve().parent)
    model.load_weights(folder / BEST_WEIGHTS)
    return Trained(experiment, workload, training, data, workload.task(data), model)


def _check_verified(folder: Path, trainings: Sequence[Training]) -> None:
    failures = [
        f"{training.title}: {failure}"
        for training in trainings
        for failure in read_json(training.folder(folder) / VERIFICATION)["failures"]
    ]
    if failures:
        raise RunFailed("VERIFICATION FAILED\n  " + "\n  ".join(failures) + f"\nsee {folder / REPORT}")


def _ship(experiment: Experiment, workload: Workload, folder: Path, destination: Destination, terminal: TextIO) -> None:
    """Publish the files of the training selected by noisy validation labels, unless it has learned nothing."""
    scored = [(each, read_json(each.folder(folder) / SCORES) or {}) for each in workload.trainings()]
    best = best_training(scored, workload.validation_metric)
    useless, target = dict(scored)[best].get("no_better_than_chance"), destination.folder
    if useless and not destination.ship_anyway:
        raise RunFailed(
            f"NOT SHIPPED: {best.title} is no better than chance\n  "
            + "\n  ".join(useless)
            + f"\nNothing was written to {target}; "
            f"the verified files are in {best.folder(folder)}, and --ship-anyway ships them"
        )
    other = destination.other()
    golden = golden_vectors(verified_files(best.folder(folder)), _inputs(workload))
    publish(best.folder(folder), target, _shipment(experiment, workload, best, destination.config_hash), golden)
    for finding in useless or ():
        warn(f"{target}: shipped a network that is NO BETTER THAN CHANCE: {finding}", folder / LOG, terminal)
    if other:
        warn(f"{target}: replaced the files of configuration {other.get('config_hash')}", folder / LOG, terminal)


def _inputs(workload: Workload) -> tuple[Input]:
    """The images that the files take."""
    return (Input(IMAGE, workload.image_shape()),)


def _shipment(experiment: Experiment, workload: Workload, training: Training, config_hash: str) -> Shipment:
    return Shipment(
        name=experiment.name,
        task=workload.task_name,
        labels=workload.labels(),
        inputs=_inputs(workload),
        crop=workload.crop(),
        metric=workload.metric_name,
        validation_metric=workload.validation_metric,
        data=experiment.data.name,
        data_license=experiment.data.license,
        data_limits=experiment.data.limits,
        noise=experiment.noise.model_dump(),
        methods=[method.model_dump() for method in experiment.methods],
        io=experiment.convert.io,
        seed=training.seed,
        fold=training.fold,
        config_hash=config_hash,
        outputs=experiment.convert.outputs,
    )
