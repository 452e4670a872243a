"""One experiment, stage by stage: data -> label noise -> model -> method -> train -> convert -> verify -> ship."""

from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import numpy as np

from pipeline.conversion import convert
from pipeline.data.sampling import stream
from pipeline.deployment import facts_of, mismatches, publish
from pipeline.errors import RunFailed, UserError
from pipeline.golden_vectors import golden_vectors
from pipeline.progress import make_progress
from pipeline.quantization.device_network import DeviceNetwork
from pipeline.quantization.lowering import lower
from pipeline.quantization.model_access import is_enabled, recipe_of
from pipeline.quantization.scheme import use_per_tensor_dense
from pipeline.replicas import ONE, OneReplica, make_replicas
from pipeline.run_files import read_json, write_json
from pipeline.run_folder import seed_path, write_status
from pipeline.selection import scores
from pipeline.shipment import Shipment
from pipeline.stopping import StopFlag
from pipeline.training import own_forward, train
from pipeline.training_data import TrainingData
from pipeline.verification import Examples, verify
from pipeline.workloads import load_workload
from pipeline.workloads.base import Unit, Workload, batch_norm_momentum, method_options

SCORES, VERIFICATION, DATA = "scores.json", "verification.json", "data.json"
VERIFIED_BYTES = 400_000_000  # of test images that are compared at most, all held in memory


def run_seeds(
    experiment, folder: Path, shipping: Path | None, stop: StopFlag, terminal: TextIO, config_hash: str
) -> None:
    """Train, convert and verify every seed and fold of `experiment` in its run `folder`; ship the best to `shipping`.

    What is finished is not done again. Raises RunFailed if a file misses its verification limits, Stopped on a signal.
    """
    replicas = make_replicas(experiment.train.replicas)
    workload = load_workload(experiment, terminal)
    write_json(folder / DATA, workload.facts())
    units, done = workload.units(), []
    for unit in units:
        write_status(folder, "running", unit.title, done)
        unit_folder = seed_path(folder, unit.seed, unit.fold)
        if not is_finished(unit_folder):
            run_unit(experiment, workload, unit, unit_folder, stop, terminal, replicas)
        done.append(unit.name)
    _check_verified(folder, units)
    if shipping:
        best = best_unit(folder, units, workload.validation_metric)
        shipment = Shipment.of(experiment, workload, best, config_hash)
        best_folder = seed_path(folder, best.seed, best.fold)
        publish(best_folder, shipping, shipment, golden_vectors(verified_files(best_folder), workload.image_shape()))
    write_status(folder, "done", "", done)


def run_unit(
    experiment,
    workload: Workload,
    unit: Unit,
    folder: Path,
    stop: StopFlag,
    terminal: TextIO,
    replicas: OneReplica = ONE,
) -> None:
    """One training with everything that follows from it, in `folder`."""
    data = workload.training_data(unit, folder)
    task = workload.task(data)
    with replicas.network_scope():
        model = build_model(experiment, workload, data, unit.seed)
    title = f"{experiment.name} {unit.title}"
    result = train(
        model,
        data,
        experiment.train,
        experiment.methods,
        unit.seed,
        folder,
        workload.augmentation(),
        stop,
        make_progress(title, terminal),
        device_evaluation(model, experiment.convert.weight_storage),
        task,
    )
    write_json(folder / SCORES, scores(result, task, unit.seed, unit.fold))
    stop.check()
    print(f"{title}: converting and verifying", file=terminal, flush=True)
    exported = export(model, experiment.methods)
    converted = convert(exported, experiment.convert, folder, f"{experiment.name}, {unit.title}")
    if not converted.files:
        raise UserError("convert: no file is left to write; set convert.int8 or convert.float32 to true")
    stop.check()
    report = verify(
        exported, converted, verified_examples(data, experiment.verify.examples), experiment.verify,
        experiment.convert.weight_storage, task,
    )  # fmt: skip
    write_json(
        folder / VERIFICATION, {**report, "files": {path.name: facts_of(path) for path in converted.files.values()}}
    )


def build_model(experiment, workload: Workload, data: TrainingData, seed: int):
    """The network of `seed` with all methods applied; equal initial weights whatever the methods."""
    momentum = batch_norm_momentum(experiment.train, len(data.train_images))
    options = method_options(experiment.methods)
    model = workload.network(tuple(data.train_images.shape[1:]), seed, momentum, **options)
    for method in experiment.methods:
        model = method.wrap(model)
    if recipe_of(model) and not experiment.convert.per_channel_dense:
        use_per_tensor_dense(model)
    return model


def verified_examples(data: TrainingData, wanted: int | None) -> Examples:
    """`wanted` test images in memory for the verification, or all that VERIFIED_BYTES hold.

    In an order drawn once, so that the first ones, which alone the slower comparisons see, come from everywhere.
    """
    fitting = max(VERIFIED_BYTES // int(np.prod(data.test_images.shape[1:])), 1)
    n = len(data.test_labels)
    chosen = stream("subset", 0).permutation(n)[: min(wanted or n, fitting)]
    return Examples(data.test_images[chosen], data.test_labels[chosen])


def export(model, methods):
    """The network that is converted: what every method makes of the trained one."""
    for method in methods:
        model = method.export(model)
    return model


def is_finished(seed_folder: Path) -> bool:
    """Whether a seed is trained, converted and verified, its limits kept, and its files are still those verified."""
    verification = read_json(seed_folder / VERIFICATION)
    if read_json(seed_folder / SCORES) is None or verification is None or not verification["passed"]:
        return False
    return not mismatches(seed_folder, verification["files"], VERIFICATION)


def verified_files(seed_folder: Path) -> dict[str, bytes]:
    """{name: content} of the TFLite files of a finished seed."""
    return {name: (seed_folder / name).read_bytes() for name in read_json(seed_folder / VERIFICATION)["files"]}


def best_unit(folder: Path, units: list[Unit], metric: str) -> Unit:
    """The unit with the best `metric` on its noisy validation part; the first one where there is no such part."""
    reached = [(read_json(seed_path(folder, unit.seed, unit.fold) / SCORES) or {}).get(metric) for unit in units]
    return units[int(np.argmax([-1.0 if value is None else value for value in reached]))]


def device_evaluation(model, weight_storage: str):
    """The context training enters around an evaluation: quantized networks are evaluated in the device's arithmetic."""
    if recipe_of(model) is None:
        return own_forward
    network = DeviceNetwork(lower(model, weight_storage).integer_model)

    @contextmanager
    def on_device(model):
        if is_enabled(model):
            network.update(lower(model, weight_storage).integer_model)
        yield network.forward if is_enabled(model) else None

    return on_device


def _check_verified(folder: Path, units: list[Unit]) -> None:
    failures = [
        f"{unit.title}: {failure}"
        for unit in units
        for failure in read_json(seed_path(folder, unit.seed, unit.fold) / VERIFICATION)["failures"]
    ]
    if failures:
        raise RunFailed("VERIFICATION FAILED\n  " + "\n  ".join(failures) + f"\nsee {folder}/report.html")
