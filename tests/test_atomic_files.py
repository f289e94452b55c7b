import contextlib
import errno
from pathlib import Path
from unittest.mock import Mock

import pytest

from lm.atomic_files import write_atomically, write_file
from tests.conftest import no_file_larger_than


def test_a_file_is_replaced_when_it_is_whole(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with write_atomically(path) as file:
        file.write("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_leaves_the_old_file_and_nothing_beside_it(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError), write_atomically(path) as file:
        file.writelines(["half", "\ud800"])
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_names_the_file_that_could_not_be_written(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    too_large = pytest.raises(OSError, match=r"File too large: '.*/file'")
    with no_file_larger_than(1000), too_large, write_atomically(path) as file:
        file.write("new" * 1000)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(FileNotFoundError, match=r"nowhere/file'"), write_atomically(tmp_path / "nowhere" / "file"):
        pass


def test_text_and_bytes_are_written_as_they_are(tmp_path):
    with write_atomically(tmp_path / "text") as file:
        file.write("±\r\nµ\n")
    with write_atomically(tmp_path / "bytes", "wb") as file:
        file.write(b"\x89PNG\r\n\x00")
    assert (tmp_path / "text").read_bytes() == "±\r\nµ\n".encode()
    assert (tmp_path / "bytes").read_bytes() == b"\x89PNG\r\n\x00"


@pytest.mark.parametrize(("content", "written"), [("ä\n", "ä\n".encode()), (b"\x00\n", b"\x00\n")])
def test_whole_contents_are_written_as_text_or_bytes(tmp_path, content, written):
    write_file(tmp_path / "file", content)
    assert (tmp_path / "file").read_bytes() == written


def test_a_file_that_cannot_take_its_place_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_text("old")
    monkeypatch.setattr("os.replace", Mock(side_effect=OSError(errno.ENOSPC, "disk full")))
    with pytest.raises(OSError, match="disk full"), write_atomically(path) as file:
        file.write("new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_target_of_a_link_is_replaced_and_the_link_stays(tmp_path):
    (tmp_path / "folder").mkdir()
    link, target = tmp_path / "link", tmp_path / "folder" / "file"
    link.symlink_to(target)
    with write_atomically(link) as file:
        file.write("new")
    assert link.is_symlink()
    assert target.read_text() == "new"


@pytest.mark.parametrize("device", ["/dev/null", "/dev/full"])
def test_a_device_is_written_to_and_not_replaced(device):
    expected = pytest.raises(OSError, match=f"'{device}'") if device == "/dev/full" else contextlib.nullcontext()
    with expected, write_atomically(Path(device)) as file:
        file.write("new")
    assert Path(device).is_char_device()


def test_whoever_may_read_a_new_file_may_read_this_one(tmp_path):
    (tmp_path / "usual").touch()
    with write_atomically(tmp_path / "file"):
        pass
    assert (tmp_path / "file").stat().st_mode == (tmp_path / "usual").stat().st_mode
