"""What a search for bits leaves: the measurements of each training, their mean, the choice, and a config with it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean

from pipeline.au_bits import Table, choose_bits, size_bytes
from pipeline.au_bits_settings import SUFFIX, SearchSettings, with_bits
from pipeline.config import Experiment, to_yaml
from pipeline.deployment import facts_of
from pipeline.errors import UserError
from pipeline.run_files import read_json, write_json

RESULT = "au_bits.json"
MEASURED = "au_sensitivity.json"
SCORES = "scores.json"
FOLDS = (
    "Careful, several folds: one fold's validation subjects are another's test subjects, so test scores of this choice",
    "are no proof of it. For a measured comparison choose fold by fold.",
)
MARK = "# Written by python -m pipeline.au_bits_search"


def read_measured(seed_folder: Path) -> dict | None:
    """What was measured of the training in `seed_folder`, bits as int; None if nothing, or of an earlier training."""
    stored = read_json(seed_folder / MEASURED)
    if stored is None or stored["scores"] != facts_of(seed_folder / SCORES):
        return None
    return {**stored, "f1": {name: _by_bits(row) for name, row in stored["f1"].items()}}


def add_measured(seed_folder: Path, measured: dict) -> dict:
    """Keep what was measured beside what is there of other bits; all of it."""
    earlier = (read_measured(seed_folder) or {"f1": {}})["f1"]
    table = {name: dict(sorted((earlier.get(name, {}) | row).items())) for name, row in measured["f1"].items()}
    merged = {**measured, "f1": table, "scores": facts_of(seed_folder / SCORES)}
    write_json(seed_folder / MEASURED, merged)
    return merged


def unmeasured(measured: dict | None, candidates: Sequence[int]) -> list[int]:
    """The candidates that are not in the table yet."""
    rows = (measured or {"f1": {}})["f1"].values()
    return [bits for bits in candidates if not rows or any(bits not in row for row in rows)]


def mean_table(tables: Sequence[Table], candidates: Sequence[int]) -> dict[str, dict[int, float | None]]:
    """The mean of F1 over the trainings in which an action unit has one; None if there is none."""
    return {
        name: {bits: _mean_defined([table[name][bits] for table in tables]) for bits in candidates}
        for name in tables[0]
    }


def choose(measured: Mapping[str, dict], uniform: int, settings: SearchSettings) -> dict:
    """The content of au_bits.json from what was measured of every training, by the name of its folder.

    Sizes are in bits of packed codes; the budget is a share of the heads' hidden weights with `uniform` bits. Raises
    UserError if that is too small for the fewest bits everywhere.
    """
    first = next(iter(measured.values()))
    weights = first["head_weights"]
    table = mean_table([each["f1"] for each in measured.values()], settings.candidates)
    before = 8 * size_bytes(dict.fromkeys(weights, uniform), weights)
    budget = settings.size_budget * before
    choice = choose_bits(table, weights, settings.tolerance, budget / 8, uniform)
    after = 8 * size_bytes(choice, weights)
    return {
        "choice": choice,
        "uniform_bits": uniform,
        "tolerance": settings.tolerance,
        "size_budget": settings.size_budget,
        "candidates": list(settings.candidates),
        "f1": table,
        "undefined": [name for name, row in table.items() if all(score is None for score in row.values())],
        "size_bits": {
            "heads": {"uniform": before, "budget": budget, "chosen": after},
            "network": {"uniform": first["other_bits"] + before, "chosen": first["other_bits"] + after},
        },
        "head_weights": weights,
        "trainings": list(measured),
        "labels": "noisy labels of the validation subjects",
    }


def check_replaceable(path: Path) -> None:
    """Raise UserError if `path` is a file that no search wrote."""
    if path.exists() and not path.read_bytes().startswith(MARK.encode()):
        raise UserError(f"{path}: exists and was not written by this command. Move it, or choose another --output-dir")


def of_several_folds(found: dict) -> bool:
    """Whether the trainings of au_bits.json tested on different parts."""
    return len({name.partition("-fold")[2] for name in found["trainings"]}) > 1


def config_text(experiment: Experiment, found: dict, path: Path) -> str:
    """The YAML text of the experiment with the chosen bits."""
    chosen = with_bits(experiment, found["choice"]).model_copy(update={"name": experiment.name + SUFFIX})
    header = (
        f"{MARK}: {experiment.name} with bits of its own for every action unit's head,",
        f"# chosen on the {found['labels']} (tolerance {found['tolerance']:g}, size budget",
        f"# {found['size_budget']:g} of {found['uniform_bits']} bits everywhere). A new search writes over this file.",
        *(f"# {line}" for line in FOLDS if of_several_folds(found)),
        "#",
        f"# Command  python -m pipeline.run --config {path}",
    )
    return "\n".join(header) + "\n" + to_yaml(chosen)


def _by_bits(row: Mapping[str, float | None]) -> dict[int, float | None]:
    return {int(bits): score for bits, score in row.items()}


def _mean_defined(scores: Sequence[float | None]) -> float | None:
    defined = [score for score in scores if score is not None]
    return mean(defined) if defined else None
