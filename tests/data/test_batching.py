from pathlib import Path

import pytest
import torch

from lm.data.batching import OPTIONS, Batching, describe, source_options
from lm.data.corpus import Corpus
from lm.data.sentences import Sentences
from lm.data.streams import Streams
from lm.data.vocabulary import END, UNKNOWN, Vocabulary

CORPUS = Corpus(
    "x", "y", Vocabulary([END, UNKNOWN, "a"]), dict.fromkeys(("train", "valid"), torch.tensor([2, 2, 0] * 8)), None
)
DEFAULTS = {
    "batching": "sentences", "batch_size": 4, "seq_len": 5, "max_len": 2, "trim": "end", "pad": "beginning",
    "bucket_width": 1, "seed": 1,
}  # fmt: skip


def batching(**changes):
    return Batching(**DEFAULTS | changes)


def test_training_is_on_what_was_asked_for():
    assert isinstance(batching(batching="streams").training(CORPUS), Streams)
    sentences = batching().training(CORPUS)
    assert (sentences.pad, sentences.num_targets, sentences.num_trimmed) == ("beginning", 16, 8)
    assert describe(sentences) == {"batching": "sentences", "padding": 0.0, "trimmed_tokens": 8}


@pytest.mark.parametrize(("kind", "tokens"), [("streams", 23), ("sentences", 24)])
def test_scoring_leaves_nothing_out(kind, tokens):
    assert batching(batching=kind).evaluation(CORPUS, "valid", 3).num_targets == tokens


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
        ({"batching": "sentence"}, "expected data.batching to be streams or sentences, found 'sentence'"),
        ({"trim": "start"}, "expected data.trim to be end or beginning, found 'start'"),
        ({"pad": "left"}, "expected data.pad to be end or beginning, found 'left'"),
        ({"max_len": 0}, "data.max_len must be a whole number of at least 1, got 0"),
        ({"bucket_width": 0}, "data.bucket_width must be a whole number of at least 1, got 0"),
    ],
)
def test_values_that_cannot_be_used_are_refused(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        batching(**changes)


def test_sources_without_sentences_of_their_own_are_sentences_too():
    assert len(Sentences(torch.tensor([2, 0, 0, 2, 0]), 0, 1)) == 3  # the second is an empty line that was kept
