"""TFDS's own builders, fed by a server on this machine: download, prepare, read, and every way to fail."""

import io
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pipeline.data.images import SOURCES, load_images
from pipeline.data.prepared import download, find_prepared, read_prepared, tfds_folder
from pipeline.errors import UserError
from tests.data.data_trees import (
    CIFAR_NAMES,
    cifar_rows,
    fashion_arrays,
    section,
    served,
    write_cifar10,
    write_fashion_mnist,
)

TRAIN, TEST = 40, 20


@pytest.fixture(scope="module")
def local_tfds() -> Iterator[pytest.MonkeyPatch]:
    """Patches that undo themselves after the module; addresses of this machine bypass any proxy."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_PROXY", "127.0.0.1")
        yield patch


@pytest.fixture(scope="module")
def fashion_mnist(tmp_path_factory: pytest.TempPathFactory, local_tfds: pytest.MonkeyPatch) -> Path:
    """A TFDS data folder in which TFDS's FashionMNIST has prepared what a server handed it."""
    files = write_fashion_mnist(tmp_path_factory.mktemp("web"), TRAIN, TEST)
    data_dir = tmp_path_factory.mktemp("tfds")
    with served(files) as address:
        point_fashion_mnist_at(address, TRAIN, TEST, local_tfds)
        download("fashion_mnist", data_dir, f"{address}train-images-idx3-ubyte.gz")
    return data_dir


def point_fashion_mnist_at(address: str, train: int, test: int, patch: pytest.MonkeyPatch) -> None:
    """Make TFDS's FashionMNIST ask a server of ours for sets of these sizes."""
    from tensorflow_datasets.image_classification import mnist

    patch.setattr(mnist, "_TRAIN_EXAMPLES", train)
    patch.setattr(mnist, "_TEST_EXAMPLES", test)
    patch.setattr(mnist.FashionMNIST, "URL", address)


@pytest.fixture(scope="module")
def cifar10(tmp_path_factory: pytest.TempPathFactory, local_tfds: pytest.MonkeyPatch) -> Path:
    """The same with TFDS's Cifar10 and its binary archive; batch b comes from seed b, six images each."""
    from tensorflow_datasets.image_classification.cifar import Cifar10

    web, data_dir = tmp_path_factory.mktemp("web"), tmp_path_factory.mktemp("tfds")
    with tarfile.open(web / "cifar-10-binary.tar.gz", "w:gz") as archive:
        for seed, name in enumerate([f"data_batch_{batch}" for batch in range(1, 6)] + ["test_batch"], start=1):
            rows, labels = cifar_rows(6, seed)
            _add(archive, f"{name}.bin", np.column_stack([np.array(labels, np.uint8), rows]).tobytes())
        _add(archive, "batches.meta.txt", b"\n".join(CIFAR_NAMES))
    original = Cifar10._cifar_info.fget
    with served(web) as address:
        url = f"{address}cifar-10-binary.tar.gz"
        local_tfds.setattr(Cifar10, "_cifar_info", property(lambda self: original(self)._replace(url=url)))
        download("cifar10", data_dir, url)
    return data_dir


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


def _by_content(images: np.ndarray, labels: np.ndarray) -> list[tuple[bytes, int]]:
    return sorted((image.tobytes(), int(label)) for image, label in zip(images, labels, strict=True))


def test_fashion_mnist_holds_the_same_examples_as_its_files(fashion_mnist: Path) -> None:
    train, test = load_images(section("fashion_mnist", fashion_mnist))
    assert _by_content(train.images, train.labels) == _by_content(*fashion_arrays(TRAIN, 1))
    assert _by_content(test.images, test.labels) == _by_content(*fashion_arrays(TEST, 2))
    assert train.images.shape[1:] == (28, 28, 1) and train.images.dtype == np.uint8
    assert train.class_names[9] == "Ankle boot" and train.labels.dtype == np.int64


def test_reading_twice_gives_the_same_order(fashion_mnist: Path) -> None:
    first, second = (load_images(section("fashion_mnist", fashion_mnist))[0] for _ in range(2))
    np.testing.assert_array_equal(first.images, second.images)


