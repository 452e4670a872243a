"""Checkpoints: one file each, written atomically and verified by a digest when read."""

import hashlib
import json
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import tf_keras

from pipeline.errors import UserError
from pipeline.runs.files import replacing, write_npz

KEPT = 2
HDF5_OVERHEAD = 2**20  # bytes, a generous estimate
PATTERN = "checkpoint-*.npz"
ARRAYS = ("model", "optimizer", "best")


class DamagedCheckpointError(Exception):
    """The file is not what was written: truncated, changed, or unreadable."""


@dataclass
class Checkpoint:
    """The state of a training: all it needs to resume exactly.

    `epoch` epochs are complete, with a line each in `history`, and `step` steps of the next one are done; `loss_sum` (the
    sum of their objectives) and `seconds` belong to that epoch. `best` holds the model's variables after the best epoch
    so far if early stopping needs them, else nothing.
    """

    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    seconds: float = 0.0
    history: list[dict] = field(default_factory=list)
    model: list[np.ndarray] = field(default_factory=list)
    optimizer: list[np.ndarray] = field(default_factory=list)
    best: list[np.ndarray] = field(default_factory=list)


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> Path:
    """Write `checkpoint` into `folder` and keep the last two there; raises RunFailed if the disk is full."""
    path = folder / f"checkpoint-{checkpoint.epoch:04d}-{checkpoint.step:07d}.npz"
    arrays = _to_arrays(checkpoint)
    write_npz(path, sha256=np.array(_digest(arrays)), **arrays)
    for old in _newest_first(folder)[KEPT:]:
        old.unlink()
    return path


def newest_checkpoint(folder: Path, warn: Callable[[str], None]) -> Checkpoint | None:
    """The last intact checkpoint in `folder`, None without one.

    A damaged one is reported through `warn` and renamed to *.damaged, so that it is not one of the two kept.
    """
    for path in _newest_first(folder):
        try:
            return read_checkpoint(path)
        except DamagedCheckpointError as error:
            path.replace(path.with_name(path.name + ".damaged"))
            warn(f"checkpoint {path} is damaged ({error}): resuming from the previous one")
    return None


def read_checkpoint(path: Path) -> Checkpoint:
    """The checkpoint in `path`; raises DamagedCheckpointError if it is not what was written."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        raise DamagedCheckpointError(str(error)) from error
    digest = arrays.pop("sha256", None)
    if digest is None or str(digest) != _digest(arrays):
        raise DamagedCheckpointError("its contents do not match its digest")
    return _from_arrays(arrays)


def assign(variables: Sequence, values: Sequence[np.ndarray], where: str) -> None:
    """Assign a value to each variable; raises UserError, before any assignment, if the shapes differ."""
    expected = [tuple(variable.shape) for variable in variables]
    found = [value.shape for value in values]
    if expected != found:
        advice = "Delete the run folder, or start again with --fresh"
        raise UserError(f"{where} belongs to another network: {_difference(variables, found)}. {advice}")
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def save_weights(model: tf_keras.Model, path: Path) -> None:
    """Write the weights of a model to `path` (*.weights.h5) atomically; raises like `replacing`."""
    room = 2 * sum(variable.numpy().nbytes for variable in model.variables) + HDF5_OVERHEAD
    with replacing(path) as temporary:
        temporary.write_bytes(bytes(room))  # on a full disk HDF5 ends the process with a segmentation fault
        model.save_weights(str(temporary))


def _difference(variables: Sequence, found: list[tuple]) -> str:
    if len(variables) != len(found):
        return f"it has {len(found)} variables, the network {len(variables)}"
    bad = next(pair for pair in zip(variables, found, strict=True) if tuple(pair[0].shape) != pair[1])
    return f"'{bad[0].name}' has shape {bad[1]} there, {tuple(bad[0].shape)} in the network"


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob(PATTERN), key=_position, reverse=True)


def _position(path: Path) -> tuple[int, int]:
    epoch, step = path.stem.split("-")[1:]
    return int(epoch), int(step)


def _to_arrays(checkpoint: Checkpoint) -> dict[str, np.ndarray]:
    arrays = {f"{name}/{index:04d}": value for name in ARRAYS for index, value in enumerate(getattr(checkpoint, name))}
    rest = {key: value for key, value in vars(checkpoint).items() if key not in ARRAYS}
    return arrays | {"position": np.array(json.dumps(rest))}


def _from_arrays(arrays: dict[str, np.ndarray]) -> Checkpoint:
    rest = json.loads(str(arrays["position"]))
    return Checkpoint(**rest, **{name: _numbered(arrays, name) for name in ARRAYS})


def _numbered(arrays: dict[str, np.ndarray], name: str) -> list[np.ndarray]:
    return [arrays[key] for key in sorted(arrays) if key.startswith(f"{name}/")]


def _digest(arrays: dict[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {arrays[name].shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
