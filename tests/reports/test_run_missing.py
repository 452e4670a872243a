"""A report of a folder in which something is missing, damaged or unknown: said, never a crash, never invented."""

import json
import pickle
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.reports import run_action_units, run_curves, run_device
from pipeline.reports.load import read_run
from pipeline.reports.render import html, markdown
from pipeline.reports.run_report import compose
from tests.reports.au_run_samples import AUS, DATA, au_scores, write_au_sample
from tests.reports.au_run_samples import BASELINE as AU_BASELINE
from tests.reports.html_check import HtmlCheck
from tests.reports.reading import section, table, tiles, verdict, written
from tests.reports.run_samples import BASELINE, edit_json, verification, write_json, write_sample_run

NONSENSE = re.compile(r"\b(None|nan|inf)\b|\{\}|\[\]")
JUNK = (None, "text", [], -1)
GROUPS = 2
MEMORISED = "wrong labels memorised"


@pytest.fixture(autouse=True, scope="module")
def drawn_once() -> Iterator[None]:
    """Equal drawings are made once: most of these reports differ in a few words, and drawing takes most of the time."""
    with pytest.MonkeyPatch.context() as patch:
        places = ((run_curves, "panel_svg"), (run_device, "bar_chart"), (run_action_units, "bar_chart"))
        for module, name in places:
            patch.setattr(module, name, remembered(getattr(module, name)))
        yield


def remembered(draw: Callable[..., str]) -> Callable[..., str]:
    """`draw`, called once for equal arguments."""
    known: dict[bytes, str] = {}

    def drawn(*arguments: object) -> str:
        key = pickle.dumps(arguments)
        if key not in known:
            known[key] = draw(*arguments)
        return known[key]

    return drawn


def on_each(patterns: tuple[str, ...], change: Callable[[Path], object]) -> Callable[[Path], None]:
    """A change of every file or folder of the run that matches."""

    def all_changed(run: Path) -> None:
        for path in [path for pattern in patterns for path in sorted(run.glob(pattern))]:
            change(path)

    return all_changed


def drop(*patterns: str) -> Callable[[Path], None]:
    """Delete files or folders."""
    return on_each(patterns, lambda path: shutil.rmtree(path) if path.is_dir() else path.unlink())


def cut(name: str) -> Callable[[Path], None]:
    """Truncate a file in the middle."""
    return on_each((name,), lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3 + 7]))


def edit(pattern: str, **changes: Any) -> Callable[[Path], None]:
    """Replace top-level keys."""
    return on_each((pattern,), lambda path: edit_json(path, **changes))


def edit_epochs(**changes: Any) -> Callable[[Path], None]:
    """Replace keys in every line of every metrics.jsonl of the run and its baseline."""

    def change(path: Path) -> None:
        lines = [{**json.loads(line), **changes} for line in path.read_text().splitlines()]
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))

    return on_each(("seed*/metrics.jsonl", "../*-baseline-*/seed*/metrics.jsonl"), change)


def without_file(kind: str) -> Callable[[Path], None]:
    """A verification without one kind of file."""

    def change(path: Path) -> None:
        record = json.loads(path.read_text())
        for key in ("size_bytes", "latency_ms", "metrics", "kernels"):
            record[key].pop(kind, None)
        write_json(path, record)

    return on_each((VERIFICATIONS,), change)


