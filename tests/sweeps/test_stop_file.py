import signal

from lm.sweeps.stop_file import StopFile


def test_it_holds_the_signal_until_it_is_cleared(tmp_path):
    stop = StopFile(tmp_path / "sweep")
    assert stop.reason() is None
    stop.clear()
    stop.write("SIGINT")
    other = StopFile(tmp_path / "sweep")
    assert (other.reason(), other.signal(), other.refusal()) == ("SIGINT", signal.SIGINT, None)
    stop.clear()
    assert (other.reason(), other.signal(), other.refusal()) == (None, None, None)


def test_any_other_text_is_a_refusal(tmp_path):
    stop = StopFile(tmp_path)
    stop.write("expected batch_size=4, found 5")
    assert (stop.signal(), stop.refusal()) == (None, "expected batch_size=4, found 5")


def test_the_sweep_continues_if_the_file_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    stop = StopFile(tmp_path / "file")
    stop.write("SIGINT")
    assert stop.reason() is None
