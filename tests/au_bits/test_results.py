"""What the search for bits refuses, keeps, averages and says, without a network."""

import json
from pathlib import Path

import pytest

from pipeline.au_bits.candidates import SearchSettings, candidates_of, check_searchable, uniform_bits, with_bits
from pipeline.au_bits.results import (
    MARK,
    MEASURED,
    add_measured,
    check_replaceable,
    choose,
    config_text,
    in_words,
    mean_table,
    read_measured,
    unmeasured,
)
from pipeline.au_bits.search import main
from pipeline.config import load_config
from pipeline.errors import UserError
from tests.processes import ROOT

FACES = str(ROOT / "qat_configs" / "synthetic_faces.yaml")
WEIGHTS = {"AU1": 100, "AU6": 100, "AU12": 100}
FIRST = {"AU1": {2: 0.2, 4: 0.6}, "AU6": {2: 0.5, 4: 0.5}, "AU12": {2: None, 4: None}}
SECOND = {"AU1": {2: 0.4, 4: 0.8}, "AU6": {2: None, 4: None}, "AU12": {2: None, 4: None}}


def measured(table: dict) -> dict:
    return {"f1": table, "head_weights": WEIGHTS, "other_bits": 1000}


def found(size_budget: float = 1.0) -> dict:
    return choose({"seed1": measured(FIRST), "seed2": measured(SECOND)}, 4, SearchSettings(0.01, size_budget, (2, 4)))


def test_the_mean_is_over_trainings_with_an_f1():
    assert mean_table([FIRST, SECOND], (2, 4)) == {
        "AU1": {2: pytest.approx(0.3), 4: pytest.approx(0.7)},
        "AU6": {2: 0.5, 4: 0.5},
        "AU12": {2: None, 4: None},
    }


def test_choice_and_sizes_in_packed_bits():
    result = found()
    assert result["choice"] == {"AU1": 4, "AU6": 2, "AU12": 4} and result["undefined"] == ["AU12"]
    assert result["size_bits"] == {
        "heads": {"uniform": 1200, "budget": 1200, "chosen": 1000},
        "network": {"uniform": 2200, "chosen": 2000},
    }
    assert found(0.5)["choice"] == {"AU1": 2, "AU6": 2, "AU12": 2}
    with pytest.raises(UserError, match="take 75 bytes at the fewest bits tried, more than 45"):
        found(0.3)


def test_the_summary_gives_table_sizes_and_undefined_units():
    text = in_words(found())
    rows = {line.split()[0]: line.split()[1:] for line in text.splitlines() if line.startswith("  ")}
    assert rows["AU1"] == ["0.300", "0.700", "4"] and rows["AU12"] == ["–", "–", "4"]
    assert rows["mean"] == ["0.400", "0.600", "3.33"]
    assert "1,000 packed bits instead of 1,200 with 4 bits everywhere (83 %; the budget is 100 %)" in text
    assert "0.600 with the chosen bits, 0.600 with 4 bits everywhere" in text
    assert "the mean of 2 trainings" in text and "F1 is undefined: AU12. Kept at 4 bits" in text


UNDEFINED = {"AU1": {2: 0.5, 3: 0.6, 8: 0.7}, "AU12": {2: None, 3: None, 8: None}}


def of_trainings(*trainings: str) -> dict:
    sizes = {"f1": UNDEFINED, "head_weights": {"AU1": 80, "AU12": 80}, "other_bits": 1000}
    return choose(dict.fromkeys(trainings, sizes), 4, SearchSettings(0.01, 1.5, (2, 3, 8)))


def test_undefined_f1_is_reported_even_if_the_equal_bits_were_not_tried():
    text = in_words(of_trainings("seed1-fold1"))
    assert "F1 is undefined: AU12. Kept at 4 bits" in text and "0.700 with the chosen bits." in text


@pytest.mark.parametrize(("trainings", "warned"), [
    (("seed1-fold1", "seed1-fold2"), True), (("seed1-fold2", "seed2-fold2"), False), (("seed1", "seed2"), False),
])  # fmt: skip
def test_several_folds_are_warned_of_in_words_and_in_the_config(trainings: tuple[str, ...], warned: bool):
    warning = "validation subjects of one fold are test subjects of another"
    result = of_trainings(*trainings)
    header = config_text(load_config(FACES), result, Path("x.yaml")).partition("\ndata:")[0]
    comments = " ".join(line.removeprefix("# ") for line in header.splitlines() if line.startswith("# "))
    assert (warning in in_words(result), warning in comments) == (warned, warned)


