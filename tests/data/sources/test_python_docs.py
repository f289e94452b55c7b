import os
import subprocess
import sys

import pytest

from lm.data.corpus import load_corpus
from lm.data.sources import SPLITS
from lm.data.sources.python_docs import PythonDocs, deduplicate, read_topics, split_by_topic


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return load_corpus(PythonDocs(), tmp_path_factory.mktemp("cache"))


def test_it_is_large_enough_to_train_on(corpus):
    assert len(corpus.splits["train"]) > 20_000
    assert 1_000 < len(corpus.vocabulary) < 5_000
    assert min(len(corpus.splits[split]) for split in ("valid", "test")) > 2_000


@pytest.mark.parametrize("split", SPLITS)
def test_few_words_are_unknown(corpus, split):
    unknown = corpus.splits[split] == corpus.vocabulary.unk_id
    assert 0 < unknown.double().mean() < 0.15


def test_it_reads_as_the_treebank_does():
    words = [word for sentence in PythonDocs().sentences("train") for word in sentence]
    assert all(word == word.lower() or word == "N" for word in words)
    assert not any(character in word for word in words for character in '"()=_*:;,')
    assert {"the", "n't", "'s", "N", "<unk>"} <= set(words)


def test_no_sentence_of_one_split_is_in_another():
    source = PythonDocs()
    train, valid, test = ({tuple(words) for words in source.sentences(split)} for split in SPLITS)
    assert not train & valid
    assert not train & test
    assert not valid & test


def test_the_key_does_not_depend_on_the_hash_seed():
    command = "from lm.data.sources.python_docs import PythonDocs; print(PythonDocs().fingerprint())"
    for seed in ("1", "2"):
        found = subprocess.run(
            [sys.executable, "-c", command], env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, check=True
        )
        assert found.stdout.decode().strip() == PythonDocs().fingerprint()


def test_the_splits_do_not_depend_on_the_order_of_the_topics():
    topics = read_topics()
    reordered = dict(reversed(list(topics.items())))
    assert split_by_topic(deduplicate(topics)) == split_by_topic(deduplicate(reordered))


def test_the_key_changes_with_the_options():
    assert (
        len(
            {
                PythonDocs().fingerprint(),
                PythonDocs(min_count=3).fingerprint(),
                PythonDocs(max_vocab_size=500).fingerprint(),
            }
        )
        == 3
    )


def test_the_vocabulary_can_be_limited(tmp_path):
    assert len(load_corpus(PythonDocs(max_vocab_size=500), tmp_path).vocabulary) == 500


def test_a_python_without_its_documentation_gets_one_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)
    with pytest.raises(FileNotFoundError, match=r"found no pydoc_data\.topics in this Python: type data=synthetic"):
        PythonDocs().fingerprint()
