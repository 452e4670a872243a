"""The report of a complete run: what it says, that it is one self-contained page, that it changes nothing else."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from statistics import mean
from xml.etree import ElementTree

import pytest

from pipeline.errors import UserError
from pipeline.report import write_report
from tests.html_check import HtmlCheck
from tests.report_sample import BASELINE, CONFIG, edit_json, write_sample_run

REQUESTS = ("http://", "https://", "<script", "<link", "<img", "<iframe", "@import", "url(", "src=", "xlink")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_sample_run(tmp_path_factory.mktemp("runs"))
    write_report(folder)
    return folder


@pytest.fixture(scope="module")
def page(run: Path) -> str:
    return (run / "report.html").read_text()


@pytest.fixture(scope="module")
def markdown(run: Path) -> str:
    return (run / "report.md").read_text()


def scores(folder: Path, *path: str) -> list[float]:
    values = []
    for file in sorted(folder.glob("seed*/scores.json")):
        value = json.loads(file.read_text())
        for key in path:
            value = value[key]
        values.append(value)
    return values


def verdict_of(markdown: str) -> str:
    return markdown.partition("\n\n| ")[0]


def test_html_is_well_formed(page: str):
    check = HtmlCheck(page)
    assert check.problems == []
    assert check.tags.count("h1") == 1


def test_every_svg_is_xml(page: str):
    drawings = re.findall(r"<svg (?=viewBox).*?</svg>(?!\n<circle|\n<path|\n<text)", page, flags=re.DOTALL)
    assert len(drawings) > 25
    for drawing in drawings:
        ElementTree.fromstring(drawing)


def test_page_requests_nothing(page: str):
    assert [word for word in REQUESTS if word in page.lower()] == []


def test_links_lead_to_sections_of_the_page(page: str):
    check = HtmlCheck(page)
    ids = check.values("id")
    assert len(ids) == len(set(ids)) > 8
    assert [target.removeprefix("#") for target in check.values("href")] == ids


def test_page_adapts_to_dark_phone_and_print(page: str):
    for feature in ("prefers-color-scheme: dark", "@media print", "max-width: 560px", 'name="viewport"'):
        assert feature in page


def test_verdict_states_the_measured_numbers(run: Path, markdown: str):
    ours, theirs = (scores(folder, "metrics", "accuracy") for folder in (run, run.parent / BASELINE))
    verdict = verdict_of(markdown)
    assert "**PASS: every verification limit is met (3 seeds).**" in verdict
    assert "40 % uniform label noise" in verdict
    assert f"{100 * mean(ours):.1f} % (mean of 3 seeds, {100 * min(ours):.1f} to {100 * max(ours):.1f} %)" in verdict
    assert f"the method gains {100 * (mean(ours) - mean(theirs)):.1f} points" in verdict
    fits = [100 * mean(scores(folder, "train_noisy_fit")) for folder in (run, run.parent / BASELINE)]
    assert f"memorised {fits[0]:.1f} % of the wrong training labels; the baseline {fits[1]:.1f} %" in verdict
    assert "326 kB (29 % of the float file's 1,118 kB), the int4 file 196 kB (18 %)" in verdict
    assert "0.574 ms in int8 (median), 30 % of the float file's 1.92 ms" in verdict
    assert "Over 1,000 test images no output code differs" in verdict
    assert "99.97 % of the 10,000 decisions equal" in verdict
    assert "Careful" not in verdict


def test_html_and_markdown_give_the_same_verdict(page: str, markdown: str):
    lead = re.search(r'<p class="lead">(.*?)</p>', page)[1].replace("\u00a0", " ").replace("&#x27;", "'")
    assert lead in markdown


def test_oracle_is_shown_as_oracle_only(run: Path, markdown: str):
    best = max(scores(run, "oracle", "test_accuracy"))
    assert f"{100 * best:.1f} %, epoch" in markdown
    assert f"{100 * best:.1f} %" not in verdict_of(markdown)
    assert "is never a result" in markdown


def test_layer_totals_are_sums(run: Path, markdown: str):
    layers = json.loads((run / "seed1" / "verification.json").read_text())["layers"]
    total = next(line for line in markdown.splitlines() if line.startswith("| **total**"))
    for key in ("parameters", "macs", "bytes_int8", "bytes_int4", "bytes_float32"):
        assert f"**{sum(layer[key] for layer in layers):,}**" in total


def test_every_weighted_layer_has_a_histogram(run: Path, page: str):
    layers = json.loads((run / "seed1" / "verification.json").read_text())["layers"]
    weighted = [layer["name"] for layer in layers if layer["weight_codes"]]
    assert re.findall(r'aria-label="Weight codes of (\w+),', page) == weighted


def test_provenance_is_complete(markdown: str):
    assert "python -m pipeline.run --config qat_configs/fashion_mnist.yaml" in markdown
    for words in ("2.21.0", "8.3 GB", "0123456789abcdef"):
        assert words in markdown
    assert "weight_bits: 4" in markdown
    assert "3 min 14 s, 3 seeds together" in markdown


def test_results_of_the_best_validation_seed_are_detailed(run: Path, markdown: str):
    values = scores(run, "val_accuracy")
    assert f"The files of seed{1 + values.index(max(values))}, the one with the best validation accuracy" in markdown


def test_markdown_tables_are_rectangular(markdown: str):
    tables = [block for block in markdown.split("\n\n") if block.startswith("|")]
    assert len(tables) > 8
    for table in tables:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1


def files_of(root: Path) -> dict[str, tuple[bytes, int]]:
    return {
        str(path.relative_to(root)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in root.rglob("*")
        if path.is_file() and path.name not in ("report.html", "report.md")
    }


def test_writing_changes_only_the_reports(run: Path, tmp_path: Path):
    root = tmp_path / "runs"
    shutil.copytree(run.parent, root)
    before = files_of(root)
    write_report(root / run.name)
    assert files_of(root) == before


def test_same_folder_gives_same_bytes_wherever_it_lies(run: Path, tmp_path: Path):
    shutil.copytree(run.parent, tmp_path / "elsewhere")
    moved = tmp_path / "elsewhere" / run.name
    for _ in range(2):
        write_report(moved)
        for name in ("report.html", "report.md"):
            assert (moved / name).read_bytes() == (run / name).read_bytes()


def test_names_are_escaped(tmp_path: Path):
    run = write_sample_run(tmp_path, seeds=(1,), config={"name": "</pre><script>alert(1)</script>"})
    file = run / "seed1" / "verification.json"
    record = json.loads(file.read_text())
    record["layers"][0]["name"] = '<b>"a|b"&'
    edit_json(file, layers=record["layers"], passed=False, failures=["<i>limit</i> & more"])
    edit_json(run / "environment.json", command="run <x> && `y`")
    write_report(run)
    check = HtmlCheck((run / "report.html").read_text())
    assert check.problems == []
    assert not {"b", "i", "x", "script"} & set(check.tags)
    text = "".join(check.text)
    for words in ('<b>"a|b"&', "<i>limit</i> & more", "run <x> && `y`", "</pre><script>alert(1)</script>"):
        assert words in text
    markdown = (run / "report.md").read_text()
    assert '| \\<b\\>"a\\|b"& |' in markdown
    assert "\n```\nrun <x> && `y`\n```\n" in markdown


def test_failed_verification_is_loud(tmp_path: Path):
    run = write_sample_run(tmp_path)
    failure = "code_mismatch 0.0003 is above the limit 0"
    edit_json(run / "seed2" / "verification.json", passed=False, failures=[failure], code_mismatch=0.0003)
    write_report(run)
    page, markdown = (run / "report.html").read_text(), (run / "report.md").read_text()
    assert "**FAIL: seed2 missed the verification limits (1 of 3).**\n\n- seed2: " in markdown
    assert markdown.index(failure) < markdown.index("Trained on")
    assert "0.030 % of the output codes differ" in verdict_of(markdown)
    assert '<section class="verdict fail">' in page
    assert '<td class="bad">FAIL</td>' in page
    assert re.search(r'class="tile bad"><span>output codes that differ</span><strong>0.030\xa0%', page)


def test_kernels_that_decide_otherwise_are_warned_of(tmp_path: Path):
    run = write_sample_run(tmp_path)
    file = run / "seed2" / "verification.json"
    kernels = json.loads(file.read_text())["kernels"]
    edit_json(file, kernels={**kernels, "int4": {**kernels["int4"], "decision_agreement": 0.722}})
    write_report(run)
    verdict = verdict_of((run / "report.md").read_text())
    assert (
        "> **Careful:** The int4 file makes only 72.20 % of the integer model's decisions; the limit of 99.9 %"
        in verdict
    )
    assert "builtin" not in verdict


def test_losing_method_is_said_to_lose(tmp_path: Path):
    run = write_sample_run(tmp_path)
    for seed, accuracy in ((1, 0.50), (2, 0.51), (3, 0.52)):
        edit_json(run / f"seed{seed}" / "scores.json", metrics={"accuracy": accuracy})
        edit_json(run.parent / BASELINE / f"seed{seed}" / "scores.json", metrics={"accuracy": accuracy + 0.1})
    write_report(run)
    verdict = verdict_of((run / "report.md").read_text())
    assert "the method LOSES 10.0 points (95 % t interval −10.0 to −10.0, n = 3)" in verdict


def test_difference_within_the_spread_is_called_unclear(tmp_path: Path):
    run = write_sample_run(tmp_path)
    for seed, gain in ((1, -0.02), (2, 0.03), (3, 0.01)):
        edit_json(run / f"seed{seed}" / "scores.json", metrics={"accuracy": 0.5 + gain})
        edit_json(run.parent / BASELINE / f"seed{seed}" / "scores.json", metrics={"accuracy": 0.5})
    write_report(run)
    assert "not clearly different from zero" in verdict_of((run / "report.md").read_text())


def test_folds_are_counted_as_runs(tmp_path: Path):
    run = write_sample_run(tmp_path, seeds=(1, 2))
    for folder in (run, run.parent / BASELINE):
        for seed in (1, 2):
            for fold in (1, 2):
                shutil.copytree(folder / f"seed{seed}", folder / f"seed{seed}-fold{fold}")
            shutil.rmtree(folder / f"seed{seed}")
    write_report(run)
    markdown = (run / "report.md").read_text()
    assert "mean of 4 runs (seeds and folds)" in markdown
    assert "n = 4)" in verdict_of(markdown)
    assert "| seed2-fold1 |" in markdown


@pytest.mark.parametrize(
    ("methods", "words"),
    [
        ([{"name": "pruning", "ratio": 0.75}], "75 % pruning"),
        ([{"name": "weight_decay", "rate": 0.01}], "weight decay 0.01"),
        ([{"name": "dropout", "rate": 0.1}, *CONFIG["methods"]], "dropout 0.1 and W4/A4 quantization"),
        ([{"name": "early_stopping"}], "early stopping"),
    ],
)
def test_methods_are_named(tmp_path: Path, methods: list[dict], words: str):
    run = write_sample_run(tmp_path, seeds=(1,), config={"methods": methods})
    write_report(run)
    assert f"the network with {words} classifies" in (run / "report.md").read_text()


def test_absent_folder_is_a_user_error(tmp_path: Path):
    with pytest.raises(UserError, match="no such run folder"):
        write_report(tmp_path / "absent")


def test_report_needs_no_tensorflow():
    code = "import sys, pipeline.report; print({'tensorflow', 'tf_keras', 'matplotlib'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
