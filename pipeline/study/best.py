"""best.yaml: the setting a study would choose, as a configuration that pipeline.run takes."""

from pathlib import Path

from pipeline.config import to_yaml
from pipeline.reports.study_load import BEST, Result, Results, best_by_validation
from pipeline.runs.files import write_text
from pipeline.study.cells import Arm
from pipeline.study.config import Study


def write_best(study: Study, results: Results, folder: Path) -> None:
    """Write best.yaml with the base's own value of every condition; remove an older one if no competing arm is done."""
    objective = study.search.objective
    arms: dict[tuple[str, str], list[Result]] = {}
    for cell in results.cells:
        if results.competes(cell.variant):
            arms.setdefault(cell.arm, []).append(cell)
    best = best_by_validation(arms, objective)
    if best is None:
        (folder / BEST).unlink(missing_ok=True)
        return
    (variant, setting), score = best
    cells = arms[variant, setting]
    arm = Arm(variant, setting, cells[0].values)
    experiment = study.builder.experiment(arm, {}).model_copy(update={"name": f"{study.name}-best"[:100]})
    where = f" over {', '.join(study.file.axes)}" if study.file.axes else ""
    head = (
        f"# {arm.name}: the best of the study {study.name} by {objective} (held-out examples with noisy labels).\n"
        f"# {objective} {100 * score:.2f} %, mean of {len(cells)} runs{where}\n"
        f"# Command  python -m pipeline.run --config {folder / BEST}\n"
    )
    write_text(folder / BEST, head + to_yaml(experiment))
