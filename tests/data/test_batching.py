from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lm.data.batching import OPTIONS, WARMUP_TOKENS, Batching, describe, source_options
from lm.data.bptt import IGNORE_INDEX, BPTTBatches
from lm.data.corpus import Corpus
from lm.data.sentences import Sentences
from lm.data.vocabulary import EOS, UNK, Vocabulary

CORPUS = Corpus(
    "x", "y", Vocabulary([EOS, UNK, "a"]), dict.fromkeys(("train", "valid"), torch.tensor([2, 2, 0] * 8)), None
)
DEFAULTS = {
    "batching": "sentences", "batch_size": 4, "seq_len": 5, "max_length": 2, "truncation_side": "right", "padding_side": "left",
    "bucket_width": 1, "seed": 1,
}  # fmt: skip


def batching(**changes):
    return Batching(**DEFAULTS | changes)


def test_training_is_on_what_was_asked_for():
    assert isinstance(batching(batching="streams").training(CORPUS), BPTTBatches)
    sentences = batching().training(CORPUS)
    assert (sentences.padding_side, sentences.num_targets, sentences.num_truncated) == ("left", 16, 8)
    assert describe(sentences) == {"batching": "sentences", "padding": 0.0, "trimmed_tokens": 8}


@pytest.mark.parametrize(("kind", "tokens"), [("streams", 23), ("sentences", 24)])
def test_scoring_leaves_nothing_out(kind, tokens):
    assert batching(batching=kind).evaluation(CORPUS, "valid", 3).num_targets == tokens


@pytest.mark.parametrize(
    ("length", "columns"), [(24, 1), (16 * WARMUP_TOKENS - 1, 1), (16 * WARMUP_TOKENS, 2), (50 * WARMUP_TOKENS, 5)]
)
def test_a_stream_is_scored_as_one_text_in_as_many_columns_as_its_length_is_worth(monkeypatch, length, columns):
    monkeypatch.setattr("lm.data.batching.MAX_EVAL_BATCH_SIZE", 5)
    corpus = replace(CORPUS, splits={"test": torch.arange(length)})
    streams = batching(batching="streams").final_evaluation(corpus, "test")
    assert (streams.batch_size, streams.num_targets) == (columns, length - 1)
    assert streams.state == ("carried" if columns == 1 else f"carried, after {WARMUP_TOKENS} words")
    targets = torch.cat([window.targets_TB.flatten() for window in streams])
    assert sorted(targets[targets != IGNORE_INDEX].tolist()) == list(range(1, length))
    read_first = next(iter(streams)).inputs_TB[0]
    scored_first = [column[column != IGNORE_INDEX].min() for column in torch.cat([w.targets_TB for w in streams]).T]
    assert [int(one - other) for one, other in zip(scored_first, read_first, strict=True)][1:] == [
        WARMUP_TOKENS + 1
    ] * (columns - 1)


def test_sentences_are_scored_as_they_are_validated():
    scored, validated = batching().final_evaluation(CORPUS, "valid"), batching().evaluation(CORPUS, "valid", 4)
    assert (scored.state, scored.batch_size) == (validated.state, validated.batch_size) == ("reset", 4)


def test_the_options_of_a_source_are_told_from_those_of_batches():
    assert source_options({"name": "ptb", "dir": None} | DEFAULTS).keys() == {
        "name",
        "dir",
        "batch_size",
        "seq_len",
        "seed",
    }


def test_options_of_batches_are_no_sources():
    for path in (Path(__file__).parents[2] / "conf" / "data").glob("*.yaml"):
        assert not {line.split(":")[0] for line in path.read_text().splitlines()} & set(OPTIONS)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"batching": "sentence"}, "expected data.batching to be one of streams, sentences, found 'sentence'"),
        ({"truncation_side": "start"}, "expected data.truncation_side to be one of right, left, found 'start'"),
        ({"padding_side": "top"}, "expected data.padding_side to be one of right, left, found 'top'"),
        ({"max_length": 0}, "data.max_length to be a whole number of at least 1 or null, found 0"),
        ({"bucket_width": 0}, "data.bucket_width to be a whole number of at least 1, found 0"),
    ],
)
def test_values_that_cannot_be_used_are_refused(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        batching(**changes)


def test_sources_without_sentences_of_their_own_are_sentences_too():
    assert len(Sentences(torch.tensor([2, 0, 0, 2, 0]), 0, 1)) == 3  # the second is an empty line that was kept
