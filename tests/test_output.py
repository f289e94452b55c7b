import errno
import io
import math
import os
import subprocess
import sys

import pytest

from lm.output import decimals, plural, prepare_streams, print_note, print_results, printable

PRINT = "from lm.output import prepare_streams, print_results; prepare_streams(); print_results({!r} * {})"


def printed(text="a", count=1, **options):
    command = [sys.executable, "-c", PRINT.format(text, count)]
    return subprocess.run(command, stderr=subprocess.PIPE, **options)


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [("ascii", b"1.5 +- 0.2 ... caf\\xe9 \\udcff\n"), ("utf-8", "1.5 ± 0.2 … café \\udcff\n".encode())],
)
def test_any_text_can_be_printed_in_any_encoding(monkeypatch, encoding, expected):
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", stream)
    prepare_streams()
    print_results("1.5 ± 0.2 … café \udcff")
    assert stream.buffer.getvalue() == expected


def test_no_text_controls_the_terminal(capsys):
    print_results("a\x1b[31m\nb")
    assert capsys.readouterr().out == "a\\x1b[31m\nb\n"


def test_a_closed_stream_takes_everything(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stderr", None)
    prepare_streams()
    print_note("a note")
    sys.stderr.close()
    assert capsys.readouterr().out == ""


def test_a_pipe_that_its_reader_has_closed_ends_the_command_without_a_word():
    reading, writing = os.pipe()
    os.close(reading)
    done = printed(stdout=writing)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full here")
def test_a_full_disk_is_an_error_that_names_standard_output():
    with open("/dev/full", "w") as full:
        done = printed(stdout=full)
    assert done.returncode == 1
    assert b"No space left on device: 'standard output'" in done.stderr
    assert done.stderr.count(b"Error") == 1


class FullDisk(io.StringIO):
    def write(self, text):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_note_that_cannot_be_printed_stops_nothing(monkeypatch):
    monkeypatch.setattr(sys, "stderr", FullDisk())
    print_note("a note")


def test_control_characters_are_shown_as_escapes():
    assert printable("a\x1b[31m b\x9b\x07\tc\nd é") == "a\\x1b[31m b\\x9b\\x07\\tc\nd é"


def test_large_numbers_are_short():
    shown = [decimals(number) for number in (119.84321, 999_999.0, 1e6, 1.5e200, math.inf, math.nan)]
    assert shown == ["119.8432", "999999.0000", "1.0000e+06", "1.5000e+200", "inf", "nan"]


def test_one_is_singular():
    assert [plural(count, "word") for count in (0, 1, 1200)] == ["0 words", "1 word", "1,200 words"]
