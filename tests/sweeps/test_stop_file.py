from lm.sweeps.stop_file import StopFile


def test_it_says_why_until_it_is_cleared(tmp_path):
    stop = StopFile(tmp_path / "sweep")
    assert stop.reason() is None
    stop.clear()
    stop.write("SIGINT")
    assert StopFile(tmp_path / "sweep").reason() == "SIGINT"
    stop.clear()
    assert stop.reason() is None


def test_where_it_cannot_be_written_the_sweep_goes_on(tmp_path):
    (tmp_path / "file").touch()
    stop = StopFile(tmp_path / "file")
    stop.write("SIGINT")
    assert stop.reason() is None
