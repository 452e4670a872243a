"""python -m pipeline.run --config FILE: one experiment, from its YAML to verified TFLite files and a report."""

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import NoReturn

from pipeline.cli import add_experiment_options, command_name, exit_code, leave, retry_command, stderr_to
from pipeline.config import Experiment, config_hash, read_config, to_yaml
from pipeline.data.settings import DRY_RUN_IMAGES
from pipeline.errors import UserError
from pipeline.reports import write_report
from pipeline.runs.files import check_writable, clear_disk_errors, write_json, write_text
from pipeline.runs.folder import (
    clear_run,
    open_run,
    read_status,
    run_path,
    training_of,
    write_environment,
    write_status,
)
from pipeline.runs.names import BASELINE, CONFIG, CURVES, ENVIRONMENT, LOG, REPORT, RESOLVED
from pipeline.runs.progress import warn
from pipeline.runs.stopping import StopFlag, Stopped
from pipeline.tflite.ship import Destination, is_shipped


def run(
    experiment: Experiment,
    output_dir: str | Path = ".",
    *,
    fresh: bool = False,
    ship: bool = True,
    ship_anyway: bool = False,
    config_text: str | None = None,
    stop: StopFlag | None = None,
) -> Path:
    """Run all seeds and folds of an experiment (and its baseline) under `output_dir`; returns the run folder.

    Finished stages are skipped unless `fresh`; `ship` copies the best files to OUTPUT_DIR/tflite_out/NAME, those of a
    training that is no better than chance only with `ship_anyway`.
    `config_text` is the configuration as the user wrote it; `stop` tells the run to stop.
    Raises UserError, RunFailed (also when a TFLite file misses its limits or is not shipped), Stopped.
    """
    if not isinstance(experiment, Experiment):
        raise UserError(f"run: pass an Experiment, as load_config returns it, not {type(experiment).__name__}")
    for name, value, kinds in (
        ("output_dir", output_dir, (str, Path)),
        ("config_text", config_text, (str, type(None))),
        ("stop", stop, (StopFlag, type(None))),
    ):
        if not isinstance(value, kinds):
            raise UserError(f"run: {name} must be a {kinds[0].__name__}, not {type(value).__name__}")
    output_dir, stop = Path(output_dir), stop or StopFlag()
    folder = run_path(output_dir, experiment.name, config_hash(experiment))
    destination = _destination(output_dir, experiment, ship_anyway) if ship else None
    if destination:
        with clear_disk_errors(destination.folder):  # fail before hours of training, not after
            destination.folder.parent.mkdir(parents=True, exist_ok=True)
    if fresh:
        clear_run(folder)
    baseline = baseline_of(experiment)
    reference = run(baseline, output_dir, fresh=fresh, ship=False, stop=stop) if baseline else None
    with open_run(folder):
        if not _is_done(folder, destination):
            _prepare(folder, experiment, config_text or to_yaml(experiment), reference)
            _run_logged(experiment, folder, destination, stop)
        if experiment.train.tensorboard:
            _add_curves(folder)
        return folder


def baseline_of(experiment: Experiment) -> Experiment | None:
    """The same experiment without methods; None if the configuration does not ask for a baseline."""
    if not (experiment.baseline and experiment.methods):
        return None
    return experiment.model_copy(update={"methods": [], "baseline": False, "name": f"{experiment.name}-baseline"})


def dry_run_of(experiment: Experiment) -> Experiment:
    """The same experiment reduced to a few training batches and test images."""
    train = experiment.train
    batch = min(train.batch_size, experiment.data.max_dry_run_batch or train.batch_size)
    lenient = {"decision_agreement": 0.0, "fake_quant_agreement": 0.0, "metric_delta": 100.0}
    return experiment.model_copy(
        update={
            "data": experiment.data.small(train.batch_size),
            "train": train.model_copy(update={"epochs": 1, "statistics_batches": 1, "batch_size": batch}),
            "verify": experiment.verify.model_copy(update={"examples": DRY_RUN_IMAGES, "latency_runs": 10, **lenient}),
            "methods": [method.for_dry_run() for method in experiment.methods],
            "seeds": experiment.seeds[:1],
            "baseline": False,
        }
    )


def _destination(output_dir: Path, experiment: Experiment, ship_anyway: bool) -> Destination:
    """Where to ship to; raises UserError if that cannot be written or would lose another network. Nothing is written."""
    folder = output_dir / "tflite_out" / experiment.name
    check_writable(folder)
    destination = Destination(folder, config_hash(experiment), ship_anyway)
    other = destination.other()
    if other and not _run_of(other, output_dir).is_dir():
        raise UserError(
            f"{folder}: holds the network of another configuration ({other.get('config_hash')}), whose run is not in "
            f"{output_dir / 'runs'}. Choose another name with --name NAME, or delete that folder"
        )
    return destination


def _run_of(sidecar: dict, output_dir: Path) -> Path:
    return run_path(output_dir, str(sidecar.get("name")), str(sidecar.get("config_hash")))


