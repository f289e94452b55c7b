import hashlib
import os
from pathlib import Path

import pytest

from lm.data.corpus import load_corpus
from lm.data.sources import SPLITS, make_source, ptb
from lm.data.sources.source import TextChanged

TEXTS = {split: f" the {split} split \n of mr. <unk> \n" for split in SPLITS}


@pytest.fixture
def treebank(tmp_path, monkeypatch):
    """Write a folder of three short files and let their sums be the expected ones."""
    for split, text in TEXTS.items():
        (tmp_path / f"ptb.{split}.txt").write_text(text)
        monkeypatch.setitem(ptb.SHA256, split, hashlib.sha256(text.encode()).hexdigest())
    return tmp_path


def test_the_files_of_a_folder_are_read_line_by_line(treebank):
    source = make_source("ptb", dir=str(treebank))
    assert list(source.sentences("valid")) == [["the", "valid", "split"], ["of", "mr.", "<unk>"]]


def test_the_key_is_known_before_the_download(treebank):
    assert make_source("ptb").fingerprint() == make_source("ptb", dir=treebank).fingerprint()


@pytest.mark.parametrize("split", SPLITS)
def test_a_file_with_another_sum_is_refused_and_never_used(treebank, tmp_path, split):
    (treebank / f"ptb.{split}.txt").write_text(TEXTS[split] + " tampered \n")
    source = make_source("ptb", dir=treebank)
    with pytest.raises(ValueError, match=rf"expected the Penn Treebank's ptb\.{split}\.txt .* or data=text"):
        load_corpus(source, tmp_path / "cache")
    with pytest.raises(TextChanged):
        list(source.sentences(split))
    assert not (tmp_path / "cache").exists()


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"a folder with ptb\.train\.txt, .* found no folder '.*nowhere'"):
        make_source("ptb", dir=tmp_path / "nowhere")


def test_a_missing_file_is_refused(treebank):
    (treebank / "ptb.test.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"found no ptb\.test\.txt in '"):
        make_source("ptb", dir=treebank)


def test_without_a_network_one_sentence_names_the_copies_the_folder_and_a_corpus_at_hand(
    tmp_path, monkeypatch: pytest.MonkeyPatch
):
    # Nothing listens on port 9 of this machine.
    monkeypatch.setattr(ptb, "MIRRORS", ("http://127.0.0.1:9/one/", "http://127.0.0.1:9/two/"))
    monkeypatch.setenv("LM_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError) as error:
        load_corpus(make_source("ptb"))
    for part in ("127.0.0.1:9/one/ptb.train.txt", "127.0.0.1:9/two/", "data.dir=FOLDER", "data=python_docs"):
        assert part in str(error.value)
    assert str(error.value).count("\n") == 0


def test_the_real_files_give_the_published_counts(tmp_path):
    folder = os.environ.get("LM_PTB")
    if not folder:
        pytest.skip("LM_PTB does not name a folder with the Penn Treebank's files")
    corpus = load_corpus(make_source("ptb", dir=folder), tmp_path)
    assert {split: len(ids) for split, ids in corpus.splits.items()} == {
        "train": 929_589,
        "valid": 73_760,
        "test": 82_430,
    }
    assert len(corpus.vocabulary) == 10_000
    assert all(int(ids.max()) < 10_000 and int(ids.min()) >= 0 for ids in corpus.splits.values())
    assert corpus.unk["train"] == {"count": 45_020, "fraction": 0.04843}
    assert corpus.warnings() == []
    text = Path(folder, "ptb.test.txt").read_text().replace("\n", "<eos>").split()
    assert corpus.vocabulary.decode(corpus.splits["test"].tolist()) == text
