from pathlib import Path

import pytest

from lm.compare.compare_options import CompareOptions, matching_folders, name_folders


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("a", "b", "cell=gru,seed=1", "cell=gru,seed=2"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("folders")
def test_the_first_two_folders_need_no_names() -> None:
    assert name_folders(["a", "b", "split=valid"]) == ["first=a", "second=b", "split=valid"]
    assert name_folders(["split=valid", "cell=gru,seed=1", "--cfg", "job", "cell=gru,seed=2"]) == [
        "split=valid", "first=cell=gru,seed=1", "--cfg", "job", "second=cell=gru,seed=2",
    ]  # fmt: skip
    assert name_folders(["--cfg", "job"]) == ["--cfg", "job"]
    assert name_folders(["multirun/cell=x", "b"]) == ["first=multirun/cell=x", "second=b"]  # a folder that is missing
    assert name_folders(["first=a", "b"]) == ["first=a", "second=b"]
    assert name_folders(["b", "second=a"]) == ["first=b", "second=a"]
    assert name_folders(["a", "b", "c"])[2] == "c"


@pytest.mark.usefixtures("folders")
def test_a_group_is_one_folder_or_several_or_a_pattern() -> None:
    assert matching_folders("cell=gru,seed=1") == [Path("cell=gru,seed=1")]
    assert matching_folders("a,cell=gru,seed=1,b") == [Path("a"), Path("cell=gru,seed=1"), Path("b")]
    assert matching_folders("cell=gru,*") == [Path("cell=gru,seed=1"), Path("cell=gru,seed=2")]
    assert matching_folders("nowhere") == []


@pytest.mark.parametrize(("first", "second", "found"), [(None, None, 0), ("a", "", 1), (None, "b", 1), ("a", 5, 1)])
def test_two_runs_are_needed(first: str | None, second: str, found: int) -> None:
    with pytest.raises(ValueError, match=f"expected the folders of two runs, found {found}: type python -m lm.compare"):
        CompareOptions(first, second, "test", None, {})


def test_a_wrong_split_is_refused() -> None:
    with pytest.raises(ValueError, match="expected split to be one of test, valid"):
        CompareOptions("a", "b", "train", None, {})