def _is_done(folder: Path, destination: Destination | None) -> bool:
    """Whether a run is complete and its files are shipped, not those of another run of that name."""
    done = (read_status(folder) or {}).get("state") == "done" and (folder / REPORT).exists()
    return done and (destination is None or is_shipped(destination.folder, destination.config_hash))


def _add_curves(folder: Path) -> None:
    """Write the TensorBoard curves of trainings that have none, because they ended before these were asked for."""
    for path in folder.iterdir():
        if training_of(path.name) and not (path / CURVES).is_dir():
            from pipeline.training.curves import write_curves

            write_curves(path)


def _prepare(folder: Path, experiment: Experiment, config_text: str, reference: Path | None) -> None:
    write_text(folder / CONFIG, config_text)
    write_text(folder / RESOLVED, to_yaml(experiment))
    if not (folder / ENVIRONMENT).exists():
        write_environment(folder)
    if reference:
        write_json(folder / BASELINE, {"folder": f"../{reference.name}"})


def _run_logged(experiment: Experiment, folder: Path, destination: Destination | None, stop: StopFlag) -> None:
    """Run all trainings, native messages going to log.txt; however it ends, update status.json and the report."""
    try:
        with stderr_to(folder / LOG) as terminal:
            print(f"{experiment.name}: {folder}", file=terminal, flush=True)
            if destination and (other := destination.other()):
                replaced = (
                    f"{destination.folder}: the network of configuration {other.get('config_hash')} will be replaced"
                )
                warn(f"{replaced}. To keep both, stop and add --name NAME", folder / LOG, terminal)
            from pipeline.training.experiment import run_trainings

            run_trainings(experiment, folder, destination, stop, terminal)
    except Stopped as stopped:
        write_status(folder, "stopped", "", _seeds_done(folder), str(stopped))
        write_report(folder)
        raise
    except Exception as error:
        write_status(folder, "failed", "", _seeds_done(folder), str(error))
        write_report(folder)
        raise
    write_report(folder)


def _seeds_done(folder: Path) -> list[int]:
    return (read_status(folder) or {}).get("seeds_done", [])


def _dry_run(experiment: Experiment, output_dir: Path, stop: StopFlag) -> None:
    """Check that the data suffice for the real run, then run one batch through every stage in a temporary folder."""
    small = dry_run_of(experiment)
    for place in (run_path(output_dir, experiment.name, config_hash(experiment)), *experiment.data.caches()):
        check_writable(place)
    _destination(output_dir, experiment, ship_anyway=True)
    with tempfile.TemporaryDirectory(prefix="nibble-dry-run-") as folder:
        with stderr_to(Path(folder) / LOG):
            from pipeline.training.data_check import check_data

            small = check_data(experiment, small)
        if small.data.task == "multilabel":  # the caches of face crops are deleted with the rest
            os.environ["TFDS_DATA_DIR"] = folder
        run(small, folder, ship_anyway=True, stop=stop)
    print("dry run: data, noise, model, methods, training, evaluation, conversion, verification and report all passed")


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=command_name("pipeline.run"), description=__doc__)
    add_experiment_options(parser, "the experiment, see qat_configs/")
    parser.add_argument("--output-dir", default=".", metavar="DIR", help="holds runs/ and tflite_out/ (default: .)")
    parser.add_argument("--dry-run", action="store_true", help="run one batch through every stage and keep nothing")
    parser.add_argument("--print-config", action="store_true", help="print the resolved configuration and exit")
    parser.add_argument("--name", help="a name for runs/NAME-HASH8 and tflite_out/NAME; default: that of the file")
    parser.add_argument("--ship-anyway", action="store_true", help="ship also a network that is no better than chance")
    parser.add_argument("--fresh", action="store_true", help="delete the earlier run of this configuration first")
    return parser.parse_args(argv)


def _execute(arguments: argparse.Namespace, stop: StopFlag) -> None:
    experiment, config_text = read_config(arguments.config, arguments.overrides, arguments.name)
    if arguments.print_config:
        print(to_yaml(experiment), end="")
    elif arguments.dry_run:
        _dry_run(experiment, Path(arguments.output_dir), stop)
    else:
        options = {"fresh": arguments.fresh, "ship_anyway": arguments.ship_anyway, "config_text": config_text}
        folder = run(experiment, arguments.output_dir, **options, stop=stop)
        print(f"report: {folder / REPORT}")
        print(f"models: {Path(arguments.output_dir) / 'tflite_out' / experiment.name}")


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; the exit code (0 done, 1 failed, 2 wrong input, 130 or 143 stopped and resumable)."""
    arguments = _arguments(argv)
    return exit_code(lambda stop: _execute(arguments, stop), retry_command("pipeline.run", argv))


class _CallableModule(ModuleType):
    """Makes `pipeline.run` both this module and the public function: calling the module calls `run`."""

    def __call__(self, *arguments, **options) -> Path:
        return run(*arguments, **options)


sys.modules[__name__].__class__ = _CallableModule


def command() -> NoReturn:
    """The command `nibble-run`."""
    leave(main())


if __name__ == "__main__":
    command()
