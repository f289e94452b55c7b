from dataclasses import replace

import pytest
import torch

from lm.data.batching import WARMUP_TOKENS, Batching, describe
from lm.data.bptt import IGNORE_INDEX, BPTTBatches
from lm.data.corpus import Corpus
from lm.data.sentences import Sentences
from lm.data.vocabulary import EOS, UNK, Vocabulary

CORPUS = Corpus(
    "x", "y", Vocabulary([EOS, UNK, "a"]), dict.fromkeys(("train", "valid"), torch.tensor([2, 2, 0] * 8)), None
)
DEFAULTS = {
    "batching": "sentences", "batch_size": 4, "seq_len": 5, "max_length": 2, "truncation_side": "right",
    "padding_side": "left", "bucket_width": 1, "seed": 1, "random_seq_len": False, "partial_shuffle": False,
}  # fmt: skip


def batching(**changes):
    return Batching(**DEFAULTS | changes)


def test_training_is_on_what_was_asked_for():
    assert isinstance(batching(batching="streams").training(CORPUS), BPTTBatches)
    sentences = batching().training(CORPUS)
    assert (sentences.padding_side, sentences.num_targets, sentences.num_truncated) == ("left", 16, 8)
    assert describe(sentences) == {"batching": "sentences", "padding": 0.0, "truncated_tokens": 8}


@pytest.mark.parametrize(("kind", "tokens"), [("streams", 23), ("sentences", 24)])
def test_evaluation_is_on_all_tokens(kind, tokens):
    assert batching(batching=kind).evaluation(CORPUS, "valid", 3).num_targets == tokens


@pytest.mark.parametrize(
    ("kind", "batch_size", "expected"), [("streams", 20, 20), ("streams", 30, 23), ("sentences", 30, 30)]
)
def test_validation_of_a_short_stream_is_narrower(kind, batch_size, expected):
    batches = batching(batching=kind, batch_size=batch_size).validation(CORPUS)
    assert batches.batch_size == expected
    assert sum(int((batch.targets_TB != IGNORE_INDEX).sum()) for batch in batches) == batches.num_targets


def test_a_split_that_is_too_short_is_named():
    streams = batching(batching="streams", batch_size=30)
    sentence = "words than batch_size=30, found 24: type batch_size=23"
    with pytest.raises(ValueError, match=f"expected the train split to have more {sentence}"):
        streams.training(CORPUS)
    with pytest.raises(ValueError, match=f"expected the valid split to have more {sentence}"):
        streams.evaluation(CORPUS, "valid", 30)


@pytest.mark.parametrize(
    ("length", "columns"), [(24, 1), (16 * WARMUP_TOKENS - 1, 1), (16 * WARMUP_TOKENS, 2), (50 * WARMUP_TOKENS, 5)]
)
def test_the_columns_of_the_final_evaluation_of_a_stream_are_long_and_cover_it(monkeypatch, length, columns):
    monkeypatch.setattr("lm.data.batching.MAX_EVAL_BATCH_SIZE", 5)
    corpus = replace(CORPUS, splits={"test": torch.arange(length)})
    batches = batching(batching="streams").final_evaluation(corpus, "test")
    assert (batches.batch_size, batches.num_targets) == (columns, length - 1)
    assert batches.state == ("carried" if columns == 1 else f"carried, after {WARMUP_TOKENS} words")
    targets = torch.cat([batch.targets_TB.flatten() for batch in batches])
    assert sorted(targets[targets != IGNORE_INDEX].tolist()) == list(range(1, length))
    read_first = next(iter(batches)).inputs_TB[0]
    targets_TB = torch.cat([batch.targets_TB for batch in batches])
    scored_first = [column[column != IGNORE_INDEX].min() for column in targets_TB.T]
    assert [int(one - other) for one, other in zip(scored_first, read_first, strict=True)][1:] == [
        WARMUP_TOKENS + 1
    ] * (columns - 1)


def test_the_final_evaluation_of_sentences_is_as_their_validation():
    scored, validated = batching().final_evaluation(CORPUS, "valid"), batching().validation(CORPUS)
    assert (scored.state, scored.batch_size) == (validated.state, validated.batch_size) == ("reset", 4)


def test_an_empty_line_that_was_kept_is_a_sentence():
    assert len(Sentences(torch.tensor([2, 0, 0, 2, 0]), 0, 1)) == 3


def test_only_training_has_random_windows():
    corpus = Corpus(
        "x", "y", Vocabulary([EOS, UNK, "a"]), dict.fromkeys(("train", "valid"), torch.arange(3000) % 3), None
    )
    random = batching(batching="streams", seq_len=20, random_seq_len=True, partial_shuffle=True, seed=2)
    usual = batching(batching="streams", seq_len=20)
    train, valid = random.training(corpus), random.validation(corpus)
    assert (train.random_seq_len, train.partial_shuffle, train.seed) == (True, True, 2)
    for one, other in zip(valid, usual.validation(corpus), strict=True):
        assert torch.equal(one.targets_TB, other.targets_TB)
