"""The report of a run: its tables hold the numbers of the folder, its page stands alone, and nothing else changes."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from statistics import mean

import numpy as np
import pytest

from pipeline.errors import UserError
from pipeline.reports import write_report
from tests.reports.au_run_samples import AUS, PARTS, write_au_sample
from tests.reports.html_check import HtmlCheck
from tests.reports.reading import drawings, section, table, tiles, verdict, written
from tests.reports.run_samples import BASELINE, CONFIG, edit_json, write_json, write_sample_run

REQUESTS = ("http://", "https://", "<script", "<link", "<img", "<iframe", "@import", "url(h", "src=", "xlink")
MEMORISED = "wrong labels memorised"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_sample_run(tmp_path_factory.mktemp("runs"))
    write_report(folder)
    return folder


@pytest.fixture(scope="module")
def page(run: Path) -> str:
    return (run / "report.html").read_text()


@pytest.fixture(scope="module")
def text(run: Path) -> str:
    return (run / "report.md").read_text()


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_au_sample(tmp_path_factory.mktemp("faces"))
    written(folder)
    return folder


def scores(folder: Path, *path: str) -> list:
    found = []
    for file in sorted(folder.glob("seed*/scores.json")):
        value = json.loads(file.read_text())
        for key in path:
            value = value[key]
        found.append(value)
    return found


def percent(values: list[float]) -> str:
    return f"{100 * mean(values):.1f} %"


def test_page_is_well_formed_and_requests_nothing(page: str):
    check = HtmlCheck(page)
    assert check.problems == [] and check.tags.count("h1") == 1
    assert [word for word in REQUESTS if word in page.lower()] == []
    ids = check.values("id")
    assert len(ids) == len(set(ids))
    sections = [target for target in check.values("href") if f'<a href="{target}"' in page]
    assert len(sections) > 8 and {target.removeprefix("#") for target in sections} <= set(ids)
    assert check.tags.count("caption") == check.tags.count("table") > 6
    assert {"row", "col"} == set(check.values("scope"))


def test_every_drawing_is_xml_and_says_what_it_shows(page: str):
    found = drawings(page)
    assert len(found) > 20 and all(drawing.get("aria-label") for drawing in found)
    layers = [drawing.get("aria-label") for drawing in found if "Weight codes" in drawing.get("aria-label")]
    assert len(layers) == 20


def test_headline_numbers_are_those_of_the_folder(run: Path, text: str):
    shown = tiles(text)
    ours, theirs = (scores(folder, "metrics", "accuracy") for folder in (run, run.parent / BASELINE))
    gain = f"{100 * (mean(ours) - mean(theirs)):+.1f} points"
    assert shown["clean test accuracy"] == (percent(ours), f"{gain}, baseline {percent(theirs)}")
    fits = [percent(scores(folder, "train_noisy_fit")) for folder in (run, run.parent / BASELINE)]
    assert shown[MEMORISED] == (fits[0], f"baseline: {fits[1]}")
    assert shown["int8 file"] == ("326 kB", "29 % of float32; int4: 196 kB")
    assert shown["int8 latency, one image"] == ("0.574 ms", "30 % of float32, 1.92 ms")
    assert shown["output codes that differ"][0] == "0 %" and shown["decisions equal"][0] == "99.97 %"
    assert "PASS" in verdict(text) and gain in verdict(text) and ">" not in verdict(text)


def test_results_of_every_training_and_paired_differences(run: Path, text: str):
    rows = table(section(text, "Results by training"), "Every training")
    for seed in (1, 2, 3):
        record = json.loads((run / f"seed{seed}" / "scores.json").read_text())
        row = rows[f"seed{seed}"]
        assert row["clean test accuracy"] == f"{100 * record['metrics']['accuracy']:.1f} %"
        assert row["oracle (best test epoch)"].endswith(f"epoch {record['oracle']['epoch']}")
        assert row["noisy validation accuracy"] == f"{100 * record['val_accuracy']:.1f} %"
        assert row["epoch used"] == "30 of 30"
    pairs = zip(*(scores(each, "metrics", "accuracy") for each in (run, run.parent / BASELINE)), strict=True)
    differences = np.array([a - b for a, b in pairs])
    half = 4.303 * differences.std(ddof=1) / 3**0.5  # Student's t, 2 degrees of freedom
    expected = [
        f"{100 * value:+.1f}" for value in (differences.mean(), *(differences.mean() + half * s for s in (-1, 1)))
    ]
    shown = rows["difference, paired"]["clean test accuracy"]
    assert re.findall(r"[+−][\d.]+", shown.replace("-", "−")) == expected


def test_wrong_labels_are_counted(run: Path, text: str):
    rows = table(text, "Every training")
    with np.load(run / "seed2" / "noise.npz") as arrays:
        wrong = int(arrays["corrupted"][arrays["train"]].sum())
    assert rows["seed2"]["wrong labels"].startswith(f"{wrong:,} (")


def test_layers_kernels_and_totals(run: Path, text: str):
    record = json.loads((run / "seed1" / "verification.json").read_text())
    rows = table(text, "Layers of the network")
    heads = ("parameters", "MACs", "int8, bytes", "int4, bytes", "float, bytes")
    keys = ("parameters", "macs", "bytes_int8", "bytes_int4", "bytes_float32")
    for head, key in zip(heads, keys, strict=True):
        assert rows["total"][head] == f"{sum(layer[key] for layer in record['layers']):,}"
    kernels = table(text, "Against the integer model")
    assert kernels["int4 file"]["codes that differ"] == "2.3 %" and kernels["int4 file"]["file size"] == "196 kB"
    assert kernels["int8 file, builtin kernels"]["largest difference"] == "3"
    assert table(text, "Integer model and Keras")["seed1"]["verdict"] == "PASS"


def test_curves_show_the_mean_and_range_of_the_epochs(run: Path, text: str):
    rows = table(section(text, "Loss"), "Cross-entropy")
    last = [json.loads(path.read_text().splitlines()[-1])["test_loss"] for path in run.glob("seed*/metrics.jsonl")]
    shown = rows["30"]["Test loss, clean labels, this run"]
    expected = (mean(last), min(last), max(last))
    assert [float(value) for value in re.findall(r"[\d.]+", shown)] == pytest.approx(expected, abs=6e-4)


def test_how_to_reproduce(text: str):
    part = section(text, "Reproduce")
    for words in ("python -m pipeline.run --config qat_configs/fashion_mnist.yaml", "2.21.0", "8.3 GB", "3 min 14 s"):
        assert words in part
    assert "weight_bits: 4" in section(text, "Configuration")


def files_of(root: Path) -> dict[str, tuple[bytes, int]]:
    kept = (path for path in root.rglob("*") if path.is_file() and path.name not in ("report.html", "report.md"))
    return {str(path.relative_to(root)): (path.read_bytes(), path.stat().st_mtime_ns) for path in kept}


def test_same_folder_gives_the_same_bytes_and_nothing_else_changes(run: Path, tmp_path: Path):
    shutil.copytree(run.parent, tmp_path / "moved")
    before = files_of(tmp_path)
    write_report(tmp_path / "moved" / run.name)
    assert files_of(tmp_path) == before
    for name in ("report.html", "report.md"):
        assert (tmp_path / "moved" / run.name / name).read_bytes() == (run / name).read_bytes()


def test_names_are_escaped(tmp_path: Path):
    run = write_sample_run(tmp_path, seeds=(1,), config={"name": "</pre><script>alert(1)</script>"})
    file = run / "seed1" / "verification.json"
    record = json.loads(file.read_text())
    record["layers"][0]["name"] = '<b>"a|b"&$x_1$'
    edit_json(file, layers=record["layers"], passed=False, failures=["<i>limit</i> & more"])
    edit_json(run / "environment.json", command="run <x> && `y`")
    text = written(run)
    check = HtmlCheck((run / "report.html").read_text())
    assert not {"b", "i", "x", "script"} & set(check.tags)
    whole = "".join(check.text)
    for words in ('<b>"a|b"&$x_1$', "<i>limit</i> & more", "run <x> && `y`", "</pre><script>alert(1)</script>"):
        assert words in whole
    assert '| \\<b\\>"a\\|b"&' in text and "\n```\nrun <x> && `y`\n```\n" in text


def test_failed_verification_is_loud(tmp_path: Path):
    run = write_sample_run(tmp_path, seeds=(1, 2))
    failure = "code_mismatch 0.0003 is above the limit 0"
    edit_json(run / "seed2" / "verification.json", passed=False, failures=[failure], code_mismatch=0.0003)
    text = written(run)
    assert "**FAIL: seed2" in text and f"- seed2: {failure.replace('_', '_')}" in verdict(text)
    assert tiles(text)["output codes that differ"][0] == "0.030 %"
    page = (run / "report.html").read_text()
    assert '<section class="verdict fail">' in page and '<td class="bad">FAIL</td>' in page


def test_kernels_that_decide_otherwise_are_warned_of(tmp_path: Path):
    run = write_sample_run(tmp_path, seeds=(1, 2))
    kernels = json.loads((run / "seed2" / "verification.json").read_text())["kernels"]
    edit_json(run / "seed2" / "verification.json", kernels={**kernels, "int4": {"decision_agreement": 0.722}})
    shown = verdict(written(run))
    assert "72.20 %" in shown and "99.9 %" in shown and "builtin" not in shown


@pytest.mark.parametrize(
    ("gains", "words"), [((-0.1, -0.1, -0.11), "−10.3 points"), ((-0.02, 0.03, 0.01), "not significant")]
)
def test_a_loss_and_an_unclear_gain_are_said(tmp_path: Path, gains: tuple[float, ...], words: str):
    run = write_sample_run(tmp_path)
    for seed, gain in enumerate(gains, 1):
        edit_json(run / f"seed{seed}" / "scores.json", metrics={"accuracy": 0.5 + gain})
        edit_json(run.parent / BASELINE / f"seed{seed}" / "scores.json", metrics={"accuracy": 0.5})
    assert words in verdict(written(run))


@pytest.mark.parametrize(
    ("methods", "words"),
    [
        ([{"name": "pruning", "ratio": 0.75}], "75% pruning"),
        ([{"name": "dropout", "rate": 0.1}, *CONFIG["methods"]], "dropout 0.1 and W4/A4 quantization"),
        ([{"name": "early_stopping"}], "early stopping"),
        ([{"name": "label_smoothing"}], "label smoothing"),
    ],
)
def test_methods_are_named(tmp_path: Path, methods: list[dict], words: str):
    write_json(tmp_path / "resolved.yaml", {**CONFIG, "methods": methods})
    assert f"40 % uniform label noise, {words}\n" in written(tmp_path)


@pytest.mark.parametrize(
    ("rates", "words"),
    [
        ({"default": 0.1, "AU12": 0.005}, "0.5 % to 10 % per-AU label noise"),
        ({name: 0.01 * n for n, name in enumerate(AUS, 1)}, "1 % to 12 % per-AU label noise"),
        ("junk", "per-AU label noise,"),
    ],
)
def test_rates_by_action_unit_are_told(tmp_path: Path, rates: object, words: str):
    write_json(tmp_path / "resolved.yaml", {**CONFIG, "noise": {"kind": "per_label", "rates": rates}})
    assert words in written(tmp_path)


def test_every_metric_of_every_action_unit(faces: Path):
    text = (faces / "report.md").read_text()
    rows = table(text, "Test subjects, clean labels")
    keys = {"F1 at 0.5": "f1", "F1 tuned": "f1_tuned", "MCC": "mcc", "AUC": "auc", "base rate": "base_rate"}
    for head, key in keys.items():
        for name in AUS:
            assert float(rows[name][head]) == pytest.approx(100 * mean(scores(faces, "metrics", key, name)), abs=0.051)
    assert rows["mean"]["F1 at 0.5"] == f"{100 * mean(scores(faces, 'metrics', 'f1_mean')):.1f}"
    assert rows["AU6"]["threshold"] == "0.450"
    theirs = mean(scores(faces.parent / "synthetic_faces-baseline-5e6f7a8b", "metrics", "f1", "AU4"))
    assert rows["AU4"]["baseline F1"] == f"{100 * theirs:.1f}"
    noisy = table(text, "The same test images, noisy labels")
    assert noisy["mean"]["F1 at 0.5"] == f"{100 * mean(scores(faces, 'metrics_noisy', 'f1_mean')):.1f}"


def test_intervals_resample_the_subjects_of_all_trainings(faces: Path):
    counts: dict[str, np.ndarray] = {}
    for record in scores(faces, "subject_counts"):
        for subject, by_name in record.items():
            counts[subject] = counts.get(subject, 0) + np.array(by_name["AU7"])
    assert sorted(counts) == sorted(PARTS[1] + PARTS[2])
    table_ = np.array(list(counts.values()))
    rng, found = np.random.default_rng(11), []
    for _ in range(2000):
        tp, fp, fn, _ = table_[rng.integers(len(table_), size=len(table_))].sum(0)
        found.append(2 * tp / (2 * tp + fp + fn))
    shown = table((faces / "report.md").read_text(), "Test subjects")["AU7"]["95 % interval"]
    assert [float(end) for end in shown.split(" to ")] == pytest.approx(
        100 * np.quantile(found, [0.025, 0.975]), abs=0.6
    )


def test_faces_are_accounted_for(faces: Path):
    part = section((faces / "report.md").read_text(), "Faces")
    row = table(part, "Images and subjects by part")["1"]
    assert (row["train images"], row["test subjects"]) == ("9,000", "4")
    assert "frames without an image | 12" in part and "truncated" in part and "BlazeFace" in part


def test_an_absent_folder_is_a_user_error(tmp_path: Path):
    with pytest.raises(UserError, match="no such run folder"):
        write_report(tmp_path / "absent")


@pytest.mark.parametrize("module", ["pipeline.reports", "pipeline.reports.run_report"])
def test_reports_import_no_tensorflow_and_no_pyplot(module: str):
    code = f"import sys, {module}; print({{'tensorflow', 'tf_keras', 'matplotlib'}} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


def test_the_command_makes_a_report_again(tmp_path: Path):
    write_json(tmp_path / "run" / "resolved.yaml", CONFIG)
    (tmp_path / "neither").mkdir()
    for name, code in (("run", 0), ("neither", 2), ("absent", 2)):
        command = [sys.executable, "-m", "pipeline.reports", str(tmp_path / name)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert (done.returncode, "Traceback" in done.stderr) == (code, False)
        assert name in (done.stderr if code else done.stdout)
    assert (tmp_path / "run" / "report.md").is_file()
