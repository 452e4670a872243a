"""Signals that arrive while a run trains."""

import os
import signal

import pytest

from pipeline.cli import exit_code
from pipeline.runs.stopping import StopFlag, Stopped


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_kept_until_it_is_checked(signum):
    with StopFlag() as stop:
        stop.check()
        os.kill(os.getpid(), signum)
        with pytest.raises(Stopped) as stopped:
            stop.check()
    assert stopped.value.signum == signum
    assert signal.Signals(signum).name in str(stopped.value)


def test_the_second_interrupt_acts_at_once():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a background process may ignore SIGINT
    try:
        with StopFlag():
            os.kill(os.getpid(), signal.SIGINT)
            with pytest.raises(KeyboardInterrupt):
                os.kill(os.getpid(), signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


def test_handlers_are_as_before_afterwards():
    before = [signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)]
    with StopFlag():
        assert signal.getsignal(signal.SIGINT) not in before
    assert [signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_second_interrupt_ends_a_command_with_one_line(capsys):
    def interrupted(stop):
        raise KeyboardInterrupt

    assert exit_code(interrupted, "python -m pipeline.run ...") == 130
    assert capsys.readouterr().err.splitlines()[1:] == ["  python -m pipeline.run ..."]
