"""Write report.html and report.md of a run: a pure function of its folder."""

from pathlib import Path

from pipeline.errors import UserError
from pipeline.reporting import html, markdown
from pipeline.reporting.au_sections import au_sections
from pipeline.reporting.blocks import Document
from pipeline.reporting.data_sections import data_sections
from pipeline.reporting.device_sections import device_sections
from pipeline.reporting.naming import data_name, method_name, noise_phrase
from pipeline.reporting.provenance import provenance_sections
from pipeline.reporting.read import Run, mapping, read_run
from pipeline.reporting.tiles import headline_tiles
from pipeline.reporting.training_sections import training_sections
from pipeline.reporting.verdict import judge
from pipeline.run_files import write_text


def write_report(run_folder: Path) -> None:
    """Write `report.html` and `report.md` into `run_folder` from what it holds; missing parts are named as missing.

    Raises:
        UserError: `run_folder` is not a folder, or must not be written to.
        RunFailed: the disk is full; the reports are then as they were.
    """
    if not run_folder.is_dir():
        raise UserError(f"{run_folder}: there is no such run folder; a run writes runs/NAME-HASH8/")
    document = compose(read_run(run_folder))
    write_text(run_folder / "report.html", html.render(document))
    write_text(run_folder / "report.md", markdown.render(document))


def compose(run: Run) -> Document:
    """The report on a run, still independent of its format."""
    return Document(
        title=run.name,
        subtitle=_subtitle(run),
        verdict=judge(run),
        tiles=headline_tiles(run),
        sections=(
            *au_sections(run),
            *training_sections(run),
            *device_sections(run),
            *data_sections(run),
            *provenance_sections(run),
        ),
    )


def _subtitle(run: Run) -> str:
    model = mapping(run.config, "model").get("name", "an unrecorded network")
    method = method_name(run) or ("no method" if run.config else "an unrecorded method")
    return f"{model} on {data_name(run)}, {noise_phrase(run)}, {method}"