VERIFICATIONS, SCORES = "seed*/verification.json", "seed*/scores.json"
CASES: dict[str, tuple[Callable[[Path], None], list[str]]] = {
    "nothing but the folder": (
        drop("*"),
        ["UNFINISHED", "no result yet", "command of this run is not recorded", "resolved.yaml) is missing", "No epoch"],
    ),
    "no training yet": (drop("seed*"), ["UNFINISHED", "No training has begun"]),
    "all unfinished": (
        drop(SCORES, VERIFICATIONS),
        ["UNFINISHED: seed1 and seed2", "no result yet", "unfinished after 30 epochs"],
    ),
    "one unfinished": (
        drop("seed2/scores.json", "seed2/verification.json"),
        ["UNFINISHED: seed2", "do not include seed2", "| not verified |"],
    ),
    "one not begun": (drop("seed2"), ["UNFINISHED: seed2", "(one training)", "(one pair)", "Only one"]),
    "no epochs": (
        drop("seed*/metrics.jsonl", f"../{BASELINE}/seed*/metrics.jsonl"),
        ["## Loss\n\nNo epoch has recorded"],
    ),
    "no verification": (
        drop(VERIFICATIONS),
        ["NOT VERIFIED: 2 seeds", "No TFLite file has been verified", "| int8 file | missing |"],
    ),
    "one verification missing": (drop("seed1/verification.json"), ["NOT VERIFIED: 1 seed", "| not verified |"]),
    "verdict of one missing": (edit("seed1/verification.json", passed=None), ["NOT VERIFIED: 1 seed"]),
    "no baseline": (drop("baseline.json"), ["no baseline to compare with", "No baseline was trained beside this run"]),
    "baseline folder gone": (drop(f"../{BASELINE}"), [f"folder ../{BASELINE} is not there"]),
    "baseline unfinished": (
        drop(f"../{BASELINE}/seed*/scores.json"),
        ["baseline has no finished training", "baseline has not finished seed1 and seed2"],
    ),
    "no seed in common": (drop("seed2", f"../{BASELINE}/seed1"), ["no finished training of the same seed"]),
    "no int8": (without_file("int8"), ["| int8 file | missing |"]),
    "no int4": (without_file("int4"), ["no int4 file"]),
    "no float32": (without_file("float32"), ["no float32 file"]),
    "no sizes": (edit(VERIFICATIONS, size_bytes={}, latency_ms={}), ["| int8 latency, one image | missing |"]),
    "no layers": (edit(VERIFICATIONS, layers=[]), ["lists no layers"]),
    "no exactness": (
        edit(VERIFICATIONS, code_mismatch=None, decision_agreement=None),
        ["| output codes that differ | missing |", "| decisions equal | missing |"],
    ),
    "float tensors": (edit("seed1/verification.json", float_tensors=["relu0"]), ["seed1: the int8 file holds float"]),
    "failed without a reason": (edit("seed1/verification.json", passed=False), ["FAIL: seed1", "without naming"]),
    "no memorisation": (edit(SCORES, train_noisy_fit=None), ["| wrong labels memorised | missing |"]),
    "no accuracy": (
        edit(SCORES, metrics={}),
        ["clean test accuracy missing", "| clean test accuracy | missing |"],
    ),
    "no oracle": (edit(SCORES, oracle=None), ["Epoch selected by: last epoch"]),
    "no noise mask": (drop("seed*/noise.npz"), ["Which labels were corrupted is not recorded"]),
    "no fits": (edit_epochs(train_noisy_fit=None, train_clean_fit=None), ["## Memorisation\n\nNo epoch has recorded"]),
    "no environment": (drop("environment.json"), ["command of this run is not recorded", "Versions and machine"]),
    "no configuration": (drop("resolved.yaml"), ["resolved.yaml) is missing", "unrecorded data"]),
    "configuration damaged": (
        lambda run: (run / "resolved.yaml").write_text("a: [1"),
        ["Not read: resolved.yaml is damaged", "a: [1"],
    ),
    "run failed": (
        edit("status.json", state="failed", message="NaN loss at step 12 in conv1"),
        ["**FAIL: the run stopped. NaN loss at step 12 in conv1**"],
    ),
    "line cut by a kill": (cut("seed1/metrics.jsonl"), ["Not read: seed1/metrics.jsonl: 1 damaged line"]),
    "status damaged": (cut("status.json"), ["status.json is damaged", "PASS"]),
    "baseline damaged": (cut(f"../{BASELINE}/seed1/scores.json"), ["Not read: baseline, seed1/scores.json is damaged"]),
}


@pytest.mark.parametrize("name", CASES)
def test_a_missing_part_is_said(tmp_path: Path, name: str):
    change, expected = CASES[name]
    run = write_sample_run(tmp_path, seeds=(1, 2))
    for seed in (1, 2):  # a few layers: drawing their histograms takes most of the time
        edit_json(run / f"seed{seed}" / "verification.json", layers=verification(seed)["layers"][:2])
    change(run)
    text = written(run)
    assert NONSENSE.search(text.partition("## Reproduce")[0]) is None
    assert [words for words in expected if words not in text] == []


