"""python -m pipeline.au_bits_search --config FILE: the fewest bits for every action unit's head that F1 allows."""

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from pipeline.au_bits_results import (
    RESULT,
    add_measured,
    check_replaceable,
    choose,
    config_text,
    read_measured,
    unmeasured,
)
from pipeline.au_bits_settings import SUFFIX, SearchSettings, candidates_of, check_searchable, uniform_bits
from pipeline.au_bits_words import in_words
from pipeline.command_line import exit_code, retry_command
from pipeline.config import Experiment, load_config
from pipeline.native_log import stderr_to
from pipeline.run import LOG, run
from pipeline.run_folder import open_run, seed_path, write_json, write_text
from pipeline.stopping import StopFlag


def search(
    experiment: Experiment, text: str, output_dir: Path, settings: SearchSettings, stop: StopFlag
) -> tuple[Path, dict]:
    """Train with equal bits unless that is done, measure every training, choose; (run folder, content of au_bits.json).

    `text` is the config as the user wrote it. Nothing is shipped. Raises UserError, RunFailed, Stopped.
    """
    check_searchable(experiment)
    folder = run(experiment, text, output_dir, stop, ship=False)
    with open_run(folder), stderr_to(folder / LOG) as terminal:
        seed_folders = [seed_path(folder, seed, fold) for fold in experiment.data.folds for seed in experiment.seeds]
        measured = {each.name: _measured(each, settings.candidates, stop, terminal) for each in seed_folders}
        found = choose(measured, uniform_bits(experiment), settings)
        write_json(folder / RESULT, found)
    return folder, found


def write_config(experiment: Experiment, found: dict, output_dir: Path) -> Path:
    """Write OUTPUT_DIR/NAME-au_bits.yaml, which runs the experiment with the chosen bits."""
    path = config_path(experiment, output_dir)
    write_text(path, config_text(experiment, found, path))
    return path


def config_path(experiment: Experiment, output_dir: Path) -> Path:
    """OUTPUT_DIR/NAME-au_bits.yaml."""
    return output_dir / f"{experiment.name}{SUFFIX}.yaml"


def _measured(seed_folder: Path, candidates: Sequence[int], stop: StopFlag, terminal: TextIO) -> dict:
    """What is known of one training, after measuring what is not."""
    stop.check()
    known = read_measured(seed_folder)
    missing = unmeasured(known, candidates)
    if not missing:
        return known
    from pipeline.au_bits_measure import measure  # imports TensorFlow: seconds
    from pipeline.trained import load_trained

    listed = ", ".join(map(str, missing))
    print(f"{seed_folder.name}: validation F1 with heads of {listed} bits", file=terminal, flush=True)
    return add_measured(seed_folder, measure(load_trained(seed_folder, terminal), missing, stop))


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m pipeline.au_bits_search", description=__doc__)
    parser.add_argument(
        "--config", required=True, metavar="FILE", help="an experiment with quantization and per_au heads"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="overrides",
        help="change one setting, such as train.epochs=3; may be repeated",
    )
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
        help="bits that are tried, 2 to 8 (default: %(default)s)",
    )
    parser.add_argument(
        "--output-dir", default=".", metavar="DIR", help="holds runs/ and gets NAME-au_bits.yaml (default: .)"
    )
    return parser.parse_args(argv)


def _execute(arguments: argparse.Namespace, stop: StopFlag) -> None:
    settings = SearchSettings(arguments.tolerance, arguments.size_budget, candidates_of(arguments.candidates))
    experiment = load_config(arguments.config, arguments.overrides)
    output_dir = Path(arguments.output_dir)
    check_replaceable(config_path(experiment, output_dir))
    text = Path(arguments.config).read_text(encoding="utf-8-sig")
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


if __name__ == "__main__":
    sys.exit(main())
