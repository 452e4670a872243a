"""best.yaml: the setting a study would choose, as a configuration that pipeline.run takes."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from pipeline.config import to_yaml
from pipeline.run_files import write_text
from pipeline.study.cells import Arm
from pipeline.study.config import Study
from pipeline.study.results import Results

BEST = "best.yaml"


@dataclass(frozen=True)
class Best:
    """An arm and what it reached on the validation part, a share in [0, 1], on average of `runs` runs."""

    arm: Arm
    score: float
    runs: int


def best_arm(results: Results, objective: str | None) -> Best | None:
    """The competing arm with the best mean `objective` of those whose runs are all done; None if there is none.

    The objective is measured on held-out images with noisy labels, so the choice has not seen the truth.
    """
    scores: dict[tuple[str, str], list[float | None]] = {}
    values: dict[tuple[str, str], Mapping] = {}
    for cell in results.cells:
        if objective and cell.variant not in results.reference_only:
            scores.setdefault((cell.variant, cell.setting), []).append(cell.scores.get(objective))
            values[cell.variant, cell.setting] = cell.values
    whole = {key: found for key, found in scores.items() if None not in found}
    if not whole:
        return None
    best = max(whole, key=lambda key: mean(whole[key]))
    return Best(Arm(*best, values[best]), mean(whole[best]), len(whole[best]))


def write_best(study: Study, results: Results, folder: Path) -> None:
    """Write best.yaml at the base's own settings where the study has conditions; remove an older one if no arm is done."""
    objective = study.search.objective
    best = best_arm(results, objective)
    if best is None:
        (folder / BEST).unlink(missing_ok=True)
        return
    experiment = study.builder.experiment(best.arm, {}).model_copy(update={"name": f"{study.name}-best"[:100]})
    where = f" over {', '.join(study.axes)}" if study.axes else ""
    head = (
        f"# {best.arm.name}: the best of the study {study.name} by {objective} (held out, with the labels as they are).\n"
        f"# {objective} {100 * best.score:.2f} %, mean of {best.runs} runs{where}\n"
        f"# Command  python -m pipeline.run --config {folder / BEST}\n"
    )
    write_text(folder / BEST, head + to_yaml(experiment))
