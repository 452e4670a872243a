"""Small image sets on disk in the exact layout of the originals, and a server that hands files out."""

import gzip
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import numpy as np

CIFAR_NAMES = (b"airplane", b"automobile", b"bird", b"cat", b"deer", b"dog", b"frog", b"horse", b"ship", b"truck")


def idx_bytes(array: np.ndarray) -> bytes:
    """A uint8 array as an IDX file."""
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def fashion_arrays(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Random images uint8 (N, 28, 28) and labels uint8 (N,) that go through the classes."""
    images = np.random.default_rng(seed).integers(0, 256, (n, 28, 28), dtype=np.uint8)
    return images, (np.arange(n) % 10).astype(np.uint8)


def write_fashion_mnist(folder: Path, train: int = 40, test: int = 20, suffix: str = ".gz") -> Path:
    """The four files of Fashion-MNIST, gzipped or (suffix "") plain."""
    folder.mkdir(parents=True, exist_ok=True)
    pack = gzip.compress if suffix == ".gz" else bytes
    for prefix, n, seed in (("train", train, 1), ("t10k", test, 2)):
        images, labels = fashion_arrays(n, seed)
        (folder / f"{prefix}-images-idx3-ubyte{suffix}").write_bytes(pack(idx_bytes(images)))
        (folder / f"{prefix}-labels-idx1-ubyte{suffix}").write_bytes(pack(idx_bytes(labels)))
    return folder


def cifar_rows(n: int, seed: int) -> tuple[np.ndarray, list[int]]:
    """Random rows uint8 (N, 3072), planes of red, green and blue, and their labels."""
    draws = np.random.default_rng(seed)
    return draws.integers(0, 256, (n, 3072), dtype=np.uint8), [int(label) for label in draws.integers(0, 10, n)]


def _text(value: bytes) -> bytes:
    return b"U" + bytes([len(value)]) + value


def _number(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def _array(rows: np.ndarray) -> bytes:
    """The opcodes by which Python 2 and NumPy 1 pickled a uint8 matrix."""
    state = b"(K\x03" + _text(b"|") + b"NNN" + _number(-1) + _number(-1) + b"K\x00tb"
    dtype = b"cnumpy\ndtype\n(" + _text(b"u1") + b"K\x00K\x01tR" + state
    content = rows.tobytes()
    return (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00t" + _text(b"b") + b"tR"
        b"(K\x01(" + _number(len(rows)) + _number(rows.shape[1]) + b"t" + dtype + b"\x89"
        b"T" + struct.pack("<i", len(content)) + content + b"tb"
    )  # fmt: skip


def _list(items: list[bytes]) -> bytes:
    return b"](" + b"".join(items) + b"e"


def python2_pickle(entries: dict[bytes, bytes]) -> bytes:
    """A dictionary as protocol 2 of Python 2, from values that are opcodes already."""
    return b"\x80\x02}(" + b"".join(_text(key) + value for key, value in entries.items()) + b"u."


def cifar_batch(rows: np.ndarray, labels: list[int]) -> bytes:
    """A batch file as the authors of CIFAR-10 wrote it."""
    return python2_pickle(
        {
            b"batch_label": _text(b"training batch 1 of 5"),
            b"labels": _list([_number(label) for label in labels]),
            b"data": _array(rows),
            b"filenames": _list([_text(b"some_image.png")] * len(labels)),
        }
    )


def write_cifar10(root: Path, per_batch: int = 6) -> Path:
    """The folder cifar-10-batches-py below `root`; batch b comes from seed b, the test batch from seed 6."""
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"data_batch_{number}" for number in range(1, 6)] + ["test_batch"]
    for seed, name in enumerate(names, start=1):
        (folder / name).write_bytes(cifar_batch(*cifar_rows(per_batch, seed)))
    meta = {b"num_cases_per_batch": _number(per_batch), b"label_names": _list([_text(name) for name in CIFAR_NAMES])}
    (folder / "batches.meta").write_bytes(python2_pickle(meta))
    return folder


def section(name: str, root: Path | None = None, train: int | None = None, test: int | None = None) -> SimpleNamespace:
    """A config section `data` of an image set."""
    folder = None if root is None else str(root)
    return SimpleNamespace(name=name, root=folder, train_examples=train, test_examples=test)


def keep(path: Path, length: int) -> None:
    """Cut a file off after some bytes."""
    path.write_bytes(path.read_bytes()[:length])


def flip_a_byte(path: Path) -> None:
    """Damage the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)


def without(path: Path, *names: str) -> None:
    """Take arrays out of an .npz file."""
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files if name not in names}
    np.savez(path, **arrays)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address, ending in a slash, of a server on this machine that hands out the files of `folder`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
