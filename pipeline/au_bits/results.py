"""The results of a search for bits: F1 of each training, the choice, a configuration with it, and a summary."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean

from pipeline.au_bits.candidates import SUFFIX, SearchSettings, Table, choose_bits, size_bytes, with_bits
from pipeline.config import Experiment, to_yaml
from pipeline.errors import UserError
from pipeline.runs.files import read_json, write_json
from pipeline.runs.names import SCORES
from pipeline.tflite.ship import facts_of

NAME_WIDTH, COLUMN_WIDTH = 8, 9
RESULT = "au_bits.json"
MEASURED = "au_sensitivity.json"
FOLDS = (
    "Warning: with several folds, validation subjects of one fold are test subjects of another, so test scores of this",
    "choice are biased. For an unbiased comparison run the search for each fold separately.",
)
MARK = "# Written by python -m pipeline.au_bits_search"


def read_measured(seed_folder: Path) -> dict | None:
    """What was measured of the training in `seed_folder`, bits as int; None if nothing or outdated."""
    stored = read_json(seed_folder / MEASURED)
    if stored is None or stored["scores"] != facts_of(seed_folder / SCORES):
        return None
    return {**stored, "f1": {name: _by_bits(row) for name, row in stored["f1"].items()}}


def add_measured(seed_folder: Path, measured: dict) -> dict:
    """Add what was measured to the results for other bits; returns all of them."""
    earlier = (read_measured(seed_folder) or {"f1": {}})["f1"]
    table = {name: dict(sorted((earlier.get(name, {}) | row).items())) for name, row in measured["f1"].items()}
    merged = {**measured, "f1": table, "scores": facts_of(seed_folder / SCORES)}
    write_json(seed_folder / MEASURED, merged)
    return merged


def unmeasured(measured: dict | None, candidates: Sequence[int]) -> list[int]:
    """The candidates that have not been measured yet."""
    rows = (measured or {"f1": {}})["f1"].values()
    return [bits for bits in candidates if not rows or any(bits not in row for row in rows)]


def mean_table(tables: Sequence[Table], candidates: Sequence[int]) -> dict[str, dict[int, float | None]]:
    """The mean F1 over the trainings in which it is defined; None if in none."""
    return {
        name: {bits: _mean_defined([table[name][bits] for table in tables]) for bits in candidates}
        for name in tables[0]
    }


def choose(measured: Mapping[str, dict], uniform: int, settings: SearchSettings) -> dict:
    """The content of au_bits.json from the measurements of every training, by the name of its folder.

    Sizes are in bits of packed codes; the budget is a share of the heads' hidden weights with `uniform` bits. Raises
    UserError if the budget is too small for the fewest bits everywhere.
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
    """Raise UserError if `path` exists and was not written by a search."""
    if path.exists() and not path.read_bytes().startswith(MARK.encode()):
        raise UserError(f"{path}: exists and was not written by this command. Move it, or choose another --output-dir")


def of_several_folds(found: dict) -> bool:
    """Whether the trainings in au_bits.json had different test parts."""
    return len({name.partition("-fold")[2] for name in found["trainings"]}) > 1


def config_text(experiment: Experiment, found: dict, path: Path) -> str:
    """The YAML text of the experiment with the chosen bits."""
    chosen = with_bits(experiment, found["choice"]).model_copy(update={"name": experiment.name + SUFFIX})
    header = (
        f"{MARK}: {experiment.name} with individual bits for every action unit's head,",
        f"# chosen on the {found['labels']} (tolerance {found['tolerance']:g}, size budget",
        f"# {found['size_budget']:g} of {found['uniform_bits']} bits everywhere). A new search overwrites this file.",
        *(f"# {line}" for line in FOLDS if of_several_folds(found)),
        "#",
        f"# Command  python -m pipeline.run --config {path}",
    )
    return "\n".join(header) + "\n" + to_yaml(chosen)


def in_words(found: dict) -> str:
    """The summary of au_bits.json: a table of F1 by action unit and bits, and what the choice saves and costs."""
    trainings = len(found["trainings"])
    over = "one training" if trainings == 1 else f"the mean of {trainings} trainings"
    lines = [f"F1 on the {found['labels']}, {over}, without retraining:", *_table(found), _sizes(found), _cost(found)]
    if found["undefined"]:
        names = ", ".join(found["undefined"])
        lines.append(
            f"No positive validation label, so F1 is undefined: {names}. Kept at {found['uniform_bits']} bits as far as "
            "the budget allows."
        )
    if of_several_folds(found):
        lines.append(" ".join(FOLDS))
    return "\n".join(lines)


def _by_bits(row: Mapping[str, float | None]) -> dict[int, float | None]:
    return {int(bits): score for bits, score in row.items()}


def _mean_defined(scores: Sequence[float | None]) -> float | None:
    defined = [score for score in scores if score is not None]
    return mean(defined) if defined else None


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _table(found: dict) -> list[str]:
    heads = [f"{bits} bits" for bits in found["candidates"]]
    rows = [_row("", [*heads, "chosen"])]
    for name, scores in found["f1"].items():
        rows.append(_row(name, [*(_score(scores[bits]) for bits in found["candidates"]), str(found["choice"][name])]))
    means = [_mean_score(found, dict.fromkeys(found["f1"], bits)) for bits in found["candidates"]]
    average = mean(found["choice"].values())
    return [*rows, _row("mean", [*map(_score, means), f"{average:.2f}"])]


def _row(name: str, cells: list[str]) -> str:
    return f"  {name:<{NAME_WIDTH}}" + "".join(f"{cell:>{COLUMN_WIDTH}}" for cell in cells)


def _sizes(found: dict) -> str:
    heads, network = found["size_bits"]["heads"], found["size_bits"]["network"]
    share = _percent(heads["chosen"] / heads["uniform"])
    return (
        f"Hidden weights of the heads: {heads['chosen']:,.0f} packed bits instead of "
        f"{heads['uniform']:,.0f} with {found['uniform_bits']} bits everywhere ({share}; the budget is "
        f"{_percent(found['size_budget'])}). All weights of the network: {network['chosen']:,.0f} instead "
        f"of {network['uniform']:,.0f}."
    )


def _cost(found: dict) -> str:
    chosen = _mean_score(found, found["choice"])
    if chosen is None:
        return "F1 is undefined for every action unit."
    sentence = f"Mean F1 before any retraining: {_score(chosen)} with the chosen bits"
    if found["uniform_bits"] in found["candidates"]:
        equal = _mean_score(found, dict.fromkeys(found["f1"], found["uniform_bits"]))
        sentence += f", {_score(equal)} with {found['uniform_bits']} bits everywhere"
    return sentence + ". The choice was made on these labels, so train with it to measure its effect."


def _mean_score(found: dict, bits: dict[str, int]) -> float | None:
    return _mean_defined([row.get(bits[name]) for name, row in found["f1"].items()])


def _score(score: float | None) -> str:
    return "–" if score is None else f"{score:.3f}"
