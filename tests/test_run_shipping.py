"""What a run ships and what it does not: useless networks, variants of one file, names; and how it was configured."""

import json
import os
import shutil
from pathlib import Path

import pytest

from pipeline.config import ConfigError, read_config
from pipeline.run import main
from pipeline.runs.folder import read_status
from pipeline.tflite.ship import check_shipped
from tests.test_run import SMALL, SMOKE, arguments, run_folder

QUICK = ("train.epochs=1", "train.learning_rate=0.001")
DIVERGED = ("train.epochs=1", "train.learning_rate=1e6")


def shipped_hash(output: Path) -> str:
    return check_shipped(output / "tflite_out" / "smoke")["config_hash"]


def hash_of(output: Path, *overrides: str) -> str:
    return run_folder(output, *overrides).name.removeprefix("smoke-")


@pytest.fixture(scope="module")
def output(tmp_path_factory) -> Path:
    """An output folder with a finished run whose configuration came through a pipe."""
    folder = tmp_path_factory.mktemp("shipping")
    reader, writer = os.pipe()
    os.write(writer, b"name: smoke\n" + Path(SMOKE).read_bytes())
    os.close(writer)
    parts = arguments(folder, *QUICK)
    parts[parts.index(SMOKE)] = f"/dev/fd/{reader}"
    assert main(parts) == 0
    os.close(reader)
    return folder


def test_the_configuration_is_kept_as_it_came_through_the_pipe(output):
    assert (run_folder(output, *QUICK) / "config.yaml").read_text() == "name: smoke\n" + Path(SMOKE).read_text()


def test_a_loss_in_the_millions_is_not_shipped_without_being_asked_to(output, capfd):
    folder, before = run_folder(output, *DIVERGED), shipped_hash(output)
    assert main(arguments(output, *DIVERGED)) == 1
    message = capfd.readouterr().err
    assert "NOT SHIPPED" in message and "--ship-anyway" in message and "loss on the training images grew" in message
    assert shipped_hash(output) == before == hash_of(output, *QUICK)
    assert "NO BETTER THAN CHANCE" in (folder / "log.txt").read_text()
    assert "NO BETTER THAN CHANCE" in (folder / "report.md").read_text().split("Results by training")[0]
    assert "not shipped" in (folder / "report.md").read_text()
    assert json.loads((folder / "seed1" / "verification.json").read_text())["passed"]
    trained = (folder / "seed1" / "scores.json").stat().st_mtime_ns
    assert main([*arguments(output, *DIVERGED), "--ship-anyway"]) == 0
    assert shipped_hash(output) == hash_of(output, *DIVERGED)
    assert "NO BETTER THAN CHANCE" in (output / "tflite_out" / "smoke" / "MODEL_CARD.md").read_text()
    assert read_status(folder)["state"] == "done" and trained == (folder / "seed1" / "scores.json").stat().st_mtime_ns
    message = capfd.readouterr().err
    assert (
        f"configuration {before} will be replaced" in message
        and f"replaced the files of configuration {before}" in message
    )
    assert main([*arguments(output, *DIVERGED), "--ship-anyway"]) == 0  # at once
    assert "replaced" not in capfd.readouterr().err


def test_a_network_whose_run_is_gone_is_not_replaced(output, tmp_path, capsys):
    """The first folder of a fresh clone: the model that comes with it, and no runs."""
    shutil.copytree(output / "tflite_out", tmp_path / "tflite_out")
    other = ("train.epochs=7", "baseline=true")  # which would be trained first
    for options in ((), ("--dry-run",)):
        assert main([*arguments(tmp_path, *other), *options]) == 2
        assert "--name NAME" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists() and check_shipped(tmp_path / "tflite_out" / "smoke")


@pytest.mark.parametrize("options", [(), ("--dry-run",)])
def test_a_file_in_the_place_of_the_folder_is_noticed_before_training(options: tuple[str, ...], tmp_path, capsys):
    (tmp_path / "tflite_out").mkdir()
    (tmp_path / "tflite_out" / "smoke").touch()
    assert main([*arguments(tmp_path), *options]) == 2
    assert "is not a folder" in capsys.readouterr().err and not (tmp_path / "runs").exists()


def test_a_sidecar_without_the_hash_of_a_configuration_is_not_replaced(tmp_path, capsys):
    (tmp_path / "tflite_out" / "smoke").mkdir(parents=True)
    (tmp_path / "tflite_out" / "smoke" / "model.json").write_text('{"name": "smoke"}')
    assert main(arguments(tmp_path)) == 2
    assert "another configuration" in capsys.readouterr().err


def test_a_name_is_that_of_both_folders(capsys):
    assert main(["--config", SMOKE, "--name", "other", "--print-config"]) == 0
    assert "name: other\n" in capsys.readouterr().out
    assert read_config(SMOKE, ["name=third", *SMALL], "7")[0].name == "7"


@pytest.mark.parametrize("name", ["a/b", "", "..", " x"])
def test_a_name_that_no_folder_can_have_is_refused(name: str):
    with pytest.raises(ConfigError, match=f"--name {name}: name: expected"):
        read_config(SMOKE, [], name)
