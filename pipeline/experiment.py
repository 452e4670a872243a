"""One experiment, stage by stage: data -> label noise -> model -> method -> train -> convert -> verify -> ship."""

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np

from pipeline.conversion import convert
from pipeline.data.images import ImageSet, load_images
from pipeline.data.label_noise import corrupt
from pipeline.data.splits import validation_split
from pipeline.deployment import Shipment, facts_of, mismatches, publish
from pipeline.errors import RunFailed, UserError
from pipeline.models.resnet import resnet
from pipeline.progress import make_progress
from pipeline.quantization.device_network import DeviceNetwork
from pipeline.quantization.lowering import lower
from pipeline.quantization.model_access import is_enabled, recipe_of
from pipeline.quantization.scheme import use_per_tensor_dense
from pipeline.run_files import read_json, write_json, write_npz
from pipeline.run_folder import seed_path, write_status
from pipeline.selection import scores
from pipeline.statistics import auto_momentum
from pipeline.stopping import StopFlag
from pipeline.tasks import Multiclass
from pipeline.training import own_forward, train
from pipeline.training_data import TrainingData
from pipeline.verification import Examples, verify

SCORES, VERIFICATION = "scores.json", "verification.json"


@dataclass(frozen=True)
class Images:
    """The training and the test set of an experiment."""

    train: ImageSet
    test: ImageSet


def run_seeds(
    experiment, folder: Path, shipping: Path | None, stop: StopFlag, terminal: TextIO, config_hash: str
) -> None:
    """Train, convert and verify every seed of `experiment` in its run `folder`; ship the best to `shipping`.

    What is finished is not done again. Raises RunFailed if a file misses its verification limits, Stopped on a signal.
    """
    images = Images(*load_images(experiment.data))
    done = []
    for seed in experiment.seeds:
        write_status(folder, "running", f"seed {seed}", done)
        seed_folder = seed_path(folder, seed)
        if not is_finished(seed_folder):
            run_seed(experiment, images, seed, seed_folder, stop, terminal)
        done.append(seed)
    _check_verified(folder, experiment.seeds)
    if shipping:
        best = best_seed(folder, experiment.seeds)
        publish(seed_path(folder, best), shipping, Shipment.of(experiment, images.test, best, config_hash))
    write_status(folder, "done", "", done)


def run_seed(experiment, images: Images, seed: int, folder: Path, stop: StopFlag, terminal: TextIO) -> None:
    """One training with everything that follows from it, in `folder`."""
    data = training_data(experiment, images, seed, folder)
    model = build_model(experiment, data, seed)
    title = f"{experiment.name} seed {seed}"
    progress = make_progress(title, terminal)
    result = train(
        model,
        data,
        experiment.train,
        experiment.methods,
        seed,
        folder,
        experiment.data.augment,
        stop,
        progress,
        device_evaluation(model, experiment.convert.weight_storage),
    )
    write_json(folder / SCORES, scores(result, Multiclass(data.classes), seed))
    stop.check()
    print(f"{title}: converting and verifying", file=terminal, flush=True)
    exported = export(model, experiment.methods)
    converted = convert(exported, experiment.convert, folder, f"{experiment.name}, seed {seed}")
    if not converted.files:
        raise UserError("convert: no file is left to write; set convert.int8 or convert.float32 to true")
    stop.check()
    count = experiment.verify.examples or len(images.test.labels)
    examples = Examples(images.test.images[:count], images.test.labels[:count])
    report = verify(exported, converted, examples, experiment.verify, experiment.convert.weight_storage)
    write_json(
        folder / VERIFICATION, {**report, "files": {path.name: facts_of(path) for path in converted.files.values()}}
    )


def training_data(experiment, images: Images, seed: int, folder: Path) -> TrainingData:
    """Noisy labels, held-out part and test set of one seed; the corruption mask is kept in noise.npz, not trained with."""
    train_set, test = images.train, images.test
    classes = len(train_set.class_names)
    noisy = corrupt(train_set.labels, classes, experiment.noise, seed)
    kept, held_out = validation_split(len(train_set.labels), experiment.data.val_fraction, seed)
    write_npz(folder / "noise.npz", labels=noisy.labels, corrupted=noisy.corrupted, train=kept, validation=held_out)
    return TrainingData(
        train_set.images[kept],
        noisy.labels[kept],
        noisy.corrupted[kept] if noisy.corrupted.any() else None,
        train_set.images[held_out],
        noisy.labels[held_out],
        train_set.labels[held_out],
        test.images,
        test.labels,
        classes,
    )


def build_model(experiment, data: TrainingData, seed: int):
    """The network of `seed` with all methods applied; equal initial weights whatever the methods."""
    options = {key: value for method in experiment.methods for key, value in method.model_options().items()}
    settings, network = experiment.train, experiment.model
    steps = max(len(data.train_images) // settings.batch_size, 1)
    momentum = auto_momentum(steps) if settings.batch_norm_momentum == "auto" else settings.batch_norm_momentum
    model = resnet(
        data.train_images.shape[1:],
        data.classes,
        network.depth,
        network.width,
        network.shortcut,
        seed=seed,
        batch_norm_momentum=momentum,
        **options,
    )
    for method in experiment.methods:
        model = method.wrap(model)
    if recipe_of(model) and not experiment.convert.per_channel_dense:
        use_per_tensor_dense(model)
    return model


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


def best_seed(folder: Path, seeds: list[int]) -> int:
    """The seed with the best accuracy on its noisy validation part; the first one where there is no such part."""
    accuracies = [(read_json(seed_path(folder, seed) / SCORES) or {}).get("val_accuracy") for seed in seeds]
    return seeds[int(np.argmax([-1.0 if value is None else value for value in accuracies]))]


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


def _check_verified(folder: Path, seeds: list[int]) -> None:
    failures = [
        f"seed {seed}: {failure}"
        for seed in seeds
        for failure in read_json(seed_path(folder, seed) / VERIFICATION)["failures"]
    ]
    if failures:
        raise RunFailed("VERIFICATION FAILED\n  " + "\n  ".join(failures) + f"\nsee {folder}/report.html")
