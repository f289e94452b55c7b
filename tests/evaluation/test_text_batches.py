import pytest
import torch

from lm.evaluation.loading import load_corpus_of, load_saved_run
from lm.evaluation.methods import Static
from lm.evaluation.methods.dynamic import DynamicSGD
from lm.evaluation.text_batches import first_words, text_batches

DYNAMIC = DynamicSGD(lr=0.1, decay=0.0, seq_len=7)


@pytest.fixture
def saved(saved_run):
    return load_saved_run(saved_run)


def test_a_method_that_adapts_reads_one_column_in_its_own_steps(saved):
    batches = text_batches(saved, load_corpus_of(saved), "test", DYNAMIC)
    assert (batches.batch_size, batches.seq_len) == (1, 7)
    with pytest.raises(ValueError, match=r"^expected batch_size=1 for a method .*, found 3: leave batch_size out$"):
        text_batches(saved, load_corpus_of(saved), "test", DYNAMIC, 3)


def test_other_methods_read_the_batches_of_the_final_evaluation_or_as_many_columns_as_asked(saved):
    corpus = load_corpus_of(saved)
    expected = saved.config.batches().final_evaluation(corpus, "test")
    found = text_batches(saved, corpus, "test", Static())
    assert (found.batch_size, found.state) == (expected.batch_size, expected.state)
    assert text_batches(saved, corpus, "test", Static(), 3).batch_size == 3


def test_the_first_words_end_with_a_sentence(saved):
    corpus = load_corpus_of(saved)
    ids = corpus.splits["valid"]
    for words in (7, 30, 10**6):
        found = first_words(corpus, "valid", words).splits["valid"]
        assert torch.equal(found, ids[: len(found)])
        assert found[-1] == corpus.vocabulary.eos_id
        assert len(found) <= words + 1
    assert len(found) == len(ids)
