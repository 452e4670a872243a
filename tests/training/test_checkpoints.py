"""Checkpoints: whole, checked, two of them."""

import numpy as np
import pytest
import tensorflow as tf

from pipeline.errors import RunFailed, UserError
from pipeline.training.checkpoints import (
    Checkpoint,
    DamagedCheckpointError,
    assign,
    newest_checkpoint,
    read_checkpoint,
    save_checkpoint,
    save_weights,
)
from tests.processes import full_disk
from tests.training.training_samples import tiny_network


def checkpoint(epoch: int = 1, step: int = 2, **changes) -> Checkpoint:
    arrays = [np.arange(6, dtype=np.float32).reshape(2, 3) + epoch, np.array(7, np.int64)]
    line = {"epoch": 1, "train_loss": 0.1 + 0.2, "train_noisy_fit": None}
    whole = {"loss_sum": 1 / 3, "seconds": 2.5, "history": [line], "model": arrays, "optimizer": arrays[1:]}
    return Checkpoint(epoch, step, **{**whole, **changes})


def warnings_of(folder) -> tuple[Checkpoint | None, list[str]]:
    said = []
    return newest_checkpoint(folder, said.append), said


def test_everything_comes_back_bit_by_bit(tmp_path):
    many = [np.full((2,), index, np.float32) for index in range(12)]
    written = checkpoint(best=many)
    read = read_checkpoint(save_checkpoint(tmp_path, written))
    assert (read.epoch, read.step, read.loss_sum, read.seconds) == (1, 2, 1 / 3, 2.5)
    assert read.history == written.history
    for name in ("model", "optimizer", "best"):
        for old, new in zip(getattr(written, name), getattr(read, name), strict=True):
            assert new.dtype == old.dtype
            np.testing.assert_array_equal(new, old)


def test_the_last_two_are_kept_and_the_newest_is_read(tmp_path):
    for epoch, step in ((0, 9), (0, 10), (1, 0), (10, 0), (9, 5)):
        save_checkpoint(tmp_path, checkpoint(epoch, step))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "checkpoint-0009-0000005.npz",
        "checkpoint-0010-0000000.npz",
    ]
    newest, said = warnings_of(tmp_path)
    assert (newest.epoch, newest.step, said) == (10, 0, [])


def test_an_empty_folder_has_none(tmp_path):
    assert warnings_of(tmp_path) == (None, [])


def truncated(data: bytes) -> bytes:
    return data[: len(data) // 2]


def empty(data: bytes) -> bytes:
    return b""


def one_bit_flipped(data: bytes) -> bytes:
    position = data.index(np.arange(6, dtype=np.float32).tobytes()[8:])
    return data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]


def other_file(data: bytes) -> bytes:
    return b"GIF89a" * 100


@pytest.mark.parametrize("damage", [truncated, empty, one_bit_flipped, other_file])
def test_a_damaged_one_is_reported_and_the_one_before_is_used(tmp_path, damage):
    save_checkpoint(tmp_path, checkpoint(1, 0))
    arrays = [np.arange(6, dtype=np.float32)]
    path = save_checkpoint(tmp_path, checkpoint(2, 0, model=arrays))
    path.write_bytes(damage(path.read_bytes()))
    newest, said = warnings_of(tmp_path)
    assert newest.epoch == 1
    assert len(said) == 1 and str(path) in said[0] and "damaged" in said[0]
    save_checkpoint(tmp_path, checkpoint(1, 5))
    assert [file.name[:18] for file in sorted(tmp_path.glob("*.npz"))] == ["checkpoint-0001-00"] * 2


def test_contents_that_do_not_fit_their_digest_are_found(tmp_path):
    path = save_checkpoint(tmp_path, checkpoint())
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    arrays["model/0000"] = arrays["model/0000"] + 1
    np.savez(path, **arrays)
    with pytest.raises(DamagedCheckpointError, match="digest"):
        read_checkpoint(path)


def test_all_damaged_means_from_the_beginning(tmp_path):
    for epoch in (1, 2):
        save_checkpoint(tmp_path, checkpoint(epoch)).write_bytes(b"")
    newest, said = warnings_of(tmp_path)
    assert newest is None and len(said) == 2


def test_variables_of_another_shape_are_a_user_error():
    variables = [tf.Variable(tf.zeros((2, 3)), name="kernel"), tf.Variable(0.0, name="bias")]
    with pytest.raises(UserError, match=r"'kernel:0' has shape \(3, 2\) there, \(2, 3\) in the network"):
        assign(variables, [np.ones((3, 2)), np.ones(())], "the file")
    with pytest.raises(UserError, match="it has 1 variables, the network 2"):
        assign(variables, [np.ones((2, 3))], "the file")
    assert not variables[0].numpy().any()


def test_a_full_disk_loses_nothing(tmp_path):
    save_checkpoint(tmp_path, checkpoint(1, 0))
    with full_disk(2048), pytest.raises(RunFailed, match="Free some space"):
        save_checkpoint(tmp_path, checkpoint(2, 0, model=[np.zeros(10_000)]))
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-0001-0000000.npz"]
    assert warnings_of(tmp_path)[0].epoch == 1


def test_weights_are_whole_or_not_there(tmp_path):
    with full_disk(2048), pytest.raises(RunFailed, match="Free some space"):
        save_weights(tiny_network(), tmp_path / "best.weights.h5")
    assert not list(tmp_path.iterdir())


def test_weights_can_be_loaded(tmp_path):
    model, other = tiny_network(1), tiny_network(5)
    save_weights(model, tmp_path / "best.weights.h5")
    other.load_weights(tmp_path / "best.weights.h5")
    for old, new in zip(model.variables, other.variables, strict=True):
        np.testing.assert_array_equal(new, old)
