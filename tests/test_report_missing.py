"""A report of a folder in which something is missing or damaged: said in words, never a crash, never invented."""

import copy
import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.report import compose, write_report
from pipeline.reporting import html, markdown
from pipeline.reporting.read import read_run
from tests.html_check import HtmlCheck
from tests.report_sample import BASELINE, edit_json, verification, write_json, write_sample_run

JUNK = (None, "text", [], -1)
NONSENSE = re.compile(r"\b(None|nan|inf)\b|\{\}|\[\]")


def written(run: Path) -> str:
    """The Markdown report, after checking that the page is well-formed."""
    write_report(run)
    check = HtmlCheck((run / "report.html").read_text())
    assert check.problems == []
    return (run / "report.md").read_text()


def drop(*names: str) -> Callable[[Path], None]:
    """Delete files or folders of the run."""

    def change(run: Path) -> None:
        for path in (path for name in names for path in sorted(run.glob(name))):
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    return change


def cut(name: str) -> Callable[[Path], None]:
    """Truncate a file in the middle."""

    def change(run: Path) -> None:
        content = (run / name).read_bytes()
        (run / name).write_bytes(content[: len(content) * 2 // 3 + 7])

    return change


def edit(pattern: str, **changes: Any) -> Callable[[Path], None]:
    """Replace top-level keys in all files that match."""

    def change(run: Path) -> None:
        for path in run.glob(pattern):
            edit_json(path, **changes)

    return change


def edit_epochs(**changes: Any) -> Callable[[Path], None]:
    """Replace keys in every line of every metrics.jsonl of the run and its baseline."""

    def change(run: Path) -> None:
        for path in run.parent.glob("*/seed*/metrics.jsonl"):
            lines = [{**json.loads(line), **changes} for line in path.read_text().splitlines()]
            path.write_text("".join(json.dumps(line) + "\n" for line in lines))

    return change


def remove_file_kind(kind: str) -> Callable[[Path], None]:
    """A verification without one kind of file."""

    def change(run: Path) -> None:
        for path in run.glob("seed*/verification.json"):
            record = json.loads(path.read_text())
            for key in ("size_bytes", "latency_ms", "metrics", "kernels"):
                record[key].pop(kind, None)
            write_json(path, record)

    return change


CASES: dict[str, tuple[Callable[[Path], None], list[str]]] = {
    "nothing but the folder": (
        drop("*"),
        [
            "**UNFINISHED: nothing has been trained",
            "No seed of this run",
            "command of this run is not recorded",
            "resolved.yaml) is missing",
            "No epoch has recorded a loss",
            "Versions and machine are not recorded",
        ],
    ),
    "no seed yet": (drop("seed*"), ["UNFINISHED: nothing has been trained", "No seed folder is there yet"]),
    "all seeds unfinished": (
        drop("seed*/scores.json", "seed*/verification.json"),
        ["UNFINISHED: seed1, seed2 and seed3 did not finish", "there is no result yet", "unfinished after 30 epochs"],
    ),
    "one seed unfinished": (
        drop("seed3/scores.json", "seed3/verification.json"),
        [
            "UNFINISHED: seed3 did not finish.",
            "The numbers are without seed3",
            "mean of 2 seeds",
            "| seed3 | not verified |",
        ],
    ),
    "one seed not begun": (drop("seed2"), ["UNFINISHED: seed2 did not finish.", "mean of 2 seeds"]),
    "one seed left": (drop("seed2", "seed3"), ["Only one seed: no spread is known", "(one pair, no interval)"]),
    "no epochs": (
        drop("seed*/metrics.jsonl", f"../{BASELINE}/seed*/metrics.jsonl"),
        ["No epoch has recorded a loss yet"],
    ),
    "no verification": (
        drop("seed*/verification.json"),
        [
            "**NOT VERIFIED: 3 of 3 seeds still to be compared with LiteRT.**",
            "No TFLite file has been verified",
            "size, latency and exactness are unknown",
            "| int8 file | missing |",
        ],
    ),
    "one verification missing": (
        drop("seed1/verification.json"),
        ["NOT VERIFIED: 1 of 3 seeds", "| seed1 | not verified |"],
    ),
    "verdict of the verification missing": (
        edit("seed1/verification.json", passed=None),
        ["NOT VERIFIED: 1 of 3 seeds"],
    ),
    "no baseline": (
        drop("baseline.json"),
        [
            "No baseline is there to compare with",
            "No baseline was trained beside this run",
            "no baseline to compare with",
        ],
    ),
    "baseline folder gone": (
        drop(f"../{BASELINE}"),
        [f"The baseline's folder ../{BASELINE} is not there", "No baseline is there to compare"],
    ),
    "baseline unfinished": (
        drop(f"../{BASELINE}/seed*/scores.json"),
        ["The baseline has no finished seed yet", "The baseline has not finished seed1, seed2 and seed3"],
    ),
    "baseline with one seed": (
        drop(f"../{BASELINE}/seed[12]"),
        ["(one pair, no interval)", "baseline has not finished seed1 and seed2"],
    ),
    "no seed in common": (
        drop("seed3", f"../{BASELINE}/seed[12]"),
        ["no seed of both has finished, so the difference is unknown"],
    ),
    "no int8": (
        remove_file_kind("int8"),
        ["No int8 file was made", "No int8 file: missing", "The int8 latency is missing"],
    ),
    "no int4": (remove_file_kind("int4"), ["no int4 file was made", "No int4 file: missing"]),
    "no float32": (remove_file_kind("float32"), ["there is no float file to compare with", "No float32 file: missing"]),
    "no sizes and latencies": (
        edit("seed*/verification.json", size_bytes={}, latency_ms={}),
        ["No int8 and no int4 file was made"],
    ),
    "no layers": (
        edit("seed*/verification.json", layers=[]),
        ["The verification lists no layers", "No weight codes were"],
    ),
    "no exactness": (
        edit("seed*/verification.json", code_mismatch=None, decision_agreement=None),
        ["How exactly LiteRT computes what training evaluated is missing", "| output codes that differ | missing |"],
    ),
    "no integer model": (
        edit("seed*/verification.json", code_mismatch=None, max_code_difference=None, kernels={}, layers=[]),
        ["**PASS", "99.97 % of the 10,000 decisions equal those", "| output codes that differ | missing |"],
    ),
    "float tensors": (
        edit("seed1/verification.json", float_tensors=["relu0"]),
        ["**seed1: the int8 file holds float tensors"],
    ),
    "failure without words": (
        edit("seed1/verification.json", passed=False),
        ["- seed1: verification failed without naming"],
    ),
    "no memorisation": (
        edit("seed*/scores.json", train_noisy_fit=None),
        ["memorised is missing", "| wrong labels memorised | missing |"],
    ),
    "no accuracy": (edit("seed*/scores.json", metrics={}), ["its clean test accuracy is missing"]),
    "no oracle": (edit("seed*/scores.json", oracle=None), ["Selection rule: last epoch"]),
    "no noise mask": (drop("seed*/noise.npz"), ["Which labels were corrupted is not recorded"]),
    "no fits by epoch": (
        edit_epochs(train_noisy_fit=None, train_clean_fit=None),
        ["No epoch has recorded how many training labels"],
    ),
    "right labels only": (edit_epochs(train_noisy_fit=None), ["Only one of wrong and right labels was recorded"]),
    "no moving statistics": (edit_epochs(moving=None), ["## Accuracy"]),
    "no environment": (drop("environment.json"), ["The command of this run is not recorded", "Versions and machine"]),
    "no configuration": (drop("resolved.yaml"), ["resolved.yaml) is missing", "a data set this folder does not name"]),
    "run failed": (
        edit("status.json", state="failed", message="NaN loss at step 12 in s1b1_conv1"),
        ["**FAIL: the run stopped. NaN loss at step 12 in s1b1_conv1**"],
    ),
    "line cut by a kill": (cut("seed1/metrics.jsonl"), ["Not read: seed1/metrics.jsonl: 1 damaged line"]),
    "scores damaged": (cut("seed1/scores.json"), ["Not read: seed1/scores.json is damaged", "seed1 did not finish"]),
    "verification damaged": (cut("seed1/verification.json"), ["Not read: seed1/verification.json is damaged"]),
    "mask damaged": (cut("seed1/noise.npz"), ["Not read: seed1/noise.npz is damaged"]),
    "status damaged": (cut("status.json"), ["status.json is damaged", "PASS"]),
    "baseline's scores damaged": (
        cut(f"../{BASELINE}/seed1/scores.json"),
        ["Not read: baseline, seed1/scores.json is damaged"],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_missing_part_is_said_in_words(tmp_path: Path, name: str):
    change, expected = CASES[name]
    run = write_sample_run(tmp_path)
    change(run)
    text = written(run)
    assert NONSENSE.search(text.partition("## Reproduce")[0]) is None
    for words in expected:
        assert words in text


def test_run_without_noise_has_nothing_to_memorise(tmp_path: Path):
    run = write_sample_run(tmp_path, config={"noise": {"kind": "none"}})
    for change in (edit("seed*/scores.json", train_noisy_fit=None), edit_epochs(train_noisy_fit=None)):
        change(run)
    drop("seed*/noise.npz")(run)
    text = written(run)
    assert "with clean labels, the network" in text
    assert "there was nothing wrong to memorise" in text
    assert "| wrong labels memorised | none | the training labels were left clean |" in text
    assert "noisy labels" not in text


def test_run_without_validation_split_says_so(tmp_path: Path):
    data = {"name": "fashion_mnist", "val_fraction": 0.0}
    run = write_sample_run(tmp_path, config={"data": data})
    none = {"val_accuracy": None, "val_clean_accuracy": None}
    edit_epochs(**none, val_loss=None, moving=None)(run)
    edit("seed*/scores.json", **none)(run)
    text = written(run)
    assert "There is no validation split" in text
    assert "The files of seed1, the first that was verified." in text


def test_switched_off_file_is_named_as_switched_off(tmp_path: Path):
    run = write_sample_run(tmp_path, config={"convert": {"int8": True, "int4": False, "float32": True}})
    remove_file_kind("int4")(run)
    assert "No int4 file: switched off (convert.int4: false)." in written(run)


def test_baseline_itself_can_be_reported(tmp_path: Path):
    write_sample_run(tmp_path)
    text = written(tmp_path / BASELINE)
    assert "the network (no method: a baseline)" in text


def test_lines_of_one_epoch_keep_the_last(tmp_path: Path):
    run = write_sample_run(tmp_path, seeds=(1,))
    drop("baseline.json")(run)
    path = run / "seed1" / "metrics.jsonl"
    last = json.loads(path.read_text().splitlines()[-1])
    path.write_text(path.read_text() + json.dumps({**last, "test_loss": 7.25}) + "\n")
    row = next(line for line in written(run).splitlines() if line.startswith("| 30 |"))
    assert "| 7.25 |" in row


def paths_of(record: Any, prefix: tuple = ()) -> Iterator[tuple]:
    """Every place in a JSON value, of a list only the first."""
    first = list(enumerate(record))[:1] if isinstance(record, list) else []
    for key, value in record.items() if isinstance(record, dict) else first:
        yield (*prefix, key)
        yield from paths_of(value, (*prefix, key))


def replaced(record: Any, path: tuple, value: Any) -> Any:
    """A copy of `record` with another value at `path`."""
    changed = copy.deepcopy(record)
    place = changed
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return changed


@pytest.mark.parametrize("name", ["scores.json", "verification.json", "metrics.jsonl"])
def test_any_value_may_be_of_another_kind(tmp_path: Path, name: str):
    run = write_sample_run(tmp_path, seeds=(1,))
    drop("baseline.json")(run)
    lines = (run / "seed1" / "metrics.jsonl").read_text().splitlines()[:2]
    (run / "seed1" / "metrics.jsonl").write_text("\n".join(lines))
    write_json(run / "seed1" / "verification.json", {**verification(1), "layers": verification(1)["layers"][:1]})
    path = run / "seed1" / name
    record = json.loads(path.read_text().splitlines()[0] if name == "metrics.jsonl" else path.read_text())
    record.get("layers", [{}])[0].pop("weight_codes", None)
    for place in paths_of(record):
        for junk in JUNK:
            path.write_text(json.dumps(replaced(record, place, junk)))
            document = compose(read_run(run))
            assert HtmlCheck(html.render(document)).problems == [], (place, junk)
            assert "## Reproduce" in markdown.render(document), (place, junk)
