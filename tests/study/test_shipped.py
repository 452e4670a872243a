"""The studies in qat_configs/ load, say what they are, and hold what the paper compares."""

import re
from pathlib import Path

import pytest

from pipeline.study.cells import reference_setting
from pipeline.study.config import Study, load_study

CONFIGS = Path(__file__).resolve().parents[2] / "qat_configs"
TABLES = sorted(CONFIGS.glob("table1_*.yaml"))
STUDIES = TABLES + sorted(CONFIGS.glob("study_*.yaml"))
LINES = 50
PAPER = {
    "baseline": [],
    "weight decay": [("weight_decay", "rate", 0.01)],
    "dropout": [("dropout", "rate", 0.1)],
    "label smoothing": [("label_smoothing", "alpha", 0.1)],
    "pruning": [("pruning", "ratio", 0.75)],
    "quantization": [("quantization", "weight_bits", 4)],
}
NOISE = {
    "study_cifar10": ("noise.rate", tuple(rate / 10 for rate in range(11))),
    "study_fashion_mnist": ("noise.rate", (0.0, 0.2, 0.4, 0.6, 0.8)),
    "study_hyperparameters": ("noise.rate", (0.2, 0.4, 0.6)),
    "study_synthetic_faces": ("noise.strength", (0.5, 1.0, 2.0)),
}
BITS = {
    "W8/A8": (8, 8), "W4/A8": (4, 8), "W8/A4": (8, 4), "W4/A4": (4, 4), "W3/A3": (3, 3), "W2/A4": (2, 4), "W2/A2": (2, 2),
}  # fmt: skip

every_study = pytest.mark.parametrize("path", STUDIES, ids=[path.stem for path in STUDIES])


def methods_of(study: Study, variant: str) -> list:
    """The methods of each setting of a variant, at the first condition and seed."""
    first = study.cells[0]
    return [
        cell.experiment.methods
        for cell in study.cells
        if (cell.arm.variant, cell.condition, cell.seed, cell.fold)
        == (variant, first.condition, first.seed, first.fold)
    ]


def test_the_promised_studies_are_there():
    assert {path.stem for path in STUDIES} == {"table1_bp4d", "table1_synthetic", *NOISE}


@every_study
def test_it_loads_under_its_own_name_and_is_short(path: Path):
    assert load_study(path).name == path.stem
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LINES


@every_study
def test_its_header_gives_command_time_and_result(path: Path):
    found = dict(re.findall(r"^# (Command|Time|Result) +(.+)$", path.read_text(encoding="utf-8"), re.MULTILINE))
    assert found["Command"].startswith(f"python -m pipeline.study --config qat_configs/{path.name}")
    assert re.search(r"\d+(\.\d+)? (second|minute|hour|day)", found["Time"])
    assert found["Result"]


@pytest.mark.parametrize("name", NOISE)
def test_conditions_and_seeds_are_those_promised(name: str):
    study, (key, values) = load_study(CONFIGS / f"{name}.yaml"), NOISE[name]
    assert study.file.axes == {key: list(values)}
    assert len(study.seeds) >= {"study_cifar10": 5, "study_fashion_mnist": 3}.get(name, 2)


@pytest.mark.parametrize("name", ["study_cifar10", "study_fashion_mnist"])
def test_figure_2_compares_the_papers_methods_and_early_stopping(name: str):
    study = load_study(CONFIGS / f"{name}.yaml")
    assert set(study.variants) == {*PAPER, "early stopping"}
    for variant, fields in PAPER.items():
        (methods,) = methods_of(study, variant)
        assert [
            (method.name, key, getattr(method, key)) for method, (_, key, _) in zip(methods, fields, strict=True)
        ] == fields


def test_cifar10_is_the_papers_experiment():
    experiment = load_study(CONFIGS / "study_cifar10.yaml").cells[0].experiment
    assert (experiment.data.name, experiment.model.depth, experiment.train.epochs) == ("cifar10", 20, 200)


def test_figure_3_has_the_promised_settings():
    study = load_study(CONFIGS / "study_hyperparameters.yaml")
    bits = [(method.weight_bits, method.activation_bits) for (method,) in methods_of(study, "quantization")]
    assert bits == list(BITS.values())
    assert [method.ratio for (method,) in methods_of(study, "pruning")] == [0.25, 0.5, 0.75, 0.9]
    places = {(method.rate, method.position) for (method,) in methods_of(study, "dropout")}
    assert places == {(rate, place) for rate in (0.1, 0.3, 0.5) for place in ("head", "blocks")}
    assert len(methods_of(study, "label smoothing")) >= 3 and len(methods_of(study, "weight decay")) >= 3
    assert reference_setting(study.file.variants["quantization"]) == "W4/A4"


@pytest.mark.parametrize("path", TABLES, ids=[path.stem for path in TABLES])
def test_table_1_holds_the_methods_at_the_papers_settings(path: Path):
    study = load_study(path)
    competing = [name for name in study.variants if study.competes(name)]
    assert (competing, study.reference) == (list(PAPER), "baseline")
    for cell in study.cells:
        if not study.competes(cell.arm.variant):
            continue
        methods, settings = cell.experiment.methods, PAPER[cell.arm.variant]
        assert [method.name for method in methods] == [name for name, _, _ in settings]
        assert all(getattr(method, key) == value for method, (_, key, value) in zip(methods, settings, strict=True))
    assert {cell.fold for cell in study.cells} == {1, 2, 3}