def test_without_noise_there_is_nothing_to_memorise(tmp_path: Path):
    run = write_sample_run(tmp_path, seeds=(1,), config={"noise": {"kind": "none"}})
    for change in (edit(SCORES, train_noisy_fit=None), edit_epochs(train_noisy_fit=None), drop("seed*/noise.npz")):
        change(run)
    text = written(run)
    assert tiles(text)[MEMORISED][0] == "none" and "clean labels," in text and "noisy labels" not in text


def test_without_a_validation_part_it_is_said_once(tmp_path: Path):
    data = {"name": "synthetic_faces", "folds": [1], "val_fraction": 0.0}
    run = write_au_sample(tmp_path, folds=(1,), config={"data": data})
    reasons = [f"{name}: no known label in the validation part, so its threshold stays 0.5" for name in AUS]
    edit(SCORES, undefined=[*reasons, "AU2: no negative label in the test part, so no MCC"], val_f1=None)(run)
    text = written(run)
    assert text.count("No validation part") == 1 and "no known label" not in text
    assert "undefined for AU2" in verdict(text)
    assert "The files of seed1-fold1:" in text


def test_a_switched_off_file_is_called_switched_off(tmp_path: Path):
    run = write_sample_run(tmp_path, seeds=(1,), config={"convert": {"int8": True, "int4": False, "float32": True}})
    without_file("int4")(run)
    assert table(written(run), "Against the integer model")["int4 file"]["file size"] == "switched off"


def test_a_baseline_can_be_reported(tmp_path: Path):
    write_sample_run(tmp_path, seeds=(1,))
    text = written(tmp_path / BASELINE)
    assert "a baseline" in verdict(text) and "no baseline" not in text.lower()


@pytest.mark.parametrize(
    ("recorded", "noise", "value"),
    [
        (True, "none", "none"),
        (False, "none", "unknown"),
        (True, "annotators", "20.0 %"),
        (None, "annotators", "20.0 %"),
    ],
)
def test_what_is_memorised_is_known_only_where_the_truth_is(
    tmp_path: Path, recorded: bool | None, noise: str, value: str
):
    data = {"name": "bp4d", "folds": [1]}
    run = write_au_sample(tmp_path, folds=(1,), config={"data": data, "noise": {"kind": noise, "strength": 1.0}})
    edit_json(run / "data.json", truth_known=recorded)
    text = written(run)
    assert tiles(text)[MEMORISED][0] == value
    assert ("wrong labels" in table(text, "Every training")["seed1-fold1"]) == value.endswith("%")
    assert ("clean test F1" in tiles(text)) == (recorded is True)


def test_clean_labels_beside_given_ones_come_first(tmp_path: Path):
    config = {"data": {"name": "bp4d", "folds": [1]}, "noise": {"kind": "none"}}
    run = write_au_sample(tmp_path, folds=(1,), config=config)
    for path in (*run.glob(SCORES), *(run.parent / AU_BASELINE).glob(SCORES)):
        write_json(path, au_scores(int(path.parent.name[4]), 1, 1.6, 0.2))
        np.savez(path.parent / "noise.npz", corrupted=np.eye(len(AUS), dtype=bool), train=np.arange(len(AUS)))
    text = written(run)
    assert tiles(text)[MEMORISED][0] == "20.0 %" and "clean test F1" in tiles(text)
    assert table(text, "The same test images, given labels")
    assert table(text, "Every training")["seed1-fold1"]["wrong labels"] == "12 (8.3 %)"


def test_an_undefined_metric_is_named_never_zero(tmp_path: Path):
    run = write_au_sample(tmp_path, folds=(1,))
    for path in run.glob(SCORES):
        write_json(path, au_scores(int(path.parent.name[4]), 1, 1.6, 0.2, absent=("AU2",)))
    text = written(run)
    row = table(text, "Test subjects")["AU2"]
    assert row["F1 at 0.5"] == row["MCC"] == row["AUC"] == "undefined" and row["base rate"] == "0.0"
    assert "undefined for AU2" in verdict(text) and "seed1-fold1, seed2-fold1" in section(text, "Action units")
    assert "No interval: 4 test subjects" in text and row["95 % interval"] == "–"


