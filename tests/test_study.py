from importlib.machinery import ModuleSpec

import pytest

from lm import checks
from lm.study import STUDY, check_optuna, has_study, open_study, remove_torn_line


def test_a_search_without_optuna_says_what_to_install(monkeypatch):
    monkeypatch.setattr(checks, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"^expected the package optuna .*: type pip install -e '\.\[search\]'$"):
        check_optuna()
    monkeypatch.setattr(checks, "find_spec", lambda name: ModuleSpec(name, None))
    check_optuna()


def test_a_study_is_opened_again_with_its_trials(tmp_path):
    pytest.importorskip("optuna", reason="needs the extra search")
    assert not has_study(tmp_path)
    open_study(tmp_path).ask()
    assert has_study(tmp_path)
    before = (tmp_path / STUDY).read_bytes()
    assert len(open_study(tmp_path).trials) == 1
    assert (tmp_path / STUDY).read_bytes() == before  # a report only reads it


def test_a_line_that_a_full_disk_has_cut_off_is_removed(tmp_path):
    pytest.importorskip("optuna", reason="needs the extra search")
    remove_torn_line(tmp_path)
    open_study(tmp_path).ask()
    whole = (tmp_path / STUDY).read_bytes()
    (tmp_path / STUDY).write_bytes(whole + b'{"op_code":4,"wor')
    remove_torn_line(tmp_path)
    assert (tmp_path / STUDY).read_bytes() == whole
    open_study(tmp_path).ask()
    assert len(open_study(tmp_path).trials) == 2
