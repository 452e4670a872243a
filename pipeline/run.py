"""python -m pipeline.run --config FILE: one experiment, from its YAML to verified TFLite files and a report."""

import argparse
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from pipeline.command_line import exit_code, leave, retry_command
from pipeline.config import Experiment, config_hash, load_config, to_yaml
from pipeline.config_schema import FaceData
from pipeline.data.prepared import bp4d_folder
from pipeline.deployment import is_shipped
from pipeline.native_log import stderr_to
from pipeline.report import write_report
from pipeline.run_files import clear_disk_errors
from pipeline.run_folder import (
    clear_run,
    open_run,
    read_status,
    run_path,
    write_environment,
    write_json,
    write_status,
    write_text,
)
from pipeline.stopping import StopFlag, Stopped

LOG = "log.txt"
DRY_RUN_EXAMPLES = 32
DRY_RUN_FACES = 8  # in a batch: large crops through a large encoder need gigabytes


def run(
    experiment: Experiment, config_text: str, output_dir: Path, stop: StopFlag, fresh: bool = False, ship: bool = True
) -> Path:
    """Run all seeds of an experiment (and its baseline) under `output_dir`; its run folder, with the report.

    Raises UserError, RunFailed (also when a TFLite file misses its limits), Stopped.
    """
    folder = run_path(output_dir, experiment.name, config_hash(experiment))
    if fresh:
        clear_run(folder)
    baseline = baseline_of(experiment)
    reference = run(baseline, to_yaml(baseline), output_dir, stop, fresh, ship=False) if baseline else None
    shipping = output_dir / "tflite_out" / experiment.name if ship else None
    if shipping:
        with clear_disk_errors(shipping):  # before hours of training, not after
            shipping.parent.mkdir(parents=True, exist_ok=True)
    with open_run(folder):
        if not _is_done(folder, shipping, experiment):
            _prepare(folder, experiment, config_text, reference)
            _run_logged(experiment, folder, shipping, stop)
        return folder


def baseline_of(experiment: Experiment) -> Experiment | None:
    """The same experiment without any method, where the config asks for it."""
    if not (experiment.baseline and experiment.methods):
        return None
    return experiment.model_copy(update={"methods": [], "baseline": False, "name": f"{experiment.name}-baseline"})


def dry_run_of(experiment: Experiment) -> Experiment:
    """The same experiment cut down to a few training batches and test images."""
    train, data = experiment.train, experiment.data
    methods = [
        method.model_copy(update={"warmup_epochs": 0}) if method.name == "quantization" else method
        for method in experiment.methods
    ]
    batch = train.batch_size
    if isinstance(data, FaceData):
        data, batch = data.model_copy(update=_few_faces(data)), min(batch, DRY_RUN_FACES)
    else:
        needed = int(train.batch_size / (1 - data.val_fraction)) + 1
        data = data.model_copy(update={"train_examples": needed, "test_examples": DRY_RUN_EXAMPLES})
    lenient = {"decision_agreement": 0.0, "fake_quant_agreement": 0.0, "metric_delta": 100.0}
    return experiment.model_copy(
        update={
            "data": data,
            "train": train.model_copy(update={"epochs": 1, "statistics_batches": 1, "batch_size": batch}),
            "verify": experiment.verify.model_copy(
                update={"examples": DRY_RUN_EXAMPLES, "latency_runs": 10, **lenient}
            ),
            "methods": methods,
            "seeds": experiment.seeds[:1],
            "baseline": False,
        }
    )


def _few_faces(data: FaceData) -> dict:
    """One frame of every sequence, and of them a few: one fold, the caches apart from those of the real run."""
    one_frame = {
        "synthetic_faces": {"frames": 1, "root": None},
        "bp4d": {"frame_step": 10**9, "max_missing": 1.0, "root": data.root or str(bp4d_folder())},
    }
    fewer = {"folds": data.folds[:1], "train_examples": None, "test_examples": DRY_RUN_FACES}
    return {**one_frame[data.name], **fewer}


def _is_done(folder: Path, shipping: Path | None, experiment: Experiment) -> bool:
    """Whether a run is complete and its files are what `shipping` holds (another run of that name may have followed)."""
    done = (read_status(folder) or {}).get("state") == "done" and (folder / "report.html").exists()
    return done and (shipping is None or is_shipped(shipping, config_hash(experiment)))


def _prepare(folder: Path, experiment: Experiment, config_text: str, reference: Path | None) -> None:
    write_text(folder / "config.yaml", config_text)
    write_text(folder / "resolved.yaml", to_yaml(experiment))
    write_environment(folder)
    if reference:
        write_json(folder / "baseline.json", {"folder": f"../{reference.name}"})


def _run_logged(experiment: Experiment, folder: Path, shipping: Path | None, stop: StopFlag) -> None:
    """All seeds with native messages in log.txt; however it ends, status.json and the report say so."""
    try:
        with stderr_to(folder / LOG) as terminal:
            _say(terminal, f"{experiment.name}: {folder}")
            from pipeline.experiment import run_seeds  # imports TensorFlow: seconds

            run_seeds(experiment, folder, shipping, stop, terminal, config_hash(experiment))
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


def _say(terminal: TextIO, text: str) -> None:
    print(text, file=terminal, flush=True)


def _dry_run(experiment: Experiment, stop: StopFlag) -> None:
    """One batch through every stage in a temporary folder."""
    small = dry_run_of(experiment)
    with tempfile.TemporaryDirectory(prefix="nibble-dry-run-") as folder:
        if isinstance(small.data, FaceData):  # their caches go the way of all the rest
            os.environ["TFDS_DATA_DIR"] = folder
        run(small, to_yaml(small), Path(folder), stop)
    print("dry run: data, noise, model, methods, training, evaluation, conversion, verification and report all passed")


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m pipeline.run", description=__doc__)
    parser.add_argument("--config", required=True, metavar="FILE", help="the experiment, see qat_configs/")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="overrides",
        help="change one setting, such as train.epochs=3; may be repeated",
    )
    parser.add_argument("--output-dir", default=".", metavar="DIR", help="holds runs/ and tflite_out/ (default: .)")
    parser.add_argument("--dry-run", action="store_true", help="one batch through every stage, nothing kept")
    parser.add_argument("--print-config", action="store_true", help="print the resolved configuration and stop")
    parser.add_argument("--fresh", action="store_true", help="delete what an earlier run of this configuration left")
    return parser.parse_args(argv)


def _execute(arguments: argparse.Namespace, stop: StopFlag) -> None:
    experiment = load_config(arguments.config, arguments.overrides)
    if arguments.print_config:
        print(to_yaml(experiment), end="")
    elif arguments.dry_run:
        _dry_run(experiment, stop)
    else:
        config_text = Path(arguments.config).read_text(encoding="utf-8-sig")
        folder = run(experiment, config_text, Path(arguments.output_dir), stop, arguments.fresh)
        print(f"report: {folder / 'report.html'}")
        print(f"models: {Path(arguments.output_dir) / 'tflite_out' / experiment.name}")


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; the exit code (0 done, 1 failed, 2 wrong input, 130 or 143 stopped and resumable)."""
    arguments = _arguments(argv)
    return exit_code(lambda stop: _execute(arguments, stop), retry_command("pipeline.run", argv))


if __name__ == "__main__":
    leave(main())
