"""Counting passes items on and shows a person how many."""

import io

import pytest

from pipeline.data.counter import counted


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_silence_without_a_stream(capsys: pytest.CaptureFixture):
    assert list(counted(None)(iter("abc"), 3, "letters")) == ["a", "b", "c"]
    assert capsys.readouterr() == ("", "")


def test_lines_for_files():
    stream = io.StringIO()
    assert list(counted(stream)(range(50), 50, "things")) == list(range(50))
    assert stream.getvalue() == "things: 50/50\n"


def test_a_bar_on_a_terminal():
    stream = Terminal()
    assert list(counted(stream)(range(50), 50, "things")) == list(range(50))
    assert "things" in stream.getvalue() and "50/50" in stream.getvalue()


@pytest.mark.parametrize("stream", [None, io.StringIO(), Terminal()])
def test_errors_come_through(stream: io.StringIO | None):
    def failing():
        yield 1
        raise ValueError("no second")

    items = counted(stream)(failing(), 2, "things")
    assert next(items) == 1
    with pytest.raises(ValueError, match="no second"):
        next(items)
