import re
from pathlib import Path

import pytest

from lm.data.cache import cache_folder, make_writable


def test_the_cache_folder_is_the_one_that_lm_data_names(monkeypatch):
    monkeypatch.setenv("HOME", "/home/ada")
    monkeypatch.setenv("LM_DATA", "~/texts")
    assert cache_folder() == Path("/home/ada/texts")


@pytest.mark.parametrize("named", [None, ""])
def test_the_cache_folder_is_the_users_if_none_is_named(monkeypatch, named):
    monkeypatch.delenv("LM_DATA")
    if named is not None:
        monkeypatch.setenv("LM_DATA", named)
    assert cache_folder().name == "lm"
    assert cache_folder().is_relative_to(Path.home())


def test_a_missing_folder_is_created_with_its_parents(tmp_path):
    assert make_writable(tmp_path / "a" / "b") == tmp_path / "a" / "b"
    assert (tmp_path / "a" / "b").is_dir()


@pytest.mark.parametrize(("name", "reason"), [("file", "File exists"), ("file/a", "Not a directory")])
def test_a_folder_that_is_a_file_or_below_one_is_refused(tmp_path, name, reason):
    (tmp_path / "file").touch()
    sentence = f"found '{tmp_path / name}' ({reason}): type LM_DATA=FOLDER before the command"
    with pytest.raises(ValueError, match=re.escape(sentence)):
        make_writable(tmp_path / name)


def test_a_folder_without_write_permission_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("os.access", lambda path, mode: False)  # root may write to any folder
    with pytest.raises(ValueError, match=r"found '.*' \(no permission\): type LM_DATA=FOLDER before the command"):
        make_writable(tmp_path)