def test_measurements_are_kept_until_the_training_changes(tmp_path: Path):
    (tmp_path / "scores.json").write_text('{"seconds": 1.5}')
    assert read_measured(tmp_path) is None and unmeasured(None, (2, 4)) == [2, 4]
    add_measured(tmp_path, measured({"AU1": {4: 0.6}}))
    assert unmeasured(read_measured(tmp_path), (2, 4)) == [2]
    add_measured(tmp_path, measured({"AU1": {2: None}}))
    assert read_measured(tmp_path)["f1"] == {"AU1": {2: None, 4: 0.6}}
    assert list(json.loads((tmp_path / MEASURED).read_text())["f1"]["AU1"]) == ["2", "4"]
    (tmp_path / "scores.json").write_text('{"seconds": 1.6}')
    assert read_measured(tmp_path) is None


def test_the_config_is_the_experiment_with_the_choice(tmp_path: Path):
    experiment = load_config(FACES, ["data.aus=[1,6,12]", "train.epochs=3", "methods.0.warmup_epochs=0"])
    path = tmp_path / "synthetic_faces-au_bits.yaml"
    path.write_text(config_text(experiment, found(), path))
    chosen = load_config(path)
    assert chosen.name == "synthetic_faces-au_bits" and chosen.methods[0].au_bits == found()["choice"]
    assert chosen.model_copy(update={"name": experiment.name}) == with_bits(experiment, found()["choice"])
    check_replaceable(path)


def test_a_users_own_file_is_not_replaced(tmp_path: Path, capsys: pytest.CaptureFixture):
    path = tmp_path / "synthetic_faces-au_bits.yaml"
    check_replaceable(path)
    path.write_text(f"# mine\n{MARK}")
    assert main(["--config", FACES, "--output-dir", str(tmp_path)]) == 2
    assert "was not written by this command" in capsys.readouterr().err
    assert path.read_text().startswith("# mine") and not (tmp_path / "runs").exists()


def test_equal_bits_are_those_of_the_default():
    assert uniform_bits(load_config(FACES)) == 4
    assert uniform_bits(load_config(FACES, ["methods.0.au_bits={default: 3}"])) == 3


@pytest.mark.parametrize(("override", "message"), [
    ("methods=[]", "methods: no quantization"),
    ("model.heads=common", "model.heads: common has one head"),
    ("methods.0.au_bits={AU6: 8, AU1: 2}", "names AU6, AU1, but the search starts from equal bits"),
    ("methods.0.overrides=[{layers: AU1_*, weight_bits: 8}]", "'AU1_*' sets the bits of AU1_dense1"),
    ("data.val_fraction=0", "data.val_fraction: 0 leaves no validation subjects"),
    (f"name={'n' * 93}", "is too long to append -au_bits. Use at most 92 characters"),
])  # fmt: skip
def test_an_experiment_without_bits_to_choose(
    override: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture
):
    assert main(["--config", FACES, "--set", override, "--output-dir", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and message in said
    assert not list(tmp_path.iterdir())


def test_images_have_no_action_units(tmp_path: Path, capsys: pytest.CaptureFixture):
    config = str(ROOT / "qat_configs" / "fashion_mnist.yaml")
    assert main(["--config", config, "--output-dir", str(tmp_path)]) == 2
    assert "data.name: fashion_mnist has no action units" in capsys.readouterr().err


def test_overrides_of_other_layers_are_allowed():
    check_searchable(load_config(FACES, ["methods.0.overrides=[{layers: AU1_logit, weight_bits: 4}]"]))


@pytest.mark.parametrize(("options", "message"), [
    (["--tolerance", "-0.1"], "--tolerance -0.1"),
    (["--tolerance", "nan"], "--tolerance nan"),
    (["--size-budget", "0"], "--size-budget 0"),
    (["--size-budget", "5"], "--size-budget 5"),
    (["--candidates", "1,4"], "--candidates 1,4"),
    (["--candidates", "2,16"], "--candidates 2,16"),
    (["--candidates", "2;4"], "--candidates 2;4"),
    (["--candidates", ""], "--candidates"),
])  # fmt: skip
def test_options_out_of_range(options: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture):
    assert main(["--config", FACES, "--output-dir", str(tmp_path), *options]) == 2
    assert capsys.readouterr().err.startswith(f"error: {message}")


def test_candidates_are_ordered_and_counted_once():
    assert candidates_of("8, 2,2,4") == (2, 4, 8)
