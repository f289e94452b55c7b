import os
import signal

import pytest

from lm.training.signals import STOP_SIGNALS, Interrupted, StopRequest, on_stop_signals

pytestmark = pytest.mark.usefixtures("terminal_signals")


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_a_stop_signal_raises_interrupted_with_the_exit_status_of_shells(number):
    with pytest.raises(Interrupted, match=f"stopped by {number.name}") as caught, on_stop_signals(StopRequest()):
        os.kill(os.getpid(), number)
    assert caught.value.exit_status == 128 + number


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_a_deferred_stop_signal_is_only_recorded(number):
    request = StopRequest()
    request.deferred = True
    with on_stop_signals(request):
        os.kill(os.getpid(), number)
        assert request.signal == number


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_an_ignored_signal_stays_ignored(number):
    signal.signal(number, signal.SIG_IGN)
    with on_stop_signals(StopRequest()):
        os.kill(os.getpid(), number)
        assert signal.getsignal(number) is signal.SIG_IGN


def test_a_second_ctrl_c_goes_to_the_previous_handler():
    request = StopRequest()
    request.deferred = True
    with on_stop_signals(request):
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_further_sigterms_are_recorded_like_the_first():
    """Lightning's own handler would wait for other devices."""
    request = StopRequest()
    request.deferred = True
    with on_stop_signals(request):
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGTERM)
    assert request.signal == signal.SIGTERM


def test_the_previous_handlers_are_restored():
    before = [signal.getsignal(number) for number in STOP_SIGNALS]
    with on_stop_signals(StopRequest()):
        assert all(callable(signal.getsignal(number)) for number in STOP_SIGNALS)
    assert [signal.getsignal(number) for number in STOP_SIGNALS] == before
