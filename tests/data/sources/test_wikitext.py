import pytest

from lm.data.corpus import load_corpus
from lm.data.sources import SPLITS
from lm.data.sources.wikitext import WikiText2, WikiText103

TEXT = " \n = Title = \n \n a b <unk> , a \n"
TOKENS = 1 + 4 + 1 + 6


def write(folder, suffix="tokens", text=TEXT):
    for split in SPLITS:
        (folder / f"wiki.{split}.{suffix}").write_text(text)
    return folder


@pytest.fixture
def published(monkeypatch):
    """The text above as if it were WikiText-2."""
    monkeypatch.setattr(WikiText2, "tokens", dict.fromkeys(SPLITS, TOKENS))


def test_the_published_counts_are_those_of_the_paper():
    assert list(WikiText2.tokens.values()) == [2_088_628, 217_646, 245_569]
    assert list(WikiText103.tokens.values()) == [103_227_021, 217_646, 245_569]


def test_every_line_ends_with_eos_and_blank_lines_count(tmp_path, published):
    corpus = load_corpus(WikiText2(write(tmp_path)))
    assert {split: len(ids) for split, ids in corpus.splits.items()} == dict.fromkeys(SPLITS, TOKENS)
    words = corpus.vocabulary.decode(corpus.splits["test"].tolist())
    assert " ".join(words) == "<eos> = Title = <eos> <eos> a b <unk> , a <eos>"


@pytest.mark.parametrize("source", [WikiText2, WikiText103])
def test_another_number_of_tokens_is_refused(tmp_path, source):
    with pytest.raises(ValueError, match=rf"the published number for data={source.name}, found {TOKENS}: type data"):
        load_corpus(source(write(tmp_path)))


def test_rare_words_of_the_raw_files_become_unk(tmp_path, published):
    corpus = load_corpus(WikiText2(write(tmp_path, "raw", " \n = b = \n \n a a a b c \n")))
    assert set(corpus.vocabulary.words) == {"a", "<unk>", "<eos>"}


def test_the_raw_and_the_original_files_have_fingerprints_of_their_own(tmp_path, published):
    folders = [tmp_path / "tokens", tmp_path / "raw"]
    for folder in folders:
        folder.mkdir()
    assert len({WikiText2(write(folder, folder.name)).fingerprint() for folder in folders}) == 2


def test_a_folder_without_the_files_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"found no wiki\.train\.tokens in"):
        WikiText2(tmp_path)
