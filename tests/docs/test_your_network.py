"""The page for people with a network of their own: its blocks run in their order, from arrays to a folder to ship."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tf_keras

from pipeline.models.activations import ACTIVATIONS
from pipeline.models.advice import ACTIVATION_ADVICE, ADVICE
from pipeline.models.refusals import TAKEN
from tests.docs.test_readme import DOCS, ROOT, blocks

MAX_LINES = 12
CLASSES = ["cat", "dog", "fox"]


def pictures(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 (N, 12, 12, 3) whose colour tells the class, and the classes (N,)."""
    random, labels = np.random.default_rng(seed), np.arange(count) % len(CLASSES)
    colours = 60 + 120 * np.eye(3)[labels][:, None, None]
    return np.clip(random.normal(colours, 30, (count, 12, 12, 3)), 0, 255).astype(np.uint8), labels


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> tuple[list[str], dict, Path]:
    """The blocks of the page, their names after all of them have run, and the folder in which they ran."""
    folder = tmp_path_factory.mktemp("page")
    texts = blocks("python", (DOCS / "your_network.md").read_text(encoding="utf-8"))
    (images, labels), (test_images, test_labels) = pictures(256, 1), pictures(90, 2)
    np.savez(folder / "pictures.npz", images=images, labels=labels, test_images=test_images, test_labels=test_labels)
    names: dict = {}
    tf_keras.utils.set_random_seed(3)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for text in texts:
            exec(compile(text, "your_network.md", "exec"), names)
            names.setdefault("shipped", names["report"])
    return texts, names, folder


def test_a_dozen_lines_give_a_verified_folder(page):
    texts, names, folder = page
    assert len(texts[0].splitlines()) <= MAX_LINES
    report = names["shipped"]
    assert report["passed"] and report["code_mismatch"] == 0 and report["examples"] == 90
    assert set(report["weight_bits"].values()) == {4, 8} and report["metrics"]["int8"] > 0.9  # chance: 0.33
    sidecar = json.loads((folder / "my_network" / "model.json").read_text(encoding="utf-8"))
    assert sidecar["labels"] == CLASSES and sidecar["input"]["height_width_channels"] == [12, 12, 3]


def test_the_folder_checks_itself(page):
    folder = page[2] / "my_network"
    for command in (["-m", "pipeline.deployment"], ["tflite_out/check_golden.py"]):
        done = subprocess.run([sys.executable, *command, folder], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_other_blocks_do_what_they_say(page):
    _, names, folder = page
    assert names["report"]["passed"] and names["report"]["code_mismatch"] == 0
    assert names["report"]["metrics"]["int8"] > 0.9 and set(names["report"]["weight_bits"].values()) == {8}
    assert (folder / "post_training" / "model_int8.tflite").is_file()
    batch = (names["images"][:8] / 255).astype(np.float32)
    expected = names["model"](batch, training=False)
    np.testing.assert_array_equal(names["same"](batch, training=False), expected)
    np.testing.assert_array_equal(names["load"](folder / "model.keras")(batch, training=False), expected)


def kinds_in(text: str) -> set[str]:
    """The layers of tf_keras that a text names as code."""
    named = {name for code in re.findall(r"`([^`]+)`", text) for name in re.findall(r"\w+", code)}
    return {name for name in named if hasattr(tf_keras.layers, name) and name[0].isupper()}


def test_the_page_names_every_layer_that_is_taken_and_every_one_that_is_refused():
    section = (DOCS / "your_network.md").read_text(encoding="utf-8").partition("## What can be quantized")[2]
    taken, refused = section.partition("\n## ")[0].split("| Refused | Write instead |")
    layers = {kind for kind in TAKEN if hasattr(tf_keras.layers, kind)} - {"InputLayer"}
    assert layers <= kinds_in(taken), layers - kinds_in(taken)
    assert not kinds_in(taken) & ADVICE.keys()
    left = "\n".join(line.split("|")[1] for line in refused.splitlines() if line.startswith("| "))
    kinds = {kind for kind in ADVICE if ":" not in kind}
    assert kinds <= kinds_in(left), kinds - kinds_in(left)
    for name in {*ACTIVATIONS.values()} - {"linear"}:
        assert name.replace("_", " ") in taken.lower(), name
    for name in ACTIVATION_ADVICE.keys() - {"leaky_relu", "log_softmax"}:
        assert name in left, name
