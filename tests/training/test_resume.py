"""Runs that are stopped or killed, and go on as if nothing had happened."""

import multiprocessing
import os
import random
import signal
import time
from pathlib import Path

import pytest

from pipeline.data.augmentation import PadCrop
from pipeline.methods import Dropout, EarlyStopping, LabelSmoothing, Pruning, Quantization, WeightDecay
from pipeline.runs.stopping import Stopped
from tests.processes import wait_until
from tests.training.training_samples import Recorder, StopAfter, assert_same, metrics, run, values

COMBINATIONS = {
    "plain": [],
    "regularised": [Dropout(rate=0.3), LabelSmoothing(), WeightDecay(kind="decoupled"), EarlyStopping(patience=2)],
    "pruned": [Pruning(ratio=0.5, begin=0.1, end=0.6)],
    "quantized": [Quantization(ema_momentum=0.9)],
}


@pytest.mark.parametrize("name", COMBINATIONS)
@pytest.mark.parametrize(("looks", "stops"), [(5, 2), (8, 99), (13, 99)])
def test_a_stopped_run_goes_on_with_the_same_numbers(tmp_path, tmp_path_factory, name, looks, stops):
    """Stopped within the first epoch, within its evaluation, and within the second epoch; the last two until the end."""
    whole = _whole_run(tmp_path_factory, name)
    while True:
        progress = Recorder()
        try:
            given = {"stop": StopAfter(looks if stops else 10**9), "progress": progress, "augmentation": PadCrop()}
            model, result = run(tmp_path, methods=COMBINATIONS[name], **given)
            break
        except Stopped as stopped:
            stops -= 1
            assert stopped.signum == signal.SIGTERM and progress.finished
    assert metrics(tmp_path) == whole[0]
    assert_same(values(model), whole[1])
    assert result.history[-1]["seconds"] > 0


_WHOLE = {}


def _whole_run(factory, name):
    if name not in _WHOLE:
        folder = factory.mktemp(name)
        model, _ = run(folder, methods=COMBINATIONS[name], augmentation=PadCrop())
        _WHOLE[name] = metrics(folder), values(model)
    return _WHOLE[name]


def test_a_finished_run_is_not_trained_again(tmp_path):
    model, first = run(tmp_path)
    (tmp_path / "best.weights.h5").unlink()
    again, second = run(tmp_path)
    assert first == second
    assert_same(values(model), values(again))
    assert (tmp_path / "best.weights.h5").exists()


def test_a_damaged_checkpoint_and_lines_beyond_it(tmp_path):
    whole, _ = run(tmp_path)
    lines = metrics(tmp_path)
    newest = max(tmp_path.glob("checkpoint-*"))
    newest.write_bytes(newest.read_bytes()[:-100])
    progress = Recorder()
    again, _ = run(tmp_path, progress=progress)
    assert len(progress.warnings) == 1 and newest.name in progress.warnings[0]
    assert progress.done[0] == 16
    assert metrics(tmp_path) == lines
    assert_same(values(whole), values(again))


# Killed: processes of their own, forked from one that has imported TensorFlow


@pytest.fixture(scope="module")
def start():
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.training.training_child"])
    from tests.training.training_child import child

    started = []

    def begin(folder: Path, *arguments) -> multiprocessing.Process:
        process = context.Process(target=child, args=(str(folder), *arguments))
        process.start()
        started.append(process)
        return process

    yield begin
    for process in started:
        if process.is_alive():
            process.kill()
        process.join()


@pytest.fixture(scope="module")
def uninterrupted(start, tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    assert finished(start(folder)) == 0
    return metrics(folder)


def finished(process) -> int:
    process.join(60)
    return process.exitcode


def wait_for_checkpoint(folder: Path, process) -> None:
    """Until the process has written another checkpoint, or ended."""
    before = set(folder.glob("checkpoint-*"))
    wait_until(lambda: not process.is_alive() or set(folder.glob("checkpoint-*")) - before)


def assert_equal_to_six_digits(lines: list[dict], expected: list[dict]) -> None:
    assert [list(line) for line in lines] == [list(line) for line in expected]
    for line, other in zip(lines, expected, strict=True):
        assert line == pytest.approx(other, rel=1e-6)


def test_killed_at_random_moments_it_ends_with_the_same_numbers(start, uninterrupted, tmp_path):
    """Other moments every time; `NIBBLE_TEST_SEED=... pytest` repeats those of a failure, which prints the number."""
    seed = int(os.environ.get("NIBBLE_TEST_SEED") or random.randrange(2**32))
    print(f"NIBBLE_TEST_SEED={seed}")
    chance = random.Random(seed)
    for _ in range(4):
        process = start(tmp_path)
        wait_for_checkpoint(tmp_path, process)
        time.sleep(chance.uniform(0, 0.4))  # a random moment
        process.kill()
        assert finished(process) in (-signal.SIGKILL, 0)
    assert finished(start(tmp_path)) == 0
    assert_equal_to_six_digits(metrics(tmp_path), uninterrupted)


def test_killed_while_it_writes_it_ends_with_the_same_numbers(start, uninterrupted, tmp_path):
    for replaces in (2, 3, 5):
        assert finished(start(tmp_path, replaces)) == -signal.SIGKILL
    assert finished(start(tmp_path)) == 0
    assert_equal_to_six_digits(metrics(tmp_path), uninterrupted)


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_stop_it_stops_and_goes_on(start, uninterrupted, tmp_path, signum):
    process = start(tmp_path)
    wait_for_checkpoint(tmp_path, process)
    os.kill(process.pid, signum)
    assert finished(process) == 128 + signum
    assert len(metrics(tmp_path)) < len(uninterrupted)
    assert finished(start(tmp_path)) == 0
    assert_equal_to_six_digits(metrics(tmp_path), uninterrupted)
