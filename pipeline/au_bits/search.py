"""python -m pipeline.au_bits_search --config FILE: find the fewest bits for every action unit's head at nearly full F1."""

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from pipeline.au_bits.candidates import SUFFIX, SearchSettings, candidates_of, check_searchable, uniform_bits
from pipeline.au_bits.results import (
    RESULT,
    add_measured,
    check_replaceable,
    choose,
    config_text,
    in_words,
    read_measured,
    unmeasured,
)
from pipeline.cli import add_experiment_options, exit_code, retry_command, stderr_to
from pipeline.config import Experiment, read_config
from pipeline.run import run
from pipeline.runs.files import write_json, write_text
from pipeline.runs.folder import open_run, seed_path
from pipeline.runs.names import LOG
from pipeline.runs.stopping import StopFlag


def search(
    experiment: Experiment, text: str, output_dir: Path, settings: SearchSettings, stop: StopFlag
) -> tuple[Path, dict]:
    """Train with equal bits unless done, measure every training, choose; returns (run folder, content of au_bits.json).

    `text` is the configuration as the user wrote it. Nothing is shipped. Raises UserError, RunFailed, Stopped.
    """
    check_searchable(experiment)
    folder = run(experiment, output_dir, ship=False, config_text=text, stop=stop)
    with open_run(folder), stderr_to(folder / LOG) as terminal:
        seed_folders = [seed_path(folder, seed, fold) for fold in experiment.data.folds for seed in experiment.seeds]
        measured = {each.name: _measured(each, settings.candidates, stop, terminal) for each in seed_folders}
        found = choose(measured, uniform_bits(experiment), settings)
        write_json(folder / RESULT, found)
    return folder, found


def write_config(experiment: Experiment, found: dict, output_dir: Path) -> Path:
    """Write OUTPUT_DIR/NAME-au_bits.yaml, the experiment with the chosen bits; its path."""
    path = config_path(experiment, output_dir)
    write_text(path, config_text(experiment, found, path))
    return path


def config_path(experiment: Experiment, output_dir: Path) -> Path:
    """OUTPUT_DIR/NAME-au_bits.yaml."""
    return output_dir / f"{experiment.name}{SUFFIX}.yaml"


def _measured(seed_folder: Path, candidates: Sequence[int], stop: StopFlag, terminal: TextIO) -> dict:
    """The measurements of one training, made now where they are missing."""
    stop.check()
    known = read_measured(seed_folder)
    missing = unmeasured(known, candidates)
    if not missing:
        return known
    from pipeline.au_bits.measure import measure
    from pipeline.training.experiment import load_trained

    listed = ", ".join(map(str, missing))
    print(f"{seed_folder.name}: measuring validation F1 with heads of {listed} bits", file=terminal, flush=True)
    return add_measured(seed_folder, measure(load_trained(seed_folder, terminal), missing, stop))


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m pipeline.au_bits_search", description=__doc__)
    add_experiment_options(parser, "an experiment with quantization and per_au heads")
    parser.add_argument(
        "--tolerance",
        type=float,
        default=SearchSettings.tolerance,
        metavar="F1",
        help="how far an action unit may fall below its best validation F1 (default: %(default)s)",
    )
    parser.add_argument(
        "--size-budget",
        type=float,
        default=SearchSettings.size_budget,
        metavar="SHARE",
        help="packed size of the heads as a share of that with equal bits (default: %(default)s)",
    )
    parser.add_argument(
        "--candidates",
        default=",".join(map(str, SearchSettings.candidates)),
        metavar="BITS",
        help="bits to try, 2 to 8 (default: %(default)s)",
    )
    parser.add_argument(
        "--output-dir", default=".", metavar="DIR", help="holds runs/ and gets NAME-au_bits.yaml (default: .)"
    )
    return parser.parse_args(argv)


def _execute(arguments: argparse.Namespace, stop: StopFlag) -> None:
    settings = SearchSettings(arguments.tolerance, arguments.size_budget, candidates_of(arguments.candidates))
    experiment, text = read_config(arguments.config, arguments.overrides)
    output_dir = Path(arguments.output_dir)
    check_replaceable(config_path(experiment, output_dir))
    folder, found = search(experiment, text, output_dir, settings, stop)
    path = write_config(experiment, found, output_dir)
    print(in_words(found))
    print(f"choice: {folder / RESULT}")
    print(f"config: {path}")
    print(f"next: {shlex.join(['python', '-m', 'pipeline.run', '--config', str(path)])}")


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; the exit code (0 done, 1 failed, 2 wrong input, 130 or 143 stopped and resumable)."""
    arguments = _arguments(argv)
    return exit_code(lambda stop: _execute(arguments, stop), retry_command("pipeline.au_bits_search", argv))