def test_thresholds_and_results_no_better_than_always_yes_are_marked(tmp_path: Path):
    run = write_au_sample(tmp_path, folds=(1,))
    for path in run.glob(SCORES):
        record = json.loads(path.read_text())
        record["metrics"]["f1_tuned"]["AU4"] = record["metrics"]["f1_all_positive"]["AU4"]
        record["metrics"]["f1_mean"] = record["metrics"]["f1_all_positive_mean"] - 0.01
        record["thresholds"] |= {"AU6": 0.2 if "seed1" in str(path) else 0.34567}
        write_json(path, record)
    text = written(run)
    rows = table(text, "Test subjects")
    assert [name for name, row in rows.items() if "†" in row["F1 tuned"]] == ["AU4"]
    assert rows["AU6"]["threshold"] == "0.200 to 0.346" and "no better than predicting every" in verdict(text)


def test_a_subject_in_two_parts_and_an_unfinished_fold_are_said(tmp_path: Path):
    run = write_au_sample(tmp_path, folds=(1,), config={"data": {"name": "synthetic_faces", "folds": [1, 2]}})
    edit_json(run / "data.json", subjects={"1": {"train": ["F001"], "test": ["F001"]}}, skipped={})
    text = written(run)
    assert "UNFINISHED: seed1-fold2 and seed2-fold2" in verdict(text)
    part = section(text, "Faces")
    assert "In two parts of one fold: F001." in part and "skipped nothing" in part
    (run / "data.json").unlink()
    assert "data.json is not there" in section(written(run), "Faces")


def places(record: Any, prefix: tuple = ()) -> Iterator[tuple]:
    """Every place in a JSON value, of a list only the first."""
    first = list(enumerate(record))[:1] if isinstance(record, list) else []
    for key, value in record.items() if isinstance(record, dict) else first:
        yield (*prefix, key)
        yield from places(value, (*prefix, key))


def spoilt(record: Any, chosen: list[tuple], junk: object, here: tuple = ()) -> Any:
    """A copy of `record` with `junk` at the chosen places."""
    if here in chosen:
        return junk
    if isinstance(record, dict):
        return {key: spoilt(value, chosen, junk, (*here, key)) for key, value in record.items()}
    if isinstance(record, list):
        return [spoilt(value, chosen, junk, (*here, index)) for index, value in enumerate(record)]
    return record


@pytest.mark.parametrize("junk", JUNK, ids=str)
@pytest.mark.parametrize("name", ["scores.json", "verification.json", "metrics.jsonl", "faces", "data.json"])
def test_any_value_may_be_of_another_kind(tmp_path: Path, name: str, junk: object):
    """Every place is spoilt once, in GROUPS reports; in each, places above one another spoil what is below."""
    if name in ("faces", "data.json"):
        run = write_au_sample(tmp_path, folds=(1,), config={"seeds": [1]})
        path = run / "data.json" if name == "data.json" else run / "seed1-fold1" / "scores.json"
        (run / "seed1-fold1" / "verification.json").unlink()
        record = DATA if name == "data.json" else json.loads(path.read_text())
    else:
        run = write_sample_run(tmp_path, seeds=(1,))
        write_json(run / "seed1" / "verification.json", {**verification(1), "layers": verification(1)["layers"][:2]})
        path = run / "seed1" / name
        record = json.loads(path.read_text().splitlines()[0]) if name.endswith("l") else json.loads(path.read_text())
    (run / "baseline.json").unlink()
    every = [place for place in places(record) if "weight_codes" not in place or len(place) < 4]
    for group in range(GROUPS):
        path.write_text(json.dumps(spoilt(record, every[group::GROUPS], junk)))
        page = compose(read_run(run))
        assert HtmlCheck(html(page)).problems == [], (group, junk)
        assert "## Reproduce" in markdown(page), (group, junk)


def test_an_outlier_is_cut_off_and_said(tmp_path: Path):
    run = write_sample_run(tmp_path, seeds=(1,))
    with (run / "seed1" / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 31, "test_loss": 80.0}\n')
    written(run)
    page = (run / "report.html").read_text()
    assert page.count("axis cut, highest 80") == 1
