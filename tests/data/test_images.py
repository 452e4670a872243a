"""Where image sets are looked for, what is taken of them, and what a user who lacks them is told."""

import dataclasses
import subprocess
import sys
import tarfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from pipeline.data.images import SOURCES, find, load_images
from pipeline.data.splits import training_subset
from pipeline.errors import UserError
from tests.data.data_trees import section, write_cifar10, write_fashion_mnist

pytestmark = pytest.mark.filterwarnings("error")

NOBODY = "http://127.0.0.1:9/nothing.gz"  # the discard port: nobody answers


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without data and without a network; the folder that stands for its system and TFDS folders."""
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    for name, source in SOURCES.items():
        package = source.package and dataclasses.replace(source.package, folder=tmp_path / "system")
        monkeypatch.setitem(SOURCES, name, dataclasses.replace(source, package=package, tfds_url=NOBODY))
    return tmp_path


def test_loads_fashion_mnist_from_its_root(tmp_path: Path) -> None:
    train, test = load_images(section("fashion_mnist", write_fashion_mnist(tmp_path)))
    assert train.images.shape == (40, 28, 28, 1) and test.images.shape == (20, 28, 28, 1)


def test_loads_cifar10_from_the_folder_above(tmp_path: Path) -> None:
    write_cifar10(tmp_path, 6)
    train, test = load_images(section("cifar10", tmp_path))
    assert train.images.shape == (30, 32, 32, 3) and test.images.shape == (6, 32, 32, 3)


def test_without_a_root_the_system_folder_counts(bare: Path) -> None:
    write_fashion_mnist(bare / "system")
    assert len(load_images(section("fashion_mnist"))[0]) == 40


def test_takes_a_subset_that_the_seed_does_not_know(tmp_path: Path) -> None:
    root = write_fashion_mnist(tmp_path)
    whole, whole_test = load_images(section("fashion_mnist", root))
    train, test = load_images(section("fashion_mnist", root, 12, 5))
    index = training_subset(40, 12)
    np.testing.assert_array_equal(train.images, whole.images[index])
    np.testing.assert_array_equal(train.labels, whole.labels[index])
    np.testing.assert_array_equal(test.images, whole_test.images[:5])
    np.testing.assert_array_equal(test.labels, whole_test.labels[:5])


@pytest.mark.parametrize(("limits", "expected"), [
    ((41, None), "data.train_examples: 41 asked for, but the training set"),
    ((None, 21), "test set of Fashion-MNIST has 20"),
])  # fmt: skip
def test_more_examples_than_there_are(tmp_path: Path, limits: tuple, expected: str) -> None:
    with pytest.raises(UserError) as caught:
        load_images(section("fashion_mnist", write_fashion_mnist(tmp_path), *limits))
    assert expected in str(caught.value)


def _message(data: SimpleNamespace) -> str:
    with pytest.raises(UserError) as caught:
        load_images(data)
    return str(caught.value)


def test_nothing_found_says_where_what_and_how(bare: Path) -> None:
    message = _message(section("fashion_mnist"))
    looked = [str(bare / "system"), str(bare / "tfds" / "fashion_mnist"), NOBODY]
    ways = ["apt-get install dataset-fashion-mnist", "t10k-labels-idx1-ubyte.gz", "data.root", "TFDS_DATA_DIR"]
    assert [part for part in looked + ways if part not in message] == []


def test_cifar10_not_found_names_the_archive(bare: Path) -> None:
    message = _message(section("cifar10"))
    assert "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz" in message and "apt-get" not in message


def test_a_root_without_the_files_is_an_error_even_if_the_system_has_them(bare: Path) -> None:
    write_fashion_mnist(bare / "system")
    (bare / "empty").mkdir()
    message = _message(section("fashion_mnist", bare / "empty"))
    assert message.startswith(f"data.root: Fashion-MNIST is not in {bare / 'empty'}")
    assert str(bare / "system") not in message


def test_a_root_that_is_no_folder(bare: Path) -> None:
    assert "does not exist" in _message(section("cifar10", bare / "absent"))
    archive = bare / "cifar-10-python.tar.gz"
    tarfile.open(archive, "w:gz").close()
    assert "is not a folder" in _message(section("cifar10", archive))
    (bare / "loop").symlink_to(bare / "loop")
    assert "cannot be read (Too many levels of symbolic links)" in _message(section("cifar10", bare / "loop"))


def test_a_root_with_some_of_the_files_is_incomplete_and_not_absent(tmp_path: Path) -> None:
    root = write_fashion_mnist(tmp_path)
    (root / "t10k-images-idx3-ubyte.gz").unlink()
    assert "t10k-images-idx3-ubyte(.gz) missing" in _message(section("fashion_mnist", root))


def test_a_root_in_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_fashion_mnist(tmp_path / "fashion")
    monkeypatch.setenv("HOME", str(tmp_path))
    place = find(SOURCES["fashion_mnist"], "~/fashion")
    assert place is not None and place.folder == tmp_path / "fashion"


def test_loading_imports_no_tensorflow(tmp_path: Path) -> None:
    write_fashion_mnist(tmp_path)
    code = (
        "import sys; from types import SimpleNamespace as S;"
        "import pipeline.data.batches, pipeline.data.fetch, pipeline.data.label_noise, pipeline.data.splits;"
        "from pipeline.data.images import load_images;"
        f"load_images(S(name='fashion_mnist', root={str(tmp_path)!r}, train_examples=3, test_examples=None));"
        "sys.exit(', '.join({'tensorflow', 'tensorflow_datasets', 'tf_keras'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
