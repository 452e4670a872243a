"""What a person reads."""

import io

import pytest
from rich.console import Console

from pipeline.runs.progress import BarProgress, LineProgress, counted, duration, make_progress, summary
from tests.terminal import Terminal

LINE = {"epoch": 2, "train_loss": 1.25, "train_accuracy": 0.5, "val_accuracy": None, "test_accuracy": 0.75,
        "train_noisy_fit": 0.125, "seconds": 30.0}  # fmt: skip


def test_summary_leaves_out_what_is_unknown():
    assert summary(LINE) == "noisy train 50.0%  clean test 75.0%  noise memorised 12.5%"
    assert summary({"epoch": 1, "train_loss": 1.0}) == ""


def test_action_units_are_summarised_by_f1():
    line = {"train_f1": 0.5, "val_f1": 0.4, "test_f1": 0.625, "test_noisy_f1": None, "train_noisy_fit": 0.25}
    assert summary(line) == "train F1 50.0%  val F1 40.0%  test F1 62.5%  noise memorised 25.0%"


def test_one_plain_line_an_epoch():
    stream = io.StringIO()
    progress = make_progress("seed 1", stream)
    progress.start(epochs=5, steps_per_epoch=10, done=0)
    progress.steps(10, 0.5)
    progress.epoch(LINE)
    progress.warning("careful")
    progress.finish()
    epoch, warning = stream.getvalue().splitlines()
    for part in ("seed 1: epoch 2/5", "loss 1.2500", summary(LINE), "30 s, 1 min 30 s left"):
        assert part in epoch
    assert warning == "warning: careful"


def test_a_resumed_run_reports_where_it_continues():
    stream = io.StringIO()
    LineProgress(stream, "seed 1").start(epochs=5, steps_per_epoch=10, done=23)
    (line,) = stream.getvalue().splitlines()
    assert line.startswith("seed 1: ") and "step 23 of 50" in line


def test_a_terminal_gets_a_bar():
    assert isinstance(make_progress("seed 1", Terminal()), BarProgress)
    stream = io.StringIO()
    progress = BarProgress(Console(file=stream, force_terminal=True, width=160), "seed 1")
    progress.start(epochs=5, steps_per_epoch=10, done=10)
    progress.steps(20, 0.5)
    progress.epoch(LINE)
    progress.warning("careful [0]")
    progress.finish()
    shown = stream.getvalue()
    for text in ("seed 1: epoch 2/5", "20/50", "loss 1.2500", "clean test 75.0%", "warning: careful [0]"):
        assert text in shown


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0 s"), (45, "45 s"), (59.6, "1 min 00 s"), (725, "12 min 05 s"), (11_250, "3 h 07 min")],
)
def test_duration_in_words(seconds, words):
    assert duration(seconds) == words


def test_no_count_without_a_stream(capsys: pytest.CaptureFixture):
    assert list(counted(None)(iter("abc"), 3, "letters")) == ["a", "b", "c"]
    assert capsys.readouterr() == ("", "")


def test_a_count_in_lines_for_files():
    stream = io.StringIO()
    assert list(counted(stream)(range(50), 50, "things")) == list(range(50))
    assert stream.getvalue() == "things: 50/50\n"


def test_a_count_as_a_bar_on_a_terminal():
    stream = Terminal()
    assert list(counted(stream)(range(50), 50, "things")) == list(range(50))
    assert "things" in stream.getvalue() and "50/50" in stream.getvalue()


@pytest.mark.parametrize("stream", [None, io.StringIO(), Terminal()])
def test_errors_come_through_a_count(stream: io.StringIO | None):
    def failing():
        yield 1
        raise ValueError("no second")

    items = counted(stream)(failing(), 2, "things")
    assert next(items) == 1
    with pytest.raises(ValueError, match="no second"):
        next(items)
