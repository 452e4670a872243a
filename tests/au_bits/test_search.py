"""From a config to chosen bits, and the benchmark that trains with them: real networks, cut small."""

import json
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import au_bits as benchmark
from pipeline.au_bits.measure import _alone
from pipeline.au_bits.search import main
from pipeline.config import config_hash, load_config, to_yaml
from pipeline.runs.stopping import StopFlag, Stopped

SMALL = (
    "data.aus=[1,6]", "data.subjects=6", "data.render_size=48", "data.image_size=32", "data.val_fraction=0.25",
    "model.width=4", "model.head_units=8", "train.batch_size=16", "train.statistics_batches=2",
    "convert={int4: false, float32: false}",
    "verify={latency_runs: 10, decision_agreement: 0.9, fake_quant_agreement: 0.5, metric_delta: 100}",
)  # fmt: skip
SCALE = {"folds": [1], "seeds": [1], "frames": 2, "epochs": 1}
BUDGET = 0.5  # of 4 bits: 2 bits everywhere, so that one more training is all it takes


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The output folder, the result and the base experiment of a benchmark with 4 and with 2 bits in the heads."""
    folder = tmp_path_factory.mktemp("au_bits")
    options = [part for key, value in SCALE.items() for part in (f"--{key}", *np.atleast_1d(value).astype(str))]
    options += [part for override in SMALL for part in ("--set", override)]
    options += ["--budgets", str(BUDGET), "--candidates", "2", "4"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TFDS_DATA_DIR", str(folder / "tfds"))
        patch.setattr(benchmark, "UNIFORM", (4,))
        benchmark.main([*options, "--output-dir", str(folder), "--results", str(folder / "results")])
        base = benchmark.base_experiment(Namespace(**SCALE, overrides=SMALL))
        yield folder, json.loads((folder / "results" / "au_bits.json").read_text()), base


def command(folder: Path, base, *options: str) -> list[str]:
    config = folder / "base.yaml"
    config.write_text(to_yaml(base))
    return ["--config", str(config), "--output-dir", str(folder), "--candidates", "2,4", *options]


def seed_folder(folder: Path, base) -> Path:
    return folder / "runs" / f"au_bits-{config_hash(base)}" / "seed1-fold1"


def test_as_many_bits_as_trained_give_the_f1_of_training(finished):
    folder, _, base = finished
    measured = json.loads((seed_folder(folder, base) / "au_sensitivity.json").read_text())
    scores = json.loads((seed_folder(folder, base) / "scores.json").read_text())
    f1 = [row["4"] for row in measured["f1"].values() if row["4"] is not None]
    assert np.mean(f1) == pytest.approx(scores["val_f1"], abs=1e-9)
    assert measured["head_weights"] == dict.fromkeys(("AU1", "AU6"), 16 * 8 + 8 * 8)


def test_a_head_is_measured_alone():
    """Stand-in for a network whose heads notice the most bits that any head has."""

    def logits(au_bits: dict[str, int]) -> np.ndarray:
        bits = [au_bits.get(name, au_bits["default"]) for name in ("AU1", "AU6", "AU12")]
        return np.array([[10 * max(bits) + own for own in bits]])

    for bits, expected in ((2, 42), (3, 43), (4, 44), (8, 88)):
        assert _alone(logits, ("AU1", "AU6", "AU12"), 4, bits).tolist() == [[expected] * 3]
    assert _alone(lambda au_bits: np.array([[au_bits["default"]]]), ("AU1",), 4, 2).tolist() == [[2]]


def test_the_command_reuses_the_training_and_writes_a_config(finished, capsys):
    folder, _, base = finished
    before = {path: path.stat().st_mtime_ns for path in seed_folder(folder, base).iterdir()}
    assert main(command(folder, base, "--size-budget", "0.75", "--tolerance", "0")) == 0
    assert {path: path.stat().st_mtime_ns for path in seed_folder(folder, base).iterdir()} == before
    said = capsys.readouterr().out
    found = json.loads((seed_folder(folder, base).parent / "au_bits.json").read_text())
    chosen = load_config(folder / "au_bits-au_bits.yaml")
    assert chosen.methods[0].au_bits == found["choice"] and sum(found["choice"].values()) <= 6
    assert found["size_bits"]["heads"]["chosen"] <= found["size_bits"]["heads"]["budget"]
    assert f"config: {folder / 'au_bits-au_bits.yaml'}" in said and "packed bits instead of 1,536" in said


def test_a_search_that_is_stopped_measures_nothing_more(finished):
    folder, _, base = finished
    stored = (seed_folder(folder, base) / "au_sensitivity.json").read_bytes()
    stop = StopFlag()
    stop.signum = 2
    with pytest.raises(Stopped):
        benchmark.search(base, "", folder, benchmark.SearchSettings(candidates=(2, 3, 4)), stop)
    assert (seed_folder(folder, base) / "au_sensitivity.json").read_bytes() == stored


def test_the_benchmark_trains_with_the_choice(finished):
    folder, result, _ = finished
    rows = {row["variant"]: row for row in result["rows"]}
    assert set(rows) == {"4 bits", "chosen, budget 0.5", "even, budget 0.5"}
    assert rows["chosen, budget 0.5"]["au_bits"] == {"AU1": 2, "AU6": 2}
    assert rows["chosen, budget 0.5"]["run"] == rows["even, budget 0.5"]["run"] != rows["4 bits"]["run"]
    assert rows["chosen, budget 0.5"]["head_bits"] == rows["4 bits"]["head_bits"] / 2 == 2 * 192 * 2
    verification = folder / "runs" / rows["chosen, budget 0.5"]["run"] / "seed1-fold1" / "verification.json"
    bits = {layer["name"]: layer["weight_bits"] for layer in json.loads(verification.read_text())["layers"]}
    assert bits["AU1_dense1"] == bits["AU6_dense2"] == 2 and bits["AU1_logit"] == 8
    assert result["machine"]["packages"]["tensorflow"] and result["machine"]["cores"]
    assert "| chosen, budget 0.5 | 1 | 50 % |" in (folder / "results" / "au_bits.md").read_text()


def test_even_bits_have_the_size_of_the_choice():
    choice = {"AU1": 8, "AU2": 2, "AU4": 2, "AU6": 3}
    even = benchmark.even_bits(choice, seed=1)
    assert sorted(even.values()) == [3, 4, 4, 4] and list(even) == list(choice)
    assert even == benchmark.even_bits(choice, seed=1)
    assert len({tuple(benchmark.even_bits(choice, seed).values()) for seed in range(20)}) == 4


def test_equal_bits_are_written_as_the_default():
    assert benchmark.shortest({"AU1": 4, "AU2": 4}, 4) == {}
    assert benchmark.shortest({"AU1": 3, "AU2": 3}, 4) == {"default": 3}
    assert benchmark.shortest({"AU1": 3, "AU2": 4}, 4) == {"AU1": 3, "AU2": 4}


def made_up(variant: str, values: list[float], head_bits: int) -> list[dict]:
    row = {"variant": variant, "seed": 1, "head_bits": head_bits, "f1_noisy": None}
    return [row | {"fold": fold, "f1": f1, "f1_tuned": f1, "val_f1": f1} for fold, f1 in enumerate(values, start=1)]


def test_differences_are_paired_by_fold_and_seed():
    rows = made_up("4 bits", [0.5, 0.9], 400) + made_up("even, budget 1", [0.4, 0.8], 400)
    rows += made_up("chosen, budget 1", [0.52, 0.94], 400)
    result = benchmark.summary(rows, [1.0])
    found = {(row["other"], row["metric"]): row for row in result["comparisons"]}
    assert found["4 bits", "f1"]["mean"] == pytest.approx(0.03) and found["4 bits", "f1"]["pairs"] == 2
    assert found["even, budget 1", "f1"]["mean"] == pytest.approx(0.13)
    assert result["variants"]["4 bits"]["f1"] == pytest.approx(0.7) and result["variants"]["4 bits"]["f1_noisy"] is None


@pytest.mark.parametrize(("low", "high", "verdict"), [
    (0.01, 0.03, "better"), (-0.01, 0.05, "no difference detected"), (-0.03, -0.01, "worse"),
])  # fmt: skip
def test_the_verdict_follows_from_the_interval(low: float, high: float, verdict: str):
    row = {"variant": "a", "other": "b", "metric": "f1", "mean": (low + high) / 2, "low": low, "high": high, "pairs": 6}
    assert benchmark._sentence(row).endswith(f"95 %, 6 pairs): {verdict}.")