def test_cifar10_equals_the_original_folder_in_order_too(cifar10: Path, tmp_path: Path) -> None:
    prepared = load_images(section("cifar10", cifar10))
    original = load_images(section("cifar10", write_cifar10(tmp_path, 6)))
    for one, other in zip(prepared, original, strict=True):
        np.testing.assert_array_equal(one.images, other.images)
        np.testing.assert_array_equal(one.labels, other.labels)
        assert one.class_names == other.class_names


def test_the_environment_says_where_tfds_keeps_its_data(cifar10: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFDS_DATA_DIR", str(cifar10))
    assert len(load_images(section("cifar10"))[0]) == 30
    monkeypatch.delenv("TFDS_DATA_DIR")
    monkeypatch.setenv("HOME", "/somewhere")
    assert tfds_folder() == Path("/somewhere/tensorflow_datasets")


def test_original_files_win_over_a_prepared_set(fashion_mnist: Path, tmp_path: Path) -> None:
    root = shutil.copytree(fashion_mnist, tmp_path / "both")
    write_fashion_mnist(root, 7, 3)
    assert len(load_images(section("fashion_mnist", root))[0]) == 7


def test_the_newest_prepared_version_is_taken(tmp_path: Path) -> None:
    for version in ("3.0.9", "3.0.10", "incomplete.AB_3.1.0"):
        (tmp_path / "cifar10" / version).mkdir(parents=True)
        (tmp_path / "cifar10" / version / "dataset_info.json").touch()
    (tmp_path / "cifar10" / "4.0.0").mkdir()
    assert find_prepared(tmp_path, "cifar10") == tmp_path / "cifar10" / "3.0.10"
    assert find_prepared(tmp_path, "fashion_mnist") is None


@pytest.mark.parametrize("pattern", ["dataset_info.json", "features.json", "*train*tfrecord*"])
@pytest.mark.parametrize("content", [b"", b"\xff" * 50], ids=["empty", "garbage"])
def test_damaged_prepared_data_names_the_folder(
    fashion_mnist: Path, tmp_path: Path, pattern: str, content: bytes
) -> None:
    folder = find_prepared(shutil.copytree(fashion_mnist, tmp_path / "copy"), "fashion_mnist")
    (victim,) = folder.glob(pattern)
    victim.write_bytes(content)
    with pytest.raises(UserError) as caught:
        read_prepared(folder, (28, 28, 1))
    assert str(folder) in str(caught.value)


def test_a_prepared_set_of_another_kind_is_refused(fashion_mnist: Path) -> None:
    with pytest.raises(UserError, match=r"28 x 28 x 1 .* not 32 x 32 x 3"):
        read_prepared(find_prepared(fashion_mnist, "fashion_mnist"), (32, 32, 3))


def test_a_missing_web_page_is_a_user_error_without_a_flood(
    tmp_path: Path, local_tfds: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
) -> None:
    with served(tmp_path) as address, pytest.raises(UserError, match=f"{address}gone.gz .*not found"):
        download("cifar10", tmp_path / "tfds", f"{address}gone.gz")
    assert capfd.readouterr() == ("", "")


def test_a_download_that_breaks_off_is_a_user_error_without_a_flood(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
) -> None:
    """The first file answers, the other three are gone."""
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(b"not a gzip file")
    data_dir = tmp_path / "tfds"
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with served(tmp_path) as address:
        url = f"{address}train-images-idx3-ubyte.gz"
        point_fashion_mnist_at(address, TRAIN, TEST, monkeypatch)
        with pytest.raises(UserError, match="TFDS failed to get fashion_mnist into"):
            download("fashion_mnist", data_dir, url)
    assert capfd.readouterr() == ("", "")
    assert find_prepared(data_dir, "fashion_mnist") is None


def test_the_probed_addresses_are_those_tfds_asks_for() -> None:
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core.download import checksums

    folder = Path(tfds.__file__).parent / "url_checksums"
    for name, source in SOURCES.items():
        assert source.tfds_url in checksums.load_url_infos(folder / f"{name}.txt")
