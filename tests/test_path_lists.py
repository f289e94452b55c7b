import pytest

from lm.path_lists import matches, split_paths


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b", "cell=gru,seed=1", "cell=gru,seed=2"):
        (tmp_path / name).mkdir()
    (tmp_path / "words,1.txt").touch()


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a", ["a"]),
        ("a,b", ["a", "b"]),
        ("a,cell=gru,seed=1,b", ["a", "cell=gru,seed=1", "b"]),
        ("words,1.txt,a", ["words,1.txt", "a"]),
        ("cell=gru,*", ["cell=gru,*"]),
        ("cell=gru,seed=?,a", ["cell=gru,seed=?", "a"]),
        ("a,nowhere", ["a", "nowhere"]),
        ("a,", ["a", ""]),
        ("", [""]),
    ],
)
def test_commas_belong_to_names_that_exist(text, names):
    assert split_paths(text) == names


def test_the_longest_name_counts(tmp_path):
    (tmp_path / "a,b").mkdir()
    assert split_paths("a,b") == ["a,b"]


@pytest.mark.parametrize("name", ["", "nowhere", "x" * 5000, "a\0b", "nowhere*"])
def test_no_file_has_such_a_name(name):
    assert not matches(name)
